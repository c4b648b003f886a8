//! Items of a conversation that a request names by their ids. Its provider would find any item of
//! ours, whoever it was given to: so an id counts only with the mark that its tenant got it with.
//! <https://platform.openai.com/docs/api-reference/responses/create#responses-create-input>

use std::ops::Range;

use bytes::Bytes;

use crate::{
    exchange::{
        CannotAsk, Malformed, Unsupported,
        relay::edit::replaced,
        seal::{Place, Tenant},
    },
    json::{Flaw, Scan},
};

/// Items that say all there is to them: the provider looks nothing up by their ids.
const WHOLE: &[&str] = &[
    "message",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "computer_call",
    "computer_call_output",
    "code_interpreter_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_call",
    "compaction",
    "additional_tools",
];

/// What is read of an item: each member is where its value stands.
#[derive(Default)]
struct Item {
    id: Option<Range<usize>>,
    approves: Option<Range<usize>>,
    kind: Option<Range<usize>>,
    role: Option<Range<usize>>,
    /// What makes a thought or a picture whole.
    content: Option<Range<usize>>,
}

/// `input` with the provider's ids in place of the tenant's; `None` if they are the same.
pub(super) fn own(
    input: &[u8],
    tenant: &Tenant,
    place: Place,
    model: &str,
) -> Result<Option<Bytes>, CannotAsk> {
    if input.first() != Some(&b'[') {
        return Ok(None);
    }
    let mut spans = Vec::new();
    for item in read(input).map_err(|_| wrong())? {
        let (id, approves) = (item.id.as_ref(), item.approves.as_ref());
        for (span, must) in [(id, !item.is_whole(input)), (approves, true)] {
            let Some(span) = span else { continue };
            let text = input.get(span.clone()).unwrap_or_default();
            let Ok(id) = serde_json::from_slice::<String>(text) else { continue };
            match tenant.item(&id) {
                Some((tag, own)) if place.has(tag) => {
                    spans.push((span.clone(), serde_json::to_vec(own).unwrap_or_default().into()));
                }
                Some(_) => {
                    return Err(Unsupported {
                        param: "input".to_owned(),
                        model: model.to_owned(),
                        why: "an item that it names is at another provider".to_owned(),
                    }
                    .into());
                }
                None if must => return Err(not_found(&id).into()),
                None => {}
            }
        }
    }
    if spans.is_empty() {
        return Ok(None);
    }
    Ok(Some(replaced(input, spans)))
}

impl Item {
    /// Whether it says all there is to it. What is not known may be a name of something.
    fn is_whole(&self, input: &[u8]) -> bool {
        let text = |span: &Range<usize>| -> Option<String> {
            serde_json::from_slice(input.get(span.clone())?).ok()
        };
        match self.kind.as_ref().and_then(text).as_deref() {
            None => self.role.is_some(),
            Some("reasoning" | "image_generation_call") => self.content.is_some(),
            Some(kind) => WHOLE.contains(&kind),
        }
    }
}

/// The items; members that are `null` are not there, and one that is there twice means nothing.
fn read(input: &[u8]) -> Result<Vec<Item>, Flaw> {
    let mut items = Vec::new();
    let mut scan = Scan::new(input);
    scan.open_array()?;
    let mut first = true;
    while scan.next_item(&mut first)? {
        if scan.look() != Some(b'{') {
            scan.skip()?;
            continue;
        }
        let mut item = Item::default();
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            let value = scan.value()?;
            let member = match key.resolve().as_deref() {
                Some("id") => &mut item.id,
                Some("approval_request_id") => &mut item.approves,
                Some("type") => &mut item.kind,
                Some("role") => &mut item.role,
                Some("encrypted_content" | "result") => &mut item.content,
                Some(_) | None => continue,
            };
            if member.is_some() {
                return Err(scan.expected("each member once"));
            }
            if input.get(value.clone()) != Some(b"null") {
                *member = Some(value);
            }
        }
        items.push(item);
    }
    Ok(items)
}

fn wrong() -> Malformed {
    Malformed::at("input", "expected a list of items, each with each of its members once")
}

/// OpenAI's words.
fn not_found(id: &str) -> Malformed {
    let id: String = id.chars().filter(|c| !c.is_control()).take(200).collect();
    Malformed::at("input", format!("Item with id '{id}' not found."))
}
