"""The official OpenAI SDK's responses and old completions, over three upstream dialects."""

import json

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from harness import Gate

CONFIG = """\
model_list:
  - model_name: responses
    litellm_params: {{model: openai/gpt-5, api_base: "{upstream}/v1", api_key: sk-upstream}}
  - model_name: openai
    litellm_params: {{model: cerebras/gpt-4o, api_base: "{upstream}/v1", api_key: sk-upstream}}
  - model_name: anthropic
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: "{upstream}", api_key: sk-ant}}
router_settings:
  num_retries: 0
  disable_cooldowns: true
"""
MODELS = ["responses", "openai", "anthropic"]
PATHS = {"responses": "/v1/responses", "openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
HELLO = "hello there world"
SAID = "You said: hello there world"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files"}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def gate(upstream):
    gate = Gate(CONFIG.format(upstream=upstream.url))
    yield gate
    gate.stop()


@pytest.fixture(scope="module")
def key(gate):
    return gate.key(user_id="one")


@pytest.fixture
def client(gate, key):
    return client_of(gate, key)


def client_of(gate, key):
    return OpenAI(base_url=f"{gate.url}/v1", api_key=key, max_retries=0, timeout=20)


@pytest.mark.parametrize("model", MODELS)
def test_answers(client, upstream, model):
    answer = client.responses.create(model=model, input=HELLO, instructions="Be brief.")
    assert answer.output_text == SAID
    assert answer.status == "completed" and answer.error is None
    assert answer.model == model
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens == 5
    assert answer.usage.input_tokens_details.cached_tokens == 0
    assert answer.tools == [] and answer.tool_choice == "auto"
    assert upstream.last()["path"] == PATHS[model]


@pytest.mark.parametrize("model", MODELS)
def test_streams_raw_events(client, model):
    kinds, text, numbers = [], "", []
    for event in client.responses.create(model=model, input=HELLO, stream=True):
        kinds.append(event.type)
        numbers.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            text += event.delta
    assert text == SAID
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[2:4] == ["response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("model", MODELS)
def test_accumulates(client, model):
    with client.responses.stream(model=model, input=HELLO) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots[-1] == SAID
    assert final.output_text == SAID
    assert final.usage.output_tokens == 5


@pytest.mark.parametrize("model", MODELS)
def test_accumulates_tool_calls(client, model):
    with client.responses.stream(
        model=model, input="Weather in Paris", tools=[WEATHER], tool_choice="required"
    ) as stream:
        final = stream.get_final_response()
    [call] = [item for item in final.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    answer = client.responses.create(
        model=model,
        tools=[WEATHER],
        input=[
            {"role": "user", "content": "Weather in Paris"},
            *final.output,
            {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
        ],
    )
    assert answer.output_text == "The tool said: sunny"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_custom_tools(client, upstream, model, stream):
    asked = dict(model=model, input="Patch Paris", tools=[PATCH], tool_choice={"type": "custom", "name": "apply_patch"})
    if stream:
        with client.responses.stream(**asked) as events:
            inputs = [event.input for event in events if event.type == "response.custom_tool_call_input.done"]
            output = events.get_final_response().output
        assert inputs == ["Paris"]
    else:
        output = client.responses.create(**asked).output
    [call] = [item for item in output if item.type == "custom_tool_call"]
    assert (call.name, call.input) == ("apply_patch", "Paris")
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"}
    asked = [{"role": "user", "content": "Patch Paris"}, *output, result]
    assert client.responses.create(model=model, input=asked, tools=[PATCH]).output_text == "The tool said: done"


@pytest.mark.parametrize("model", MODELS)
def test_asks_for_structured_output(client, upstream, model):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    form = {"type": "json_schema", "name": "colour", "schema": schema, "strict": True}
    client.responses.create(model=model, input="A colour", text={"format": form})
    sent = upstream.last()["json"]
    assert {
        "responses": lambda: sent["text"]["format"],
        "openai": lambda: sent["response_format"]["json_schema"],
        "anthropic": lambda: sent["output_config"]["format"],
    }[model]()["schema"] == schema


@pytest.mark.parametrize("model", ["responses", "anthropic"])
def test_thinks_over_turns(client, upstream, model):
    asked = dict(
        model=model,
        reasoning={"effort": "medium", "summary": "auto"},
        store=False,
        include=["reasoning.encrypted_content"],
        tools=[WEATHER],
    )
    question = {"role": "user", "content": "Weather in Paris"}
    first = client.responses.create(input=[question], **asked)
    [thought] = [item for item in first.output if item.type == "reasoning"]
    [call] = [item for item in first.output if item.type == "function_call"]
    assert thought.summary[0].text and thought.encrypted_content
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = client.responses.create(input=[question, *first.output, result], **asked)
    assert second.output_text == "The tool said: sunny"


@pytest.mark.parametrize("model", MODELS)
def test_pictures(client, model):
    content = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
    ]
    answer = client.responses.create(model=model, input=[{"role": "user", "content": content}])
    assert answer.output_text == "You said: look (with 1 image)"


def test_goes_on_from_a_stored_answer(gate, client, upstream):
    first = client.responses.create(model="responses", input=HELLO)
    second = client.responses.create(model="responses", input="more", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert upstream.last()["json"]["previous_response_id"] not in (None, first.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        client_of(gate, gate.key(user_id="two")).responses.create(
            model="responses", input="more", previous_response_id=first.id
        )
    with pytest.raises(openai.BadRequestError, match="keeps no answers"):
        client.responses.create(model="openai", input="more", previous_response_id=first.id)


def ended(client, answer):
    """Asks for an answer as OpenAI's guide does, until it has ended."""
    for _ in range(20):
        if answer.status not in ("queued", "in_progress"):
            return answer
        answer = client.responses.retrieve(answer.id)
    raise AssertionError(f"it is still {answer.status}")


def test_in_the_background(gate, client, upstream):
    upstream.script("looks-5")
    answer = client.responses.create(model="responses", input=HELLO, background=True)
    assert (answer.status, answer.background, answer.usage) == ("queued", True, None)
    whole = ended(client, answer)
    assert (whole.id, whole.status, whole.output_text) == (answer.id, "completed", SAID)
    assert whole.usage.output_tokens == 5
    with pytest.raises(openai.NotFoundError):
        client_of(gate, gate.key(user_id="two")).responses.retrieve(answer.id)
    second = client.responses.create(model="responses", input="more", previous_response_id=whole.id)
    assert second.previous_response_id == whole.id
    client.responses.delete(whole.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(whole.id)


def test_is_cancelled_in_the_background(client, upstream):
    upstream.script("looks-1000")
    answer = client.responses.create(model="responses", input=HELLO, background=True)
    for _ in range(2):
        cancelled = client.responses.cancel(answer.id)
        assert (cancelled.id, cancelled.status) == (answer.id, "cancelled")
    assert client.responses.retrieve(answer.id).status == "cancelled"


def test_streams_in_the_background_and_goes_on_where_it_was_cut(client, upstream):
    upstream.script("gap-20")
    seen = []
    with client.responses.create(
        model="responses", input=HELLO, background=True, stream=True
    ) as stream:
        for event in stream:
            seen.append(event)
            if len(seen) == 6:
                break
    assert seen[0].type == "response.queued"
    answer = seen[0].response.id
    rest = client.responses.retrieve(answer, stream=True, starting_after=seen[-1].sequence_number)
    seen.extend(rest)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    deltas = "".join(event.delta for event in seen if event.type == "response.output_text.delta")
    assert (deltas, seen[-1].type) == (SAID, "response.completed")
    assert (seen[-1].response.id, seen[-1].response.output_text) == (answer, SAID)
    assert ended(client, client.responses.retrieve(answer)).output_text == SAID


@pytest.mark.parametrize("model", ["openai", "anthropic"])
def test_nothing_goes_on_by_itself_elsewhere(client, model):
    with pytest.raises(openai.BadRequestError, match="`background` is not supported") as refused:
        client.responses.create(model=model, input=HELLO, background=True)
    assert refused.value.param == "background"


@pytest.mark.parametrize("model", MODELS)
def test_errors_have_their_types(client, upstream, model):
    upstream.script("status-429")
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model=model, input=HELLO)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody", input=HELLO)
    upstream.script("error-event")
    events = list(client.responses.create(model=model, input=HELLO, stream=True))
    assert events[-1].type == "error" and events[-1].message


async def collect(stream):
    return [event async for event in stream]


@pytest.mark.parametrize("model", MODELS)
def test_asynchronously(gate, key, model):
    import asyncio

    async def run():
        async with AsyncOpenAI(base_url=f"{gate.url}/v1", api_key=key, max_retries=0) as client:
            async with client.responses.stream(model=model, input=HELLO) as stream:
                return (await stream.get_final_response()).output_text

    assert asyncio.run(run()) == SAID


@pytest.mark.parametrize("model", MODELS)
def test_completions(client, upstream, model):
    answer = client.completions.create(model=model, prompt=HELLO, max_tokens=20, echo=True)
    assert answer.choices[0].text == HELLO + SAID
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 5
    # A provider that speaks chat completions, too, is asked in those.
    chat = PATHS["openai"]
    assert upstream.last()["path"] == {**PATHS, "responses": chat}[model]
    text, usage = "", None
    options = {"include_usage": True}
    for chunk in client.completions.create(model=model, prompt=HELLO, stream=True, stream_options=options):
        assert chunk.object == "text_completion"
        text += "".join(choice.text for choice in chunk.choices)
        usage = chunk.usage or usage
    assert text == SAID and usage.completion_tokens == 5
    with pytest.raises(openai.BadRequestError, match="fill gaps"):
        client.completions.create(model=model, prompt=HELLO, suffix="the end")


def test_azures_client_names_the_model_in_the_path(gate, key, upstream):
    client = AzureOpenAI(azure_endpoint=gate.url, api_key=key, api_version="2024-10-21", max_retries=0)
    messages = [{"role": "user", "content": HELLO}]
    answer = client.chat.completions.create(model="anthropic", messages=messages)
    assert answer.choices[0].message.content == SAID
    assert client.completions.create(model="openai", prompt=HELLO).choices[0].text == SAID
