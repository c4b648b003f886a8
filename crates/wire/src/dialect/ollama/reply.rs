//! A whole answer, and a line of a stream: the same object.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    dialect::{fault_inside, figures::Figures},
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{
        Block, Choice, Extra, Finish, MAX_TOOL_CALLS, Part, Raw, Reason, Response, ToolCall,
    },
};

#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(default)]
    pub(super) created_at: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(borrow, default)]
    pub(super) message: Option<MessageIn<'a>>,
    #[serde(default)]
    pub(super) done: bool,
    #[serde(default)]
    pub(super) done_reason: Option<String>,
    /// What OpenAI has as `logprobs.content`.
    #[serde(borrow, default)]
    pub(super) logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct MessageIn<'a> {
    #[serde(default)]
    pub(super) content: Option<String>,
    #[serde(default)]
    pub(super) thinking: Option<String>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<CallIn<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct CallIn<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow)]
    function: FunctionIn<'a>,
}

#[derive(Deserialize)]
struct FunctionIn<'a> {
    name: String,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl Line<'_> {
    /// Ollama names no answer: the time of its making does, to the nanosecond.
    pub(super) fn id(&self) -> String {
        let time = self.created_at.as_deref().unwrap_or_default();
        let digits: String = time.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        format!("ollama-{digits}")
    }

    /// `logprobs` as OpenAI has it.
    pub(super) fn logprobs(&self) -> Option<Raw> {
        let list = self.logprobs?.get();
        RawValue::from_string(format!(r#"{{"content":{list}}}"#)).ok()
    }
}

impl CallIn<'_> {
    /// The call; older versions give it no id.
    pub(super) fn read(self, answer: &str, index: usize) -> ToolCall {
        ToolCall {
            id: match self.id.filter(|id| !id.is_empty()) {
                Some(id) => id,
                None => format!("call_{answer}_{index}"),
            },
            name: self.function.name,
            arguments: match self.function.arguments {
                Some(raw) => raw.get().to_owned(),
                None => "{}".to_owned(),
            },
        }
    }
}

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let line: Line<'_> = serde_json::from_slice(body)
        .map_err(|why| Malformed::new(format!("the answer is not what ollama sends: {why}")))?;
    if line.error.is_some() {
        let fault = fault_inside(body);
        return Err(Malformed::new(format!("the upstream answered an error: {}", fault.message)));
    }
    let (id, logprobs) = (line.id(), line.logprobs());
    let Some(message) = line.message else {
        return Err(Malformed::at("message", "`message`: expected an object"));
    };
    let mut blocks: Vec<Block> = Vec::new();
    if let Some(text) = message.thinking.filter(|text| !text.is_empty()) {
        blocks.push(Part::Thinking { text, signature: None }.into());
    }
    let text = message.content.unwrap_or_default();
    let calls = message.tool_calls.unwrap_or_default();
    if calls.len() > MAX_TOOL_CALLS {
        return Err(Malformed::new(format!("the answer has over {MAX_TOOL_CALLS} tool calls")));
    }
    if !text.is_empty() || calls.is_empty() {
        blocks.push(Part::Text(text).into());
    }
    let called = !calls.is_empty();
    for (index, call) in calls.into_iter().enumerate() {
        blocks.push(Part::ToolCall(call.read(&id, index)).into());
    }
    let mut extra = Extra::new();
    extra.extend(logprobs.map(|raw| ("logprobs".into(), raw)));
    Ok(Response {
        upstream: Dialect::Ollama,
        id,
        model: line.model.unwrap_or_default(),
        created: None,
        choices: vec![Choice {
            blocks,
            finish: Some(finish_of(line.done_reason.as_deref(), called)),
            message_extra: Extra::new(),
            extra,
        }],
        usage: std::str::from_utf8(body)
            .ok()
            .map(|json| Figures::whole(Dialect::Ollama, json, None)),
        extra: Extra::new(),
    })
}

/// Ollama says `stop` for a call of a tool, too.
pub(super) fn finish_of(word: Option<&str>, called: bool) -> Finish {
    let reason = match Reason::read(word.unwrap_or("stop")) {
        Reason::Stop if called => Reason::ToolCalls,
        reason => reason,
    };
    Finish { reason, stop_sequence: None }
}
