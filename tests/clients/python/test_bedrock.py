"""botocore as the judge: of our signatures, of our requests' shapes, of event streams, and of the
scripted Bedrock that the other tests run against."""

import binascii
import datetime
import http.server
import json
import struct
import threading
from unittest import mock

import anthropic
import boto3
import botocore.auth
import botocore.eventstream
import botocore.exceptions
import botocore.loaders
import botocore.model
import botocore.validate
import cohere
import openai
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from google import genai

from harness import Gate

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
SECRETS = {"AKIDSCRIPTED": "scripted/secret+key", "ASIDSESSION": "session/secret"}
TOKEN = "session-token=="
PNG = "iVBORw0KGgo="

CONFIG = """\
model_list:
  - model_name: claude
    litellm_params:
      model: bedrock/{claude}
      api_base: {base}
      aws_region_name: us-east-1
      aws_access_key_id: AKIDSCRIPTED
      aws_secret_access_key: scripted/secret+key
  - model_name: session
    litellm_params:
      model: bedrock/eu-west-3/{claude}
      api_base: {base}/below/a/path
      aws_access_key_id: ASIDSESSION
      aws_secret_access_key: session/secret
      aws_session_token: session-token==
  - model_name: profile
    litellm_params:
      model: bedrock/{profile}
      api_base: {base}
      aws_access_key_id: AKIDSCRIPTED
      aws_secret_access_key: scripted/secret+key
  - model_name: nova
    litellm_params:
      model: bedrock/amazon.nova-pro-v1:0
      api_base: {base}
      aws_region_name: us-east-1
      aws_access_key_id: AKIDSCRIPTED
      aws_secret_access_key: scripted/secret+key
router_settings:
  num_retries: 0
  disable_cooldowns: true
"""

WHOLE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "fine"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    "metrics": {"latencyMs": 1},
}


def service():
    """botocore's own model of the service."""
    loaded = botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2")
    return botocore.model.ServiceModel(loaded)


def header(name, value):
    name = name.encode()
    kinds = {
        bool: lambda v: bytes([0 if v else 1]),
        int: lambda v: b"\x04" + struct.pack(">i", v),
        bytes: lambda v: b"\x06" + struct.pack(">H", len(v)) + v,
        str: lambda v: b"\x07" + struct.pack(">H", len(v.encode())) + v.encode(),
        datetime.datetime: lambda v: b"\x08" + struct.pack(">q", int(v.timestamp() * 1000)),
    }
    return bytes([len(name)]) + name + kinds[type(value)](value)


def frame(headers, payload):
    """A message of an event stream, by the specification."""
    block = b"".join(header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + block + payload
    return message + struct.pack(">I", binascii.crc32(message))


def event(name, body, **more):
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return frame({**headers, **more}, json.dumps(body).encode())


class Capture:
    """A server that remembers requests as they came and answers what it is told."""

    def __init__(self):
        capture = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                capture.requests.append((self.path, dict(self.headers.items()), body))
                kind, answer = capture.answer
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                # In pieces that fit no message.
                for at in range(0, len(answer), 7):
                    self.wfile.write(answer[at : at + 7])
                    self.wfile.flush()

            def log_message(self, *_):
                pass

        self.requests = []
        self.answer = None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, kind, answer):
        self.answer = (kind, answer)


@pytest.fixture(scope="module")
def capture():
    capture = Capture()
    yield capture
    capture.server.shutdown()


@pytest.fixture(autouse=True)
def whole(capture):
    capture.requests.clear()
    capture.says("application/json", json.dumps(WHOLE).encode())


@pytest.fixture(scope="module")
def captured_gate(capture):
    gate = Gate(CONFIG.format(base=capture.url, claude=CLAUDE, profile=PROFILE))
    yield gate
    gate.stop()


@pytest.fixture(scope="module")
def scripted_gate(upstream):
    gate = Gate(CONFIG.format(base=upstream.url, claude=CLAUDE, profile=PROFILE))
    yield gate
    gate.stop()


def openai_of(gate):
    return openai.OpenAI(base_url=f"{gate.url}/v1", api_key=gate.master_key, max_retries=0)


def anthropic_of(gate):
    return anthropic.Anthropic(base_url=gate.url, api_key=gate.master_key, max_retries=0)


def boto(upstream, secret=SECRETS["AKIDSCRIPTED"]):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=upstream.url,
        region_name="us-east-1",
        aws_access_key_id="AKIDSCRIPTED",
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def as_botocore_signs(url, path, headers, body):
    """The Authorization of the same request by botocore's signer."""
    low = {name.lower(): value for name, value in headers.items()}
    authorization = low["authorization"]
    fields = dict(part.split("=", 1) for part in authorization.split(" ", 1)[1].split(", "))
    access, _, region, name, _ = fields["Credential"].split("/")
    signed = fields["SignedHeaders"].split(";")
    given = ("host", "x-amz-date", "x-amz-security-token")
    kept = {name: low[name] for name in signed if name not in given}
    request = AWSRequest(method="POST", url=url + path, data=body, headers=kept)
    credentials = Credentials(access, SECRETS[access], low.get("x-amz-security-token"))
    signer = botocore.auth.SigV4Auth(credentials, name, region)
    now = datetime.datetime.strptime(low["x-amz-date"], "%Y%m%dT%H%M%SZ")
    with mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: now):
        signer.add_auth(request)
    return request.headers["Authorization"], authorization


@pytest.mark.parametrize("model", ["claude", "session", "profile"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_signs_as_botocore_does(captured_gate, capture, model, stream):
    if stream:
        capture.says("application/vnd.amazon.eventstream", b"".join(EVENTS))
    messages = [{"role": "user", "content": "Grüße, \n\t 日本"}]
    answer = openai_of(captured_gate).chat.completions.create(
        model=model, messages=messages, stream=stream
    )
    if stream:
        list(answer)
    path, headers, body = capture.requests[-1]
    theirs, ours = as_botocore_signs(capture.url, path, headers, body)
    assert ours == theirs
    if model == "session":
        assert "/eu-west-3/bedrock/" in ours and "x-amz-security-token" in ours
        assert path.startswith("/below/a/path/model/us.anthropic.")
    assert "%3A" in path and ":" not in path


def ask_in_openais(gate, stream, text):
    messages = [{"role": "user", "content": text}]
    answer = openai_of(gate).chat.completions.create(model="claude", messages=messages, stream=stream)
    if not stream:
        return answer.choices[0].message.content
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)


def ask_in_responses(gate, stream, text):
    answer = openai_of(gate).responses.create(model="claude", input=text, stream=stream)
    if not stream:
        return answer.output_text
    return "".join(event.delta for event in answer if event.type == "response.output_text.delta")


def ask_in_anthropics(gate, stream, text):
    fields = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    if not stream:
        return anthropic_of(gate).messages.create(**fields).content[0].text
    with anthropic_of(gate).messages.stream(**fields) as events:
        return "".join(events.text_stream)


def ask_in_googles(gate, stream, text):
    client = genai.Client(api_key=gate.master_key, http_options={"base_url": gate.url})
    if not stream:
        return client.models.generate_content(model="claude", contents=text).text
    pieces = client.models.generate_content_stream(model="claude", contents=text)
    return "".join(piece.text or "" for piece in pieces)


def ask_in_coheres(gate, stream, text):
    client = cohere.ClientV2(api_key=gate.master_key, base_url=gate.url)
    fields = {"model": "claude", "messages": [{"role": "user", "content": text}]}
    if not stream:
        return client.chat(**fields).message.content[0].text
    events = [event for event in client.chat_stream(**fields) if event.type == "content-delta"]
    return "".join(event.delta.message.content.text for event in events)


SURFACES = [ask_in_openais, ask_in_responses, ask_in_anthropics, ask_in_googles, ask_in_coheres]


@pytest.mark.parametrize("ask", SURFACES)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_signs_and_reads_for_every_client_alike(captured_gate, capture, ask, stream):
    """Whatever the client speaks: botocore's signature, botocore's shapes, botocore's events."""
    if stream:
        capture.says("application/vnd.amazon.eventstream", b"".join(EVENTS))
    said = ask(captured_gate, stream, "Grüße, \n\t 日本")
    assert said == ("Hello 日本" if stream else WHOLE["output"]["message"]["content"][0]["text"])
    [(path, headers, body)] = capture.requests
    theirs, ours = as_botocore_signs(capture.url, path, headers, body)
    assert ours == theirs
    assert path.endswith("/converse-stream" if stream else "/converse")
    shape = service().operation_model("Converse").input_shape
    sent = {"modelId": CLAUDE, **json.loads(body)}
    report = botocore.validate.ParamValidator().validate(sent, shape)
    assert not report.has_errors(), report.generate_report()
    assert sent["messages"][0]["content"] == [{"text": "Grüße, \n\t 日本"}]


REQUESTS = {
    "plain": {"messages": [{"role": "user", "content": "x"}]},
    "settings": {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "x"}],
        "max_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "service_tier": "flex",
        "extra_body": {"top_k": 5, "requestMetadata": {"a": "b"}},
    },
    "content": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "a.b  c.pdf",
                            "file_data": "data:application/pdf;base64,JVBERi0x",
                        },
                    },
                ],
            }
        ]
    },
    "tools": {
        "messages": [
            {"role": "user", "content": "x"},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "functions.f:0" + "x" * 80,
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a": 1}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "functions.f:0" + "x" * 80, "content": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
    },
    "schema": {
        "messages": [{"role": "user", "content": "x"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object", "properties": {}}},
        },
    },
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("model", ["claude", "nova"])
def test_asks_in_the_shapes_of_the_service(captured_gate, capture, model, name):
    request = dict(REQUESTS[name])
    if model == "nova":
        request.pop("parallel_tool_calls", None)
    openai_of(captured_gate).chat.completions.create(model=model, **request)
    shape = service().operation_model("Converse").input_shape
    body = json.loads(capture.requests[-1][2])
    report = botocore.validate.ParamValidator().validate({"modelId": CLAUDE, **body}, shape)
    assert not report.has_errors(), report.generate_report()


EVENTS = [
    event("messageStart", {"role": "assistant", "p": "abc"}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
    # Headers of other types are passed over.
    event(
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"text": "lo 日本"}},
        flag=True,
        off=False,
        count=-7,
        raw=b"\x00\xff",
        at=datetime.datetime.fromtimestamp(1, datetime.timezone.utc),
    ),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": WHOLE["usage"], "metrics": {"latencyMs": 1}}),
]


def test_reads_what_botocore_reads(captured_gate, capture):
    whole = b"".join(EVENTS)
    buffer = botocore.eventstream.EventStreamBuffer()
    buffer.add_data(whole)
    deltas = [json.loads(m.payload).get("delta", {}) for m in buffer]
    capture.says("application/vnd.amazon.eventstream", whole)
    chunks = openai_of(captured_gate).chat.completions.create(
        model="claude", messages=[{"role": "user", "content": "x"}], stream=True
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "".join(d.get("text", "") for d in deltas) == "Hello 日本"


def test_the_scripted_service_is_one_for_botocore(upstream):
    ask = {"modelId": CLAUDE, "messages": [{"role": "user", "content": [{"text": "hello there"}]}]}
    answer = boto(upstream).converse(**ask)
    assert answer["output"]["message"]["content"][0]["text"] == "You said: hello there"
    assert answer["usage"]["totalTokens"] == 6
    events = list(boto(upstream).converse_stream(**ask)["stream"])
    text = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
    assert text == "You said: hello there"
    assert [next(iter(e)) for e in events[-2:]] == ["messageStop", "metadata"]
    upstream.script("error-event")
    with pytest.raises(botocore.exceptions.EventStreamError) as failed:
        list(boto(upstream).converse_stream(**ask)["stream"])
    assert failed.value.response["Error"]["Code"] == "serviceUnavailableException"
    upstream.script("status-429")
    with pytest.raises(boto(upstream).exceptions.ThrottlingException):
        boto(upstream).converse(**ask)
    with pytest.raises(botocore.exceptions.ClientError) as failed:
        boto(upstream, secret="wrong").converse(**ask)
    assert failed.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_sdks_over_bedrock(scripted_gate, upstream):
    client = openai_of(scripted_gate)
    hello = [{"role": "user", "content": "hello there"}]
    answer = client.chat.completions.create(model="claude", messages=hello)
    assert answer.choices[0].message.content == "You said: hello there"
    with anthropic_of(scripted_gate).messages.stream(
        model="claude",
        max_tokens=3000,
        messages=hello,
        thinking={"type": "enabled", "budget_tokens": 1024},
    ) as stream:
        message = stream.get_final_message()
    kinds = [block.type for block in message.content]
    assert kinds == ["thinking", "text"] and message.content[0].signature.startswith("sig-")
    # The thought goes back as it came.
    again = anthropic_of(scripted_gate).messages.create(
        model="claude",
        max_tokens=3000,
        messages=[
            *hello,
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": "once more"},
        ],
        thinking={"type": "enabled", "budget_tokens": 1024},
    )
    assert again.content[-1].text == "You said: once more"
    upstream.script("error-event")
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="claude", messages=hello, stream=True))
    upstream.script("status-429")
    with pytest.raises(anthropic.RateLimitError):
        anthropic_of(scripted_gate).messages.create(model="claude", max_tokens=5, messages=hello)
