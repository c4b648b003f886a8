"""Pictures and citations of answers in the official SDKs, over upstreams of other dialects than the
SDK's own."""

import base64

import anthropic
import openai
import pytest
from google import genai

HELLO = "hello there"
SAID = "You said: hello there"
# What the scripted upstream answers with where a model's name asks for it.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAGE = "https://example.com/source"
OPENAI = "bridged/m"
GEMINI = "gemini-broken/gemini-2.5-flash"
CLAUDE = "claude-broken/claude-sonnet-4-5"


@pytest.fixture
def chat(gate, key):
    return openai.OpenAI(base_url=f"{gate.url}/v1", api_key=key, max_retries=0)


@pytest.fixture
def messages(gate, key):
    return anthropic.Anthropic(base_url=gate.url, api_key=key, max_retries=0).messages


@pytest.fixture
def models(gate, key):
    client = genai.Client(api_key=key, http_options={"base_url": gate.url, "timeout": 20_000})
    # It closes its connections when nobody holds it any more.
    yield client.models
    client.close()


ASK = [{"role": "user", "content": HELLO}]


def test_openai_shows_pictures(chat):
    model = f"{GEMINI}+picture"
    message = chat.chat.completions.create(model=model, messages=ASK).choices[0].message
    data = f"data:image/png;base64,{PIXEL}"
    assert [image["image_url"]["url"] for image in message.images] == [data]
    assert message.content == SAID
    seen = []
    for chunk in chat.chat.completions.create(model=model, messages=ASK, stream=True):
        seen += [image for choice in chunk.choices for image in getattr(choice.delta, "images", [])]
    assert [image["image_url"]["url"] for image in seen] == [data]


def test_responses_show_pictures(chat):
    def pictures(items):
        return [item.result for item in items if item.type == "image_generation_call"]

    model = f"{GEMINI}+picture"
    answer = chat.responses.create(model=model, input=HELLO)
    assert answer.output_text == SAID and pictures(answer.output) == [PIXEL]
    with chat.responses.stream(model=model, input=HELLO) as stream:
        done = [event.item for event in stream if event.type == "response.output_item.done"]
        assert pictures(done) == pictures(stream.get_final_response().output) == [PIXEL]


def test_google_shows_pictures(models):
    model = f"{OPENAI}+picture"

    def pictures(answers):
        parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
        return [part.inline_data.data for part in parts if part.inline_data]

    pixel = base64.b64decode(PIXEL)
    assert pictures([models.generate_content(model=model, contents=HELLO)]) == [pixel]
    assert pictures(models.generate_content_stream(model=model, contents=HELLO)) == [pixel]


@pytest.mark.parametrize("model", [GEMINI, CLAUDE], ids=["gemini", "anthropic"])
def test_openai_shows_citations(chat, model):
    model = f"{model}+cites"
    message = chat.chat.completions.create(model=model, messages=ASK).choices[0].message
    cited = message.annotations[0].url_citation
    assert (cited.url, cited.title) == (PAGE, "The source")
    assert message.content[cited.start_index : cited.end_index] == SAID
    seen = []
    for chunk in chat.chat.completions.create(model=model, messages=ASK, stream=True):
        deltas = [getattr(choice.delta, "annotations", None) or [] for choice in chunk.choices]
        seen += [one["url_citation"]["url"] for delta in deltas for one in delta]
    assert seen == [PAGE]
    answer = chat.responses.create(model=model, input=HELLO)
    (annotation,) = answer.output[-1].content[0].annotations
    assert (annotation.type, annotation.url) == ("url_citation", PAGE)


@pytest.mark.parametrize("model", [GEMINI, OPENAI], ids=["gemini", "openai"])
def test_anthropic_shows_citations(messages, model):
    ask = {"model": f"{model}+cites", "max_tokens": 100, "messages": ASK}

    def cited(message):
        assert "".join(block.text for block in message.content) == SAID
        return [c.url for block in message.content for c in block.citations or []]

    assert cited(messages.create(**ask)) == [PAGE]
    with messages.stream(**ask) as stream:
        assert cited(stream.get_final_message()) == [PAGE]


@pytest.mark.parametrize("model", [CLAUDE, OPENAI], ids=["anthropic", "openai"])
def test_google_shows_citations(models, model):
    def pages(answers):
        found = [answer.candidates[0].grounding_metadata for answer in answers]
        chunks = [chunk for metadata in found if metadata for chunk in metadata.grounding_chunks]
        return [chunk.web.uri for chunk in chunks]

    model = f"{model}+cites"
    assert pages([models.generate_content(model=model, contents=HELLO)]) == [PAGE]
    assert pages(models.generate_content_stream(model=model, contents=HELLO)) == [PAGE]
