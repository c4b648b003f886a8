"""The configuration page that Tollgate begins with, word for word, and no configuration at all."""

import json
import time

import pytest
from openai import OpenAI

from conftest import upstream_env
from harness import Gate, call

HELLO = [{"role": "user", "content": "hello there world"}]


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions"])
def test_the_page_serves_both_paths(seed_gate, upstream, path):
    body = {"model": "apertis-model", "messages": HELLO}
    status, _, answer = call("POST", seed_gate.url + path, body, seed_gate.key())
    assert status == 200, answer
    assert answer["choices"][0]["message"]["content"] == "You said: hello there world"
    seen = upstream.last()
    assert seen["path"] == "/apertis/v1/chat/completions"
    assert seen["headers"]["authorization"] == "Bearer sk-stima"
    assert seen["json"]["model"] == "model-name"


def test_the_page_streams(seed_gate):
    client = OpenAI(base_url=f"{seed_gate.url}/v1", api_key=seed_gate.key(), max_retries=0)
    stream = client.chat.completions.create(model="apertis-model", messages=HELLO, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "You said: hello there world"


def test_the_body_is_the_clients_own_but_for_the_model(seed_gate, upstream):
    """Key order, white space and the spelling of numbers survive."""
    body = b'{ "zeta":1.50, "model" : "apertis-model","messages":[{"role":"user","content":"\\u00e9"}],"x":1e2}'
    status, _, answer = call("POST", f"{seed_gate.url}/v1/chat/completions", body, seed_gate.key())
    assert status == 200, answer
    assert upstream.last()["text"] == body.decode().replace("apertis-model", "model-name")


def test_the_environment_alone_is_a_configuration(upstream):
    gate = Gate(None, upstream_env(upstream))
    try:
        body = {"model": "apertis/m", "messages": HELLO}
        status, _, answer = call("POST", f"{gate.url}/v1/chat/completions", body, gate.key())
        assert status == 200, answer
        assert upstream.last()["json"]["model"] == "m"
    finally:
        gate.stop()


def test_a_usage_row_says_who_what_and_how_much(seed_gate):
    key = seed_gate.key(key_alias="row", user_id="someone")
    body = {"model": "apertis-model", "messages": HELLO}
    status, headers, _ = call("POST", f"{seed_gate.url}/v1/chat/completions", body, key)
    assert status == 200
    call_id = headers["x-litellm-call-id"]
    row = find_row(seed_gate, call_id)
    assert row["model_group"] == "apertis-model"
    assert row["prompt_tokens"] == 3
    assert row["completion_tokens"] == 5
    assert row["user"] == "someone"
    assert key not in json.dumps(row)


def find_row(gate, call_id):
    deadline = time.monotonic() + 10
    while True:
        status, _, body = gate.admin("GET", "/spend/logs/v2?page=1&page_size=100")
        assert status == 200, body
        for row in body["data"]:
            if call_id in (row.get("litellm_call_id"), row.get("request_id")):
                return row
        assert time.monotonic() < deadline, f"no row for {call_id}: {body}"
        time.sleep(0.02)
