"""The official OpenAI SDK against Tollgate, unchanged."""

import json
import time

import openai
import pytest
from openai import OpenAI

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]
HELLO = [{"role": "user", "content": "hello there world"}]
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def client_of(gate, key, **options):
    return OpenAI(base_url=f"{gate.url}/v1", api_key=key, max_retries=0, timeout=20, **options)


@pytest.fixture
def client(gate, key):
    return client_of(gate, key)


def test_lists_models(client):
    names = [model.id for model in client.models.list()]
    assert {"apertis-model", "gpt-4o", "claude-sonnet-4-5"} <= set(names)
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    assert client.models.retrieve("apertis/m").owned_by == "apertis"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody-has-this")


def test_chats(client, upstream):
    answer = client.chat.completions.create(model="apertis-model", messages=HELLO)
    assert answer.choices[0].message.content == "You said: hello there world"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == 3
    assert answer.usage.completion_tokens == 5
    seen = upstream.last()
    assert seen["path"] == "/apertis/v1/chat/completions"
    assert seen["headers"]["authorization"] == "Bearer sk-stima"
    assert seen["json"] == {"messages": HELLO, "model": "m"}


def test_answers_with_the_headers_of_litellm(client):
    raw = client.chat.completions.with_raw_response.create(model="apertis-model", messages=HELLO)
    assert raw.headers["x-litellm-call-id"]
    assert raw.headers["x-litellm-model-id"]
    assert raw.parse().choices[0].message.content == "You said: hello there world"


def test_passes_every_field_through(client, upstream):
    fields = {
        "temperature": 0.25,
        "top_p": 0.5,
        "max_tokens": 50,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "stop": ["\n\n", "END"],
        "tools": TOOLS,
        "tool_choice": "none",
        "seed": 7,
        "user": "someone",
    }
    unknown = {"a_field_of_tomorrow": {"deep": [1, 2.50, None]}, "another": True}
    client.chat.completions.create(model="apertis-model", messages=HELLO, extra_body=unknown, **fields)
    assert upstream.last()["json"] == {"messages": HELLO, "model": "m", **fields, **unknown}


def test_renames_max_completion_tokens_for_apertis(client, upstream):
    answer = client.chat.completions.create(
        model="apertis-model", messages=HELLO, max_completion_tokens=2
    )
    assert answer.choices[0].finish_reason == "length"
    seen = upstream.last()["json"]
    assert seen["max_tokens"] == 2
    assert "max_completion_tokens" not in seen


def test_streams_chunk_by_chunk(client, upstream):
    begin = time.monotonic()
    times, text = [], ""
    stream = client.chat.completions.create(
        model="apertis/m+gap-40", messages=HELLO, stream=True
    )
    for chunk in stream:
        times.append(time.monotonic() - begin)
        assert chunk.choices, "a usage chunk that nobody asked for"
        text += chunk.choices[0].delta.content or ""
    assert text == "You said: hello there world"
    # Role, five words, finish: seven events with 40 ms between them.
    assert len(times) == 7
    assert times[-1] - times[0] > 0.15, "the chunks came all at once"
    assert upstream.last()["json"]["stream"] is True


def test_streams_with_usage(client):
    stream = client.chat.completions.create(
        model="apertis-model",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 8
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_calls_tools(client):
    messages = list(HELLO)
    first = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    call = first.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "world"}
    messages.append(first.choices[0].message)
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "21 degrees"})
    second = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == "The tool said: 21 degrees"


def test_streams_tool_calls(client):
    with client.chat.completions.stream(
        model="apertis/m+calls-2", messages=HELLO, tools=TOOLS
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "world"}] * 2
    assert calls[0].id != calls[1].id


def test_sends_images(client, upstream):
    content = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": content}]
    )
    assert answer.choices[0].message.content == "You said: what is this (with 1 image)"
    assert upstream.last()["json"]["messages"][0]["content"] == content


def test_keeps_reasoning(client):
    answer = client.chat.completions.create(model="apertis/m+reasoning", messages=HELLO)
    assert answer.choices[0].message.reasoning_content == "Let me think about that."
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5


def test_chats_with_an_anthropic_model(client, upstream):
    answer = client.chat.completions.create(
        model="claude-sonnet-4-5",
        messages=[{"role": "system", "content": "be brief"}, *HELLO],
        max_completion_tokens=100,
    )
    assert answer.choices[0].message.content == "You said: hello there world"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 5)
    seen = upstream.last()
    assert seen["path"] == "/v1/messages"
    assert seen["headers"]["x-api-key"] == "sk-ant-upstream"
    assert seen["json"]["max_tokens"] == 100


def test_streams_tools_from_an_anthropic_model(client):
    with client.chat.completions.stream(
        model="claude-sonnet-4-5", messages=HELLO, tools=TOOLS
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    call = final.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "world"}


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_chats_with_a_gemini_model(client, upstream, model):
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": "be brief"}, *HELLO],
        max_tokens=100,
        stop="END",
        n=1,
        seed=7,
        reasoning_effort="low",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}},
        },
    )
    assert answer.choices[0].message.content == "You said: hello there world"
    assert answer.choices[0].message.reasoning_content == "Let me think about that."
    assert answer.usage.completion_tokens_details.reasoning_tokens == 5
    config = upstream.last()["json"]["generationConfig"]
    assert config["maxOutputTokens"] == 100 and config["seed"] == 7
    assert config["responseJsonSchema"] == {"type": "object", "properties": {}}
    content = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": content}]
    )
    assert answer.choices[0].message.content == "You said: what is this (with 1 image)"


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro-preview"])
def test_tools_of_a_gemini_model_go_round(client, model):
    """The SDK keeps members that it does not know, and so the signature of the call."""
    stream = client.chat.completions.stream(model=model, messages=HELLO, tools=TOOLS)
    with stream as events:
        streamed = events.get_final_completion().choices[0].message
    whole = client.chat.completions.create(model=model, messages=HELLO, tools=TOOLS)
    for message in [whole.choices[0].message, streamed]:
        call = message.tool_calls[0]
        assert json.loads(call.function.arguments) == {"city": "world"}
        result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
        answer = client.chat.completions.create(
            model=model,
            messages=[*HELLO, message.model_dump(exclude_none=True, exclude={"parsed"}), result],
            tools=TOOLS,
        )
        assert answer.choices[0].message.content == "The tool said: 21 degrees"


def test_embeds(client, upstream):
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two words"])
    assert [len(item.embedding) for item in answer.data] == [8, 8]
    assert answer.usage.prompt_tokens == 3
    assert upstream.last()["json"]["model"] == "text-embedding-3-small"
    floats = client.embeddings.create(
        model="text-embedding-3-small", input="one", encoding_format="float"
    )
    assert floats.data[0].embedding == answer.data[0].embedding


@pytest.mark.parametrize("model", ["text-embedding-3-small", "embed-v4.0", "nomic-embed-text"])
def test_embeddings_of_every_dialect_are_the_same(gate, key, model):
    # The SDK asks for base64 unless it is told otherwise, and unpacks it.
    client = client_of(gate, key)
    texts = ["one", "two words"]
    packed = client.embeddings.create(model=model, input=texts, dimensions=4)
    plain = client.embeddings.create(
        model=model, input=texts, dimensions=4, encoding_format="float"
    )
    vectors = [list(item.embedding) for item in plain.data]
    assert [list(item.embedding) for item in packed.data] == vectors
    reference = client.embeddings.create(
        model="text-embedding-3-small", input=texts, dimensions=4, encoding_format="float"
    )
    assert vectors == [list(item.embedding) for item in reference.data]
    assert [item.index for item in packed.data] == [0, 1]
    assert packed.model == model
    assert packed.usage.prompt_tokens == reference.usage.prompt_tokens


@pytest.mark.parametrize("model", ["command-a", "llama3.2"])
def test_other_dialects_answer_stream_and_call(gate, key, model):
    client = client_of(gate, key)
    whole = client.chat.completions.create(model=model, messages=HELLO)
    assert whole.choices[0].message.content == "You said: hello there world"
    assert whole.usage.prompt_tokens == 3
    with client.chat.completions.stream(model=model, messages=HELLO) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "You said: hello there world"
    assert final.choices[0].finish_reason == "stop"
    weather = [{"role": "user", "content": "weather in Paris"}]
    called = client.chat.completions.create(model=model, messages=weather, tools=TOOLS)
    call = called.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    history = [*weather, called.choices[0].message, result]
    after = client.chat.completions.create(model=model, messages=history, tools=TOOLS)
    assert after.choices[0].message.content == "The tool said: sunny"


# Each fault of ours, as the SDK shows it.


def chat(client, model="apertis-model", **fields):
    return client.chat.completions.create(model=model, messages=HELLO, **fields)


def test_unknown_key_is_401(gate):
    with pytest.raises(openai.AuthenticationError) as raised:
        chat(client_of(gate, "sk-nobody-has-this-key"))
    assert raised.value.status_code == 401
    assert "sk-nobody-has-this-key" not in str(raised.value)


def test_blocked_key_is_401_and_says_so(gate):
    key = gate.key()
    assert gate.admin("POST", "/key/block", {"key": key})[0] == 200
    with pytest.raises(openai.AuthenticationError, match="blocked"):
        chat(client_of(gate, key))


def test_expired_key_is_401_and_says_so(gate):
    key = gate.key(duration="1s")
    time.sleep(1.2)
    with pytest.raises(openai.AuthenticationError, match="(?i)expired"):
        chat(client_of(gate, key))


def test_model_not_allowed_is_403(gate):
    with pytest.raises(openai.PermissionDeniedError) as raised:
        chat(client_of(gate, gate.key(models=["gpt-4o"])))
    assert "apertis-model" in str(raised.value)


def test_unknown_model_is_404_with_near_names(client, upstream):
    with pytest.raises(openai.NotFoundError) as raised:
        chat(client, "apertis-modle")
    assert raised.value.code == "model_not_found"
    assert "apertis-model" in str(raised.value)
    assert upstream.requests() == []


def test_missing_messages_is_400_naming_it(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.post("/chat/completions", body={"model": "apertis-model"}, cast_to=object)
    assert raised.value.param == "messages"


def test_wrong_type_of_a_routed_field_is_400_naming_it(client):
    with pytest.raises(openai.BadRequestError) as raised:
        chat(client, extra_body={"stream": "yes"})
    assert raised.value.param == "stream"


def test_wrong_type_elsewhere_is_the_upstreams_400(client):
    with pytest.raises(openai.BadRequestError) as raised:
        chat(client, extra_body={"temperature": "hot"})
    assert raised.value.param == "temperature"
    assert raised.value.code == "invalid_type"
    assert "expected a decimal" in str(raised.value)


def test_rpm_limit_is_429_with_retry_after(gate):
    client = client_of(gate, gate.key(rpm_limit=1))
    chat(client)
    with pytest.raises(openai.RateLimitError) as raised:
        chat(client)
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 60
    assert "Limit type: requests" in str(raised.value)


def test_spent_budget_is_422_as_in_litellm(gate):
    client = client_of(gate, gate.key(max_budget=0.005))
    with pytest.raises(openai.UnprocessableEntityError) as raised:
        for _ in range(5):
            chat(client, "priced")
    assert raised.value.type == "budget_exceeded"


# Each fault of the upstream, as the SDK shows it.


def test_upstream_429_is_passed_on_with_retry_after(client):
    with pytest.raises(openai.RateLimitError) as raised:
        chat(client, "apertis/m+status-429+retry-7")
    assert raised.value.response.headers["retry-after"] == "7"


def test_context_window_keeps_its_code(client):
    with pytest.raises(openai.BadRequestError) as raised:
        chat(client, "apertis/m+context-window")
    assert raised.value.code == "context_length_exceeded"


def test_content_policy_keeps_its_code(client):
    with pytest.raises(openai.BadRequestError) as raised:
        chat(client, "apertis/m+content-policy")
    assert raised.value.code == "content_policy_violation"


@pytest.mark.parametrize("status", [401, 403])
def test_our_credential_refused_is_never_the_clients_401(client, status):
    with pytest.raises(openai.InternalServerError) as raised:
        chat(client, f"apertis/m+status-{status}")
    assert raised.value.status_code == 502
    assert raised.value.code == "upstream_auth_failed"
    assert "sk-stima" not in str(raised.value)


@pytest.mark.parametrize("model", ["apertis/m+status-500", "apertis/m+html", "apertis/m+drop", "refused"])
def test_upstream_trouble_is_502(client, model):
    with pytest.raises(openai.InternalServerError) as raised:
        chat(client, model)
    assert raised.value.status_code == 502


def test_a_cut_stream_ends_in_an_error_and_not_in_silence(client):
    stream = chat(client, "apertis/m+cut-900", stream=True)
    with pytest.raises(openai.APIError) as raised:
        for _ in stream:
            pass
    assert raised.value.code == "upstream_disconnected"


def test_an_error_inside_a_stream_is_raised(client):
    with pytest.raises(openai.APIError, match="had an error"):
        for _ in chat(client, "apertis/m+error-event", stream=True):
            pass


def test_leaving_cancels_the_upstream(gate, key, upstream):
    before = upstream.hangups()
    with pytest.raises(openai.APITimeoutError):
        chat(client_of(gate, key).with_options(timeout=0.3), "apertis/m+delay-20000")
    deadline = time.monotonic() + 5
    while upstream.hangups() == before:
        assert time.monotonic() < deadline, "the upstream still works for nobody"
        time.sleep(0.01)
