//! The items of `input`, into the hub's messages.
//!
//! What the model said, thought and called since the last word of the client is one message of the
//! hub, as other dialects have it. What an item says beside its meaning (its own id, its status)
//! stays with its block under the name [`ITEM`], for a provider that speaks responses too.

use serde_json::value::RawValue;

use super::{
    content, picture, thought,
    tool::{self, Kind},
};
use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        json::compact,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{
        Block, Extra, Form, MAX_BLOCKS, MAX_MESSAGES, Message, Part, Role, ToolCall, ToolResult,
    },
};

/// The name under which a block has the rest of its item: an object.
pub(in crate::dialect) const ITEM: &str = "item";

/// Reads `input`.
pub(super) fn read_input(
    raw: &RawValue,
    at: &At<'_>,
    messages: &mut Vec<Message>,
) -> Result<(), Malformed> {
    if is_string(raw) {
        let text = Part::Text(string(raw, at)?);
        messages.push(message(Role::User, Form::Bare, vec![text.into()], Extra::new()));
        return Ok(());
    }
    if !raw.get().starts_with('[') {
        return Err(at.wrong("a string or a list of items"));
    }
    for (index, raw) in list(raw, at, MAX_MESSAGES)?.into_iter().enumerate() {
        let next = read_item(raw, At::Item(at, index))?;
        match messages.last_mut() {
            Some(last) if last.role == Role::Assistant && next.role == Role::Assistant => {
                if last.blocks.len() + next.blocks.len() > MAX_BLOCKS {
                    return Err(at.wrong(&format!("at most {MAX_BLOCKS} items in a turn")));
                }
                last.blocks.extend(next.blocks);
                last.form = Form::List;
            }
            Some(_) | None => messages.push(next),
        }
    }
    Ok(())
}

fn message(role: Role, form: Form, blocks: Vec<Block>, extra: Extra) -> Message {
    Message { role, blocks, form, extra }
}

/// One block of the model's.
fn said(part: Part, rest: Extra) -> Message {
    message(Role::Assistant, Form::List, vec![block(part, rest)], Extra::new())
}

/// A block and the rest of its item.
pub(super) fn block(part: Part, rest: Extra) -> Block {
    let extra = tool::object_of(rest).map(|raw| (ITEM.into(), raw)).into_iter().collect();
    Block { part, cache: None, extra }
}

fn read_item(raw: &RawValue, at: At<'_>) -> Result<Message, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let kind = match fields.take("type") {
        Some(raw) => Some(string(raw, &At::Field(&at, "type"))?),
        None => None,
    };
    match kind.as_deref() {
        None | Some("message") => return read_message(fields, kind.as_deref(), raw),
        Some("reasoning") => {
            let (part, rest) = thinking(fields)?;
            return Ok(said(part, rest));
        }
        Some("function_call_output" | "custom_tool_call_output") => {
            return result(fields, kind.as_deref());
        }
        Some(kind) if kind == "function_call" || Kind::of_call(kind).is_some() => {
            let (call, rest) = call(fields, kind)?;
            return Ok(said(Part::ToolCall(call), rest));
        }
        Some(picture::KIND) => {
            if let Some(block) = picture::read(fields)? {
                return Ok(message(Role::Assistant, Form::List, vec![block], Extra::new()));
            }
        }
        Some(kind) if Kind::of_result(kind).is_some() => return own_result(fields, raw),
        Some(_) => {}
    }
    let theirs = kind.is_some_and(|kind| kind.ends_with("_output") || kind.ends_with("_response"));
    let role = if theirs { Role::User } else { Role::Assistant };
    let part = Part::Other { dialect: Dialect::Responses, raw: raw.to_owned() };
    Ok(message(role, Form::List, vec![part.into()], Extra::new()))
}

fn read_message(
    mut fields: Fields<'_, '_>,
    kind: Option<&str>,
    raw: &RawValue,
) -> Result<Message, Malformed> {
    let at = fields.at();
    let role = match fields.text("role")?.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        // `item_reference` need not be said.
        None if kind.is_none() && fields.text("id")?.is_some() && fields.is_empty() => {
            let part = Part::Other { dialect: Dialect::Responses, raw: raw.to_owned() };
            return Ok(said(part, Extra::new()));
        }
        Some(_) | None => {
            return Err(fields.wrong("role", "`user`, `assistant`, `system` or `developer`"));
        }
    };
    let Some(raw) = fields.take("content") else {
        return Err(fields.wrong("content", "a string or a list of parts"));
    };
    let (form, mut blocks) = content::read(raw, &At::Field(&at, "content"))?;
    let rest = typed(kind, fields.rest());
    if role != Role::Assistant {
        return Ok(message(role, form, blocks, rest));
    }
    let rest = tool::object_of(rest);
    for block in &mut blocks {
        block.extra.extend(rest.clone().map(|raw| (ITEM.into(), raw)));
    }
    Ok(message(role, form, blocks, Extra::new()))
}

/// With the type in front, if it was said.
fn typed(kind: Option<&str>, rest: Extra) -> Extra {
    let kind = kind.and_then(|kind| tool::raw(format!("\"{kind}\"")));
    kind.map(|raw| ("type".into(), raw)).into_iter().chain(rest).collect()
}

/// A thought. What there is of summaries becomes one text; where that would not tell how it was,
/// it stays beside.
pub(super) fn thinking(mut fields: Fields<'_, '_>) -> Result<(Part, Extra), Malformed> {
    let at = fields.at();
    let (summary, content) = (fields.take("summary"), fields.take("content"));
    let mut texts = texts(summary, &At::Field(&at, "summary"))?;
    let mut rest = Extra::new();
    if let Some(raw) = summary
        && (texts.len() > 1 || content.is_some())
    {
        rest.push(("summary".into(), raw.to_owned()));
    }
    if let Some(raw) = content {
        rest.push(("content".into(), raw.to_owned()));
        if texts.is_empty() {
            texts = self::texts(content, &At::Field(&at, "content"))?;
        }
    }
    let text = texts.join("\n\n");
    let part = thought::read(text, fields.text("encrypted_content")?);
    rest.extend(fields.rest());
    Ok((part, rest))
}

fn texts(raw: Option<&RawValue>, at: &At<'_>) -> Result<Vec<String>, Malformed> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let parts = list(raw, at, MAX_BLOCKS)?.into_iter().enumerate();
    parts
        .map(|(index, raw)| {
            Ok(Fields::of(raw, At::Item(at, index))?.text("text")?.unwrap_or_default())
        })
        .collect()
}

/// A call of a tool, and the rest of its item with its type.
pub(super) fn call(mut fields: Fields<'_, '_>, kind: &str) -> Result<(ToolCall, Extra), Malformed> {
    let id = fields.need_text("call_id")?;
    let known = Kind::of_call(kind);
    let (name, arguments) = match known {
        None => (fields.need_text("name")?, fields.text("arguments")?.unwrap_or_default()),
        Some(Kind::Custom) => {
            let input = fields.text("input")?.unwrap_or_default();
            (fields.need_text("name")?, tool::arguments_of(&input))
        }
        Some(known) => {
            let payload = fields.take(known.payload()).map_or("{}", RawValue::get);
            (known.name().to_owned(), compact(payload))
        }
    };
    let kind = known.map(Kind::call);
    Ok((ToolCall { id, name, arguments }, typed(kind, fields.rest())))
}

fn result(mut fields: Fields<'_, '_>, kind: Option<&str>) -> Result<Message, Malformed> {
    let at = fields.at();
    let id = fields.need_text("call_id")?;
    let Some(raw) = fields.take("output") else {
        return Err(fields.wrong("output", "a string or a list of parts"));
    };
    let (form, blocks) = content::read(raw, &At::Field(&at, "output"))?;
    let part = Part::ToolResult(ToolResult { id, blocks, form: Some(form), is_error: None });
    let block = block(part, typed(kind, fields.rest()));
    Ok(message(Role::Tool, Form::List, vec![block], Extra::new()))
}

/// The result of a shell or a patch: to other providers the text of what it says.
fn own_result(mut fields: Fields<'_, '_>, whole: &RawValue) -> Result<Message, Malformed> {
    let at = fields.at();
    // OpenAI calls a local shell's `id`.
    let id = match fields.text("call_id")? {
        Some(id) => id,
        None => fields.need_text("id")?,
    };
    let text = match fields.take("output") {
        Some(raw) if is_string(raw) => string(raw, &At::Field(&at, "output"))?,
        Some(raw) => compact(raw.get()),
        None => String::new(),
    };
    let is_error = fields.text("status")?.map(|status| status == "failed");
    let blocks = vec![Part::Text(text).into()];
    let part = Part::ToolResult(ToolResult {
        id,
        blocks,
        form: Some(Form::Bare),
        is_error: is_error.filter(|failed| *failed),
    });
    let extra = vec![(ITEM.into(), whole.to_owned())];
    let block = Block { part, cache: None, extra };
    Ok(message(Role::Tool, Form::List, vec![block], Extra::new()))
}

/// The rest of a block's item, as members.
pub(super) fn rest_of(block: &Block) -> Extra {
    let found = block.extra.iter().find(|(name, _)| **name == *ITEM);
    let fields = found.and_then(|(_, raw)| Fields::of(raw, At::Body).ok());
    fields.map(Fields::rest).unwrap_or_default()
}

/// The type of a block's item, if its rest says it.
pub(super) fn kind_of(rest: &Extra) -> Option<&str> {
    let (_, raw) = rest.iter().find(|(name, _)| **name == *"type")?;
    Some(raw.get().trim_matches('"'))
}
