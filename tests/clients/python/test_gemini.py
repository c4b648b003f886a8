"""The official Google SDK against Tollgate: relayed to a Gemini upstream, and bridged to an Anthropic
and to an OpenAI one. The same tests, the same expectations."""

import time

import pytest
from google import genai
from google.genai import errors, types

HELLO = "hello there world"
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city",
    parameters=types.Schema(
        type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]
    ),
)
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
    b"\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\xdac\x64\xf8\xcfP\x0f\x00\x03\x86\x01\x80Z4}k\x00\x00"
    b"\x00\x00IEND\xaeB`\x82"
)
MODELS = ["gemini-2.5-flash", "claude-sonnet-4-5", "bridged/m"]
# Where each model's scripts are asked for by its name.
SCRIPTED = ["gemini-broken/gemini-2.5-flash", "claude-broken/claude-sonnet-4-5", "bridged/m"]


def connect(gate, key):
    return genai.Client(api_key=key, http_options={"base_url": gate.url, "timeout": 20_000})


@pytest.fixture
def client(gate, key):
    return connect(gate, key)


@pytest.fixture(params=MODELS, ids=["gemini", "anthropic", "openai"])
def model(request):
    return request.param


def test_answers(client, model, upstream):
    config = types.GenerateContentConfig(
        system_instruction="be brief", temperature=0.5, max_output_tokens=100, stop_sequences=["END"]
    )
    answer = client.models.generate_content(model=model, contents=HELLO, config=config)
    assert answer.text == "You said: hello there world"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (5, 5)
    assert usage.total_token_count == 10
    assert answer.model_version == model
    seen = upstream.last()
    if model == "gemini-2.5-flash":
        assert seen["path"] == "/v1beta/models/gemini-2.5-flash:generateContent"
        assert seen["headers"]["x-goog-api-key"] == "AIza-upstream"
        assert seen["json"]["generationConfig"]["maxOutputTokens"] == 100


def test_stops_at_max_tokens(client, model):
    config = types.GenerateContentConfig(max_output_tokens=2)
    answer = client.models.generate_content(model=model, contents=HELLO, config=config)
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert answer.text == "You said:"


def test_streams(client, model):
    pieces = list(client.models.generate_content_stream(model=model, contents=HELLO))
    assert "".join(piece.text or "" for piece in pieces) == "You said: hello there world"
    assert len(pieces) > 5
    last = pieces[-1]
    assert last.candidates[0].finish_reason == types.FinishReason.STOP
    assert last.usage_metadata.total_token_count == 8


@pytest.mark.parametrize("model", ["gemini-broken/gemini-2.5-flash+gap-40", "bridged/m+gap-40"])
def test_streams_event_by_event(client, model):
    times = []
    for piece in client.models.generate_content_stream(model=model, contents=HELLO):
        if piece.text:
            times.append(time.monotonic())
    assert len(times) == 5
    assert times[-1] - times[0] > 0.1, "the events came all at once"


def test_chats(client, model):
    chat = client.chats.create(model=model)
    assert chat.send_message("first words").text == "You said: first words"
    streamed = chat.send_message_stream("second words")
    assert "".join(piece.text or "" for piece in streamed) == "You said: second words"
    roles = [content.role for content in chat.get_history(curated=True)]
    # The SDK keeps each piece of a stream as a content of its own, and sends them back so.
    assert roles[:3] == ["user", "model", "user"] and set(roles[3:]) == {"model"}
    assert chat.send_message("third words").text == "You said: third words"


@pytest.mark.parametrize("model", [*MODELS, "gemini-3-pro-preview"])
@pytest.mark.parametrize("streamed", [False, True])
def test_uses_tools(client, model, streamed):
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    contents = [types.Content(role="user", parts=[types.Part.from_text(text=HELLO)])]
    if streamed:
        pieces = client.models.generate_content_stream(model=model, contents=contents, config=config)
        content = next(p.candidates[0].content for p in pieces if p.function_calls)
    else:
        first = client.models.generate_content(model=model, contents=contents, config=config)
        content = first.candidates[0].content
    call = next(part.function_call for part in content.parts if part.function_call)
    assert (call.name, call.args) == ("get_weather", {"city": "world"})
    response = types.FunctionResponse(id=call.id, name=call.name, response={"output": "21 degrees"})
    contents += [
        content,
        types.Content(role="user", parts=[types.Part(function_response=response)]),
    ]
    second = client.models.generate_content(model=model, contents=contents, config=config)
    assert "21 degrees" in second.text


@pytest.mark.parametrize("model", [*MODELS, "gemini-3-pro-preview"])
def test_functions_are_called_automatically(client, model):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "21 degrees"

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = client.models.generate_content(model=model, contents=HELLO, config=config)
    assert asked == ["world"]
    assert "21 degrees" in answer.text


def test_sees_images(client, model):
    image = types.Part.from_bytes(data=PIXEL, mime_type="image/png")
    answer = client.models.generate_content(model=model, contents=[image, "what is this"])
    assert answer.text == "You said: what is this (with 1 image)"


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "claude-sonnet-4-5"])
def test_thoughts_survive_a_turn(client, model):
    """A signature of Anthropic's comes back to it through Google's SDK, byte for byte."""
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(thinking_budget=1024, include_thoughts=True),
        max_output_tokens=4000,
    )
    first = client.models.generate_content(model=model, contents=HELLO, config=config)
    thought, said = first.candidates[0].content.parts
    assert (thought.thought, thought.text) == (True, "Let me think about that.")
    assert said.text == "You said: hello there world"
    contents = [
        types.Content(role="user", parts=[types.Part.from_text(text=HELLO)]),
        first.candidates[0].content,
        types.Content(role="user", parts=[types.Part.from_text(text="go on")]),
    ]
    pieces = client.models.generate_content_stream(model=model, contents=contents, config=config)
    texts = [part for piece in pieces for part in piece.candidates[0].content.parts if part.text]
    assert "".join(part.text for part in texts if part.thought) == "Let me think about that."
    assert "".join(part.text for part in texts if not part.thought) == "You said: go on"


def test_answers_in_json(client, upstream):
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_schema=types.Schema(type="OBJECT", properties={"a": types.Schema(type="INTEGER")}),
    )
    client.models.generate_content(model="bridged/m", contents=HELLO, config=config)
    schema = upstream.last()["json"]["response_format"]["json_schema"]["schema"]
    assert schema == {"type": "object", "properties": {"a": {"type": "integer"}}}


def test_counts_tokens(client, model):
    counted = client.models.count_tokens(model=model, contents=HELLO)
    # An OpenAI upstream cannot count: the answer is an estimate.
    assert counted.total_tokens == 3 if model != "bridged/m" else counted.total_tokens > 3


def test_lists_models(client):
    names = [model.name for model in client.models.list()]
    assert "models/gemini-2.5-flash" in names
    one = client.models.get(model="gemini-2.5-flash")
    assert one.name == "models/gemini-2.5-flash"
    with pytest.raises(errors.ClientError) as raised:
        client.models.get(model="nothing")
    assert raised.value.status == "NOT_FOUND"


ERRORS = [
    ("no-such-model", errors.ClientError, 404, "NOT_FOUND"),
    ("{}+status-400", errors.ClientError, 400, "INVALID_ARGUMENT"),
    ("{}+context-window", errors.ClientError, 400, "INVALID_ARGUMENT"),
    ("{}+status-429", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
    ("{}+status-401", errors.ServerError, 502, "UNAVAILABLE"),
    ("{}+status-500", errors.ServerError, 502, "UNAVAILABLE"),
]


@pytest.mark.parametrize("upstream_model", SCRIPTED)
@pytest.mark.parametrize("model, error, code, status", ERRORS, ids=[case[0] for case in ERRORS])
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_are_typed(client, upstream_model, model, error, code, status, streamed):
    model = model.format(upstream_model)
    with pytest.raises(error) as raised:
        if streamed:
            list(client.models.generate_content_stream(model=model, contents=HELLO))
        else:
            client.models.generate_content(model=model, contents=HELLO)
    assert (raised.value.code, raised.value.status) == (code, status)
    assert "AIza" not in str(raised.value) and "sk-" not in str(raised.value)


def test_a_wrong_key_is_an_authentication_error(gate):
    client = connect(gate, "sk-nobody-has-this")
    with pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="m", contents=HELLO)
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("model", SCRIPTED)
@pytest.mark.parametrize("word", ["error-event", "cut-900"])
def test_a_broken_stream_raises(client, model, word):
    said = []
    with pytest.raises(errors.APIError):
        for piece in client.models.generate_content_stream(model=f"{model}+{word}", contents=HELLO):
            said.append(piece.text)
    assert said, "the stream had begun"
