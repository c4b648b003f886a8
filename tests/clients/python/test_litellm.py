"""LiteLLM's Python SDK against Tollgate, in the two ways that its users write it."""

import asyncio
import json

import litellm
import pytest

HELLO = [{"role": "user", "content": "hello there world"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]

litellm.suppress_debug_info = True
litellm.telemetry = False


@pytest.fixture(params=["", "/v1"], ids=["root", "v1"])
def base(request, gate):
    return gate.url + request.param


@pytest.fixture(params=["apertis/m", "litellm_proxy/apertis-model"])
def ask(request, gate, key):
    """`completion` with everything but the prompt filled in."""
    base = {"model": request.param, "api_base": f"{gate.url}/v1", "api_key": key, "num_retries": 0}
    return lambda **fields: litellm.completion(**{"messages": HELLO, **base, **fields})


def test_takes_the_base_with_and_without_v1(base, key):
    answer = litellm.completion(model="apertis/m", messages=HELLO, api_base=base, api_key=key)
    assert answer.choices[0].message.content == "You said: hello there world"


def test_completes(ask):
    answer = ask(temperature=0.5, max_tokens=50)
    assert answer.choices[0].message.content == "You said: hello there world"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 5)


def test_streams(ask):
    chunks = list(ask(stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "You said: hello there world"
    assert len(chunks) >= 6


def test_streams_with_usage(ask):
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.total_tokens == 8


def test_completes_asynchronously(gate, key):
    async def both():
        options = {"model": "apertis/m", "messages": HELLO, "api_base": f"{gate.url}/v1", "api_key": key}
        whole = await litellm.acompletion(**options)
        parts = [chunk async for chunk in await litellm.acompletion(stream=True, **options)]
        return whole, parts

    whole, parts = asyncio.run(both())
    assert whole.choices[0].message.content == "You said: hello there world"
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == "You said: hello there world"


def test_calls_tools(ask):
    # LiteLLM itself holds that Apertis takes no tools; this is how its users overrule it.
    allowed = {"allowed_openai_params": ["tools", "tool_choice"]}
    first = ask(tools=TOOLS, tool_choice="auto", **allowed)
    call = first.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "world"}
    messages = [
        *HELLO,
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"},
    ]
    second = ask(messages=messages, tools=TOOLS, **allowed)
    assert second.choices[0].message.content == "The tool said: 21 degrees"


def test_streams_tool_calls(ask):
    chunks = list(ask(tools=TOOLS, stream=True, allowed_openai_params=["tools"]))
    whole = litellm.stream_chunk_builder(chunks, messages=HELLO)
    call = whole.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "world"})


def test_embeds(gate, key):
    answer = litellm.embedding(
        model="litellm_proxy/text-embedding-3-small",
        input=["one", "two words"],
        api_base=f"{gate.url}/v1",
        api_key=key,
        encoding_format="float",
    )
    assert [len(item["embedding"]) for item in answer.data] == [8, 8]


ERRORS = [
    ("apertis-modle", litellm.NotFoundError),
    ("apertis/m+context-window", litellm.ContextWindowExceededError),
    ("apertis/m+content-policy", litellm.ContentPolicyViolationError),
    ("apertis/m+status-429", litellm.RateLimitError),
    ("apertis/m+status-400", litellm.BadRequestError),
    # Our credential at the upstream, not the caller's.
    ("apertis/m+status-401", litellm.BadGatewayError),
    ("apertis/m+status-500", litellm.BadGatewayError),
    ("refused", litellm.BadGatewayError),
]


@pytest.mark.parametrize("model, error", ERRORS, ids=[model for model, _ in ERRORS])
def test_errors_by_class(gate, key, model, error):
    with pytest.raises(error):
        litellm.completion(
            model=f"litellm_proxy/{model}",
            messages=HELLO,
            api_base=f"{gate.url}/v1",
            api_key=key,
            num_retries=0,
            max_retries=0,
        )


def test_a_wrong_key_is_an_authentication_error(gate):
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(
            model="apertis/m", messages=HELLO, api_base=f"{gate.url}/v1", api_key="sk-wrong-key-1234567890"
        )
