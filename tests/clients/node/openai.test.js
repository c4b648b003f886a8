// The official OpenAI SDK for Node against Tollgate, unchanged.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { startGate, startUpstream } from "./harness.js";

const HELLO = [{ role: "user", content: "hello there world" }];
const TOOLS = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } } },
    },
  },
];

let upstream, gate, client;

before(async () => {
  upstream = await startUpstream();
  const config = `
model_list:
  - model_name: apertis-model
    litellm_params:
      model: apertis/m
      api_key: os.environ/STIMA_API_KEY
  - model_name: apertis/*
    litellm_params:
      model: apertis/*
      api_key: os.environ/STIMA_API_KEY
  - model_name: text-embedding-3-small
    litellm_params:
      model: openai/text-embedding-3-small
      api_base: ${upstream.url}/v1
      api_key: sk-upstream
router_settings:
  num_retries: 0
  disable_cooldowns: true
`;
  const env = { STIMA_API_KEY: "sk-stima", STIMA_API_BASE: `${upstream.url}/v1` };
  gate = await startGate(config, env);
  client = clientOf(await gate.key());
});

after(async () => {
  await gate?.stop();
  upstream?.stop();
});

function clientOf(apiKey) {
  return new OpenAI({ baseURL: `${gate.url}/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
}

function chat(fields, by = client) {
  return by.chat.completions.create({ model: "apertis-model", messages: HELLO, ...fields });
}

test("lists models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("apertis-model"), names.join());
});

test("chats", async () => {
  const answer = await chat({ an_unknown_field: { kept: 1 } });
  assert.equal(answer.choices[0].message.content, "You said: hello there world");
  assert.equal(answer.usage.total_tokens, 8);
  const seen = await upstream.last();
  assert.deepEqual(seen.json, { model: "m", messages: HELLO, an_unknown_field: { kept: 1 } });
});

test("streams chunk by chunk", async () => {
  const times = [];
  let text = "";
  for await (const chunk of await chat({ model: "apertis/m+gap-40", stream: true })) {
    times.push(performance.now());
    text += chunk.choices[0].delta.content ?? "";
  }
  assert.equal(text, "You said: hello there world");
  assert.equal(times.length, 7);
  assert.ok(times.at(-1) - times[0] > 150, "the chunks came all at once");
});

test("streams with usage", async () => {
  let last;
  const fields = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await chat(fields)) last = chunk;
  assert.deepEqual(last.choices, []);
  assert.equal(last.usage.total_tokens, 8);
});

test("calls tools", async () => {
  const first = await chat({ tools: TOOLS });
  const [call] = first.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "world" });
  const result = { role: "tool", tool_call_id: call.id, content: "21 degrees" };
  const messages = [...HELLO, first.choices[0].message, result];
  const second = await chat({ messages, tools: TOOLS });
  assert.equal(second.choices[0].message.content, "The tool said: 21 degrees");
});

test("streams tool calls through the helper", async () => {
  const request = { model: "apertis/m+calls-2", messages: HELLO, tools: TOOLS };
  const stream = client.chat.completions.stream(request);
  const final = await stream.finalChatCompletion();
  const calls = final.choices[0].message.tool_calls;
  assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments).city), ["world", "world"]);
});

test("embeds", async () => {
  const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b c"] });
  assert.deepEqual(answer.data.map((item) => item.embedding.length), [8, 8]);
  assert.equal(answer.usage.prompt_tokens, 3);
});

test("an unknown key is an authentication error", async () => {
  await assert.rejects(chat({}, clientOf("sk-nobody-has-this")), OpenAI.AuthenticationError);
});

test("a model that is not allowed is a permission error", async () => {
  const other = clientOf(await gate.key({ models: ["something-else"] }));
  await assert.rejects(chat({}, other), OpenAI.PermissionDeniedError);
});

test("an unknown model is not found", async () => {
  await assert.rejects(chat({ model: "apertis-modle" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
});

test("a limit is a rate-limit error with Retry-After", async () => {
  const limited = clientOf(await gate.key({ rpm_limit: 1 }));
  await chat({}, limited);
  await assert.rejects(chat({}, limited), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
    return true;
  });
});

test("an upstream's 400 keeps its parameter", async () => {
  await assert.rejects(chat({ temperature: "hot" }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});

test("our credential refused is a server error", async () => {
  await assert.rejects(chat({ model: "apertis/m+status-401" }), (error) => {
    assert.ok(error instanceof OpenAI.InternalServerError);
    assert.equal(error.code, "upstream_auth_failed");
    return true;
  });
});

test("a cut stream throws", async () => {
  const stream = await chat({ model: "apertis/m+cut-900", stream: true });
  await assert.rejects(async () => {
    for await (const _ of stream);
  }, OpenAI.APIError);
});
