"""The official Anthropic SDK against Tollgate: relayed to Anthropic and to Apertis, which speaks the
same, and bridged to an OpenAI and to a Gemini upstream. The same tests, the same expectations."""

import time

import anthropic
import pytest
from anthropic import Anthropic

HELLO = [{"role": "user", "content": "hello there world"}]
TOOLS = [
    {
        "name": "get_weather",
        "description": "The weather in a city",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def client(gate, key):
    return Anthropic(base_url=gate.url, api_key=key, max_retries=0, timeout=20)


@pytest.fixture(
    params=["claude-sonnet-4-5", "apertis-model", "bridged/m", "gemini-2.5-flash", "gemini-3-pro-preview"],
    ids=["anthropic", "apertis", "bridged", "gemini", "gemini-3"],
)
def ask(request, client):
    base = {"model": request.param, "max_tokens": 100, "messages": HELLO}
    create = lambda **fields: client.messages.create(**{**base, **fields})
    create.model = request.param
    create.stream = lambda **fields: client.messages.stream(**{**base, **fields})
    return create


def test_answers(ask, upstream):
    # The SDK has no temperature any more; its users pass it like this.
    warm = {"temperature": 0.5}
    answer = ask(system="be brief", stop_sequences=["END"], extra_body=warm)
    assert answer.type == "message"
    assert answer.role == "assistant"
    assert answer.content[0].text == "You said: hello there world"
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 5)
    seen = upstream.last()
    match ask.model:
        case "claude-sonnet-4-5":
            assert seen["path"] == "/v1/messages"
            assert seen["headers"]["x-api-key"] == "sk-ant-upstream"
            assert seen["headers"]["anthropic-version"]
            assert seen["json"]["system"] == "be brief"
        case "apertis-model":
            assert seen["path"] == "/apertis/v1/messages"
            assert seen["headers"]["authorization"] == "Bearer sk-stima"
            assert seen["json"]["system"] == "be brief"
        case "gemini-2.5-flash" | "gemini-3-pro-preview":
            assert seen["path"] == f"/v1beta/models/{ask.model}:generateContent"
            assert seen["headers"]["x-goog-api-key"] == "AIza-upstream"
            assert seen["json"]["systemInstruction"] == {"parts": [{"text": "be brief"}]}
            assert seen["json"]["generationConfig"]["stopSequences"] == ["END"]
        case _:
            assert seen["path"] == "/v1/chat/completions"
            assert seen["headers"]["authorization"] == "Bearer sk-upstream"
            assert seen["json"]["messages"][0] == {"role": "system", "content": "be brief"}
            assert seen["json"]["stop"] == ["END"]


def test_stops_at_max_tokens(ask):
    answer = ask(max_tokens=2)
    assert answer.stop_reason == "max_tokens"
    assert answer.content[0].text == "You said:"


def test_streams(ask):
    with ask.stream() as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == "You said: hello there world"
    assert len(pieces) == 5
    assert final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (3, 5)


@pytest.mark.parametrize(
    "model", ["apertis/m+gap-40", "bridged/m+gap-40", "gemini-broken/gemini-2.5-flash+gap-40"]
)
def test_streams_event_by_event(client, model):
    times = []
    with client.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
        for _ in stream.text_stream:
            times.append(time.monotonic())
    assert len(times) == 5
    assert times[-1] - times[0] > 0.1, "the events came all at once"


def test_uses_tools(ask):
    first = ask(tools=TOOLS, tool_choice={"type": "any"})
    assert first.stop_reason == "tool_use"
    use = next(block for block in first.content if block.type == "tool_use")
    assert (use.name, use.input) == ("get_weather", {"city": "world"})
    messages = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}],
        },
    ]
    second = ask(messages=messages, tools=TOOLS)
    assert second.content[0].text == "The tool said: 21 degrees"


def test_streams_tools(ask):
    with ask.stream(tools=TOOLS) as stream:
        partial = "".join(event.partial_json for event in stream if event.type == "input_json")
        final = stream.get_final_message()
    assert partial.replace(" ", "") == '{"city":"world"}'
    assert final.stop_reason == "tool_use"
    use = next(block for block in final.content if block.type == "tool_use")
    assert use.input == {"city": "world"}


def test_sees_images(ask):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is this"}]
    answer = ask(messages=[{"role": "user", "content": content}])
    assert answer.content[0].text == "You said: what is this (with 1 image)"


def test_thinks(client):
    """Relayed: the thinking block comes with its signature and is taken back unchanged."""
    options = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 2000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    first = client.messages.create(messages=HELLO, **options)
    assert [block.type for block in first.content] == ["thinking", "text"]
    assert first.content[0].thinking == "Let me think about that."
    assert first.content[0].signature
    messages = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": "go on"},
    ]
    with client.messages.stream(messages=messages, **options) as stream:
        final = stream.get_final_message()
    assert final.content[0].thinking == "Let me think about that."
    assert final.content[1].text == "You said: go on"


def test_reasoning_of_an_openai_upstream_is_a_thinking_block(client):
    answer = client.messages.create(model="bridged/m+reasoning", max_tokens=100, messages=HELLO)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[0].thinking == "Let me think about that."
    with client.messages.stream(
        model="bridged/m+reasoning", max_tokens=100, messages=HELLO
    ) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]


def test_gemini_thinks_and_signs(client, upstream):
    """A signed call goes back to Google as it came, through blocks that the SDK keeps."""
    options = {
        "model": "gemini-3-pro-preview",
        "max_tokens": 2000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": TOOLS,
    }
    with client.messages.stream(messages=HELLO, **options) as stream:
        first = stream.get_final_message()
    assert [block.type for block in first.content] == ["thinking", "thinking", "tool_use"]
    assert first.content[0].thinking == "Let me think about that."
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "21 degrees"}
    messages = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]},
    ]
    second = client.messages.create(messages=messages, **options)
    assert second.content[-1].text == "The tool said: 21 degrees"
    call = upstream.last()["json"]["contents"][1]["parts"][0]
    assert first.content[1].signature == "google#" + call["thoughtSignature"]
    counted = client.messages.count_tokens(model="gemini-2.5-flash", messages=HELLO)
    assert counted.input_tokens == 3


def test_cache_marks_reach_the_upstream(client, upstream):
    mark = {"type": "ephemeral"}
    system = [{"type": "text", "text": "be brief", "cache_control": mark}]
    client.messages.create(model="claude-sonnet-4-5", max_tokens=10, messages=HELLO, system=system)
    assert upstream.last()["json"]["system"] == system


def test_cached_tokens_are_counted_apart(client):
    answer = client.messages.create(model="bridged/m+cached-2", max_tokens=100, messages=HELLO)
    assert answer.usage.cache_read_input_tokens == 2
    assert answer.usage.input_tokens == 1


ERRORS = [
    ("no-such-model", anthropic.NotFoundError, "not_found_error"),
    ("{}+status-400", anthropic.BadRequestError, "invalid_request_error"),
    ("{}+context-window", anthropic.BadRequestError, "invalid_request_error"),
    ("{}+status-429", anthropic.RateLimitError, "rate_limit_error"),
    ("{}+status-401", anthropic.InternalServerError, "api_error"),
    ("{}+status-500", anthropic.InternalServerError, "api_error"),
]


@pytest.mark.parametrize(
    "upstream_model",
    ["claude-broken/claude-sonnet-4-5", "apertis/m", "bridged/m", "gemini-broken/gemini-2.5-flash"],
)
@pytest.mark.parametrize("model, error, kind", ERRORS, ids=[model for model, _, _ in ERRORS])
def test_errors_are_typed(client, upstream_model, model, error, kind):
    with pytest.raises(error) as raised:
        client.messages.create(model=model.format(upstream_model), max_tokens=10, messages=HELLO)
    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["type"] == kind
    assert "sk-" not in str(raised.value)


def test_a_wrong_key_is_an_authentication_error(gate):
    client = Anthropic(base_url=gate.url, api_key="sk-nobody-has-this", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as raised:
        client.messages.create(model="claude-sonnet-4-5", max_tokens=10, messages=HELLO)
    assert raised.value.body["error"]["type"] == "authentication_error"


def test_missing_max_tokens_is_named(client):
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.post(
            "/v1/messages", body={"model": "claude-sonnet-4-5", "messages": HELLO}, cast_to=object
        )


@pytest.mark.parametrize(
    "model",
    [
        "claude-broken/claude-sonnet-4-5+cut-900",
        "bridged/m+cut-900",
        "gemini-broken/gemini-2.5-flash+cut-900",
    ],
)
def test_a_cut_stream_raises(client, model):
    with pytest.raises(anthropic.APIError):
        with client.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
            for _ in stream:
                pass


def test_lists_models_page_by_page(client):
    names = [model.id for model in client.models.list(limit=3)]
    assert {"claude-sonnet-4-5", "gpt-4o"} <= set(names)
    assert len(names) == len(set(names)) > 3
    model = client.models.retrieve("gpt-4o")
    assert (model.type, model.id) == ("model", "gpt-4o")
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody-has-this")


def test_counts_tokens(client, upstream):
    for model in ["claude-sonnet-4-5", "gpt-4o"]:
        counted = client.messages.count_tokens(model=model, messages=HELLO, tools=TOOLS, system="Be brief.")
        assert counted.input_tokens > 0
