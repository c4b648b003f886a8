//! A whole answer, both ways.

use bytes::{Bytes, BytesMut};

use super::{block, citation, usage};
use crate::{
    dialect::{
        annotation,
        fields::{At, Fields},
        figures::Figures,
        json, signature,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Choice, Extra, Finish, MAX_BLOCKS, Part, Reason, Response},
};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let mut fields = Fields::of_body(body)?;
    if fields.text("type")?.is_some_and(|kind| kind == "error") {
        let fault = crate::dialect::fault_inside(body);
        return Err(Malformed::new(format!("the upstream answered an error: {}", fault.message)));
    }
    let at = At::Field(&At::Body, "content");
    let blocks: Vec<Block> = fields
        .list("content", MAX_BLOCKS)?
        .ok_or_else(|| at.wrong("a list of blocks"))?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| block::read(raw, At::Item(&at, index)))
        .collect::<Result<_, _>>()?;
    fields.take("role");
    let stop_sequence = fields.text("stop_sequence")?;
    let finish = fields.text("stop_reason")?.map(|word| finish_of(&word, stop_sequence));
    Ok(Response {
        upstream: Dialect::Anthropic,
        id: fields.text("id")?.unwrap_or_default(),
        model: fields.text("model")?.unwrap_or_default(),
        created: None,
        usage: fields.take("usage").map(|raw| Figures::whole(Dialect::Anthropic, raw.get(), None)),
        extra: fields.rest(),
        choices: vec![Choice {
            message_extra: citation::annotations(&blocks),
            blocks,
            finish,
            extra: Extra::new(),
        }],
    })
}

pub(super) fn finish_of(word: &str, stop_sequence: Option<String>) -> Finish {
    Finish { reason: Reason::read(word), stop_sequence }
}

/// Anthropic's word. OpenAI says `stop` for a call of a tool that the client chose, and where the
/// model refused in words.
pub(super) fn stop_reason(finish: &Finish, called: bool, refused: bool) -> &'static str {
    match finish.reason {
        _ if finish.stop_sequence.is_some() => "stop_sequence",
        Reason::Stop if called => "tool_use",
        Reason::Stop if refused => "refusal",
        Reason::Stop => "end_turn",
        Reason::Length => "max_tokens",
        Reason::ToolCalls => "tool_use",
        Reason::ContentFilter => "refusal",
    }
}

/// Anthropic has one answer: the first.
pub(super) fn write(reply: &Response) -> Bytes {
    let native = reply.upstream == Dialect::Anthropic;
    let choice = reply.choices.first();
    let blocks = choice.map(|choice| choice.blocks.as_slice()).unwrap_or_default();
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.text("id", &reply.id);
        o.text("type", "message");
        o.text("role", "assistant");
        o.text("model", &reply.model);
        let cited = choice.filter(|_| !native).map(|choice| annotation::of(&choice.message_extra));
        let blocks = citation::cited(blocks, cited.unwrap_or_default());
        o.list("content", |list| {
            for block in blocks.iter().filter(|block| native || !is_empty(block)) {
                if let Some(signature) = signature::in_extra(&block.extra)
                    && matches!(block.part, Part::ToolCall(_))
                {
                    let signature = Some(signature::marked(&signature));
                    let signed = Part::Thinking { text: String::new(), signature };
                    block::write(list, &signed.into(), native);
                }
                // A text that cites was made for Anthropic's clients.
                let cites = block.extra.iter().any(|(name, _)| **name == *citation::NAME);
                block::write(list, block, native || cites);
            }
        });
        let called = blocks.iter().any(|block| matches!(block.part, Part::ToolCall(_)));
        let refused = blocks.iter().any(|block| matches!(block.part, Part::Refusal(_)));
        match finish {
            Some(finish) => o.text("stop_reason", stop_reason(finish, called, refused)),
            None => o.null("stop_reason"),
        }
        match finish.and_then(|finish| finish.stop_sequence.as_deref()) {
            Some(text) => o.text("stop_sequence", text),
            None => o.null("stop_sequence"),
        }
        o.object("usage", |o| usage::write_whole(o, &reply.usage.unwrap_or_default()));
        if native {
            o.extra(&reply.extra);
        }
    });
    out.freeze()
}

/// OpenAI's providers send an empty text beside tool calls.
fn is_empty(block: &Block) -> bool {
    matches!(&block.part, Part::Text(text) if text.is_empty())
}
