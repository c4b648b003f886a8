//! The hub's messages as `instructions` and the items of `input`.

use bytes::BytesMut;

use super::{
    content::{self, Voice},
    item::{self, ITEM},
    thought,
    tool::{self, Kind},
};
use crate::{
    dialect::{
        json::{self, List, Object},
        sieve::Sieve,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Block, Extra, Form, Message, Part, Request, Role, Source, ToolCall, ToolResult},
};

/// The first message's text, where it is the system's: `instructions`.
pub(super) fn instructions(ask: &Request) -> Option<String> {
    let first = ask.messages.first().filter(|message| message.role == Role::System)?;
    if ask.surface == Dialect::Responses && first.form == Form::List {
        return None;
    }
    let texts: Option<Vec<&str>> = first.blocks.iter().map(text_of).collect();
    Some(texts?.join("\n\n"))
}

/// Writes `input`.
pub(super) fn write(
    ask: &Request,
    sieve: &mut Sieve<'_>,
    out: &mut BytesMut,
) -> Result<(), CannotAsk> {
    let own = ask.surface == Dialect::Responses;
    let apart = usize::from(instructions(ask).is_some());
    let rest = ask.messages.get(apart..).unwrap_or_default();
    if own
        && let [Message { role: Role::User, form: Form::Bare, blocks, extra }] = rest
        && extra.is_empty()
        && let [Block { part: Part::Text(text), .. }] = blocks.as_slice()
    {
        json::string(out, text);
        return Ok(());
    }
    let mut done = Ok(());
    json::list(out, |list| {
        let mut writer = Writer { own, sieve, list };
        done = (0..).zip(rest).try_for_each(|(index, message)| writer.message(message, index));
    });
    done
}

struct Writer<'w, 'l, 's> {
    /// Whether the client spoke this dialect too: then everything is spelled as it was.
    own: bool,
    sieve: &'w mut Sieve<'s>,
    list: &'w mut List<'l>,
}

impl Writer<'_, '_, '_> {
    fn message(&mut self, message: &Message, index: usize) -> Result<(), CannotAsk> {
        if !self.own {
            for (name, _) in &message.extra {
                self.sieve.hint(&format!("messages[].{name}"));
            }
            for (place, block) in message.blocks.iter().enumerate() {
                self.check(block, &format!("messages[{index}].content[{place}]"))?;
            }
        }
        match message.role {
            Role::Assistant => self.assistant(message),
            Role::System => self.client("system", message),
            Role::Developer => self.client("developer", message),
            Role::User | Role::Tool => self.client("user", message),
        }
        Ok(())
    }

    /// Refuses or names what has no place here.
    fn check(&mut self, block: &Block, at: &str) -> Result<(), CannotAsk> {
        if block.cache.is_some() {
            self.sieve.hint("cache_control");
        }
        for (name, _) in &block.extra {
            self.sieve.hint(&format!("messages[].content[].{name}"));
        }
        match &block.part {
            Part::Other { .. } | Part::OtherCall { .. } => {
                let why = "a provider that speaks responses has no such content";
                self.sieve.refuse(at, why)?;
            }
            Part::Image { source: Source::Text(_), .. } => {
                self.sieve.refuse(at, "a picture must be in place or at an address")?;
            }
            Part::Thinking { signature, .. } => {
                if signature.as_deref().and_then(thought::own).is_none() {
                    self.sieve.hint("thinking");
                }
            }
            Part::RedactedThinking(_) => self.sieve.hint("thinking"),
            Part::ToolResult(result) => {
                if result.is_error == Some(true) {
                    self.sieve.hint("is_error");
                }
                for (place, block) in result.blocks.iter().enumerate() {
                    self.check(block, &format!("{at}.content[{place}]"))?;
                }
            }
            Part::Text(_) | Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => {}
            Part::ToolCall(_) | Part::Refusal(_) => {}
        }
        Ok(())
    }

    /// A message of the client's: tool results are items of their own, before what else it says.
    fn client(&mut self, role: &str, message: &Message) {
        let mut said = Vec::new();
        for block in &message.blocks {
            match &block.part {
                Part::ToolResult(result) => self.result(result, block),
                Part::Other { dialect: Dialect::Responses, raw }
                    if message.blocks.len() == 1 && is_item(message) =>
                {
                    self.list.raw(raw.get());
                    return;
                }
                _ => said.push(block),
            }
        }
        if said.is_empty() && !message.blocks.is_empty() {
            return;
        }
        let own = self.own;
        self.list.object(|o| {
            if own {
                o.extra(&message.extra);
            }
            o.text("role", role);
            content(o, &said, message.form, Voice::Input, own);
        });
    }

    fn result(&mut self, result: &ToolResult, block: &Block) {
        let rest = if self.own { item::rest_of(block) } else { Extra::new() };
        let kind = item::kind_of(&rest).and_then(Kind::of_result);
        // A shell's or a patch's result stands there whole.
        if kind.is_some_and(|kind| kind != Kind::Custom) {
            return self.list.object(|o| o.extra(&rest));
        }
        let own = self.own;
        self.list.object(|o| {
            if item::kind_of(&rest).is_none() {
                o.text("type", "function_call_output");
            }
            o.extra(&rest);
            o.text("call_id", &result.id);
            let blocks: Vec<&Block> = result.blocks.iter().collect();
            let form = result.form.unwrap_or(Form::Bare);
            let texts: Option<Vec<&str>> = result.blocks.iter().map(text_of).collect();
            match texts {
                Some(texts) if form == Form::Bare || !own => {
                    o.text("output", &texts.join("\n\n"));
                }
                Some(_) | None => o.list("output", |list| {
                    for block in blocks {
                        content::write(list, block, Voice::Input, own);
                    }
                }),
            }
        });
    }

    /// What the model said, item by item. Texts that were one message are one again.
    fn assistant(&mut self, message: &Message) {
        let mut said: Vec<&Block> = Vec::new();
        for block in &message.blocks {
            let speech = is_speech(&block.part);
            if let Some(last) = said.last()
                && (!speech || (self.own && mark(last) != mark(block)))
            {
                self.said(&said, message.form);
                said.clear();
            }
            match &block.part {
                _ if speech => said.push(block),
                Part::Thinking { .. } | Part::RedactedThinking(_) => self.thought(block),
                Part::ToolCall(call) => self.call(call, block),
                Part::Other { dialect: Dialect::Responses, raw } => self.list.raw(raw.get()),
                _ => {}
            }
        }
        if !said.is_empty() {
            self.said(&said, message.form);
        }
    }

    fn said(&mut self, said: &[&Block], form: Form) {
        let own = self.own;
        let rest = said.first().map(|block| item::rest_of(block)).filter(|_| own);
        self.list.object(|o| {
            if let Some(rest) = &rest {
                o.extra(rest);
            }
            o.text("role", "assistant");
            content(o, said, form, Voice::Output, own);
        });
    }

    fn thought(&mut self, block: &Block) {
        let (text, encrypted) = match &block.part {
            Part::Thinking { text, signature } => {
                let signature = signature.as_deref();
                let encrypted = match self.own {
                    true => signature.map(thought::encrypted),
                    // Another provider's thought would be refused.
                    false => match signature.and_then(thought::own) {
                        Some(own) => Some(own.to_owned()),
                        None => return,
                    },
                };
                (text.as_str(), encrypted)
            }
            Part::RedactedThinking(data) if self.own => ("", Some(thought::redacted(data))),
            _ => return,
        };
        let rest = if self.own { item::rest_of(block) } else { Extra::new() };
        self.list.object(|o| reasoning(o, text, encrypted.as_deref(), &rest));
    }

    fn call(&mut self, call: &ToolCall, block: &Block) {
        let rest = if self.own { item::rest_of(block) } else { Extra::new() };
        let kind = item::kind_of(&rest).and_then(Kind::of_call);
        self.list.object(|o| write_call(o, call, kind, &rest));
    }
}

/// Writes the members of a thought's item.
pub(super) fn reasoning(o: &mut Object<'_>, text: &str, encrypted: Option<&str>, rest: &Extra) {
    o.text("type", "reasoning");
    if !rest.iter().any(|(name, _)| **name == *"summary") {
        o.list("summary", |list| {
            if !text.is_empty() {
                list.object(|o| {
                    o.text("type", "summary_text");
                    o.text("text", text);
                });
            }
        });
    }
    o.some_text("encrypted_content", encrypted);
    o.extra(rest);
}

/// Writes the members of a call's item. `rest` has its type, if it is no function's.
pub(super) fn write_call(o: &mut Object<'_>, call: &ToolCall, kind: Option<Kind>, rest: &Extra) {
    if item::kind_of(rest).is_none() {
        o.text("type", kind.map_or("function_call", Kind::call));
    }
    o.extra(rest);
    o.text("call_id", &call.id);
    match kind {
        None => {
            o.text("name", &call.name);
            o.text("arguments", &call.arguments);
        }
        Some(kind) => {
            if kind == Kind::Custom {
                o.text("name", &call.name);
            }
            tool::write_payload(o, kind, &call.arguments);
        }
    }
}

fn content(o: &mut Object<'_>, blocks: &[&Block], form: Form, voice: Voice, own: bool) {
    if let (Form::Bare, [Block { part: Part::Text(text), .. }]) = (form, blocks) {
        o.text("content", text);
        return;
    }
    o.list("content", |list| {
        for block in blocks {
            content::write(list, block, voice, own);
        }
    });
}

fn is_speech(part: &Part) -> bool {
    matches!(part, Part::Text(_) | Part::Refusal(_))
}

/// A hosted tool's result and the like: an item, not a part of a message.
fn is_item(message: &Message) -> bool {
    message.form == Form::List && message.extra.is_empty() && message.role == Role::User
}

pub(super) fn mark(block: &Block) -> Option<&str> {
    block.extra.iter().find(|(name, _)| **name == *ITEM).map(|(_, raw)| raw.get())
}

fn text_of(block: &Block) -> Option<&str> {
    if let Part::Text(text) = &block.part { Some(text) } else { None }
}
