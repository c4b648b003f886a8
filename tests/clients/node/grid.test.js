// OpenAI's and Anthropic's SDKs for Node, each of their capabilities, over every upstream dialect that
// serves it: the cells of ../grid.json, each of which is run.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import OpenAI from "openai";

import { startGate, startUpstream } from "./harness.js";

const CELLS = JSON.parse(await readFile(new URL("../grid.json", import.meta.url), "utf8"));
const CONFIG = await readFile(new URL("../grid.yaml", import.meta.url), "utf8");
// Where each dialect is asked; streams of two of them elsewhere.
const PATHS = {
  openai: /^\/v1\/chat\/completions$/,
  responses: /^\/v1\/responses$/,
  anthropic: /^\/v1\/messages$/,
  gemini: /^\/v1beta\/models\/gemini-3-pro-preview:(g|streamG)enerateContent$/,
  bedrock: /^\/model\/us\.anthropic\.claude-[\w-]+%3A0\/converse(-stream)?$/,
  cohere: /^\/v2\/chat$/,
  ollama: /^\/api\/chat$/,
  replicate: /^\/v1\/models\/meta\/[\w-]+\/predictions$/,
};
const HELLO = "hello there world";
const SAID = "You said: hello there world";
const THOUGHT = "Let me think about that.";
const MESSAGES = [{ role: "user", content: HELLO }];
const LONG = [{ role: "user", content: "x ".repeat(40) }];
const WEATHER = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const FUNCTION = { name: "get_weather", description: "The weather", parameters: WEATHER };
const TOOLS = [{ type: "function", function: FUNCTION }];
const FLAT = [{ type: "function", strict: false, ...FUNCTION }];
const CLAUDES = [{ name: "get_weather", description: "The weather", input_schema: WEATHER }];

let upstream, gate, openai, claude;

before(async () => {
  upstream = await startUpstream();
  gate = await startGate(CONFIG.replaceAll("$UPSTREAM", upstream.url), {});
  const apiKey = await gate.key();
  const rest = { apiKey, maxRetries: 0, timeout: 20_000 };
  openai = new OpenAI({ baseURL: `${gate.url}/v1`, ...rest });
  claude = new Anthropic({ baseURL: gate.url, ...rest });
});

after(async () => {
  await gate?.stop();
  upstream?.stop();
});

async function asked(model) {
  // What a prediction comes to is asked for by GET.
  const seen = (await upstream.requests()).findLast((one) => one.method === "POST");
  assert.match(seen.path, PATHS[model]);
  return seen.text;
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// A stream that is cut when it has begun.
const cut = (model) => ({ responses: "cut-2600", replicate: "cut-120" })[model] ?? "cut-700";

// Status of the upstream, name of the SDK's class, status that the client sees.
const FAULTS = [
  [400, "BadRequestError", 400],
  [404, "NotFoundError", 404],
  [429, "RateLimitError", 429],
  // Ours, not the client's.
  [401, "InternalServerError", 502],
  [503, "InternalServerError", 502],
  [529, "InternalServerError", 502],
];

async function raises(sdk, ask, model, stream) {
  for (const [status, name, shown] of FAULTS) {
    await upstream.script(`status-${status}+retry-7`);
    await assert.rejects(ask({}), (error) => {
      assert.ok(error instanceof sdk[name], `${status}: ${error}`);
      assert.equal(error.status, shown);
      if (status === 429) assert.equal(error.headers.get("retry-after"), "7");
      assert.ok(!error.message.includes("sk-upstream"));
      return true;
    });
  }
  for (const broken of [cut(model), "error-event"]) {
    await upstream.script(broken);
    await assert.rejects(stream(), sdk.APIError);
  }
}

const RUNS = {
  "OpenAI (Node)": {
    chat: async (model) => {
      const messages = [{ role: "system", content: "be brief" }, ...MESSAGES];
      const answer = await openai.chat.completions.create({ model, messages, max_tokens: 50 });
      const [choice] = answer.choices;
      assert.deepEqual([choice.message.content, choice.finish_reason], [SAID, "stop"]);
      assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens], [5, 5]);
      assert.equal(answer.model, model);
      assert.match(await asked(model), /be brief/);
      const short = await openai.chat.completions.create({ model, messages: LONG, max_tokens: 16 });
      assert.equal(short.choices[0].finish_reason, "length");
    },
    "chat, streamed": async (model) => {
      const pieces = [];
      const stream = openai.chat.completions
        .stream({ model, messages: MESSAGES, stream_options: { include_usage: true } })
        .on("content", (piece) => pieces.push(piece));
      const final = await stream.finalChatCompletion();
      assert.equal(pieces.filter((piece) => piece).length, 5);
      assert.equal(final.choices[0].message.content, SAID);
      assert.equal(final.usage.total_tokens, 8);
      await asked(model);
    },
    tools: async (model) => {
      const fields = { model, tools: TOOLS };
      const stream = openai.chat.completions.stream({ messages: MESSAGES, ...fields });
      const streamed = (await stream.finalChatCompletion()).choices[0];
      const [whole] = (await openai.chat.completions.create({ messages: MESSAGES, ...fields })).choices;
      for (const { message, finish_reason } of [whole, streamed]) {
        assert.equal(finish_reason, "tool_calls");
        const [call] = message.tool_calls;
        assert.deepEqual(JSON.parse(call.function.arguments), { city: "world" });
        // Members that only the SDK adds are not for the provider.
        const { parsed, ...said } = message;
        const result = { role: "tool", tool_call_id: call.id, content: "21 degrees" };
        const messages = [...MESSAGES, said, result];
        const next = await openai.chat.completions.create({ messages, ...fields });
        assert.equal(next.choices[0].message.content, "The tool said: 21 degrees");
      }
      await asked(model);
    },
    responses: async (model) => {
      const answer = await openai.responses.create({ model, input: HELLO, instructions: "be brief" });
      assert.deepEqual([answer.output_text, answer.status], [SAID, "completed"]);
      assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [5, 5]);
      const stream = openai.responses.stream({ model, input: HELLO, tools: FLAT });
      const { output } = await stream.finalResponse();
      const call = output.find((item) => item.type === "function_call");
      assert.deepEqual(JSON.parse(call.arguments), { city: "world" });
      const items = output.map(({ parsed_arguments, ...item }) => item);
      const result = { type: "function_call_output", call_id: call.call_id, output: "21 degrees" };
      const input = [...MESSAGES, ...items, result];
      const next = await openai.responses.create({ model, input, tools: FLAT });
      assert.equal(next.output_text, "The tool said: 21 degrees");
      await asked(model);
    },
    completions: async (model) => {
      const answer = await openai.completions.create({ model, prompt: HELLO, max_tokens: 50 });
      assert.deepEqual([answer.choices[0].text, answer.usage.completion_tokens], [SAID, 5]);
      const chunks = await all(await openai.completions.create({ model, prompt: HELLO, stream: true }));
      assert.equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), SAID);
      await asked(model);
    },
    embeddings: async (model) => {
      const fields = { input: ["one", "two words"], dimensions: 4 };
      const answer = await openai.embeddings.create({ model: `embed-${model}`, ...fields });
      const same = await openai.embeddings.create({
        model: "embed-openai",
        encoding_format: "float",
        ...fields,
      });
      assert.deepEqual(answer.data.map((item) => item.embedding.length), [4, 4]);
      const vectors = (of) => of.data.map((item) => item.embedding);
      assert.deepEqual(vectors(answer), vectors(same));
      assert.equal(answer.usage.prompt_tokens, 3);
    },
    models: async (model) => {
      const names = (await all(openai.models.list())).map((one) => one.id);
      assert.ok(names.includes(model), names.join());
      assert.equal((await openai.models.retrieve(model)).id, model);
    },
    errors: async (model) => {
      const ask = (fields) => openai.chat.completions.create({ model, messages: MESSAGES, ...fields });
      await raises(OpenAI, ask, model, async () => all(await ask({ stream: true })));
      if (model !== "openai") {
        await assert.rejects(ask({ logit_bias: { 1: 1 } }), (error) => {
          assert.ok(error instanceof OpenAI.BadRequestError);
          assert.deepEqual([error.code, error.param], ["unsupported_parameter", "logit_bias"]);
          return true;
        });
      }
      const nobody = openai.withOptions({ apiKey: "sk-nobody" });
      const refused = nobody.chat.completions.create({ model, messages: MESSAGES });
      await assert.rejects(refused, OpenAI.AuthenticationError);
    },
  },
  "Anthropic (TypeScript)": {
    messages: async (model) => {
      const fields = { model, max_tokens: 50, messages: MESSAGES };
      const answer = await claude.messages.create({ ...fields, system: "be brief" });
      assert.deepEqual([answer.content[0].text, answer.stop_reason], [SAID, "end_turn"]);
      assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [5, 5]);
      assert.match(await asked(model), /be brief/);
      const short = await claude.messages.create({ model, max_tokens: 16, messages: LONG });
      assert.equal(short.stop_reason, "max_tokens");
    },
    "streaming helpers": async (model) => {
      const pieces = [];
      const stream = claude.messages
        .stream({ model, max_tokens: 50, messages: MESSAGES })
        .on("text", (piece) => pieces.push(piece));
      const final = await stream.finalMessage();
      assert.deepEqual([pieces.length, pieces.join("")], [5, SAID]);
      assert.deepEqual([final.stop_reason, final.usage.output_tokens], ["end_turn", 5]);
      assert.equal(await claude.messages.stream({ model, max_tokens: 50, messages: MESSAGES }).finalText(), SAID);
      await asked(model);
    },
    tools: async (model) => {
      const fields = { model, max_tokens: 50, tools: CLAUDES };
      const partial = [];
      const stream = claude.messages
        .stream({ messages: MESSAGES, ...fields })
        .on("inputJson", (piece) => partial.push(piece));
      const first = await stream.finalMessage();
      const use = first.content.find((block) => block.type === "tool_use");
      assert.deepEqual([first.stop_reason, use.name, use.input], ["tool_use", "get_weather", { city: "world" }]);
      assert.deepEqual(JSON.parse(partial.join("")), use.input);
      const result = { type: "tool_result", tool_use_id: use.id, content: "21 degrees" };
      const turns = [{ role: "assistant", content: first.content }, { role: "user", content: [result] }];
      const second = await claude.messages.create({ messages: [...MESSAGES, ...turns], ...fields });
      assert.equal(second.content.at(-1).text, "The tool said: 21 degrees");
      await asked(model);
    },
    "tool runner": async (model) => {
      const ran = [];
      const run = ({ city }) => {
        ran.push(city);
        return "21 degrees";
      };
      const tool = betaTool({ name: "get_weather", description: "The weather", inputSchema: WEATHER, run });
      const runner = claude.beta.messages.toolRunner({
        model,
        max_tokens: 50,
        messages: MESSAGES,
        tools: [tool],
      });
      const final = await runner;
      assert.deepEqual(ran, ["world"]);
      assert.equal(final.content.at(-1).text, "The tool said: 21 degrees");
      await asked(model);
    },
    thinking: async (model) => {
      const thinking = { type: "enabled", budget_tokens: 1024 };
      const fields = { model, max_tokens: 4000, thinking, tools: CLAUDES };
      await upstream.script("reasoning");
      const first = await claude.messages.stream({ messages: MESSAGES, ...fields }).finalMessage();
      assert.equal(first.content[0].thinking, THOUGHT);
      const use = first.content.find((block) => block.type === "tool_use");
      const result = { type: "tool_result", tool_use_id: use.id, content: "21 degrees" };
      const turns = [{ role: "assistant", content: first.content }, { role: "user", content: [result] }];
      const second = await claude.messages.create({ messages: [...MESSAGES, ...turns], ...fields });
      assert.equal(second.content.at(-1).text, "The tool said: 21 degrees");
      // What a provider wants to see again, it sees as it was: the scripted ones check their own.
      const proof = { anthropic: /"sig-/, bedrock: /"sig-/, gemini: /thoughtSignature/, responses: /"gAAAA/ };
      assert.match(await asked(model), proof[model] ?? new RegExp(THOUGHT));
    },
    count_tokens: async (model) => {
      const short = await claude.messages.countTokens({ model, messages: MESSAGES });
      const more = { messages: MESSAGES, system: "be brief", tools: CLAUDES };
      const long = await claude.messages.countTokens({ model, ...more });
      const [less, many] = [short.input_tokens, long.input_tokens];
      assert.ok(3 <= less && less < many && many < 200, `${less} ${many}`);
    },
    errors: async (model) => {
      const fields = { model, max_tokens: 50, messages: MESSAGES };
      const ask = (more) => claude.messages.create({ ...fields, ...more });
      await raises(Anthropic, ask, model, () => claude.messages.stream(fields).finalMessage());
      if (model !== "anthropic") {
        await assert.rejects(ask({ container: "c" }), (error) => {
          assert.ok(error instanceof Anthropic.BadRequestError);
          assert.match(error.message, /`container` is not supported/);
          return true;
        });
      }
      const nobody = claude.withOptions({ apiKey: "sk-nobody" }).messages.create(fields);
      await assert.rejects(nobody, Anthropic.AuthenticationError);
    },
  },
};

test("the grid is whole", () => {
  for (const [sdk, runs] of Object.entries(RUNS)) {
    assert.deepEqual(Object.keys(CELLS[sdk]), Object.keys(runs));
  }
  const others = Object.keys(CELLS).filter((sdk) => !sdk.includes("Python") && !RUNS[sdk]);
  assert.deepEqual(others, []);
});

for (const [sdk, runs] of Object.entries(RUNS)) {
  for (const [what, run] of Object.entries(runs)) {
    for (const model of CELLS[sdk][what]) {
      test(`${sdk}: ${what} over ${model}`, async () => {
        await upstream.forget();
        await run(model);
      });
    }
  }
}
