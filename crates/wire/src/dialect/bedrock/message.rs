//! The hub's messages in Bedrock's form: the system prompt apart, the user's and the model's turns
//! one after the other, tool results at the start of the user's.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    block::{Writer, guarded, is_in_result},
    family::Family,
    media,
};
use crate::{
    dialect::{
        json::object_of,
        json::{self, List},
        sieve::Sieve,
    },
    exchange::CannotAsk,
    op::chat::{Block, CacheMark, Message, Part, Request, Role},
};

/// A conversation, about to be written.
pub(super) struct Turns<'a> {
    system: Vec<&'a Block>,
    system_mark: Option<CacheMark>,
    turns: Vec<Turn<'a>>,
    /// A mark after everything, which Anthropic's clients set once for the whole request.
    pub(super) last_mark: Option<CacheMark>,
}

struct Turn<'a> {
    user: bool,
    results: Vec<&'a Block>,
    blocks: Vec<&'a Block>,
    mark: Option<CacheMark>,
}

/// Sorts the messages, and refuses or names what Bedrock has no place for.
pub(super) fn turns<'a>(
    ask: &'a Request,
    writer: &Writer,
    sieve: &mut Sieve<'_>,
) -> Result<Turns<'a>, CannotAsk> {
    let mut turns =
        Turns { system: Vec::new(), system_mark: None, turns: Vec::new(), last_mark: None };
    for (index, message) in ask.messages.iter().enumerate() {
        let mark = mark(message, writer.family, sieve);
        let system = matches!(message.role, Role::System | Role::Developer);
        for (place, block) in message.blocks.iter().enumerate() {
            let at = format!("messages[{index}].content[{place}]");
            check(block, &at, writer.family, sieve)?;
            let text = matches!(block.part, Part::Text(_) | Part::Refusal(_) | Part::Other { .. });
            if system && !text {
                sieve.refuse(&at, "bedrock's system prompt is text")?;
            } else if system && writer.is_written(&block.part) {
                turns.system.push(block);
            }
        }
        if system {
            turns.system_mark = mark.or(turns.system_mark);
        } else {
            turns.add(message, mark, writer);
        }
    }
    Ok(turns)
}

/// The cache mark that clients of LiteLLM's put beside a message's content; other members of a
/// message have no place.
fn mark(message: &Message, family: Family, sieve: &mut Sieve<'_>) -> Option<CacheMark> {
    let mut mark = None;
    for (name, raw) in &message.extra {
        let read = if **name == *"cache_control" { CacheMarkIn::read(raw) } else { None };
        match read {
            Some(read) => {
                check_mark(&read, family, sieve);
                mark = Some(read);
            }
            None => sieve.hint(&format!("messages[].{name}")),
        }
    }
    mark
}

/// `cache_control` in JSON.
#[derive(Deserialize)]
pub(super) struct CacheMarkIn {
    #[serde(default)]
    ttl: Option<String>,
}

impl CacheMarkIn {
    pub(super) fn read(raw: &RawValue) -> Option<CacheMark> {
        let CacheMarkIn { ttl } = serde_json::from_str(raw.get()).ok()?;
        Some(CacheMark { ttl })
    }
}

impl<'a> Turns<'a> {
    fn add(&mut self, message: &'a Message, mark: Option<CacheMark>, writer: &Writer) {
        let user = message.role != Role::Assistant;
        if self.turns.last().is_none_or(|turn| turn.user != user) {
            self.turns.push(Turn { user, results: Vec::new(), blocks: Vec::new(), mark: None });
        }
        let Some(turn) = self.turns.last_mut() else { return };
        for block in message.blocks.iter().filter(|block| writer.is_written(&block.part)) {
            match block.part {
                Part::ToolResult(_) => turn.results.push(block),
                _ => turn.blocks.push(block),
            }
        }
        turn.mark = mark.or(turn.mark.take());
        if turn.results.is_empty() && turn.blocks.is_empty() {
            self.turns.pop();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The names of tools that the conversation has called, each once.
    pub(super) fn called(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        for block in self.turns.iter().flat_map(|turn| &turn.blocks) {
            if let Part::ToolCall(call) = &block.part
                && !names.contains(&call.name.as_str())
            {
                names.push(&call.name);
            }
        }
        names
    }

    /// Whether the conversation has calls or results in it: then Bedrock wants to know the tools.
    pub(super) fn has_tools(&self) -> bool {
        let call = |block: &&Block| matches!(block.part, Part::ToolCall(_));
        self.turns.iter().any(|turn| !turn.results.is_empty() || turn.blocks.iter().any(call))
    }

    pub(super) fn has_system(&self) -> bool {
        !self.system.is_empty()
    }

    pub(super) fn write_system(&self, writer: &mut Writer, out: &mut BytesMut) {
        writer.forget_mark();
        json::list(out, |list| {
            self.system.iter().for_each(|block| writer.write(list, block));
            writer.write_mark(list, self.system_mark.as_ref());
        });
    }

    pub(super) fn write_messages(&self, writer: &mut Writer, out: &mut BytesMut) {
        json::list(out, |list| {
            let last = self.turns.len().saturating_sub(1);
            for (index, turn) in self.turns.iter().enumerate() {
                writer.forget_mark();
                list.object(|o| {
                    o.text("role", if turn.user { "user" } else { "assistant" });
                    o.list("content", |list| {
                        turn.write(writer, list, index == last);
                        let whole = self.last_mark.as_ref().filter(|_| index == last);
                        writer.write_mark(list, turn.mark.as_ref().or(whole));
                    });
                });
            }
        });
    }
}

impl Turn<'_> {
    fn write(&self, writer: &mut Writer, list: &mut List<'_>, last: bool) {
        for block in &self.results {
            writer.write(list, block);
        }
        let count = self.blocks.len();
        for (index, block) in self.blocks.iter().enumerate() {
            // A prefix that the model is to go on from: no white space at its end.
            match trimmed(block).filter(|_| last && !self.user && index + 1 == count) {
                Some(short) => writer.write(list, &short),
                None => writer.write(list, block),
            }
        }
    }
}

fn trimmed(block: &Block) -> Option<Block> {
    let Part::Text(text) = &block.part else { return None };
    let short = text.trim_end();
    (short.len() < text.len())
        .then(|| Block { part: Part::Text(short.to_owned()), ..block.clone() })
}

fn check(block: &Block, at: &str, family: Family, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let document = matches!(block.part, Part::File { .. });
    for (name, _) in &block.extra {
        if !(document && matches!(&**name, "citations" | "context")) {
            sieve.hint(&format!("messages[].content[].{name}"));
        }
    }
    if let Some(mark) = &block.cache {
        check_mark(mark, family, sieve);
    }
    match &block.part {
        Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => {
            if let Part::Image { detail: Some(_), .. } = block.part {
                sieve.hint("messages[].content[].detail");
            }
            if let Some(Err(why)) = media::of(&block.part) {
                sieve.refuse(at, why)?;
            }
        }
        // A thought without a signature came from another provider, which wants none back.
        Part::Thinking { signature, .. } if signature.is_none() || !family.is_claude() => {
            sieve.hint("messages[].reasoning_content");
        }
        Part::RedactedThinking(data) if !media::is_base64(data) => {
            sieve.hint("messages[].thinking_blocks");
        }
        Part::Other { .. } | Part::OtherCall { .. } if guarded(&block.part).is_none() => {
            sieve.refuse(at, "bedrock has no such kind of content")?;
        }
        Part::ToolCall(call) if object_of(&call.arguments).is_none() => {
            sieve.refuse(at, "the arguments of this tool call are not a JSON object")?;
        }
        Part::ToolResult(result) => {
            for (place, block) in result.blocks.iter().enumerate() {
                let at = format!("{at}.content[{place}]");
                if is_in_result(&block.part) {
                    check(block, &at, family, sieve)?;
                } else {
                    sieve.refuse(&at, "a tool's result is text, pictures, documents or video")?;
                }
            }
        }
        Part::Text(_) | Part::Refusal(_) | Part::Thinking { .. } => {}
        Part::RedactedThinking(_) | Part::ToolCall(_) => {}
        Part::Other { .. } | Part::OtherCall { .. } => {}
    }
    Ok(())
}

/// Names a cache mark that the model would not understand, whole or in part.
pub(super) fn check_mark(mark: &CacheMark, family: Family, sieve: &mut Sieve<'_>) {
    if !family.caches() {
        sieve.hint("cache_control");
    } else if mark.ttl.as_deref().is_some_and(|ttl| ttl != "5m") && !family.is_claude() {
        sieve.hint("cache_control.ttl");
    }
}
