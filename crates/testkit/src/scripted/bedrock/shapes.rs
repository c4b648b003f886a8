//! Checks a body against `shapes.txt`: no member too many, none missing, each of its type.

use std::{collections::HashMap, sync::LazyLock};

use serde_json::Value;

use super::super::refuse::Refuse;

struct Structure {
    /// Exactly one member.
    union: bool,
    members: Vec<Member>,
}

struct Member {
    name: &'static str,
    needed: bool,
    kind: &'static str,
}

static SHAPES: LazyLock<HashMap<&'static str, Structure>> = LazyLock::new(|| {
    let lines = include_str!("shapes.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, rest) = line.split_once(':').expect("a line names a structure");
            let rest = rest.trim();
            let union = rest.starts_with("one of ");
            let rest = rest.strip_prefix("one of ").unwrap_or(rest);
            let members = rest.split_whitespace().map(|member| {
                let (name, kind) = member.split_once('=').expect("a member has a type");
                let needed = name.ends_with('!');
                Member { name: name.trim_end_matches('!'), needed, kind }
            });
            (name, Structure { union, members: members.collect() })
        })
        .collect()
});

/// Whether `value` is what `kind` says.
pub(super) fn check(value: &Value, kind: &'static str, at: &str) -> Result<(), Refuse> {
    let wrong = |expected: &str| {
        invalid(format!(
            "Value at '{}' failed to satisfy constraint: Member must be {expected}",
            at.trim_start_matches('.')
        ))
    };
    if let Some(kind) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        let list = value.as_array().ok_or_else(|| wrong("a list"))?;
        return list
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check(item, kind, &format!("{at}.{index}")));
    }
    if let Some(kind) = kind.strip_prefix('{').and_then(|kind| kind.strip_suffix('}')) {
        let map = value.as_object().ok_or_else(|| wrong("a map"))?;
        return map.iter().try_for_each(|(name, item)| check(item, kind, &format!("{at}.{name}")));
    }
    let fits = match kind {
        "any" => true,
        "str" => value.is_string(),
        "text" => match value.as_str() {
            Some(text) if text.trim().is_empty() => {
                return Err(invalid(format!(
                    "The text field in the object at {at} is blank. Add text to the text field, and try again."
                )));
            }
            text => text.is_some(),
        },
        "int" => value.as_u64().is_some_and(|n| n > 0),
        "num" => value.as_f64().is_some_and(|n| (0.0..=1.0).contains(&n)),
        "bool" => value.is_boolean(),
        "blob" => value.as_str().is_some_and(is_base64),
        kind if SHAPES.contains_key(kind) => return structure(value, kind, at),
        words => {
            let word = value.as_str().unwrap_or_default();
            return if words.split('|').any(|allowed| allowed == word) {
                Ok(())
            } else {
                Err(wrong(&format!("one of [{}]", words.replace('|', ", "))))
            };
        }
    };
    if fits { Ok(()) } else { Err(wrong(&format!("of type {kind}"))) }
}

fn structure(value: &Value, kind: &str, at: &str) -> Result<(), Refuse> {
    let shape = SHAPES.get(kind).expect("a structure of the file");
    let Some(fields) = value.as_object() else {
        return Err(invalid(format!("Unexpected field type at '{at}': expected an object")));
    };
    for (name, value) in fields {
        let Some(member) = shape.members.iter().find(|member| member.name == name) else {
            return Err(invalid(format!(
                "Malformed input request: #{}: extraneous key [{name}] is not permitted, please reformat your input and try again.",
                at.replace('.', "/")
            )));
        };
        check(value, member.kind, &format!("{at}.{name}"))?;
    }
    for member in shape.members.iter().filter(|member| member.needed) {
        if !fields.contains_key(member.name) {
            return Err(invalid(format!(
                "1 validation error detected: Value null at '{at}.{}' failed to satisfy constraint: Member must not be null",
                member.name
            )));
        }
    }
    if shape.union && fields.len() != 1 {
        return Err(invalid(format!("Exactly one member of the union at '{at}' must be set")));
    }
    Ok(())
}

pub(super) fn invalid(message: impl Into<String>) -> Refuse {
    Refuse::new(400, message)
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}
