//! What Bedrock refuses beside wrong shapes.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value gives null for a member that is not there"
)]

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::{
        refuse::Refuse,
        said::{Prompt, count_words},
    },
    Ask,
    shapes::{self, invalid},
    signature,
};

/// Most cache points in one request.
const MOST_CACHE_POINTS: usize = 4;
/// Features of Claude's that can be asked for.
const BETAS: &[&str] = &[
    "interleaved-thinking-2025-05-14",
    "context-1m-2025-08-07",
    "fine-grained-tool-streaming-2025-05-14",
    "effort-2025-11-24",
    "compact-2026-01-12",
    "tool-search-tool-2025-10-19",
];

/// Checks a request as the service does.
pub(in super::super) fn check(body: &Value, model: String, stream: bool) -> Result<Ask, Refuse> {
    shapes::check(body, "Request", "")?;
    let mut prompt = Prompt::default();
    let inference = &body["inferenceConfig"];
    prompt.max_tokens = inference["maxTokens"].as_u64();
    for text in inference["stopSequences"].as_array().into_iter().flatten() {
        let text = text.as_str().filter(|text| !text.is_empty());
        prompt.stop.push(text.ok_or_else(|| invalid("a stop sequence is empty"))?.to_owned());
    }
    for block in body["system"].as_array().into_iter().flatten() {
        prompt.words += count_words(block["text"].as_str().unwrap_or_default());
    }
    tools(body, &mut prompt)?;
    let has_tools = messages(body, &mut prompt)?;
    if has_tools && body["toolConfig"].is_null() {
        return Err(invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    if cache_points(body) > MOST_CACHE_POINTS {
        return Err(invalid("A maximum of 4 cache points may be provided."));
    }
    own(body, &model, &mut prompt)?;
    Ok(Ask { model, prompt, stream })
}

fn cache_points(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(cache_points).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, part)| usize::from(name == "cachePoint") + cache_points(part))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

fn tools(body: &Value, prompt: &mut Prompt) -> Result<(), Refuse> {
    let config = &body["toolConfig"];
    if config.is_null() {
        return Ok(());
    }
    let list = config["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, tool) in list.iter().enumerate() {
        let spec = &tool["toolSpec"];
        if spec.is_null() {
            continue;
        }
        let name = spec["name"].as_str().unwrap_or_default();
        if !is_name(name) {
            return Err(invalid(format!(
                "toolConfig.tools.{index}.toolSpec.name is no tool's name"
            )));
        }
        let schema = &spec["inputSchema"]["json"];
        if schema["type"] != "object" {
            return Err(invalid(format!(
                "The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: object."
            )));
        }
        prompt.tools.push((name.to_owned(), schema.clone()));
    }
    if list.is_empty() {
        return Err(invalid("toolConfig.tools: at least one tool is required"));
    }
    if let Some(name) = config["toolChoice"]["tool"]["name"].as_str() {
        if !prompt.tools.iter().any(|(tool, _)| tool == name) {
            return Err(invalid(format!("toolChoice: there is no tool `{name}`")));
        }
        prompt.forced = Some(name.to_owned());
    }
    Ok(())
}

#[derive(Default)]
struct Turn {
    texts: Vec<String>,
    calls: Vec<String>,
    results: Vec<(String, String)>,
    documents: bool,
}

/// Whether there are calls or results of tools.
fn messages(body: &Value, prompt: &mut Prompt) -> Result<bool, Refuse> {
    let list = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() && body["promptVariables"].is_null() {
        return Err(invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        ));
    }
    let mut names = BTreeSet::new();
    let mut open: Vec<String> = Vec::new();
    let mut has_tools = false;
    for (index, message) in list.iter().enumerate() {
        let user = message["role"] == "user";
        if user != index.is_multiple_of(2) {
            return Err(invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
            ));
        }
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        if blocks.is_empty() {
            return Err(invalid(format!(
                "The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to the content field and try again."
            )));
        }
        let mut turn = Turn::default();
        for (place, block) in blocks.iter().enumerate() {
            let at = format!("messages.{index}.content.{place}");
            read(block, &at, user, &mut turn, &mut names, prompt)?;
        }
        if turn.documents && turn.texts.is_empty() {
            return Err(invalid("A text block is needed beside a document."));
        }
        let given: BTreeSet<&String> = turn.results.iter().map(|(id, _)| id).collect();
        if given != open.iter().collect() || given.len() != turn.results.len() {
            return Err(invalid(format!(
                "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of previous turn, or some are missing."
            )));
        }
        has_tools |= !turn.calls.is_empty() || !turn.results.is_empty();
        let text = turn.texts.join(" ");
        prompt.words += count_words(&text);
        prompt.user_spoke_last = user && turn.results.is_empty();
        prompt.results = turn.results.into_iter().map(|(_, text)| text).collect();
        if user {
            prompt.text = text;
        }
        open = turn.calls;
    }
    Ok(has_tools)
}

fn read(
    block: &Value,
    at: &str,
    user: bool,
    turn: &mut Turn,
    names: &mut BTreeSet<String>,
    prompt: &mut Prompt,
) -> Result<(), Refuse> {
    let (kind, value) = block.as_object().and_then(|block| block.iter().next()).expect("a union");
    let theirs = matches!(kind.as_str(), "toolUse" | "reasoningContent" | "citationsContent");
    let either = matches!(kind.as_str(), "text" | "cachePoint");
    if !either && user == theirs {
        return Err(invalid(format!("{at}: `{kind}` has no place in a message of this role")));
    }
    match kind.as_str() {
        "text" => turn.texts.push(value.as_str().unwrap_or_default().to_owned()),
        "guardContent" => {
            turn.texts.push(value["text"]["text"].as_str().unwrap_or_default().to_owned());
        }
        "image" => prompt.images += 1,
        "document" => {
            turn.documents = true;
            document(value, at, names)?;
        }
        "toolUse" => {
            let id = value["toolUseId"].as_str().unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
            if !(1..=64).contains(&id.len()) || !id.chars().all(fits) {
                return Err(invalid(format!("{at}.toolUse.toolUseId is no id")));
            }
            if !is_name(value["name"].as_str().unwrap_or_default()) || !value["input"].is_object() {
                return Err(invalid(format!(
                    "The format of the value at {at}.toolUse is invalid. Provide a json object for the field and try again."
                )));
            }
            turn.calls.push(id.to_owned());
        }
        "toolResult" => {
            let texts = value["content"].as_array().into_iter().flatten();
            let texts: Vec<&str> = texts.filter_map(|part| part["text"].as_str()).collect();
            let id = value["toolUseId"].as_str().unwrap_or_default().to_owned();
            turn.results.push((id, texts.join(" ")));
        }
        "reasoningContent" => {
            let thought = &value["reasoningText"];
            let text = thought["text"].as_str().unwrap_or_default();
            if !thought.is_null() && thought["signature"] != signature(text).as_str() {
                return Err(invalid(format!(
                    "The model returned the following errors: {at}: Invalid `signature` in `thinking` block"
                )));
            }
        }
        _ => {}
    }
    Ok(())
}

fn document(value: &Value, at: &str, names: &mut BTreeSet<String>) -> Result<(), Refuse> {
    let name = value["name"].as_str().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
    let clean = name.chars().all(fits) && !name.contains("  ") && name.len() <= 200;
    if !clean || name.is_empty() {
        return Err(invalid(format!(
            "The document file name at {at} can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character."
        )));
    }
    if !names.insert(name.to_owned()) {
        return Err(invalid("Messages contain duplicate document names."));
    }
    Ok(())
}

/// What models take of their own.
fn own(body: &Value, model: &str, prompt: &mut Prompt) -> Result<(), Refuse> {
    let fields = &body["additionalModelRequestFields"];
    if fields.is_null() {
        return Ok(());
    }
    let Some(fields) = fields.as_object() else {
        return Err(invalid("additionalModelRequestFields must be an object"));
    };
    let known: &[&str] = if model.contains("claude") {
        &["thinking", "anthropic_beta", "top_k", "tool_choice", "tools", "context_management"]
    } else if model.contains("nova") {
        &["inferenceConfig", "reasoningConfig"]
    } else {
        &["top_k", "reasoning_effort", "min_tokens"]
    };
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(invalid(format!(
            "Malformed input request: #: extraneous key [{name}] is not permitted, please reformat your input and try again."
        )));
    }
    for beta in
        body["additionalModelRequestFields"]["anthropic_beta"].as_array().into_iter().flatten()
    {
        if !beta.as_str().is_some_and(|beta| BETAS.contains(&beta)) {
            return Err(invalid("invalid beta flag"));
        }
    }
    let choice = &body["additionalModelRequestFields"]["tool_choice"];
    if !choice["type"].is_null() && !body["toolConfig"]["toolChoice"].is_null() {
        return Err(invalid(
            "The additional field tool_choice conflicts with toolConfig.toolChoice",
        ));
    }
    prompt.tools_off = choice["type"] == "none";
    let thinking = &body["additionalModelRequestFields"]["thinking"];
    prompt.thinking = matches!(thinking["type"].as_str(), Some("enabled" | "adaptive"));
    if thinking["type"] == "enabled" {
        let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
        if budget < 1024 || prompt.max_tokens.is_some_and(|max| max <= budget) {
            return Err(invalid(
                "The model returned the following errors: `max_tokens` must be greater than `thinking.budget_tokens`, which is at least 1024.",
            ));
        }
        let forced = &body["toolConfig"]["toolChoice"];
        if !forced["any"].is_null() || !forced["tool"].is_null() {
            return Err(invalid(
                "The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use.",
            ));
        }
    }
    Ok(())
}
