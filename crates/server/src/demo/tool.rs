//! Arguments for a tool call, made from the JSON schema of its parameters. Pure.

use serde_json::{Map, Value, json};

/// How deep a schema is followed.
const DEPTH: u32 = 8;

/// A value that fits `schema`, as far as a demo can tell: a default, an example or a choice where
/// the schema has one, else something of the right type, taken from the prompt where a text is
/// wanted.
pub(super) fn arguments(schema: &Value, prompt: &str) -> Value {
    let made = value("", schema, prompt, DEPTH);
    if made.is_object() { made } else { json!({}) }
}

/// The same, for an answer that must have a shape.
pub(super) fn shaped(schema: &Value, prompt: &str) -> Value {
    value("", schema, prompt, DEPTH)
}

fn value(name: &str, schema: &Value, prompt: &str, depth: u32) -> Value {
    if let Some(given) = given(schema) {
        return given;
    }
    if depth == 0 {
        return Value::Null;
    }
    let branch =
        ["anyOf", "oneOf", "allOf"].iter().find_map(|word| schema.get(word)?.as_array()?.first());
    if let Some(branch) = branch {
        return value(name, branch, prompt, depth - 1);
    }
    match kind(schema) {
        "string" => Value::String(text(name, prompt)),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => Value::Bool(true),
        "array" => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            json!([value(name, items, prompt, depth - 1)])
        }
        "object" => {
            let empty = Map::new();
            let members = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
            members
                .iter()
                .map(|(name, schema)| (name.clone(), value(name, schema, prompt, depth - 1)))
                .collect()
        }
        _ => Value::Null,
    }
}

fn given(schema: &Value) -> Option<Value> {
    let first = |word: &str| schema.get(word)?.as_array()?.first();
    let found = schema.get("const").or_else(|| schema.get("default"));
    found.or_else(|| first("enum")).or_else(|| first("examples")).cloned()
}

fn kind(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null")
        }
        other => other.and_then(Value::as_str),
    };
    match named {
        Some(kind) => kind,
        None if schema.get("properties").is_some() => "object",
        None => "string",
    }
}

/// Places are looked for in the prompt: the last word with a capital letter that does not open it.
fn text(name: &str, prompt: &str) -> String {
    let place = ["city", "location", "place", "country", "town"];
    if place.iter().any(|word| name.to_lowercase().contains(word)) {
        let clean = |word: &'_ str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        return prompt
            .split_whitespace()
            .skip(1)
            .map(clean)
            .filter(|word| word.chars().next().is_some_and(char::is_uppercase))
            .last()
            .unwrap_or_else(|| "Paris".to_owned());
    }
    prompt.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_fit_the_schema() {
        let schema = json!({"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 3},
            "tags": {"type": "array", "items": {"type": "boolean"}},
            "note": {"type": ["null", "string"]},
            "near": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        }});
        assert_eq!(
            arguments(&schema, "What is the weather in Lisbon?"),
            json!({"city": "Lisbon", "unit": "celsius", "days": 3, "tags": [true],
                "note": "What is the weather in Lisbon?", "near": 1.5})
        );
    }

    #[test]
    fn wild_schemas_end() {
        let mut schema = json!({});
        for _ in 0..100 {
            schema = json!({"type": "array", "items": schema});
        }
        assert!(shaped(&schema, "").is_array());
        assert_eq!(arguments(&json!(true), "x"), json!({}));
        assert_eq!(arguments(&json!({"type": "string"}), "x"), json!({}));
    }
}
