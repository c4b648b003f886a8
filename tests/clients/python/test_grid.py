"""Every official SDK for Python, each of its capabilities, over every upstream dialect that serves
it. What is particular to an SDK or a dialect is tested in the files named after them."""

import asyncio
import json
import os

import anthropic
import cohere
import litellm
import openai
import pytest
from google import genai
from google.genai import errors, types

import grid
from grid import EMBED_PATHS, PATHS, over
from harness import ROOT

HELLO = "hello there world"
SAID = "You said: hello there world"
MESSAGES = [{"role": "user", "content": HELLO}]
BRIEF = [{"role": "system", "content": "be brief"}, *MESSAGES]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
FUNCTION = {"name": "get_weather", "description": "The weather in a city", "parameters": WEATHER}
TOOLS = [{"type": "function", "function": FUNCTION}]
FLAT = [{"type": "function", "strict": False, **FUNCTION}]
CLAUDES = [{"name": "get_weather", "description": "The weather in a city", "input_schema": WEATHER}]
THOUGHT = "Let me think about that."
# Who counts tokens; for the others the gateway estimates.
COUNTS = ("anthropic", "gemini", "bedrock")


def test_the_page_is_fresh():
    page = ROOT / "docs/clients.md"
    if "TOLLGATE_WRITE_DOCS" in os.environ:
        page.write_text(grid.page())
    assert page.read_text() == grid.page(), "docs/clients.md is out of date; it says how to renew it"


def test_the_grid_is_whole():
    for sdk, rows in grid.CELLS.items():
        for what, cells in rows.items():
            assert len(set(cells)) == len(cells) >= 3 and set(cells) <= set(PATHS), (sdk, what)
            # Those of Node are run, and held to be all, by grid.test.js.
            assert "Python" not in sdk or (sdk, what) in grid.USED, f"nothing tests {what} with {sdk}"


def cut(model):
    """A stream that is cut when it has begun."""
    return {"responses": "cut-2600", "replicate": "cut-120"}.get(model, "cut-700")


def asked(upstream, model):
    """The last request, which went where this dialect is asked."""
    # What a prediction comes to is asked for by GET.
    seen = [one for one in upstream.requests() if one["method"] == "POST"][-1]
    path = PATHS[model]
    streamed = {"gemini": path.replace(":generate", ":streamGenerate"), "bedrock": f"{path}-stream"}
    assert seen["path"] in (path, streamed.get(model)), seen["path"]
    return seen["json"]


# OpenAI


@pytest.fixture(scope="module")
def openais(grid_gate, grid_key):
    return openai.OpenAI(base_url=f"{grid_gate.url}/v1", api_key=grid_key, max_retries=0, timeout=20)


@over("OpenAI (Python)", "chat")
def test_openai_chats(openais, upstream, model):
    answer = openais.chat.completions.create(model=model, messages=BRIEF, max_tokens=50)
    assert answer.model == model
    assert answer.choices[0].message.content == SAID
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 5)
    assert "be brief" in json.dumps(asked(upstream, model))
    # Cut where the client says; one API takes no less than this.
    cut = openais.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "x " * 40}], max_tokens=16
    )
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens == 16


@over("OpenAI (Python)", "chat, streamed")
def test_openai_streams_chats(openais, upstream, model):
    pieces, chunks = [], []
    options = {"include_usage": True}
    with openais.chat.completions.stream(model=model, messages=MESSAGES, stream_options=options) as stream:
        for event in stream:
            if event.type == "content.delta" and event.delta:
                pieces.append(event.delta)
            if event.type == "chunk":
                chunks.append(event.chunk)
        final = stream.get_final_completion()
    assert len(pieces) == 5 and "".join(pieces) == SAID
    assert final.choices[0].finish_reason == "stop"
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (3, 5)
    assert chunks[-1].choices == [] and {chunk.model for chunk in chunks} == {model}
    asked(upstream, model)


@over("OpenAI (Python)", "tools")
def test_openai_calls_tools(openais, upstream, model):
    fields = {"model": model, "tools": TOOLS}
    with openais.chat.completions.stream(messages=MESSAGES, **fields) as stream:
        list(stream)
        streamed = stream.get_final_completion().choices[0]
    whole = openais.chat.completions.create(messages=MESSAGES, **fields).choices[0]
    for choice in (whole, streamed):
        assert choice.finish_reason == "tool_calls"
        [call] = choice.message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "world"})
        said = choice.message.model_dump(exclude_none=True, exclude={"parsed"})
        result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
        after = openais.chat.completions.create(messages=[*MESSAGES, said, result], **fields)
        assert after.choices[0].message.content == "The tool said: 21 degrees"
    asked(upstream, model)


@over("OpenAI (Python)", "responses")
def test_openai_responds(openais, upstream, model):
    answer = openais.responses.create(model=model, input=HELLO, instructions="be brief")
    assert (answer.output_text, answer.status, answer.model) == (SAID, "completed", model)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 5)
    asked(upstream, model)
    with openais.responses.stream(model=model, input=HELLO) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert len(deltas) == 5 and "".join(deltas) == final.output_text == SAID
    with openais.responses.stream(model=model, input=HELLO, tools=FLAT) as stream:
        output = stream.get_final_response().output
    [call] = [item for item in output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "world"}
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    after = openais.responses.create(model=model, input=[*MESSAGES, *output, result], tools=FLAT)
    assert after.output_text == "The tool said: 21 degrees"
    asked(upstream, model)


@over("OpenAI (Python)", "completions")
def test_openai_completes(openais, upstream, model):
    answer = openais.completions.create(model=model, prompt=HELLO, max_tokens=50)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == (SAID, "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 5)
    chunks = list(openais.completions.create(model=model, prompt=HELLO, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == SAID
    assert len(chunks) >= 5 and chunks[-1].choices[0].finish_reason == "stop"
    asked(upstream, model)


@over("OpenAI (Python)", "embeddings")
def test_openai_embeds(openais, upstream, model):
    fields = {"model": f"embed-{model}", "input": ["one", "two words"], "dimensions": 4}
    packed = openais.embeddings.create(**fields)
    plain = openais.embeddings.create(encoding_format="float", **fields)
    same = openais.embeddings.create(encoding_format="float", **{**fields, "model": "embed-openai"})
    vectors = [list(item.embedding) for item in plain.data]
    assert [len(vector) for vector in vectors] == [4, 4] and vectors[0] != vectors[1]
    assert vectors == [list(item.embedding) for item in packed.data]
    assert vectors == [list(item.embedding) for item in same.data]
    assert (packed.model, packed.usage.prompt_tokens) == (f"embed-{model}", 3)
    assert upstream.requests()[0]["path"] == EMBED_PATHS[model]


@over("OpenAI (Python)", "models")
def test_openai_lists_models(openais, model):
    assert model in [one.id for one in openais.models.list()]
    one = openais.models.retrieve(model)
    assert (one.id, one.object) == (model, "model")


@over("OpenAI (Python)", "errors")
def test_openai_raises(openais, upstream, model):
    def ask(**fields):
        return openais.chat.completions.create(model=model, messages=MESSAGES, **fields)

    for status, error in [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        # Ours, not the client's.
        (401, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ]:
        for stream in (False, True):
            upstream.script(f"status-{status}+retry-7")
            with pytest.raises(error) as raised:
                ask(stream=stream)
            shown = status if error is not openai.InternalServerError else 502
            assert raised.value.status_code == shown
            assert "sk-upstream" not in str(raised.value) and raised.value.code
            if status == 429:
                assert raised.value.response.headers["retry-after"] == "7"
    upstream.script("context-window")
    with pytest.raises(openai.BadRequestError) as raised:
        ask()
    assert raised.value.code == "context_length_exceeded"
    for broken in (cut(model), "error-event"):
        upstream.script(broken)
        with pytest.raises(openai.APIError):
            list(ask(stream=True))
    if model != "openai":
        upstream.forget()
        with pytest.raises(openai.BadRequestError, match="logit_bias") as raised:
            ask(logit_bias={"1": 1})
        assert (raised.value.code, raised.value.param) == ("unsupported_parameter", "logit_bias")
        assert upstream.requests() == []
    with pytest.raises(openai.AuthenticationError):
        openais.with_options(api_key="sk-nobody").chat.completions.create(model=model, messages=MESSAGES)


# Anthropic


@pytest.fixture(scope="module")
def claude(grid_gate, grid_key):
    return anthropic.Anthropic(base_url=grid_gate.url, api_key=grid_key, max_retries=0, timeout=20)


def use_of(message):
    [use] = [block for block in message.content if block.type == "tool_use"]
    return use


@over("Anthropic (Python)", "messages")
def test_anthropic_answers(claude, upstream, model):
    answer = claude.messages.create(model=model, max_tokens=50, messages=MESSAGES, system="be brief")
    assert [block.type for block in answer.content] == ["text"]
    assert (answer.content[0].text, answer.stop_reason, answer.model) == (SAID, "end_turn", model)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 5)
    assert "be brief" in json.dumps(asked(upstream, model))
    long = [{"role": "user", "content": "x " * 40}]
    cut = claude.messages.create(model=model, max_tokens=16, messages=long)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 16)


@over("Anthropic (Python)", "streaming helpers")
def test_anthropic_streams(claude, upstream, model):
    with claude.messages.stream(model=model, max_tokens=50, messages=MESSAGES) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) == 5 and "".join(pieces) == final.content[0].text == SAID
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 5)
    with claude.messages.stream(model=model, max_tokens=50, messages=MESSAGES) as stream:
        kinds = [event.type for event in stream]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert kinds.count("content_block_stop") == 1
    asked(upstream, model)


@over("Anthropic (Python)", "tools")
def test_anthropic_uses_tools(claude, upstream, model):
    fields = {"model": model, "max_tokens": 50, "tools": CLAUDES}
    with claude.messages.stream(messages=MESSAGES, **fields) as stream:
        partial = "".join(event.partial_json for event in stream if event.type == "input_json")
        first = stream.get_final_message()
    use = use_of(first)
    assert (first.stop_reason, use.name, use.input) == ("tool_use", "get_weather", {"city": "world"})
    assert json.loads(partial) == use.input
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}
    turns = [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = claude.messages.create(messages=[*MESSAGES, *turns], **fields)
    assert second.content[-1].text == "The tool said: 21 degrees"
    asked(upstream, model)


@over("Anthropic (Python)", "tool runner")
def test_anthropic_runs_tools(claude, upstream, model):
    ran = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        ran.append(city)
        return "21 degrees"

    runner = claude.beta.messages.tool_runner(
        model=model, max_tokens=50, messages=MESSAGES, tools=[get_weather], stream=True
    )
    messages = [stream.get_final_message() for stream in runner]
    assert ran == ["world"] and len(messages) == 2
    assert messages[-1].content[-1].text == "The tool said: 21 degrees"
    assert upstream.requests()[0]["query"] in (None, "alt=sse")
    asked(upstream, model)


@over("Anthropic (Python)", "thinking")
def test_anthropic_thinks(claude, upstream, model):
    """Thoughts are shown, and go back with the result of the call that they led to."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    fields = {"model": model, "max_tokens": 4000, "thinking": thinking, "tools": CLAUDES}
    upstream.script("reasoning")
    with claude.messages.stream(messages=MESSAGES, **fields) as stream:
        shown = "".join(event.thinking for event in stream if event.type == "thinking")
        first = stream.get_final_message()
    assert shown == first.content[0].thinking == THOUGHT
    use = use_of(first)
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}
    turns = [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    upstream.script("reasoning")
    second = claude.messages.create(messages=[*MESSAGES, *turns], **fields)
    assert (second.content[0].thinking, second.content[-1].text) == (THOUGHT, "The tool said: 21 degrees")
    sent = json.dumps(asked(upstream, model))
    # What a provider wants to see again, it sees as it was: the scripted ones check their own.
    proof = {"anthropic": '"signature": "sig-', "bedrock": '"signature": "sig-', "gemini": "thoughtSignature"}
    proof |= {"responses": '"encrypted_content": "gAAAA'}
    assert proof.get(model, THOUGHT) in sent


@over("Anthropic (Python)", "count_tokens")
def test_anthropic_counts(claude, upstream, model):
    short = claude.messages.count_tokens(model=model, messages=MESSAGES)
    long = claude.messages.count_tokens(model=model, messages=MESSAGES, system="be brief", tools=CLAUDES)
    assert 3 <= short.input_tokens < long.input_tokens < 200
    counted = [seen["path"] for seen in upstream.requests()]
    assert len(counted) == (2 if model in COUNTS else 0), counted


@over("Anthropic (Python)", "errors")
def test_anthropic_raises(claude, upstream, model):
    def ask(**fields):
        return claude.messages.create(model=model, max_tokens=50, messages=MESSAGES, **fields)

    for status, error, kind in [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (401, anthropic.InternalServerError, "api_error"),
        (503, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "api_error"),
    ]:
        for stream in (False, True):
            upstream.script(f"status-{status}+retry-7")
            with pytest.raises(error) as raised:
                ask(stream=stream)
            assert raised.value.body["error"]["type"] == kind
            assert "sk-upstream" not in str(raised.value)
            if status == 429:
                assert raised.value.response.headers["retry-after"] == "7"
    for broken in (cut(model), "error-event"):
        upstream.script(broken)
        with pytest.raises(anthropic.APIError):
            with claude.messages.stream(model=model, max_tokens=50, messages=MESSAGES) as stream:
                list(stream)
    if model != "anthropic":
        upstream.forget()
        with pytest.raises(anthropic.BadRequestError, match="`container` is not supported"):
            ask(extra_body={"container": "c"})
        assert upstream.requests() == []
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="sk-nobody").messages.create(model=model, max_tokens=5, messages=MESSAGES)


# google-genai


@pytest.fixture(scope="module")
def google(grid_gate, grid_key):
    return genai.Client(api_key=grid_key, http_options={"base_url": grid_gate.url, "timeout": 20_000})


@over("google-genai (Python)", "generate")
def test_google_generates(google, upstream, model):
    config = types.GenerateContentConfig(system_instruction="be brief", max_output_tokens=50)
    answer = google.models.generate_content(model=model, contents=HELLO, config=config)
    assert (answer.text, answer.model_version) == (SAID, model)
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (5, 5)
    assert "be brief" in json.dumps(asked(upstream, model))


@over("google-genai (Python)", "stream")
def test_google_streams(google, upstream, model):
    pieces = list(google.models.generate_content_stream(model=model, contents=HELLO))
    assert [piece.text for piece in pieces if piece.text][-1] == " world" and len(pieces) >= 6
    assert "".join(piece.text or "" for piece in pieces) == SAID
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert pieces[-1].usage_metadata.total_token_count == 8
    asked(upstream, model)


@over("google-genai (Python)", "tools")
def test_google_calls_functions(google, upstream, model):
    ran = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        ran.append(city)
        return "21 degrees"

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = google.models.generate_content(model=model, contents=HELLO, config=config)
    assert ran == ["world"] and "21 degrees" in answer.text
    tool = types.Tool(function_declarations=[types.FunctionDeclaration.from_callable_with_api_option(callable=get_weather)])
    manual = types.AutomaticFunctionCallingConfig(disable=True)
    config = types.GenerateContentConfig(tools=[tool], automatic_function_calling=manual)
    pieces = list(google.models.generate_content_stream(model=model, contents=HELLO, config=config))
    content = next(piece.candidates[0].content for piece in pieces if piece.function_calls)
    call = next(part.function_call for part in content.parts if part.function_call)
    assert (call.name, call.args) == ("get_weather", {"city": "world"})
    response = types.FunctionResponse(id=call.id, name=call.name, response={"output": "mild"})
    contents = [
        types.Content(role="user", parts=[types.Part.from_text(text=HELLO)]),
        content,
        types.Content(role="user", parts=[types.Part(function_response=response)]),
    ]
    assert "mild" in google.models.generate_content(model=model, contents=contents, config=config).text
    asked(upstream, model)


@over("google-genai (Python)", "count")
def test_google_counts(google, upstream, model):
    counted = google.models.count_tokens(model=model, contents=HELLO)
    asked_of = [seen["path"] for seen in upstream.requests()]
    if model in COUNTS:
        assert counted.total_tokens == 3 and len(asked_of) == 1
    else:
        # Nobody there counts: an estimate.
        assert 3 <= counted.total_tokens < 50 and asked_of == []


@over("google-genai (Python)", "errors")
def test_google_raises(google, grid_gate, upstream, model):
    for status, error, code, word in [
        (400, errors.ClientError, 400, "INVALID_ARGUMENT"),
        (404, errors.ClientError, 404, "NOT_FOUND"),
        (429, errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        (401, errors.ServerError, 502, "UNAVAILABLE"),
        (503, errors.ServerError, 502, "UNAVAILABLE"),
        (529, errors.ServerError, 502, "UNAVAILABLE"),
    ]:
        upstream.script(f"status-{status}")
        with pytest.raises(error) as raised:
            google.models.generate_content(model=model, contents=HELLO)
        assert (raised.value.code, raised.value.status) == (code, word)
        assert "sk-upstream" not in str(raised.value)
    for broken in (cut(model), "error-event"):
        upstream.script(broken)
        with pytest.raises(errors.APIError):
            list(google.models.generate_content_stream(model=model, contents=HELLO))
    if model != "gemini":
        upstream.forget()
        with pytest.raises(errors.ClientError, match="cachedContent") as raised:
            config = types.GenerateContentConfig(cached_content="cachedContents/c")
            google.models.generate_content(model=model, contents=HELLO, config=config)
        assert raised.value.code == 400 and upstream.requests() == []
    nobody = genai.Client(api_key="sk-nobody", http_options={"base_url": grid_gate.url})
    with pytest.raises(errors.ClientError) as raised:
        nobody.models.generate_content(model=model, contents=HELLO)
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


# Cohere


@pytest.fixture(scope="module")
def coherent(grid_gate, grid_key):
    return cohere.ClientV2(api_key=grid_key, base_url=grid_gate.url, timeout=20)


@over("Cohere (Python)", "chat")
def test_cohere_chats(coherent, upstream, model):
    answer = coherent.chat(model=model, messages=BRIEF, max_tokens=50)
    assert (answer.message.content[0].text, answer.finish_reason) == (SAID, "COMPLETE")
    assert (answer.usage.billed_units.input_tokens, answer.usage.billed_units.output_tokens) == (5, 5)
    assert "be brief" in json.dumps(asked(upstream, model))


@over("Cohere (Python)", "chat, streamed")
def test_cohere_streams(coherent, upstream, model):
    events = list(coherent.chat_stream(model=model, messages=MESSAGES))
    pieces = [event.delta.message.content.text for event in events if event.type == "content-delta"]
    assert len(pieces) == 5 and "".join(pieces) == SAID
    assert (events[0].type, events[-1].type) == ("message-start", "message-end")
    assert events[-1].delta.finish_reason == "COMPLETE"
    assert events[-1].delta.usage.billed_units.output_tokens == 5
    asked(upstream, model)


@over("Cohere (Python)", "tools")
def test_cohere_calls_tools(coherent, upstream, model):
    answer = coherent.chat(model=model, messages=MESSAGES, tools=TOOLS)
    [call] = answer.message.tool_calls
    assert (answer.finish_reason, json.loads(call.function.arguments)) == ("TOOL_CALL", {"city": "world"})
    events = list(coherent.chat_stream(model=model, messages=MESSAGES, tools=TOOLS))
    deltas = [event for event in events if event.type == "tool-call-delta"]
    text = "".join(event.delta.message.tool_calls.function.arguments for event in deltas)
    assert json.loads(text) == {"city": "world"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    after = coherent.chat(model=model, messages=[*MESSAGES, answer.message, result], tools=TOOLS)
    assert after.message.content[0].text == "The tool said: 21 degrees"
    asked(upstream, model)


@over("Cohere (Python)", "embed")
def test_cohere_embeds(coherent, upstream, model):
    fields = {"texts": ["one", "two words"], "input_type": "search_document", "output_dimension": 4}
    answer = coherent.embed(model=f"embed-{model}", embedding_types=["float"], **fields)
    same = coherent.embed(model="embed-cohere", embedding_types=["float"], **fields)
    assert [len(vector) for vector in answer.embeddings.float_] == [4, 4]
    assert answer.embeddings.float_ == same.embeddings.float_
    assert answer.meta.billed_units.input_tokens == 3
    assert upstream.requests()[0]["path"] == EMBED_PATHS[model]


@over("Cohere (Python)", "errors")
def test_cohere_raises(coherent, grid_gate, upstream, model):
    # The SDK tries again by itself where it is not told otherwise.
    once = {"max_retries": 0}
    for status, error in [
        (400, cohere.errors.BadRequestError),
        (404, cohere.errors.NotFoundError),
        (429, cohere.errors.TooManyRequestsError),
        (401, cohere.core.api_error.ApiError),
        (503, cohere.core.api_error.ApiError),
        (529, cohere.core.api_error.ApiError),
    ]:
        upstream.script(f"status-{status}+retry-7")
        with pytest.raises(error) as raised:
            coherent.chat(model=model, messages=MESSAGES, request_options=once)
        assert raised.value.status_code == (status if status in (400, 404, 429) else 502)
        assert "sk-upstream" not in str(raised.value)
    for broken in (cut(model), "error-event"):
        upstream.script(broken)
        events = list(coherent.chat_stream(model=model, messages=MESSAGES, request_options=once))
        assert events[-1].delta.finish_reason == "ERROR" and events[-1].delta.error
    if model != "cohere":
        upstream.forget()
        with pytest.raises(cohere.errors.BadRequestError) as raised:
            coherent.chat(model=model, messages=MESSAGES, safety_mode="STRICT")
        assert "safety_mode" in str(raised.value.body) and upstream.requests() == []
    with pytest.raises(cohere.errors.UnauthorizedError):
        cohere.ClientV2(api_key="sk-nobody", base_url=grid_gate.url).chat(model=model, messages=MESSAGES)


# LiteLLM


@pytest.fixture
def place(grid_gate, grid_key, model):
    name = {"replicate": "predictions"}.get(model, model)
    return {
        "model": f"litellm_proxy/{name}",
        "api_base": f"{grid_gate.url}/v1",
        "api_key": grid_key,
        "num_retries": 0,
    }


@over("LiteLLM (Python)", "completion")
def test_litellm_completes(place, upstream, model):
    answer = litellm.completion(messages=BRIEF, max_tokens=50, **place)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (SAID, "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 5)
    asked(upstream, model)
    chunks = list(litellm.completion(messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **place))
    whole = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
    assert whole.choices[0].message.content == SAID and whole.usage.total_tokens == 8
    assert len(chunks) >= 6
    asked(upstream, model)


@over("LiteLLM (Python)", "acompletion")
def test_litellm_completes_asynchronously(place, upstream, model):
    async def both():
        whole = await litellm.acompletion(messages=MESSAGES, **place)
        stream = await litellm.acompletion(messages=MESSAGES, stream=True, **place)
        return whole, [chunk async for chunk in stream]

    whole, chunks = asyncio.run(both())
    assert whole.choices[0].message.content == SAID
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
    asked(upstream, model)


@over("LiteLLM (Python)", "tools")
def test_litellm_calls_tools(place, upstream, model):
    first = litellm.completion(messages=MESSAGES, tools=TOOLS, tool_choice="auto", **place).choices[0]
    chunks = list(litellm.completion(messages=MESSAGES, tools=TOOLS, stream=True, **place))
    streamed = litellm.stream_chunk_builder(chunks, messages=MESSAGES).choices[0]
    for choice in (first, streamed):
        [call] = choice.message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "world"})
    [call] = first.message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    said = first.message.model_dump(exclude_none=True)
    after = litellm.completion(messages=[*MESSAGES, said, result], tools=TOOLS, **place)
    assert after.choices[0].message.content == "The tool said: 21 degrees"
    asked(upstream, model)


@over("LiteLLM (Python)", "embedding")
def test_litellm_embeds(place, upstream, model):
    place["model"] = f"litellm_proxy/embed-{model}"
    answer = litellm.embedding(input=["one", "two words"], dimensions=4, encoding_format="float", **place)
    assert [len(item["embedding"]) for item in answer.data] == [4, 4]
    assert answer.usage.prompt_tokens == 3
    assert upstream.last()["path"] == EMBED_PATHS[model]


@over("LiteLLM (Python)", "text_completion")
def test_litellm_completes_text(place, upstream, model):
    answer = litellm.text_completion(prompt=HELLO, max_tokens=50, **place)
    assert (answer.choices[0].text, answer.usage.completion_tokens) == (SAID, 5)
    chunks = list(litellm.text_completion(prompt=HELLO, stream=True, **place))
    assert "".join(chunk.choices[0].text or "" for chunk in chunks) == SAID
    asked(upstream, model)


@over("LiteLLM (Python)", "responses")
def test_litellm_responds(place, upstream, model):
    answer = litellm.responses(input=HELLO, instructions="be brief", **place)
    assert answer.output_text == SAID and answer.usage.output_tokens == 5
    events = list(litellm.responses(input=HELLO, stream=True, **place))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == SAID
    assert events[-1].type == "response.completed"
    asked(upstream, model)


@over("LiteLLM (Python)", "anthropic.messages")
def test_litellm_speaks_anthropic(place, upstream, model):
    async def both():
        whole = await litellm.anthropic.messages.acreate(max_tokens=50, messages=MESSAGES, **place)
        stream = await litellm.anthropic.messages.acreate(max_tokens=50, messages=MESSAGES, stream=True, **place)
        return whole, b"".join([piece if isinstance(piece, bytes) else json.dumps(piece).encode() async for piece in stream])

    whole, stream = asyncio.run(both())
    assert whole["content"][0]["text"] == SAID and whole["stop_reason"] == "end_turn"
    assert whole["usage"]["output_tokens"] == 5
    assert b"message_start" in stream and b"message_stop" in stream and b" world" in stream
    asked(upstream, model)


@over("LiteLLM (Python)", "cost")
def test_litellm_knows_the_cost(place, grid_gate, model):
    """What the gateway charged is what the SDK shows: it reads it from the answer's headers."""
    answer = litellm.completion(messages=MESSAGES, **place)
    headers = answer._hidden_params["additional_headers"]
    cost = float(headers["llm_provider-x-litellm-response-cost"])
    call_id = headers["llm_provider-x-litellm-call-id"]
    row = find_row(grid_gate, call_id)
    assert row["spend"] == pytest.approx(cost) and row["total_tokens"] == 8
    assert cost == pytest.approx(3 * 0.001 + 5 * 0.002)
    assert f"litellm_proxy/{row['model_group']}" == place["model"]


def find_row(gate, call_id):
    import time

    deadline = time.monotonic() + 10
    while True:
        rows = gate.admin("GET", "/spend/logs/v2?page_size=100")[2]["data"]
        for row in rows:
            if call_id in (row.get("litellm_call_id"), row.get("request_id")):
                return row
        assert time.monotonic() < deadline, f"no row for {call_id}"
        time.sleep(0.02)


@over("LiteLLM (Python)", "errors")
def test_litellm_raises(place, upstream, model):
    for word, error in [
        ("status-400", litellm.BadRequestError),
        ("context-window", litellm.ContextWindowExceededError),
        ("status-404", litellm.NotFoundError),
        ("status-429+retry-7", litellm.RateLimitError),
        ("status-401", litellm.BadGatewayError),
        ("status-503", litellm.BadGatewayError),
        ("status-529", litellm.BadGatewayError),
    ]:
        upstream.script(word)
        with pytest.raises(error) as raised:
            litellm.completion(messages=MESSAGES, max_retries=0, **place)
        assert "sk-upstream" not in str(raised.value)
    for broken in (cut(model), "error-event"):
        upstream.script(broken)
        with pytest.raises((litellm.APIError, litellm.exceptions.MidStreamFallbackError)):
            list(litellm.completion(messages=MESSAGES, stream=True, max_retries=0, **place))
    if model != "openai":
        upstream.forget()
        with pytest.raises(litellm.BadRequestError, match="logit_bias"):
            litellm.completion(messages=MESSAGES, logit_bias={"1": 1}, max_retries=0, **place)
        assert upstream.requests() == []
    place["api_key"] = "sk-nobody"
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(messages=MESSAGES, max_retries=0, **place)
