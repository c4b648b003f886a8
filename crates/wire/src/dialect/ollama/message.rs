//! The hub's messages in Ollama's spelling: content is one string, pictures stand beside it, a
//! call's arguments are an object.

use bytes::BytesMut;

use crate::{
    dialect::{
        json::object_of,
        json::{self, List, Object},
        sieve::Sieve,
    },
    exchange::CannotAsk,
    op::chat::{Block, Message, Part, Request, Role, Source, ToolResult},
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
            write(list, message, ask.messages.get(..index).unwrap_or_default());
            Ok(())
        });
    });
    done
}

/// Refuses or names what Ollama has no place for.
fn check(message: &Message, index: usize, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    for (name, _) in &message.extra {
        sieve.hint(&format!("messages[].{name}"));
    }
    for (place, block) in message.blocks.iter().enumerate() {
        let at = format!("messages[{index}].content[{place}]");
        check_block(block, &at, sieve)?;
        if let Part::ToolResult(result) = &block.part {
            if result.is_error == Some(true) {
                sieve.hint("is_error");
            }
            for (place, block) in result.blocks.iter().enumerate() {
                check_block(block, &format!("{at}.content[{place}]"), sieve)?;
            }
        }
    }
    Ok(())
}

fn check_block(block: &Block, at: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    if block.cache.is_some() {
        sieve.hint("cache_control");
    }
    for (name, value) in &block.extra {
        if **name == *"citations" && value.get().contains("true") {
            sieve.refuse(&format!("{at}.citations"), "ollama does not cite documents")?;
            continue;
        }
        sieve.hint(&format!("messages[].content[].{name}"));
    }
    match &block.part {
        Part::Image { source: Source::Base64 { .. }, detail } => {
            if detail.is_some() {
                sieve.hint("messages[].content[].detail");
            }
        }
        Part::Image { .. } => {
            sieve.refuse(at, "ollama takes images in base64, not by address")?;
        }
        Part::Audio { .. } => sieve.refuse(at, "ollama does not take audio")?,
        Part::File { source: Source::Text(_), .. } => {}
        Part::File { .. } => sieve.refuse(at, "ollama takes documents as text only")?,
        // Only its own provider can check or read a signed thought.
        Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking(_) => {
            sieve.hint("thinking");
        }
        Part::Other { dialect, .. } | Part::OtherCall { dialect, .. } => {
            let why = format!("only {} has this kind of content", dialect.name());
            sieve.refuse(at, &why)?;
        }
        Part::ToolCall(call) if object_of(&call.arguments).is_none() => {
            sieve.refuse(at, "the arguments of this tool call are not a JSON object")?;
        }
        Part::Text(_) | Part::Refusal(_) | Part::Thinking { .. } => {}
        Part::ToolCall(_) | Part::ToolResult(_) => {}
    }
    Ok(())
}

fn write(list: &mut List<'_>, message: &Message, before: &[Message]) {
    let role = match message.role {
        Role::System | Role::Developer => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    };
    for block in &message.blocks {
        if let Part::ToolResult(result) = &block.part {
            list.object(|o| tool(o, result, before));
        }
    }
    let said: Vec<&Block> =
        message.blocks.iter().filter(|b| !matches!(b.part, Part::ToolResult(_))).collect();
    if message.role == Role::Tool || (said.is_empty() && !message.blocks.is_empty()) {
        return;
    }
    list.object(|o| {
        o.text("role", role);
        content(o, &said, if role == "assistant" { "" } else { "\n\n" });
        thoughts(o, &said);
        calls(o, &said);
    });
}

/// Newer versions go by the call's id, older ones by the tool's name.
fn tool(o: &mut Object<'_>, result: &ToolResult, before: &[Message]) {
    o.text("role", "tool");
    content(o, &result.blocks.iter().collect::<Vec<_>>(), "\n\n");
    let calls = before.iter().rev().flat_map(|message| &message.blocks);
    let name = calls.filter_map(|block| match &block.part {
        Part::ToolCall(call) if call.id == result.id => Some(call.name.as_str()),
        _ => None,
    });
    o.some_text("tool_name", name.into_iter().next());
    o.text("tool_call_id", &result.id);
}

fn content(o: &mut Object<'_>, blocks: &[&Block], between: &str) {
    let texts: Vec<String> = blocks.iter().filter_map(|block| text_of(block)).collect();
    o.text("content", &texts.join(between));
    let images: Vec<&str> = blocks.iter().filter_map(|block| image_of(block)).collect();
    if !images.is_empty() {
        o.list("images", |list| {
            for image in images {
                json::string(list.item(), image);
            }
        });
    }
}

fn text_of(block: &Block) -> Option<String> {
    match &block.part {
        Part::Text(text) | Part::Refusal(text) => Some(text.clone()),
        Part::File { source: Source::Text(text), name } => Some(match name {
            Some(name) => format!("{name}\n\n{text}"),
            None => text.clone(),
        }),
        _ => None,
    }
}

fn image_of(block: &Block) -> Option<&str> {
    match &block.part {
        Part::Image { source: Source::Base64 { data, .. }, .. } => Some(data),
        _ => None,
    }
}

fn thoughts(o: &mut Object<'_>, blocks: &[&Block]) {
    let mut thoughts = String::new();
    for block in blocks {
        if let Part::Thinking { text, signature: None } = &block.part {
            thoughts.push_str(text);
        }
    }
    if !thoughts.is_empty() {
        o.text("thinking", &thoughts);
    }
}

fn calls(o: &mut Object<'_>, blocks: &[&Block]) {
    if !blocks.iter().any(|block| matches!(block.part, Part::ToolCall(_))) {
        return;
    }
    o.list("tool_calls", |list| {
        for block in blocks {
            let Part::ToolCall(call) = &block.part else { continue };
            // Refused or named before, where it is no object.
            let arguments = object_of(&call.arguments).unwrap_or("{}");
            list.object(|o| {
                o.text("id", &call.id);
                o.object("function", |o| {
                    o.text("name", &call.name);
                    o.raw("arguments", arguments);
                });
            });
        }
    });
}
