//! The hub's messages in Anthropic's spelling: the system prompt apart, tool results in a user's
//! turn, and turns that alternate.

use bytes::BytesMut;

use super::block;
use crate::{
    dialect::{
        json::{self},
        sieve::Sieve,
        signature,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Block, Extra, Form, Message, Part, Request, Role, Source},
};

/// A conversation, about to be written.
pub(super) struct Turns<'a> {
    /// Whether the client spoke Anthropic too: then everything is spelled as it was.
    native: bool,
    pub(super) system: Vec<&'a Block>,
    system_form: Form,
    turns: Vec<Turn<'a>>,
}

struct Turn<'a> {
    role: &'static str,
    blocks: Vec<&'a Block>,
    form: Form,
    extra: Option<&'a Extra>,
    /// A prefix that the model is to go on from: no white space at its end, says Anthropic.
    prefix: bool,
}

pub(super) fn turns<'a>(ask: &'a Request, sieve: &mut Sieve<'_>) -> Result<Turns<'a>, CannotAsk> {
    let native = ask.surface == Dialect::Anthropic;
    let mut turns =
        Turns { native, system: Vec::new(), system_form: Form::Bare, turns: Vec::new() };
    for (index, message) in ask.messages.iter().enumerate() {
        if !native {
            check(index, message, sieve)?;
        }
        turns.add(message);
    }
    if turns.turns.is_empty() {
        sieve.refuse("messages", "anthropic wants at least one message of the user")?;
    }
    if let Some(last) = turns.turns.last_mut() {
        last.prefix = !native && last.role == "assistant";
    }
    Ok(turns)
}

impl<'a> Turns<'a> {
    fn add(&mut self, message: &'a Message) {
        let role = match message.role {
            Role::System | Role::Developer if self.turns.is_empty() || !self.native => {
                self.add_system(message);
                return;
            }
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        if self.native {
            self.turns.push(Turn {
                role,
                blocks: message.blocks.iter().collect(),
                form: message.form,
                extra: Some(&message.extra),
                prefix: false,
            });
            return;
        }
        let blocks = message.blocks.iter().filter(|block| is_written(&block.part));
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => {
                turn.blocks.extend(blocks);
                turn.form = Form::List;
            }
            Some(_) | None => {
                let blocks: Vec<_> = blocks.collect();
                if !blocks.is_empty() {
                    let form = message.form;
                    self.turns.push(Turn { role, blocks, form, extra: None, prefix: false });
                }
            }
        }
    }

    fn add_system(&mut self, message: &'a Message) {
        let first = self.system.is_empty();
        self.system_form = if first { message.form } else { Form::List };
        let native = self.native;
        self.system.extend(message.blocks.iter().filter(|block| native || is_written(&block.part)));
    }

    pub(super) fn write_system(&self, out: &mut BytesMut) {
        write_blocks(out, &self.system, self.system_form, self.native);
    }

    pub(super) fn write_messages(&self, out: &mut BytesMut) {
        json::list(out, |list| {
            for turn in &self.turns {
                list.object(|o| {
                    o.text("role", turn.role);
                    let trimmed = turn.prefix.then(|| trimmed(&turn.blocks)).flatten();
                    match trimmed {
                        Some(trimmed) => {
                            let mut blocks = turn.blocks.clone();
                            blocks.pop();
                            blocks.push(&trimmed);
                            write_blocks(o.key("content"), &blocks, turn.form, self.native);
                        }
                        None => {
                            write_blocks(o.key("content"), &turn.blocks, turn.form, self.native);
                        }
                    }
                    if let Some(extra) = turn.extra {
                        o.extra(extra);
                    }
                });
            }
        });
    }
}

/// The last block without the white space at its end, if it is text that has some.
fn trimmed(blocks: &[&Block]) -> Option<Block> {
    let last = blocks.last()?;
    let Part::Text(text) = &last.part else { return None };
    let short = text.trim_end();
    (short.len() < text.len() && !short.is_empty())
        .then(|| Block { part: Part::Text(short.to_owned()), ..(*last).clone() })
}

fn write_blocks(out: &mut BytesMut, blocks: &[&Block], form: Form, native: bool) {
    if let (Form::Bare, [Block { part: Part::Text(text), cache: None, .. }]) = (form, blocks) {
        json::string(out, text);
        return;
    }
    json::list(out, |list| {
        for block in blocks {
            block::write(list, block, native);
        }
    });
}

/// Whether a part of another dialect's message has a place here. Anthropic takes no empty text.
fn is_written(part: &Part) -> bool {
    match part {
        Part::Text(text) | Part::Refusal(text) => !text.trim().is_empty(),
        Part::Image { source, .. } => !matches!(source, Source::FileId(_) | Source::Text(_)),
        Part::File { source, .. } => match source {
            Source::Base64 { .. } | Source::Text(_) => true,
            Source::Url(url) => is_web(url),
            Source::FileId(_) => false,
        },
        Part::Thinking { signature, .. } => signature.as_deref().is_some_and(is_anthropics),
        Part::RedactedThinking(_) | Part::ToolCall(_) | Part::ToolResult(_) => true,
        Part::Other { dialect, .. } => *dialect == Dialect::Anthropic,
        Part::Audio { .. } | Part::OtherCall { .. } => false,
    }
}

/// A thought that Google signed is of no use to Anthropic, which would refuse it.
fn is_anthropics(signature: &str) -> bool {
    signature::of_google(signature).is_none()
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Refuses or names what Anthropic has no place for.
fn check(index: usize, message: &Message, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    for (name, _) in &message.extra {
        sieve.hint(&format!("messages[].{name}"));
    }
    for (place, block) in message.blocks.iter().enumerate() {
        check_block(block, &format!("messages[{index}].content[{place}]"), sieve)?;
    }
    Ok(())
}

fn check_block(block: &Block, at: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    for (name, _) in &block.extra {
        sieve.hint(&format!("messages[].content[].{name}"));
    }
    match &block.part {
        Part::Audio { .. } => sieve.refuse(at, "anthropic does not take audio")?,
        Part::Image { source: Source::FileId(_) | Source::Text(_), .. }
        | Part::File { source: Source::FileId(_), .. } => {
            sieve.refuse(at, "the file is not at this provider")?;
        }
        Part::Image { source: Source::Url(url), .. } if !is_web(url) => {
            sieve.refuse(at, "anthropic takes images in base64 or by web address")?;
        }
        Part::File { source: Source::Url(url), .. } if !is_web(url) => {
            sieve.refuse(at, "anthropic takes documents in base64 or by web address")?;
        }
        Part::Image { detail: Some(_), .. } => sieve.hint("messages[].content[].detail"),
        // A thought without a signature came from another provider; Anthropic would refuse it.
        Part::Thinking { signature: None, .. } => sieve.hint("messages[].reasoning_content"),
        Part::Thinking { signature: Some(signature), .. } if !is_anthropics(signature) => {
            sieve.hint("thinking");
        }
        Part::Other { dialect, .. } | Part::OtherCall { dialect, .. } => {
            let why = format!("only {} has this kind of content", dialect.name());
            sieve.refuse(at, &why)?;
        }
        Part::ToolCall(call) if json::object_of(&call.arguments).is_none() => {
            sieve.refuse(at, "the arguments of this tool call are not a JSON object")?;
        }
        Part::ToolResult(result) => {
            for (place, block) in result.blocks.iter().enumerate() {
                check_block(block, &format!("{at}.content[{place}]"), sieve)?;
            }
        }
        Part::Text(_) | Part::Image { .. } | Part::File { .. } | Part::Refusal(_) => {}
        Part::Thinking { .. } | Part::RedactedThinking(_) | Part::ToolCall(_) => {}
    }
    Ok(())
}
