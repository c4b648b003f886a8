//! The hub's messages in Cohere's spelling.
//!
//! What a model says before it calls tools is its `tool_plan` here, and the text of the same
//! message elsewhere.

use bytes::BytesMut;

use crate::{
    dialect::{
        json::{self, List, Object},
        openai::url_of,
        sieve::Sieve,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Block, Form, Message, Part, Request, Role, Source, ToolCall, ToolResult},
};

pub(super) fn write_all(
    ask: &Request,
    sieve: &mut Sieve<'_>,
    out: &mut BytesMut,
) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Cohere;
    let apart = ask.before_the_clients();
    let mut done = Ok(());
    json::list(out, |list| {
        done = ask.messages.iter().enumerate().try_for_each(|(index, message)| {
            check(message, index.saturating_sub(apart), native, sieve)?;
            write(list, message, native);
            Ok(())
        });
    });
    done
}

/// Refuses or names what Cohere has no place for.
fn check(
    message: &Message,
    index: usize,
    native: bool,
    sieve: &mut Sieve<'_>,
) -> Result<(), CannotAsk> {
    if !native {
        for (name, _) in &message.extra {
            sieve.hint(&format!("messages[].{name}"));
        }
    }
    for (place, block) in message.blocks.iter().enumerate() {
        let at = format!("messages[{index}].content[{place}]");
        let place_of = Place { native, users: message.role == Role::User };
        check_block(block, &at, place_of, sieve)?;
        if let Part::ToolResult(result) = &block.part {
            if result.is_error == Some(true) {
                sieve.hint("is_error");
            }
            for (place, block) in result.blocks.iter().enumerate() {
                let place_of = Place { native, users: false };
                check_block(block, &format!("{at}.content[{place}]"), place_of, sieve)?;
            }
        }
    }
    Ok(())
}

/// Whose a block is.
#[derive(Clone, Copy)]
struct Place {
    /// Whether the client spoke Cohere too: then everything is spelled as it was.
    native: bool,
    /// Whether it stands in a user's message.
    users: bool,
}

fn check_block(
    block: &Block,
    at: &str,
    Place { native, users }: Place,
    sieve: &mut Sieve<'_>,
) -> Result<(), CannotAsk> {
    if block.cache.is_some() {
        sieve.hint("cache_control");
    }
    for (name, value) in block.extra.iter().filter(|_| !native) {
        if **name == *"citations" && value.get().contains("true") {
            let why = "cohere cites what comes in `documents`";
            sieve.refuse(&format!("{at}.citations"), why)?;
            continue;
        }
        sieve.hint(&format!("messages[].content[].{name}"));
    }
    match &block.part {
        Part::Image { source, .. } if url_of(source).is_none() => {
            sieve.refuse(at, "cohere takes images in place or by address")?;
        }
        Part::Image { .. } if !users => {
            sieve.refuse(at, "cohere takes images in a user's message only")?;
        }
        Part::Audio { .. } => sieve.refuse(at, "cohere does not take audio")?,
        Part::File {
            source: Source::Base64 { .. } | Source::Url(_) | Source::FileId(_), ..
        } => {
            sieve.refuse(at, "cohere takes documents as text only")?;
        }
        // Only its own provider can check or read a signed thought.
        Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking(_) => {
            sieve.hint("thinking");
        }
        Part::Other { dialect: Dialect::Cohere, .. } => {}
        Part::Other { dialect, .. } | Part::OtherCall { dialect, .. } => {
            let why = format!("only {} has this kind of content", dialect.name());
            sieve.refuse(at, &why)?;
        }
        Part::Text(_) | Part::Image { .. } | Part::File { .. } | Part::Refusal(_) => {}
        Part::Thinking { .. } | Part::ToolCall(_) | Part::ToolResult(_) => {}
    }
    Ok(())
}

fn write(list: &mut List<'_>, message: &Message, native: bool) {
    match message.role {
        Role::System | Role::Developer => list.object(|o| {
            o.text("role", "system");
            content(o, &message.blocks.iter().collect::<Vec<_>>(), message.form, native);
        }),
        Role::User | Role::Tool => user(list, message, native),
        Role::Assistant => list.object(|o| assistant(o, message, native)),
    }
}

/// Tool results become messages of their own; what else the user said follows.
fn user(list: &mut List<'_>, message: &Message, native: bool) {
    let mut said = Vec::new();
    for block in &message.blocks {
        if let Part::ToolResult(result) = &block.part {
            list.object(|o| tool(o, result, native));
        } else if is_written(block) {
            said.push(block);
        }
    }
    if message.role == Role::Tool || (said.is_empty() && !message.blocks.is_empty()) {
        return;
    }
    list.object(|o| {
        o.text("role", "user");
        content(o, &said, message.form, native);
    });
}

fn tool(o: &mut Object<'_>, result: &ToolResult, native: bool) {
    o.text("role", "tool");
    o.text("tool_call_id", &result.id);
    // A picture was refused or named before.
    let fits = |block: &&Block| is_written(block) && !matches!(block.part, Part::Image { .. });
    let blocks: Vec<&Block> = result.blocks.iter().filter(fits).collect();
    content(o, &blocks, result.form.unwrap_or(Form::Bare), native);
}

fn assistant(o: &mut Object<'_>, message: &Message, native: bool) {
    o.text("role", "assistant");
    let thoughts: Vec<&str> = message.blocks.iter().filter_map(thought_of).collect();
    let texts: Vec<&str> = message.blocks.iter().filter_map(text_of).collect();
    let calls: Vec<&ToolCall> = message.blocks.iter().filter_map(call_of).collect();
    if !calls.is_empty() && !texts.is_empty() {
        o.text("tool_plan", &texts.concat());
    }
    let texts = if calls.is_empty() { texts } else { Vec::new() };
    match (message.form, thoughts.as_slice(), texts.as_slice()) {
        (_, [], []) if !calls.is_empty() => {}
        (Form::Bare, [], texts) => o.text("content", &texts.concat()),
        (_, thoughts, texts) => o.list("content", |list| {
            for text in thoughts {
                list.object(|o| {
                    o.text("type", "thinking");
                    o.text("thinking", text);
                });
            }
            for text in texts {
                list.object(|o| write_text(o, text));
            }
        }),
    }
    if !calls.is_empty() {
        o.list("tool_calls", |list| {
            for call in calls {
                list.object(|o| write_call(o, call));
            }
        });
    }
    if native {
        o.extra(&message.extra);
    }
}

/// A call, in a request and in an answer.
pub(super) fn write_call(o: &mut Object<'_>, call: &ToolCall) {
    o.text("id", &call.id);
    o.text("type", "function");
    o.object("function", |o| {
        o.text("name", &call.name);
        o.text("arguments", &call.arguments);
    });
}

fn write_text(o: &mut Object<'_>, text: &str) {
    o.text("type", "text");
    o.text("text", text);
}

/// One text is a string, unless it was a list; anything else is a list.
fn content(o: &mut Object<'_>, blocks: &[&Block], form: Form, native: bool) {
    match (form, blocks) {
        (_, []) => o.text("content", ""),
        (Form::Bare, [Block { part: Part::Text(text), .. }]) => o.text("content", text),
        _ => o.list("content", |list| {
            for block in blocks {
                write_part(list, block, native);
            }
        }),
    }
}

fn write_part(list: &mut List<'_>, block: &Block, native: bool) {
    let marks = |o: &mut Object<'_>| {
        if native {
            o.extra(&block.extra);
        }
    };
    match &block.part {
        Part::Text(text) | Part::Refusal(text) => list.object(|o| {
            write_text(o, text);
            marks(o);
        }),
        Part::File { source: Source::Text(text), name } => list.object(|o| match name {
            Some(name) => write_text(o, &format!("{name}\n\n{text}")),
            None => write_text(o, text),
        }),
        Part::Image { source, detail } => {
            let Some(url) = url_of(source) else { return };
            list.object(|o| {
                o.text("type", "image_url");
                o.object("image_url", |o| {
                    o.text("url", &url);
                    o.some_text("detail", detail.as_deref());
                });
                marks(o);
            });
        }
        Part::Other { dialect: Dialect::Cohere, raw } => list.raw(raw.get()),
        // Refused or named before.
        Part::Other { .. } | Part::OtherCall { .. } | Part::Audio { .. } | Part::File { .. } => {}
        Part::Thinking { .. } | Part::RedactedThinking(_) => {}
        Part::ToolCall(_) | Part::ToolResult(_) => {}
    }
}

/// Whether a part of a message of a user or a tool has a place here.
fn is_written(block: &Block) -> bool {
    match &block.part {
        Part::Text(text) | Part::Refusal(text) => !text.is_empty(),
        Part::Image { source, .. } => url_of(source).is_some(),
        Part::File { source, .. } => matches!(source, Source::Text(_)),
        Part::Other { dialect, .. } => *dialect == Dialect::Cohere,
        Part::Audio { .. } | Part::OtherCall { .. } => false,
        Part::Thinking { .. } | Part::RedactedThinking(_) => false,
        Part::ToolCall(_) | Part::ToolResult(_) => false,
    }
}

fn text_of(block: &Block) -> Option<&str> {
    match &block.part {
        Part::Text(text) | Part::Refusal(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn thought_of(block: &Block) -> Option<&str> {
    match &block.part {
        Part::Thinking { text, signature: None } if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn call_of(block: &Block) -> Option<&ToolCall> {
    if let Part::ToolCall(call) = &block.part { Some(call) } else { None }
}
