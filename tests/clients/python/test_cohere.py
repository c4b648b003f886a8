"""The official Cohere SDK against Tollgate, unchanged."""

import json

import cohere
import pytest

HELLO = [{"role": "user", "content": "hello there world"}]
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
# One of each dialect.
MODELS = ["gpt-4o", "claude-sonnet-4-5", "command-a", "llama3.2"]


@pytest.fixture(scope="session")
def client(gate, key):
    return cohere.ClientV2(api_key=key, base_url=gate.url, timeout=20)


@pytest.mark.parametrize("model", MODELS)
def test_it_answers(client, model):
    system = {"role": "system", "content": "Be brief."}
    answer = client.chat(model=model, messages=[system, *HELLO], max_tokens=50, temperature=0.3)
    assert answer.message.content[0].text == "You said: hello there world"
    assert answer.finish_reason == "COMPLETE"
    assert answer.usage.billed_units.input_tokens == 5
    assert answer.id


@pytest.mark.parametrize("model", MODELS)
def test_it_streams(client, model):
    events = list(client.chat_stream(model=model, messages=HELLO))
    assert events[0].type == "message-start"
    assert events[-1].type == "message-end"
    assert events[-1].delta.finish_reason == "COMPLETE"
    assert events[-1].delta.usage.tokens.input_tokens >= 3
    text = "".join(e.delta.message.content.text for e in events if e.type == "content-delta")
    assert text == "You said: hello there world"
    kinds = [event.type for event in events]
    assert kinds.index("content-start") < kinds.index("content-delta") < kinds.index("content-end")


@pytest.mark.parametrize("model", MODELS)
def test_it_calls_tools(client, model):
    messages = [{"role": "user", "content": "weather in Paris"}]
    answer = client.chat(model=model, messages=messages, tools=TOOLS)
    assert answer.finish_reason == "TOOL_CALL"
    call = answer.message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    result = {
        "role": "tool",
        "tool_call_id": call.id,
        "content": [{"type": "document", "document": {"data": {"data": "sunny"}}}],
    }
    if model != "command-a":
        # Only Cohere takes documents of tools; elsewhere a text does.
        result["content"] = "sunny"
    after = client.chat(model=model, messages=[*messages, answer.message, result], tools=TOOLS)
    assert "sunny" in after.message.content[0].text


@pytest.mark.parametrize("model", MODELS)
def test_it_streams_calls(client, model):
    messages = [{"role": "user", "content": "weather in Paris"}]
    events = list(client.chat_stream(model=model, messages=messages, tools=TOOLS))
    start = next(event for event in events if event.type == "tool-call-start")
    assert start.delta.message.tool_calls.function.name == "get_weather"
    parts = [event for event in events if event.type == "tool-call-delta"]
    text = "".join(event.delta.message.tool_calls.function.arguments for event in parts)
    assert json.loads(text) == {"city": "Paris"}
    assert events[-1].delta.finish_reason == "TOOL_CALL"


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "command-a", "llama3.2"])
def test_it_thinks(client, model):
    thinking = {"type": "enabled", "token_budget": 1024}
    answer = client.chat(model=model, messages=HELLO, thinking=thinking, max_tokens=3000)
    kinds = [part.type for part in answer.message.content]
    assert kinds == ["thinking", "text"]
    assert answer.message.content[0].thinking == "Let me think about that."


def test_it_cites(client):
    documents = [{"id": "doc:0", "data": {"title": "Facts", "text": "The grass is green."}}]
    answer = client.chat(model="command-a", messages=HELLO, documents=documents)
    citation = answer.message.citations[0]
    assert (citation.start, citation.end, citation.text) == (0, 3, "You")
    assert citation.sources[0].document["title"] == "Facts"
    events = list(
        client.chat_stream(model="command-a", messages=HELLO, documents=documents)
    )
    start = next(event for event in events if event.type == "citation-start")
    assert start.delta.message.citations.text == "You"


def test_errors_are_the_sdks_own(gate, key, client, upstream):
    with pytest.raises(cohere.errors.UnauthorizedError):
        cohere.ClientV2(api_key="sk-wrong", base_url=gate.url).chat(model="gpt-4o", messages=HELLO)
    with pytest.raises(cohere.errors.NotFoundError) as missing:
        client.chat(model="no-such-model", messages=HELLO)
    assert "no-such-model" in str(missing.value.body)
    with pytest.raises(cohere.errors.BadRequestError) as refused:
        client.chat(model="llama3.2", messages=HELLO, tools=TOOLS, tool_choice="REQUIRED")
    assert "tool_choice" in str(refused.value.body)
    upstream.script("error-event")
    events = list(client.chat_stream(model="gpt-4o", messages=HELLO))
    assert events[-1].delta.finish_reason == "ERROR"
    assert events[-1].delta.error


@pytest.mark.parametrize("model", ["embed-v4.0", "text-embedding-3-small", "nomic-embed-text"])
def test_it_embeds(client, model):
    answer = client.embed(
        model=model,
        texts=["one", "two words"],
        input_type="search_document",
        embedding_types=["float"],
        output_dimension=4,
    )
    assert [len(vector) for vector in answer.embeddings.float_] == [4, 4]
    assert answer.texts == ["one", "two words"]
    assert answer.meta.billed_units.input_tokens == 3
