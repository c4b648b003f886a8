"""Coding agents' requests, in the shapes that Claude Code 2.1 and the Codex CLI 0.169 send, turn after
turn, through the SDKs' streaming helpers, over every upstream that an agent may be put to. The
scripted upstreams refuse what the providers would: unsigned thoughts, results without calls,
unknown members."""

import json

import anthropic
import openai
import pytest

MODELS = ["openai", "responses", "anthropic", "gemini", "bedrock"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
THOUGHT = "Let me think about that."


@pytest.fixture(params=MODELS)
def model(request):
    return request.param


# Claude Code

EPHEMERAL = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
BETAS = [
    "claude-code-20250219",
    "interleaved-thinking-2025-05-14",
    "thinking-token-count-2026-05-13",
    "context-management-2025-06-27",
    "prompt-caching-scope-2026-01-05",
    "a-beta-of-tomorrow-2027-01-01",
]
SCHEMA = "https://json-schema.org/draft/2020-12/schema"
BASH = {
    "$schema": SCHEMA,
    "type": "object",
    "properties": {
        "command": {"type": "string", "description": "The command"},
        "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 600000},
        "run_in_background": {"type": "boolean", "default": False},
    },
    "required": ["command"],
    "additionalProperties": False,
}
QUIRKS = {
    "$schema": SCHEMA,
    "type": "object",
    "properties": {
        "file_path": {"type": "string", "minLength": 1, "pattern": "^/", "format": "uri-reference"},
        "status": {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "string", "const": "c"}]},
        "limit": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None},
        "kind": {"type": ["string", "null"]},
        "meta": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {}},
        "todos": {"type": "array", "items": {"$ref": "#/$defs/todo"}, "maxItems": 9},
    },
    "required": ["file_path"],
    "$defs": {"todo": {"type": "object", "title": "Todo", "properties": {"text": {"type": "string"}}}},
    "additionalProperties": False,
}
CLAUDE_TOOLS = [
    {"name": "Bash", "description": "Runs a command", "input_schema": BASH},
    {"name": "Read", "description": "Reads a file", "input_schema": QUIRKS},
    *(
        {"name": f"mcp__server__tool_{n}", "description": "d" * 900, "input_schema": QUIRKS}
        for n in range(70)
    ),
]


def claude_codes(model, **more):
    tools = [*CLAUDE_TOOLS[:-1], {**CLAUDE_TOOLS[-1], "cache_control": HOUR}]
    return {
        "model": model,
        "max_tokens": 32000,
        "betas": BETAS,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli;"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": HOUR},
        ],
        "tools": tools,
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": "s" * 36})},
        **more,
    }


def picture():
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


@pytest.fixture(scope="module")
def claude(grid_gate, grid_key):
    return anthropic.Anthropic(base_url=grid_gate.url, auth_token=grid_key, api_key=None, max_retries=0)


def first_question():
    return [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>context</system-reminder>"},
                picture(),
                {"type": "text", "text": "What is in /a.png and the folder", "cache_control": EPHEMERAL},
            ],
        }
    ]


def test_claude_code_works(claude, upstream, model):
    """Three turns: two calls at once, their results with a picture and an error, and a word more."""
    fields = claude_codes(model)
    messages = first_question()
    counting = {name: fields[name] for name in ("model", "betas", "system", "tools", "thinking")}
    counted = claude.beta.messages.count_tokens(messages=messages, **counting)
    assert counted.input_tokens > 10
    upstream.forget()

    upstream.script("calls-2+reasoning+cached-7")
    with claude.beta.messages.stream(messages=messages, **fields) as stream:
        shown = "".join(event.thinking for event in stream if event.type == "thinking")
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use" and shown == THOUGHT
    uses = [block for block in first.content if block.type == "tool_use"]
    assert [use.name for use in uses] == ["Bash", "Read"] and len({use.id for use in uses}) == 2
    assert uses[0].input["command"] == "folder" and uses[1].input["file_path"] == "folder"
    assert first.usage.cache_read_input_tokens == 7
    sent = upstream.last()["json"]
    assert len(tools_of(model, sent)) == len(CLAUDE_TOOLS)
    assert json.dumps(sent).count(PIXEL) == 1
    if model == "anthropic":
        assert upstream.last()["headers"]["anthropic-beta"] == ",".join(BETAS)
        assert sent["tools"] == fields["tools"] and sent["system"] == fields["system"]
        assert sent["metadata"] == fields["metadata"]
    if model == "bedrock":
        hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
        assert sent["toolConfig"]["tools"][-1] == hour and sent["system"][-1] == hour

    messages += [
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": uses[0].id,
                    "content": [{"type": "text", "text": "a.png"}, picture()],
                },
                {
                    "type": "tool_result",
                    "tool_use_id": uses[1].id,
                    "content": "EACCES: no permission",
                    "is_error": True,
                    "cache_control": EPHEMERAL,
                },
            ],
        },
    ]
    upstream.script("no-tools+reasoning")
    with claude.beta.messages.stream(messages=messages, **fields) as stream:
        second = stream.get_final_message()
    assert second.stop_reason == "end_turn" and second.content[0].thinking == THOUGHT
    sent = upstream.last()["json"]
    text = json.dumps(sent)
    assert text.count(PIXEL) == 2 and "EACCES: no permission" in text and "a.png" in text
    assert results_of(model, sent) == [use.id for use in uses] or model in ("gemini",)
    proof = {"anthropic": '"signature": "sig-', "bedrock": '"signature": "sig-', "gemini": "thoughtSignature"}
    proof |= {"responses": '"encrypted_content": "gAAAA'}
    assert proof.get(model, THOUGHT) in text, "the thought did not come back"

    # The mark moves on to the last word.
    del messages[0]["content"][-1]["cache_control"], messages[-1]["content"][-1]["cache_control"]
    messages += [
        {"role": "assistant", "content": second.content},
        {"role": "user", "content": [{"type": "text", "text": "Now mend it", "cache_control": EPHEMERAL}]},
    ]
    upstream.script("calls-1+reasoning")
    with claude.beta.messages.stream(messages=messages, **fields) as stream:
        third = stream.get_final_message()
    [use] = [block for block in third.content if block.type == "tool_use"]
    assert (use.name, use.input["command"]) == ("Bash", "it")


def test_claude_code_with_adaptive_thinking(claude, upstream, model):
    """As to newer models: thinking as the model likes, an effort, instructions between the turns."""
    fields = claude_codes(model, thinking={"type": "adaptive"}, output_config={"effort": "high"})
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "say hello", "cache_control": EPHEMERAL}]},
        {"role": "system", "content": "Available agent types: general-purpose."},
    ]
    upstream.script("no-tools")
    with claude.beta.messages.stream(messages=messages, **fields) as stream:
        dropped = stream.response.headers.get("x-tollgate-dropped", "")
        answer = stream.get_final_message()
    assert answer.content[-1].text.startswith("You said: ") and "hello" in answer.content[-1].text
    sent = json.dumps(upstream.last()["json"])
    assert "Available agent types" in sent
    effort = {
        "openai": '"reasoning_effort": "high"',
        "responses": '"effort": "high"',
        "anthropic": '"effort": "high"',
        "gemini": '"thinkingLevel": "high"',
        "bedrock": '"thinking": {',
    }
    assert effort[model].lower() in sent.lower()
    assert ("context_management" in dropped) == (model != "anthropic")


def test_claude_code_runs_two_tools_at_once(claude, upstream, model):
    ran = []

    @anthropic.beta_tool
    def run_command(command: str) -> str:
        """Runs a command."""
        ran.append(("run", command))
        return "one"

    @anthropic.beta_tool
    def show_picture(path: str) -> list:
        """Shows a picture."""
        ran.append(("show", path))
        return [{"type": "text", "text": "two"}, picture()]

    upstream.script("calls-2")
    runner = claude.beta.messages.tool_runner(
        model=model,
        max_tokens=4000,
        tools=[run_command, show_picture],
        messages=[{"role": "user", "content": "look at /a.png"}],
        stream=True,
    )
    messages = []
    for stream in runner:
        messages.append(stream.get_final_message())
        if len(messages) == 1:
            upstream.script("no-tools")
    assert sorted(ran) == [("run", "a.png"), ("show", "a.png")]
    assert len(messages) == 2 and messages[1].stop_reason == "end_turn"
    sent = upstream.last()["json"]
    assert json.dumps(sent).count(PIXEL) == 1
    assert len(results_of(model, sent)) == 2


def tools_of(model, sent):
    """The functions as this dialect has them."""
    if model == "gemini":
        return sent["tools"][0]["functionDeclarations"]
    if model == "bedrock":
        return [tool for tool in sent["toolConfig"]["tools"] if "toolSpec" in tool]
    return sent["tools"]


def results_of(model, sent):
    """The ids of the results, in their order."""
    if model == "openai":
        return [one["tool_call_id"] for one in sent["messages"] if one["role"] == "tool"]
    if model == "responses":
        return [one["call_id"] for one in sent["input"] if one.get("type", "").endswith("_output")]
    if model == "gemini":
        parts = [part for content in sent["contents"] for part in content["parts"]]
        return [part["functionResponse"].get("id") for part in parts if "functionResponse" in part]
    messages = [message for message in sent["messages"] if isinstance(message["content"], list)]
    blocks = [block for message in messages for block in message["content"]]
    if model == "bedrock":
        return [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
    return [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]


# Codex


def function(name, **properties):
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "name": name, "description": name, "strict": False, "parameters": parameters}


TEXT = {"type": "string"}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files. This is a FREEFORM tool, so do not wrap the patch in JSON.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch hunk+ end_patch"},
}
AGENTS = {
    "type": "namespace",
    "name": "multi_agent_v1",
    "description": "Tools for spawning and managing sub-agents.",
    "tools": [function("spawn_agent", message=TEXT), function("wait_agent", ids={"type": "array", "items": TEXT})],
}
CODEX_TOOLS = [
    function("exec_command", cmd=TEXT),
    PATCH,
    AGENTS,
    function("view_image", path=TEXT),
    function("update_plan", plan={"type": "array", "items": {"type": "object", "properties": {"step": TEXT}}}),
    {"type": "local_shell"},
]


def codexs(model, **more):
    return {
        "model": model,
        "instructions": "You are a coding agent running in the Codex CLI.",
        "tools": CODEX_TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199a213-81c0-7800-8aa1-bbab2a035a53",
        "text": {"verbosity": "low"},
        "extra_body": {"client_metadata": {"session_id": "s1"}},
        **more,
    }


def message(role, *content):
    return {"type": "message", "id": f"msg_{role}", "role": role, "content": list(content)}


def said(text):
    return {"type": "input_text", "text": text}


def shown():
    return {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}


@pytest.fixture(scope="module")
def codex(grid_gate, grid_key):
    return openai.OpenAI(base_url=f"{grid_gate.url}/v1", api_key=grid_key, max_retries=0, timeout=20)


def test_codex_works(codex, upstream, model):
    """Three turns: a function, a patch and a function of a namespace at once; their results, one a
    list with a picture; and a word more."""
    items = [
        message("developer", said("<permissions instructions>read-only</permissions instructions>")),
        message("user", said("<environment_context><cwd>/repo</cwd></environment_context>")),
        message("user", said("Mend the typo"), shown()),
    ]
    upstream.script("calls-3+reasoning")
    with codex.responses.stream(input=items, **codexs(model)) as stream:
        events = list(stream)
        first = stream.get_final_response()
    kinds = [item.type for item in first.output if item.type != "reasoning"]
    assert kinds == ["function_call", "custom_tool_call", "function_call"]
    run, patch, agent = [item for item in first.output if item.type != "reasoning"]
    assert (run.name, json.loads(run.arguments)) == ("exec_command", {"cmd": "typo"})
    assert (patch.name, patch.input) == ("apply_patch", "typo")
    assert (agent.namespace, agent.name) == ("multi_agent_v1", "spawn_agent")
    assert json.loads(agent.arguments) == {"message": "typo"}
    thoughts = [item for item in first.output if item.type == "reasoning"]
    assert thoughts[0].summary[0].text == THOUGHT
    assert any(item.encrypted_content for item in thoughts) == (model != "openai")
    done = [event.type for event in events if event.type.endswith(".done")]
    assert "response.custom_tool_call_input.done" in done
    sent = upstream.last()["json"]
    names = {tool["name"] for tool in flat(model, sent)}
    assert {"exec_command", "apply_patch", "view_image", "update_plan"} <= names
    if model != "responses":
        assert {"multi_agent_v1__spawn_agent", "multi_agent_v1__wait_agent", "local_shell"} <= names
        assert "start: begin_patch hunk+ end_patch" in json.dumps(sent)

    items += first.output
    items += [
        {"type": "function_call_output", "call_id": run.call_id, "output": [said("exit 0"), shown()]},
        {"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "Done!"},
        {"type": "function_call_output", "call_id": agent.call_id, "output": '{"agent_id":"7"}'},
    ]
    upstream.script("no-tools+reasoning")
    with codex.responses.stream(input=items, **codexs(model)) as stream:
        second = stream.get_final_response()
    assert second.output_text and second.status == "completed"
    sent = upstream.last()["json"]
    text = json.dumps(sent)
    assert text.count(PIXEL) == 2 and "exit 0" in text and "Done!" in text and "agent_id" in text
    assert len(results_of(model, sent)) == 3
    proof = {"anthropic": '"signature": "sig-', "bedrock": '"signature": "sig-', "gemini": "thoughtSignature"}
    proof |= {"responses": '"encrypted_content": "gAAAA'}
    assert proof.get(model, "multi_agent_v1__spawn_agent") in text

    items += second.output
    items.append(message("user", said("And the other one")))
    upstream.script("calls-1+reasoning")
    with codex.responses.stream(input=items, **codexs(model)) as stream:
        third = stream.get_final_response()
    [call] = [item for item in third.output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"cmd": "one"}


def test_codex_runs_code(codex, upstream, model):
    """To models that it knows, Codex offers its tools in an item of the conversation: one that runs
    JavaScript, in a namespace."""
    run = {**PATCH, "name": "exec", "description": "Runs JavaScript."}
    space = {"type": "namespace", "name": "functions", "description": "", "tools": [run, function("wait", cell_id=TEXT)]}
    items = [
        {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [space]},
        message("developer", said("You are a coding agent.")),
        message("user", said("Compute it")),
    ]
    reasoning = {"effort": "low", "context": "all_turns"}
    fields = codexs(model, reasoning=reasoning, tool_choice="auto", parallel_tool_calls=False)
    del fields["tools"], fields["instructions"]
    if model == "gemini":
        # Google's models call as many functions at once as they like, and nobody can forbid it.
        with pytest.raises(openai.BadRequestError, match="parallel_tool_calls"):
            codex.responses.create(input=items, **fields)
        fields["parallel_tool_calls"] = True
    with codex.responses.stream(input=items, **fields) as stream:
        first = stream.get_final_response()
    [call] = [item for item in first.output if item.type == "custom_tool_call"]
    assert (call.namespace, call.name, call.input) == ("functions", "exec", "it")
    if model != "responses":
        assert {tool["name"] for tool in flat(model, upstream.last()["json"])} == {"functions__exec", "functions__wait"}
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": [said("exit 0"), said("42")]}
    with codex.responses.stream(input=[*items, *first.output, result], **fields) as stream:
        second = stream.get_final_response()
    assert second.output_text.startswith("The tool said: exit 0") and "42" in second.output_text


def test_codex_searches_the_web_where_somebody_can(codex, upstream, model):
    """Codex offers its provider's search unless it is told not to: `web_search = "disabled"`."""
    search = {"type": "web_search", "external_web_access": False}
    fields = codexs(model, tools=[*CODEX_TOOLS, search], input=[message("user", said("hello"))])
    upstream.script("no-tools")
    if model == "responses":
        assert codex.responses.create(**fields).output_text == "You said: hello"
        assert upstream.last()["json"]["tools"][-1] == search
        return
    try:
        answer = codex.responses.with_raw_response.create(**fields)
    except openai.BadRequestError as refused:
        assert refused.code == "unsupported_parameter" and refused.param == "tools[6]"
        assert "drop_params" in str(refused) and upstream.requests() == []
        fields["extra_body"] = {**fields["extra_body"], "drop_params": True}
        answer = codex.responses.with_raw_response.create(**fields)
        assert "tools[6]" in answer.headers["x-tollgate-dropped"]
    assert answer.parse().output_text == "You said: hello"


def flat(model, sent):
    """The functions' own members."""
    tools = tools_of(model, sent)
    if model == "openai":
        return [tool["function"] for tool in tools]
    if model == "bedrock":
        return [tool["toolSpec"] for tool in tools]
    return [tool for tool in tools if "name" in tool]
