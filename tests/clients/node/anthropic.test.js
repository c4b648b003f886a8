// The official Anthropic SDK for TypeScript against Tollgate, unchanged: relayed to Anthropic, and
// bridged to an OpenAI and to a Gemini upstream.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { startGate, startUpstream } from "./harness.js";

const HELLO = [{ role: "user", content: "hello there world" }];
const TOOLS = [
  {
    name: "get_weather",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];
const MODELS = ["claude-sonnet-4-5", "bridged/m", "gemini-2.5-flash"];

let upstream, gate, client;

before(async () => {
  upstream = await startUpstream();
  const config = `
model_list:
  - model_name: claude-sonnet-4-5
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_base: ${upstream.url}
      api_key: sk-ant-upstream
  - model_name: bridged/*
    litellm_params:
      model: openai/*
      api_base: ${upstream.url}/v1
      api_key: sk-upstream
  - model_name: gemini-2.5-flash
    litellm_params:
      model: gemini/gemini-2.5-flash
      api_base: ${upstream.url}
      api_key: AIza-upstream
router_settings:
  num_retries: 0
  disable_cooldowns: true
`;
  gate = await startGate(config, {});
  client = clientOf(await gate.key());
});

after(async () => {
  await gate?.stop();
  upstream?.stop();
});

function clientOf(apiKey) {
  return new Anthropic({ baseURL: gate.url, apiKey, maxRetries: 0, timeout: 20_000 });
}

for (const model of MODELS) {
  const base = { model, max_tokens: 100, messages: HELLO };

  test(`answers over ${model}`, async () => {
    const answer = await client.messages.create({ ...base, system: "be brief" });
    assert.equal(answer.type, "message");
    assert.equal(answer.content[0].text, "You said: hello there world");
    assert.equal(answer.stop_reason, "end_turn");
    assert.deepEqual([answer.usage.input_tokens, answer.usage.output_tokens], [5, 5]);
  });

  test(`streams over ${model}`, async () => {
    const pieces = [];
    const stream = client.messages.stream(base).on("text", (piece) => pieces.push(piece));
    const final = await stream.finalMessage();
    assert.equal(pieces.join(""), "You said: hello there world");
    assert.equal(pieces.length, 5);
    assert.equal(final.stop_reason, "end_turn");
    assert.equal(final.usage.output_tokens, 5);
  });

  test(`uses tools over ${model}`, async () => {
    const first = await client.messages
      .stream({ ...base, tools: TOOLS, tool_choice: { type: "any" } })
      .finalMessage();
    assert.equal(first.stop_reason, "tool_use");
    const use = first.content.find((block) => block.type === "tool_use");
    assert.deepEqual([use.name, use.input], ["get_weather", { city: "world" }]);
    const result = { type: "tool_result", tool_use_id: use.id, content: "21 degrees" };
    const messages = [
      ...HELLO,
      { role: "assistant", content: first.content },
      { role: "user", content: [result] },
    ];
    const second = await client.messages.create({ ...base, messages, tools: TOOLS });
    assert.equal(second.content.at(-1).text, "The tool said: 21 degrees");
  });

  test(`counts tokens for ${model}`, async () => {
    const counted = await client.messages.countTokens({ model, messages: HELLO });
    assert.ok(counted.input_tokens > 0 && counted.input_tokens < 20, `${counted.input_tokens}`);
  });
}

test("thinks, and takes its thoughts back", async () => {
  const options = {
    model: "claude-sonnet-4-5",
    max_tokens: 2000,
    thinking: { type: "enabled", budget_tokens: 1024 },
  };
  const first = await client.messages.create({ ...options, messages: HELLO });
  assert.deepEqual(first.content.map((block) => block.type), ["thinking", "text"]);
  assert.ok(first.content[0].signature);
  const messages = [
    ...HELLO,
    { role: "assistant", content: first.content },
    { role: "user", content: "go on" },
  ];
  const final = await client.messages.stream({ ...options, messages }).finalMessage();
  assert.equal(final.content[1].text, "You said: go on");
});

test("lists models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("claude-sonnet-4-5"), names.join());
});

test("errors are typed", async () => {
  const ask = (model) => client.messages.create({ model, max_tokens: 10, messages: HELLO });
  await assert.rejects(ask("no-such-model"), Anthropic.NotFoundError);
  await assert.rejects(ask("bridged/m+status-429"), Anthropic.RateLimitError);
  await assert.rejects(ask("bridged/m+status-500"), Anthropic.InternalServerError);
  const nobody = clientOf("sk-nobody").messages.create({
    model: "bridged/m",
    max_tokens: 10,
    messages: HELLO,
  });
  await assert.rejects(nobody, Anthropic.AuthenticationError);
});
