//! A whole answer.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax>

use serde_json::value::RawValue;

use super::{
    citation,
    format::ANSWER_TOOL,
    picture::{self, PictureIn},
    usage::{self, Additional},
};
use crate::{
    dialect::{
        annotation::{self, Cited},
        fields::{At, Fields},
        json::compact,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Choice, Extra, Finish, MAX_BLOCKS, Part, Reason, Response, ToolCall},
};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let mut fields = Fields::of_body(body)?;
    let output_at = At::Field(&At::Body, "output");
    let output = fields.take("output").ok_or_else(|| output_at.wrong("an object"))?;
    let mut output = Fields::of(output, output_at)?;
    let at = At::Field(&output_at, "message");
    let mut message = Fields::of(output.take("message").ok_or_else(|| at.wrong("an object"))?, at)?;
    let content = At::Field(&at, "content");
    let mut answer = Answer::default();
    for (index, raw) in
        message.list("content", MAX_BLOCKS)?.unwrap_or_default().into_iter().enumerate()
    {
        answer.read(raw, At::Item(&content, index))?;
    }
    let additional = Additional::read(fields.take("additionalModelResponseFields"));
    let called = answer.called;
    let finish = fields.text("stopReason")?;
    let finish = finish.map(|word| finish_of(&word, called, additional.stop_sequence.clone()));
    let tier = fields.take("serviceTier");
    let usage = fields.take("usage").map(|raw| additional.add_to(usage::read(raw, tier)));
    Ok(Response {
        upstream: Dialect::Bedrock,
        id: String::new(),
        model: String::new(),
        created: None,
        usage,
        extra: fields.rest(),
        choices: vec![answer.choice(finish)],
    })
}

/// Which tools were called.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Called {
    /// The one whose arguments are the answer.
    pub(super) answer: bool,
    /// Others.
    pub(super) other: bool,
}

pub(super) fn finish_of(word: &str, called: Called, stop_sequence: Option<String>) -> Finish {
    let reason = match Reason::read(word) {
        // The client knows nothing of the tool.
        Reason::ToolCalls if called.answer && !called.other => Reason::Stop,
        reason => reason,
    };
    Finish { reason, stop_sequence: stop_sequence.filter(|_| word == "stop_sequence") }
}

#[derive(Default)]
struct Answer {
    blocks: Vec<Block>,
    called: Called,
    citations: Vec<Cited>,
    /// Characters of text so far.
    length: u64,
}

impl Answer {
    /// Reads a block.
    fn read(&mut self, raw: &RawValue, at: At<'_>) -> Result<(), Malformed> {
        let mut fields = Fields::of(raw, at)?;
        if let Some(text) = fields.text("text")? {
            self.text(text);
        } else if let Some(raw) = fields.take("toolUse") {
            self.call(Fields::of(raw, At::Field(&at, "toolUse"))?)?;
        } else if let Some(raw) = fields.take("reasoningContent") {
            let part = thought(Fields::of(raw, At::Field(&at, "reasoningContent"))?)?;
            self.blocks.extend(part.map(Block::from));
        } else if let Some(raw) = fields.take("image") {
            let at = At::Field(&at, "image");
            let format = Fields::of(raw, at)?.need_text("format")?;
            let whole: PictureIn =
                serde_json::from_str(raw.get()).map_err(|_| at.wrong("a picture"))?;
            self.blocks.extend(picture::parts(&format, whole).into_iter().map(Block::from));
        } else if let Some(raw) = fields.take("citationsContent") {
            self.cited(Fields::of(raw, At::Field(&at, "citationsContent"))?)?;
        } else {
            self.blocks.push(Part::Other { dialect: Dialect::Bedrock, raw: raw.to_owned() }.into());
        }
        Ok(())
    }

    fn text(&mut self, text: String) {
        self.length += text.chars().count() as u64;
        self.blocks.push(Part::Text(text).into());
    }

    fn call(&mut self, mut call: Fields<'_, '_>) -> Result<(), Malformed> {
        let name = call.need_text("name")?;
        let input = compact(call.take("input").map_or("{}", RawValue::get));
        if name == ANSWER_TOOL {
            self.called.answer = true;
            self.text(input);
        } else {
            self.called.other = true;
            let id = call.need_text("toolUseId")?;
            self.blocks.push(Part::ToolCall(ToolCall { id, name, arguments: input }).into());
        }
        Ok(())
    }

    /// Text, and where it is from.
    fn cited(&mut self, mut cited: Fields<'_, '_>) -> Result<(), Malformed> {
        let start = self.length;
        let up = cited.at();
        let at = At::Field(&up, "content");
        let mut text = String::new();
        for raw in cited.list("content", MAX_BLOCKS)?.unwrap_or_default() {
            text.push_str(&Fields::of(raw, at)?.text("text")?.unwrap_or_default());
        }
        self.text(text);
        for raw in cited.list("citations", MAX_BLOCKS)?.unwrap_or_default() {
            self.citations.extend(citation::read(raw, (start, self.length)));
        }
        Ok(())
    }

    fn choice(self, finish: Option<Finish>) -> Choice {
        let mut message_extra = Extra::new();
        if let Some(list) = annotation::list(&self.citations) {
            message_extra.push((annotation::NAME.into(), list));
        }
        Choice { blocks: self.blocks, finish, message_extra, extra: Extra::new() }
    }
}

fn thought(mut fields: Fields<'_, '_>) -> Result<Option<Part>, Malformed> {
    if let Some(data) = fields.text("redactedContent")? {
        return Ok(Some(Part::RedactedThinking(data)));
    }
    let up = fields.at();
    let Some(raw) = fields.take("reasoningText") else { return Ok(None) };
    let mut thought = Fields::of(raw, At::Field(&up, "reasoningText"))?;
    Ok(Some(Part::Thinking {
        text: thought.need_text("text")?,
        signature: thought.text("signature")?.filter(|signature| !signature.is_empty()),
    }))
}
