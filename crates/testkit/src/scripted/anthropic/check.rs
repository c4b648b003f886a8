//! What Anthropic's API refuses.

use serde_json::{Value, json};

use super::{
    super::{
        refuse::{Fields, Refuse},
        said::{Prompt, count_words},
    },
    Ask, signature,
};

/// Every top-level field of the API; any other is refused.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "system",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "metadata",
    "service_tier",
    "container",
    "context_management",
    "mcp_servers",
    "output_config",
    "output_format",
    "inference_geo",
    "cache_control",
    "betas",
    "diagnostics",
    "speed",
    "user_profile_id",
    "workspace_id",
];

/// Most cache marks in one request.
const MOST_CACHE_MARKS: usize = 4;

/// Checks a request as the API does.
pub(in super::super) fn check(body: &Value, counting: bool) -> Result<Ask, Refuse> {
    let top = Fields::new(body, "")?;
    known(&top, KNOWN)?;
    let model = top.text("model").map_err(field_required)?.to_owned();
    let mut prompt = Prompt::default();
    let max = top.count("max_tokens", 1)?;
    if max.is_none() && !counting {
        return Err(Refuse::bad("max_tokens", "max_tokens: Field required", "missing"));
    }
    prompt.max_tokens = max;
    top.number("temperature", 0.0, 1.0)?;
    top.number("top_p", 0.0, 1.0)?;
    top.count("top_k", 0)?;
    top.one_of("service_tier", &["auto", "standard_only"])?;
    if let Some(metadata) = top.object("metadata")? {
        known(&metadata, &["user_id"])?;
        metadata.maybe_text("user_id")?;
    }
    for one in top.list("stop_sequences")? {
        let text = one.as_str().filter(|s| !s.trim().is_empty());
        let text = text.ok_or_else(|| {
            invalid("stop_sequences: each stop sequence must contain non-whitespace")
        })?;
        prompt.stop.push(text.to_owned());
    }
    system(&top, &mut prompt)?;
    messages(&top, &mut prompt)?;
    tools(&top, &mut prompt)?;
    thinking(&top, &mut prompt)?;
    if cache_marks(body) > MOST_CACHE_MARKS {
        return Err(invalid("A maximum of 4 blocks with cache_control may be provided."));
    }
    Ok(Ask { model, prompt, stream: top.flag("stream")? })
}

fn invalid(message: impl Into<String>) -> Refuse {
    Refuse::new(400, message)
}

fn field_required(refuse: Refuse) -> Refuse {
    match &refuse.param {
        Some(param) if refuse.code == Some("missing_required_parameter") => {
            invalid(format!("{param}: Field required"))
        }
        _ => refuse,
    }
}

fn known(fields: &Fields<'_>, names: &[&str]) -> Result<(), Refuse> {
    match fields.of.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            Err(invalid(format!("{}: Extra inputs are not permitted", fields.path(name))))
        }
    }
}

fn cache_marks(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(cache_marks).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, part)| {
                usize::from(name == "cache_control" && !part.is_null()) + cache_marks(part)
            })
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn cache_control(block: &Fields<'_>) -> Result<(), Refuse> {
    let Some(mark) = block.object("cache_control")? else { return Ok(()) };
    known(&mark, &["type", "ttl"])?;
    mark.required("type")?;
    mark.one_of("type", &["ephemeral"])?;
    mark.one_of("ttl", &["5m", "1h"])?;
    Ok(())
}

fn system(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    let blocks = match top.get("system") {
        None => return Ok(()),
        Some(Value::String(text)) => {
            prompt.words += count_words(text);
            return Ok(());
        }
        Some(Value::Array(blocks)) => blocks,
        Some(_) => return Err(invalid("system: Input should be a valid string or list")),
    };
    for (i, block) in blocks.iter().enumerate() {
        let block = Fields::new(block, &format!("system.{i}"))?;
        known(&block, &["type", "text", "cache_control", "citations"])?;
        block.required("type")?;
        block.one_of("type", &["text"])?;
        prompt.words += count_words(block.text("text")?);
        cache_control(&block)?;
    }
    Ok(())
}

fn messages(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    top.required("messages").map_err(field_required)?;
    let list = top.list("messages")?;
    if list.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    let mut open: Vec<String> = Vec::new();
    for (i, one) in list.iter().enumerate() {
        let message = Fields::new(one, &format!("messages.{i}"))?;
        known(&message, &["role", "content"])?;
        message.required("role")?;
        let role = message.one_of("role", &["user", "assistant", "system"])?.unwrap_or_default();
        if i == 0 && role != "user" {
            return Err(invalid("messages: first message must use the \"user\" role"));
        }
        if role == "system" {
            said_between(&message, list.get(i + 1), list.get(i - 1), prompt)?;
            continue;
        }
        let turn = content(&message, role, prompt)?;
        prompt.words += count_words(&turn.text);
        if !open.iter().all(|id| turn.results.iter().any(|(result, _)| result == id)) {
            return Err(invalid(format!(
                "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. \
                 Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                i.saturating_sub(1),
                open.join(", ")
            )));
        }
        if let Some((id, _)) = turn.results.iter().find(|(id, _)| !open.contains(id)) {
            return Err(invalid(format!(
                "messages.{i}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {id}. \
                 Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        }
        prompt.user_spoke_last = role == "user" && turn.results.is_empty();
        prompt.results = turn.results.into_iter().map(|(_, text)| text).collect();
        if role == "user" {
            prompt.text = turn.text;
        }
        open = turn.calls;
    }
    Ok(())
}

/// Instructions in the middle of a conversation: after a user's turn, and before the model's or last.
/// <https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages>
fn said_between(
    message: &Fields<'_>,
    next: Option<&Value>,
    before: Option<&Value>,
    prompt: &mut Prompt,
) -> Result<(), Refuse> {
    let is = |other: Option<&Value>, role: &str| {
        other.is_some_and(|other| other.get("role") == Some(&json!(role)))
    };
    if !is(before, "user") || (next.is_some() && !is(next, "assistant")) {
        return Err(invalid(format!(
            "{}: a `system` message must follow a `user` message, and be last or followed by an `assistant` message",
            message.at
        )));
    }
    let turn = content(message, "system", prompt)?;
    prompt.words += count_words(&turn.text);
    Ok(())
}

#[derive(Default)]
struct Turn {
    text: String,
    calls: Vec<String>,
    results: Vec<(String, String)>,
}

fn content(message: &Fields<'_>, role: &str, prompt: &mut Prompt) -> Result<Turn, Refuse> {
    let path = message.path("content");
    let blocks = match message.required("content").map_err(field_required)? {
        Value::String(text) if text.is_empty() => {
            return Err(invalid(format!(
                "{}: all messages must have non-empty content",
                message.at
            )));
        }
        Value::String(text) => return Ok(Turn { text: text.clone(), ..Turn::default() }),
        Value::Array(blocks) => blocks,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(invalid(format!("{path}: Input should be a valid string or list")));
        }
    };
    let mut turn = Turn::default();
    let mut texts = Vec::new();
    for (i, block) in blocks.iter().enumerate() {
        let block = Fields::new(block, &format!("{path}.{i}"))?;
        cache_control(&block)?;
        let kind = block.text("type").map_err(field_required)?;
        match (kind, role) {
            ("text", _) => {
                known(&block, &["type", "text", "cache_control", "citations"])?;
                let text = block.text("text")?;
                if text.is_empty() {
                    return Err(invalid("messages: text content blocks must be non-empty"));
                }
                texts.push(text.to_owned());
            }
            ("image", "user") => {
                image(&block)?;
                prompt.images += 1;
            }
            ("document", "user") => {
                block.required("source")?;
            }
            ("tool_use", "assistant") => {
                known(&block, &["type", "id", "name", "input", "cache_control"])?;
                block.text("name")?;
                let input = block.required("input").map_err(field_required)?;
                if !input.is_object() {
                    let at = block.path("input");
                    return Err(invalid(format!("{at}: Input should be a valid dictionary")));
                }
                turn.calls.push(block.text("id")?.to_owned());
            }
            ("tool_result", "user") => turn.results.push(tool_result(&block)?),
            ("thinking", "assistant") => thinking_block(&block)?,
            ("redacted_thinking", "assistant") => {
                block.text("data")?;
            }
            _ => {
                return Err(invalid(format!(
                    "{}: `{kind}` is not allowed in a message of role `{role}`",
                    block.at
                )));
            }
        }
    }
    turn.text = texts.join(" ");
    Ok(turn)
}

fn thinking_block(block: &Fields<'_>) -> Result<(), Refuse> {
    known(block, &["type", "thinking", "signature"])?;
    let thinking = block.text("thinking").map_err(field_required)?;
    if block.text("signature").map_err(field_required)? == signature(thinking) {
        return Ok(());
    }
    Err(invalid(format!("{}: Invalid `signature` in `thinking` block", block.at)))
}

fn image(block: &Fields<'_>) -> Result<(), Refuse> {
    known(block, &["type", "source", "cache_control"])?;
    let source =
        Fields::new(block.required("source").map_err(field_required)?, &block.path("source"))?;
    source.required("type")?;
    match source.one_of("type", &["base64", "url", "file"])?.unwrap_or_default() {
        "base64" => {
            let types = ["image/jpeg", "image/png", "image/gif", "image/webp"];
            source.required("media_type")?;
            source.one_of("media_type", &types)?;
            source.text("data")?;
        }
        "url" => {
            source.text("url")?;
        }
        _ => {
            source.text("file_id")?;
        }
    }
    Ok(())
}

fn tool_result(block: &Fields<'_>) -> Result<(String, String), Refuse> {
    known(block, &["type", "tool_use_id", "content", "is_error", "cache_control"])?;
    let id = block.text("tool_use_id").map_err(field_required)?.to_owned();
    block.flag("is_error")?;
    let text = match block.get("content") {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join(" "),
        Some(_) => {
            return Err(invalid(format!(
                "{}: Input should be a valid string or list",
                block.path("content")
            )));
        }
    };
    Ok((id, text))
}

fn tools(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    for (i, tool) in top.list("tools")?.iter().enumerate() {
        let tool = Fields::new(tool, &format!("tools.{i}"))?;
        cache_control(&tool)?;
        let name = tool.text("name").map_err(field_required)?;
        if tool.get("type").is_some_and(|kind| kind != "custom") {
            continue;
        }
        const TOOL: &[&str] = &[
            "type",
            "name",
            "description",
            "input_schema",
            "cache_control",
            "strict",
            "eager_input_streaming",
            "defer_loading",
            "allowed_callers",
            "input_examples",
        ];
        known(&tool, TOOL)?;
        let schema = tool
            .required("input_schema")
            .map_err(|_| invalid(format!("tools.{i}.custom.input_schema: Field required")))?;
        if schema.get("type") != Some(&json!("object")) {
            return Err(invalid(format!(
                "tools.{i}.custom.input_schema.type: Input should be 'object'"
            )));
        }
        prompt.tools.push((name.to_owned(), schema.clone()));
    }
    let Some(choice) = top.object("tool_choice")? else { return Ok(()) };
    if top.list("tools")?.is_empty() {
        return Err(invalid("tool_choice may only be specified while providing tools"));
    }
    known(&choice, &["type", "name", "disable_parallel_tool_use"])?;
    choice.required("type")?;
    match choice.one_of("type", &["auto", "any", "tool", "none"])?.unwrap_or_default() {
        "tool" => {
            let name = choice.text("name")?;
            if !prompt.tools.iter().any(|(tool, _)| tool == name) {
                return Err(invalid(format!(
                    "tool_choice: tool '{name}' not found in provided tools"
                )));
            }
            prompt.forced = Some(name.to_owned());
        }
        "none" => prompt.tools_off = true,
        _ => {}
    }
    Ok(())
}

fn thinking(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    let Some(thinking) = top.object("thinking")? else { return Ok(()) };
    thinking.required("type")?;
    let kind = thinking.one_of("type", &["enabled", "disabled", "adaptive"])?.unwrap_or_default();
    prompt.thinking = kind != "disabled";
    if kind != "enabled" {
        return Ok(());
    }
    let budget = thinking.count("budget_tokens", 1024)?;
    let budget = budget.ok_or_else(|| invalid("thinking.enabled.budget_tokens: Field required"))?;
    if prompt.max_tokens.is_some_and(|max| max <= budget) {
        return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`."));
    }
    if prompt.forced.is_some() {
        return Err(invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    if top.get("temperature").is_some_and(|t| t.as_f64() != Some(1.0)) {
        return Err(invalid("`temperature` may only be set to 1 when thinking is enabled."));
    }
    Ok(())
}
