// The official OpenAI SDK for Node: responses and old completions, over three upstream dialects.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import OpenAI from "openai";

import { startGate, startUpstream } from "./harness.js";

const MODELS = ["responses", "openai", "anthropic"];
const HELLO = "hello there world";
const SAID = "You said: hello there world";
const WEATHER = {
  type: "function",
  name: "get_weather",
  strict: false,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const PATCH = { type: "custom", name: "apply_patch" };

let upstream, gate, client;

before(async () => {
  upstream = await startUpstream();
  const entry = (name, model, base) => `
  - model_name: ${name}
    litellm_params: {model: ${model}, api_base: "${upstream.url}${base}", api_key: sk-upstream}`;
  const config = `model_list:${entry("responses", "openai/gpt-5", "/v1")}${entry(
    "openai",
    "cerebras/gpt-4o",
    "/v1",
  )}${entry("anthropic", "anthropic/claude-sonnet-4-5", "")}
router_settings:
  num_retries: 0
  disable_cooldowns: true
`;
  gate = await startGate(config, {});
  const apiKey = await gate.key();
  client = new OpenAI({ baseURL: `${gate.url}/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
});

after(async () => {
  await gate?.stop();
  upstream?.stop();
});

for (const model of MODELS) {
  test(`answers over ${model}`, async () => {
    const answer = await client.responses.create({ model, input: HELLO });
    assert.equal(answer.output_text, SAID);
    assert.equal(answer.usage.output_tokens, 5);
  });

  test(`streams over ${model}`, async () => {
    let text = "";
    for await (const event of await client.responses.create({ model, input: HELLO, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    assert.equal(text, SAID);
    const final = await client.responses.stream({ model, input: HELLO }).finalResponse();
    assert.equal(final.output_text, SAID);
    assert.equal(final.status, "completed");
  });

  test(`calls tools over ${model}`, async () => {
    const question = { role: "user", content: "Weather in Paris" };
    const stream = client.responses.stream({
      model,
      input: [question],
      tools: [WEATHER, PATCH],
      tool_choice: { type: "function", name: "get_weather" },
    });
    const { output } = await stream.finalResponse();
    const call = output.find((item) => item.type === "function_call");
    assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
    // Members that only the SDK adds are not for the provider.
    const items = output.map(({ parsed_arguments, ...item }) => item);
    const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
    const input = [question, ...items, result];
    const answer = await client.responses.create({ model, input, tools: [WEATHER, PATCH] });
    assert.equal(answer.output_text, "The tool said: sunny");
    const custom = { type: "custom", name: "apply_patch" };
    const patched = await client.responses.create({
      model,
      input: [question],
      tools: [WEATHER, PATCH],
      tool_choice: custom,
    });
    assert.equal(patched.output.find((item) => item.type === "custom_tool_call").input, "Paris");
  });

  test(`completes over ${model}`, async () => {
    const answer = await client.completions.create({ model, prompt: HELLO });
    assert.equal(answer.choices[0].text, SAID);
    let text = "";
    for await (const chunk of await client.completions.create({ model, prompt: HELLO, stream: true })) {
      text += chunk.choices[0]?.text ?? "";
    }
    assert.equal(text, SAID);
  });
}

test("goes on from a stored answer", async () => {
  const first = await client.responses.create({ model: "responses", input: HELLO });
  const next = { model: "responses", input: "more", previous_response_id: first.id };
  assert.equal((await client.responses.create(next)).previous_response_id, first.id);
  const made = { ...next, previous_response_id: "resp_of_somebody" };
  await assert.rejects(client.responses.create(made), OpenAI.BadRequestError);
});
