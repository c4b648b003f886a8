//! A whole answer.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/CohereChatResponse>

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    dialect::{
        figures::Figures,
        oci::{
            is_error, name_of_call,
            reply::{bad, failed},
        },
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Choice, Extra, Finish, MAX_TOOL_CALLS, Part, Reason, Response, ToolCall},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(default)]
    model_id: Option<String>,
    #[serde(borrow, default)]
    chat_response: Option<Said<'a>>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// What was said, and a piece of a stream: the same object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said<'a> {
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<CallIn<'a>>>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
    #[serde(default)]
    pub(super) error_message: Option<String>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    /// Of an error.
    #[serde(borrow, default)]
    pub(super) code: Option<&'a RawValue>,
    /// Of an error.
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct CallIn<'a> {
    name: String,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
}

impl CallIn<'_> {
    pub(super) fn read(self, place: usize) -> ToolCall {
        let arguments = self.parameters.map_or("{}", RawValue::get).to_owned();
        ToolCall { id: name_of_call(place, &self.name, &arguments), name: self.name, arguments }
    }
}

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|why| bad(&why))?;
    let Some(said) = answer.chat_response else {
        return Err(match is_error(answer.code, answer.message) {
            true => failed(body),
            false => Malformed::at("chatResponse", "`chatResponse`: expected an object"),
        });
    };
    let calls = said.tool_calls.unwrap_or_default();
    if calls.len() > MAX_TOOL_CALLS {
        return Err(Malformed::new(format!("the answer has over {MAX_TOOL_CALLS} tool calls")));
    }
    let Some(finish) = finish_of(said.finish_reason.as_deref(), !calls.is_empty()) else {
        let why = said.error_message.unwrap_or_else(|| "the generation failed".to_owned());
        return Err(Malformed::new(format!("the upstream answered an error: {why}")));
    };
    let mut blocks: Vec<Block> = Vec::new();
    let text = said.text.unwrap_or_default();
    if !text.is_empty() || calls.is_empty() {
        blocks.push(Part::Text(text).into());
    }
    let calls = calls.into_iter().enumerate();
    blocks.extend(calls.map(|(place, call)| Block::from(Part::ToolCall(call.read(place)))));
    Ok(Response {
        upstream: Dialect::OciCohere,
        id: String::new(),
        model: answer.model_id.unwrap_or_default(),
        created: None,
        choices: vec![Choice { blocks, finish: Some(finish), ..Choice::default() }],
        usage: said.usage.map(|raw| Figures::whole(Dialect::OciCohere, raw.get(), None)),
        extra: Extra::new(),
    })
}

/// `None` for an answer that failed.
pub(super) fn finish_of(word: Option<&str>, called: bool) -> Option<Finish> {
    let reason = match word.unwrap_or("COMPLETE") {
        "ERROR" => return None,
        "ERROR_TOXIC" => Reason::ContentFilter,
        // The context was full.
        "ERROR_LIMIT" | "MAX_TOKENS" => Reason::Length,
        _ if called => Reason::ToolCalls,
        _ => Reason::Stop,
    };
    Some(Finish { reason, stop_sequence: None })
}
