//! The hub's messages in Oracle's spelling.

use std::borrow::Cow;

use bytes::BytesMut;

use super::check_block;
use crate::{
    dialect::{
        json::{self, List, Object},
        openai::url_of,
        sieve::Sieve,
    },
    exchange::CannotAsk,
    op::chat::{Block, Extra, Message, Part, Request, Role, Source, ToolCall, ToolResult},
};

pub(super) fn write_all(
    ask: &Request,
    sieve: &mut Sieve<'_>,
    out: &mut BytesMut,
) -> Result<(), CannotAsk> {
    let apart = ask.before_the_clients();
    let mut done = Ok(());
    json::list(out, |list| {
        done = ask.messages.iter().enumerate().try_for_each(|(index, message)| {
            check(message, index.saturating_sub(apart), sieve)?;
            write(list, message);
            Ok(())
        });
    });
    done
}

/// Refuses or names what Oracle has no place for.
fn check(message: &Message, index: usize, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let named = matches!(message.role, Role::System | Role::Developer | Role::User);
    for (name, _) in message.extra.iter().filter(|(name, _)| !(named && **name == *"name")) {
        sieve.hint(&format!("messages[].{name}"));
    }
    for (place, block) in message.blocks.iter().enumerate() {
        let at = format!("messages[{index}].content[{place}]");
        check_part(block, &at, sieve)?;
        let Part::ToolResult(result) = &block.part else { continue };
        if result.is_error == Some(true) {
            sieve.hint("is_error");
        }
        for (place, block) in result.blocks.iter().enumerate() {
            let at = format!("{at}.content[{place}]");
            if text_of(block).is_none() {
                sieve.refuse(&at, "oci takes what a tool returns as text only")?;
            }
            check_part(block, &at, sieve)?;
        }
    }
    Ok(())
}

fn check_part(block: &Block, at: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    check_block(block, at, sieve)?;
    match &block.part {
        Part::Image { source, .. } if url_of(source).is_none() => {
            sieve.refuse(at, "oci takes images in place or by address")?;
        }
        Part::File { source: Source::FileId(_), .. } => {
            sieve.refuse(at, "oci takes documents in place or by address")?;
        }
        Part::File { source: Source::Base64 { .. } | Source::Url(_), name: Some(_) } => {
            sieve.hint("messages[].content[].filename");
        }
        // Only its own provider can check or read a signed thought.
        Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking(_) => {
            sieve.hint("thinking");
        }
        Part::Text(_) | Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => {}
        Part::Other { .. } | Part::OtherCall { .. } => {}
        Part::Thinking { .. } | Part::ToolCall(_) | Part::ToolResult(_) | Part::Refusal(_) => {}
    }
    Ok(())
}

fn write(list: &mut List<'_>, message: &Message) {
    for block in &message.blocks {
        if let Part::ToolResult(result) = &block.part {
            list.object(|o| tool(o, result));
        }
    }
    let said: Vec<&Block> =
        message.blocks.iter().filter(|b| !matches!(b.part, Part::ToolResult(_))).collect();
    if message.role == Role::Tool || (said.is_empty() && !message.blocks.is_empty()) {
        return;
    }
    list.object(|o| {
        o.text(
            "role",
            match message.role {
                // Models differ in whether they know a developer; all know a system.
                Role::System | Role::Developer => "SYSTEM",
                Role::User | Role::Tool => "USER",
                Role::Assistant => "ASSISTANT",
            },
        );
        if message.role == Role::Assistant {
            assistant(o, &said);
            return;
        }
        o.list("content", |list| said.iter().for_each(|block| part(list, block)));
        name(o, &message.extra);
    });
}

fn name(o: &mut Object<'_>, extra: &Extra) {
    if let Some((name, raw)) = extra.iter().find(|(name, _)| **name == *"name") {
        o.raw(name, raw.get());
    }
}

fn tool(o: &mut Object<'_>, result: &ToolResult) {
    o.text("role", "TOOL");
    o.text("toolCallId", &result.id);
    o.list("content", |list| {
        result.blocks.iter().filter_map(text_of).for_each(|text| say(list, &text));
    });
}

fn assistant(o: &mut Object<'_>, said: &[&Block]) {
    let is_shown = |block: &&&Block| {
        matches!(
            block.part,
            Part::Text(_) | Part::Image { .. } | Part::Audio { .. } | Part::File { .. }
        )
    };
    if said.iter().any(|block| is_shown(&block)) {
        o.list("content", |list| {
            said.iter().filter(is_shown).for_each(|block| part(list, block));
        });
    }
    let mut thoughts = String::new();
    for block in said {
        if let Part::Thinking { text, signature: None } = &block.part {
            thoughts.push_str(text);
        }
    }
    if !thoughts.is_empty() {
        o.text("reasoningContent", &thoughts);
    }
    if let Some(refusal) = said.iter().find_map(|block| match &block.part {
        Part::Refusal(text) => Some(text),
        _ => None,
    }) {
        o.text("refusal", refusal);
    }
    let calls: Vec<&ToolCall> = said.iter().filter_map(|block| call_of(block)).collect();
    if !calls.is_empty() {
        o.list("toolCalls", |list| {
            for call in calls {
                list.object(|o| {
                    o.text("id", &call.id);
                    o.text("type", "FUNCTION");
                    o.text("name", &call.name);
                    o.text("arguments", &call.arguments);
                });
            }
        });
    }
}

fn call_of(block: &Block) -> Option<&ToolCall> {
    if let Part::ToolCall(call) = &block.part { Some(call) } else { None }
}

/// `{"type": "TEXT", "text": "…"}`
pub(super) fn say(list: &mut List<'_>, text: &str) {
    list.object(|o| {
        o.text("type", "TEXT");
        o.text("text", text);
    });
}

fn text_of(block: &Block) -> Option<Cow<'_, str>> {
    match &block.part {
        Part::Text(text) | Part::Refusal(text) => Some(text.into()),
        Part::File { source: Source::Text(text), name: None } => Some(text.into()),
        Part::File { source: Source::Text(text), name: Some(name) } => {
            Some(format!("{name}\n\n{text}").into())
        }
        _ => None,
    }
}

fn part(list: &mut List<'_>, block: &Block) {
    if let Some(text) = text_of(block) {
        return say(list, &text);
    }
    let (kind, member, url, detail) = match &block.part {
        Part::Image { source, detail } => ("IMAGE", "imageUrl", url_of(source), detail.as_deref()),
        Part::Audio { data, format } => {
            let format = if format == "mp3" { "mpeg" } else { format };
            ("AUDIO", "audioUrl", Some(format!("data:audio/{format};base64,{data}")), None)
        }
        Part::File { source, .. } => ("DOCUMENT", "documentUrl", url_of(source), None),
        // Elsewhere in the message, or refused before.
        _ => return,
    };
    let Some(url) = url else { return };
    list.object(|o| {
        o.text("type", kind);
        o.object(member, |o| {
            o.text("url", &url);
            o.some_text("detail", detail.map(str::to_ascii_uppercase).as_deref());
        });
    });
}
