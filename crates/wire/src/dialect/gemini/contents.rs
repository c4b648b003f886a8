//! The conversation: Google's `systemInstruction` and `contents`, both ways.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{
    part::{self, Ids, Spelling},
    thinking::Family,
};
use crate::{
    dialect::{
        fields::{At, Fields, list},
        json::{self, List},
        sieve::Sieve,
        signature,
    },
    exchange::{CannotAsk, Malformed},
    matrix::Dialect,
    op::chat::{
        Block, Extra, Form, MAX_BLOCKS, MAX_MESSAGES, Message, Part, Request, Role, Source,
        ToolResult,
    },
};

/// Google's word for a call that another model made: its third generation wants each signed.
/// <https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>
const UNSIGNED: &str = "skip_thought_signature_validator";

/// `systemInstruction` is the first message of the hub.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Vec<Message>, Malformed> {
    let mut ids = Ids::of_request();
    let mut messages = Vec::new();
    if let Some(raw) = fields.take("systemInstruction") {
        let at = At::Field(&At::Body, "systemInstruction");
        let (_, blocks) = content(raw, at, &mut ids)?;
        messages.push(message(Role::System, blocks));
    }
    let at = At::Field(&At::Body, "contents");
    let Some(raw) = fields.take("contents") else { return Err(at.wrong("a list of contents")) };
    for (index, raw) in one_or_many(raw, &at, MAX_MESSAGES)?.into_iter().enumerate() {
        let (role, blocks) = content(raw, At::Item(&at, index), &mut ids)?;
        messages.push(message(role, blocks));
    }
    Ok(messages)
}

fn message(role: Role, blocks: Vec<Block>) -> Message {
    Message { role, blocks, form: Form::List, extra: Extra::new() }
}

fn content(raw: &RawValue, at: At<'_>, ids: &mut Ids) -> Result<(Role, Vec<Block>), Malformed> {
    let mut content = Fields::of(raw, at)?.camel()?;
    let role = match content.text("role")?.as_deref() {
        None | Some("" | "user" | "function" | "tool" | "system") => Role::User,
        Some("model") => Role::Assistant,
        Some(_) => return Err(content.wrong("role", "`user` or `model`")),
    };
    let parts_at = At::Field(&at, "parts");
    let parts = match content.take("parts") {
        Some(raw) => one_or_many(raw, &parts_at, MAX_BLOCKS)?,
        None => Vec::new(),
    };
    if !content.is_empty() {
        return Err(at.wrong("`role` and `parts` and nothing else"));
    }
    let parts = parts.into_iter().enumerate();
    let blocks = parts.map(|(index, raw)| part::read(raw, At::Item(&parts_at, index), ids));
    Ok((role, blocks.collect::<Result<_, _>>()?))
}

/// Google takes one item for a list of one.
fn one_or_many<'a>(
    raw: &'a RawValue,
    at: &At<'_>,
    most: usize,
) -> Result<Vec<&'a RawValue>, Malformed> {
    if raw.get().starts_with('{') { Ok(vec![raw]) } else { list(raw, at, most) }
}

/// A conversation, about to be written.
pub(super) struct Turns {
    pub(super) system: Vec<Bytes>,
    turns: Vec<Turn>,
}

struct Turn {
    role: &'static str,
    /// Results come first: Google matches them with the calls of the turn before.
    results: Vec<Bytes>,
    parts: Vec<Bytes>,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    pub(super) fn write(&self, out: &mut BytesMut) {
        json::list(out, |list| {
            for turn in &self.turns {
                list.object(|o| {
                    o.text("role", turn.role);
                    o.list("parts", |list| write_all(list, turn.results.iter().chain(&turn.parts)));
                });
            }
        });
    }

    /// The turn of this role that goes on, or a new one. Google wants them to alternate.
    fn turn(&mut self, role: &'static str, native: bool) -> &mut Turn {
        if native || self.turns.last().is_none_or(|turn| turn.role != role) {
            self.turns.push(Turn { role, results: Vec::new(), parts: Vec::new() });
        }
        let last = self.turns.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "there is one: it was pushed above")]
        &mut self.turns[last]
    }
}

pub(super) fn write_all<'a>(list: &mut List<'_>, parts: impl Iterator<Item = &'a Bytes>) {
    for part in parts {
        list.item().put_slice(part);
    }
}

pub(super) fn turns(
    ask: &Request,
    family: Family,
    sieve: &mut Sieve<'_>,
) -> Result<Turns, CannotAsk> {
    let native = ask.surface == Dialect::Gemini;
    let mut names = BTreeMap::new();
    for block in ask.messages.iter().flat_map(|message| &message.blocks) {
        if let Part::ToolCall(call) = &block.part {
            names.insert(call.id.as_str(), call.name.as_str());
        }
    }
    let mut writer = Writer {
        native,
        family,
        names,
        sieve,
        done: Turns { system: Vec::new(), turns: Vec::new() },
    };
    // Another dialect's system prompt is the hub's first message and none of the client's.
    let first = ask.messages.first().map(|message| message.role);
    let apart = usize::from(ask.surface == Dialect::Anthropic && first == Some(Role::System));
    for (index, message) in ask.messages.iter().enumerate() {
        let at = format!("messages[{}]", index.saturating_sub(apart));
        writer.message(message, &at)?;
    }
    if writer.done.is_empty() {
        writer.sieve.refuse("messages", "gemini wants at least one message of the user")?;
    }
    Ok(writer.done)
}

struct Writer<'a, 's, 't> {
    /// Whether the client spoke Google's dialect too: then everything is spelled as it was.
    native: bool,
    family: Family,
    /// Names of the calls by their ids: a result has to say its call's name.
    names: BTreeMap<&'a str, &'a str>,
    sieve: &'t mut Sieve<'s>,
    done: Turns,
}

impl Writer<'_, '_, '_> {
    fn message(&mut self, message: &Message, at: &str) -> Result<(), CannotAsk> {
        if !self.native {
            for (name, _) in &message.extra {
                if !matches!(&**name, signature::EXTRA_CONTENT | "name") {
                    self.sieve.hint(&format!("messages[].{name}"));
                }
            }
            for (place, block) in message.blocks.iter().enumerate() {
                self.check(block, &format!("{at}.content[{place}]"))?;
            }
        }
        match message.role {
            Role::System | Role::Developer => self.system(message, at)?,
            Role::User | Role::Tool => self.user(message),
            Role::Assistant => self.assistant(message),
        }
        Ok(())
    }

    fn system(&mut self, message: &Message, at: &str) -> Result<(), CannotAsk> {
        for (place, block) in message.blocks.iter().enumerate() {
            if !self.native && !part::is_text(block) {
                let at = format!("{at}.content[{place}]");
                self.sieve.refuse(&at, "gemini's system instruction is text")?;
                continue;
            }
            let part = self.part(block, None);
            self.done.system.extend(part);
        }
        Ok(())
    }

    fn user(&mut self, message: &Message) {
        let (mut results, mut parts) = (Vec::new(), Vec::new());
        for block in &message.blocks {
            let Part::ToolResult(result) = &block.part else {
                parts.extend(self.part(block, None));
                continue;
            };
            let written = part::write_result(result, &self.name(result, message), self.native);
            if self.native {
                parts.push(written);
                continue;
            }
            results.push(written);
            let shown = result.blocks.iter().filter(|block| !part::is_text(block));
            parts.extend(shown.filter_map(|block| self.part(block, None)));
        }
        if self.native || !results.is_empty() || !parts.is_empty() {
            let turn = self.done.turn("user", self.native);
            turn.results.extend(results);
            turn.parts.extend(parts);
        }
    }

    /// The name of the function that a result is of: its call's, or what OpenAI's clients say
    /// beside it.
    fn name(&self, result: &ToolResult, message: &Message) -> String {
        if let Some(name) = self.names.get(result.id.as_str()) {
            return (*name).to_owned();
        }
        let said = message.extra.iter().find(|(name, _)| **name == *"name");
        let said = said.and_then(|(_, raw)| serde_json::from_str::<String>(raw.get()).ok());
        said.unwrap_or_else(|| part::name_in(&result.id).unwrap_or(&result.id).to_owned())
    }

    fn assistant(&mut self, message: &Message) {
        let mut parts = Vec::new();
        // A signature of Google's that goes with the next part.
        let mut ahead: Option<&str> = None;
        let mut called = false;
        let of_message = signature::in_extra(&message.extra);
        let last_text = message.blocks.iter().rposition(part::is_text);
        for (index, block) in message.blocks.iter().enumerate() {
            if let Part::Thinking { text, signature } = &block.part
                && !self.native
            {
                let google = signature.as_deref().and_then(signature::of_google);
                if text.is_empty() {
                    ahead = google.or(ahead);
                } else if google.is_some() {
                    parts.extend(self.part(block, None));
                }
                continue;
            }
            let call = matches!(block.part, Part::ToolCall(_));
            let mut signed = ahead.take();
            if call && !called && !self.native && self.family.is_third() {
                signed = signed.or(Some(UNSIGNED));
            }
            if Some(index) == last_text {
                signed = signed.or(of_message.as_deref());
            }
            called |= call;
            parts.extend(self.part(block, signed));
        }
        if self.native || !parts.is_empty() {
            self.done.turn("model", self.native).parts.extend(parts);
        }
    }

    fn part(&self, block: &Block, signature: Option<&str>) -> Option<Bytes> {
        let native = self.native;
        let empty =
            matches!(&block.part, Part::Text(text) | Part::Refusal(text) if text.is_empty());
        if empty && !native && signature.is_none() {
            return None;
        }
        let resolution = match &block.part {
            Part::Image { detail: Some(detail), .. } if self.family.is_third() => {
                match detail.as_str() {
                    "low" => Some("MEDIA_RESOLUTION_LOW"),
                    "high" => Some("MEDIA_RESOLUTION_HIGH"),
                    _ => None,
                }
            }
            _ => None,
        };
        part::write(block, Spelling { native, client: false, signature, resolution })
    }

    /// Refuses or names what Google has no place for.
    fn check(&mut self, block: &Block, at: &str) -> Result<(), CannotAsk> {
        if block.cache.is_some() {
            self.sieve.hint("cache_control");
        }
        for (name, value) in &block.extra {
            if **name == *"citations" && crate::dialect::openai::cites(value) {
                self.sieve.refuse(&format!("{at}.citations"), "gemini does not cite documents")?;
            }
            if **name != *signature::EXTRA_CONTENT {
                self.sieve.hint(&format!("messages[].content[].{name}"));
            }
        }
        match &block.part {
            // Only its own provider can check or read a signed thought, and one that is not signed
            // is of no use to Google.
            Part::Thinking { signature, .. } => {
                if signature.as_deref().and_then(signature::of_google).is_none() {
                    self.sieve.hint("thinking");
                }
            }
            Part::RedactedThinking(_) => self.sieve.hint("thinking"),
            Part::Image { source, .. } | Part::File { source, .. } => match source {
                Source::FileId(id) if !part::is_at_google(id) => {
                    self.sieve.refuse(at, "the file is not at this provider")?;
                }
                Source::Text(_) if matches!(block.part, Part::Image { .. }) => {
                    self.sieve.refuse(at, "gemini takes images in place or by address")?;
                }
                _ => {
                    let detail = matches!(&block.part, Part::Image { detail: Some(_), .. });
                    if detail && !self.family.is_third() {
                        self.sieve.hint("messages[].content[].detail");
                    }
                }
            },
            Part::Other { dialect, .. } | Part::OtherCall { dialect, .. } => {
                let why = format!("only {} has this kind of content", dialect.name());
                self.sieve.refuse(at, &why)?;
            }
            Part::ToolCall(call) if json::object_of(&call.arguments).is_none() => {
                let why = "the arguments of this tool call are not a JSON object";
                self.sieve.refuse(at, why)?;
            }
            Part::ToolResult(result) => {
                for (place, block) in result.blocks.iter().enumerate() {
                    self.check(block, &format!("{at}.content[{place}]"))?;
                }
            }
            Part::Text(_) | Part::Audio { .. } | Part::ToolCall(_) | Part::Refusal(_) => {}
        }
        Ok(())
    }
}
