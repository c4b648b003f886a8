//! Namespaces: functions under a name that they share. Other dialects have no such thing, so there
//! each function has both names as its own, and its calls are told apart again on the way back:
//!
//! ```text
//! {"type":"namespace","name":"crm","tools":[{"type":"function","name":"find",…}]}
//! ⇄ the function crm__find
//! {"type":"function_call","namespace":"crm","name":"find",…}
//! ⇄ a call of crm__find
//! ```
//!
//! <https://platform.openai.com/docs/guides/tools-tool-search#namespaces>

use serde_json::value::RawValue;

use super::tool;
use crate::{
    dialect::fields::{At, Fields},
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Extra, Function, MAX_TOOLS, Tool},
};

/// The type of the tool.
pub(super) const NAMESPACE: &str = "namespace";
/// Letters in a function's name that every provider takes.
const MAX_NAME: usize = 64;

/// A function of a namespace.
pub(super) struct Member {
    /// Its names by themselves.
    pub(super) space: String,
    pub(super) name: String,
    /// The function by both names.
    pub(super) function: Function,
}

/// Both names as one. What would be too long keeps its beginning and ends in a hash of the whole.
pub(super) fn joined(space: &str, name: &str) -> String {
    let whole = format!("{space}__{name}");
    if whole.len() <= MAX_NAME {
        return whole;
    }
    // FNV-1a: the same everywhere and always.
    let hash = whole
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let head: String = whole.chars().take(MAX_NAME - 9).filter(char::is_ascii).collect();
    format!("{head}_{hash:08x}")
}

/// The functions of a namespace. What is said of all of them stands with the first.
pub(super) fn members(raw: &RawValue, at: At<'_>) -> Result<Vec<Member>, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let space = fields.need_text("name")?;
    let mut about = fields.text("description")?.filter(|text| !text.is_empty());
    let at = At::Field(&at, "tools");
    let tools = fields.list("tools", MAX_TOOLS)?.unwrap_or_default();
    let mut members = Vec::with_capacity(tools.len());
    for (index, raw) in tools.into_iter().enumerate() {
        let at = At::Item(&at, index);
        let Tool::Function(mut function) = tool::read(raw, at)? else {
            return Err(at.wrong("a function or a custom tool"));
        };
        let name = std::mem::take(&mut function.name);
        function.name = joined(&space, &name);
        if let Some(about) = about.take() {
            let own = function.description.take().unwrap_or_default();
            let text = format!("{own}\n\nOf all functions `{space}__…`: {about}");
            function.description = Some(text.trim_start().to_owned());
        }
        members.push(Member { space: space.clone(), name, function });
    }
    Ok(members)
}

/// The functions of all namespaces among these tools.
pub(super) fn members_of(tools: &[Tool]) -> Vec<Member> {
    let spaces = tools.iter().filter_map(|tool| match tool {
        Tool::Other { dialect: Dialect::Responses, kind, raw } if kind == NAMESPACE => Some(raw),
        Tool::Other { .. } | Tool::Function(_) => None,
    });
    spaces.flat_map(|raw| members(raw, At::Body).unwrap_or_default()).collect()
}

/// The namespace that a call's item names.
pub(super) fn of_call(rest: &Extra) -> Option<String> {
    let (_, raw) = rest.iter().find(|(name, _)| **name == *NAMESPACE)?;
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::{MAX_NAME, joined};

    #[test]
    fn two_names_are_one_that_every_provider_takes() {
        assert_eq!(joined("crm", "find"), "crm__find");
        let (one, other) = (joined(&"s".repeat(40), "n1"), joined(&"s".repeat(70), "n1"));
        assert_eq!((one.len(), other.len()), (44, MAX_NAME));
        assert_ne!(other, joined(&"s".repeat(70), "n2"));
        assert!(joined(&"ü".repeat(40), "n").is_ascii());
    }
}
