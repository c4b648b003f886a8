//! Google's `Schema`, a subset of OpenAPI's, as the JSON Schema that everybody else wants.
//! <https://ai.google.dev/api/caching#Schema>
//!
//! `{"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": true}}}` becomes
//! `{"type": "object", "properties": {"a": {"type": ["string", "null"]}}}`. The other way is not
//! needed: Google takes JSON Schema too, in fields of its own.

use serde_json::{Map, Value, value::RawValue};

use crate::{dialect::fields::At, exchange::Malformed, op::chat::Raw};

/// A schema as JSON Schema. `serde_json` bounds its depth.
pub(super) fn json_schema(raw: &RawValue, at: &At<'_>) -> Result<Raw, Malformed> {
    let value: Value = serde_json::from_str(raw.get()).map_err(|_| at.wrong("a schema"))?;
    if !value.is_object() {
        return Err(at.wrong("a schema"));
    }
    RawValue::from_string(converted(value).to_string()).map_err(|_| at.wrong("a schema"))
}

fn converted(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return schema };
    let mut out = Map::new();
    let mut nullable = false;
    for (name, value) in fields {
        match name.as_str() {
            "type" => {
                out.insert(name, lower(value));
            }
            "nullable" => nullable = value == Value::Bool(true),
            "properties" | "defs" | "$defs" => {
                let Value::Object(members) = value else { continue };
                let members = members.into_iter().map(|(name, value)| (name, converted(value)));
                out.insert(name, Value::Object(members.collect()));
            }
            "items" | "additionalProperties" | "additional_properties" => {
                out.insert(spelled(&name).to_owned(), converted(value));
            }
            "anyOf" | "any_of" | "prefixItems" | "prefix_items" => {
                let Value::Array(items) = value else { continue };
                let items = items.into_iter().map(converted).collect();
                out.insert(spelled(&name).to_owned(), Value::Array(items));
            }
            // An order of Google's, which JSON Schema does not have.
            "propertyOrdering" | "property_ordering" => {}
            // `{"type": "STRING", "format": "enum", "enum": […]}`
            "format" if value == "enum" => {}
            // 64-bit numbers are strings in the JSON of protocol buffers.
            "minItems" | "min_items" | "maxItems" | "max_items" | "minLength" | "min_length"
            | "maxLength" | "max_length" | "minProperties" | "min_properties" | "maxProperties"
            | "max_properties" => {
                out.insert(spelled(&name).to_owned(), number(value));
            }
            "example" => {
                out.insert("examples".to_owned(), Value::Array(vec![value]));
            }
            _ => {
                out.insert(name, value);
            }
        }
    }
    if nullable {
        let kind = out.remove("type");
        match kind {
            Some(kind @ Value::String(_)) => {
                out.insert("type".to_owned(), Value::Array(vec![kind, "null".into()]));
            }
            Some(kind) => {
                out.insert("type".to_owned(), kind);
            }
            None => {}
        }
        if let Some(Value::Array(words)) = out.get_mut("enum") {
            words.push(Value::Null);
        }
    }
    Value::Object(out)
}

fn lower(kind: Value) -> Value {
    match kind {
        Value::String(word) => Value::String(word.to_ascii_lowercase()),
        Value::Array(words) => Value::Array(words.into_iter().map(lower).collect()),
        other => other,
    }
}

fn number(value: Value) -> Value {
    let parsed = value.as_str().and_then(|text| text.parse::<u64>().ok());
    parsed.map_or(value, Value::from)
}

fn spelled(name: &str) -> &str {
    match name {
        "any_of" => "anyOf",
        "prefix_items" => "prefixItems",
        "additional_properties" => "additionalProperties",
        "min_items" => "minItems",
        "max_items" => "maxItems",
        "min_length" => "minLength",
        "max_length" => "maxLength",
        "min_properties" => "minProperties",
        "max_properties" => "maxProperties",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_words_become_json_schemas() {
        let google = r#"{"type":"OBJECT","propertyOrdering":["b","a"],"required":["a"],"properties":{
            "a":{"type":"STRING","format":"enum","enum":["x","y"],"nullable":true},
            "b":{"type":"ARRAY","minItems":"2","items":{"type":"INTEGER"}},
            "type":{"any_of":[{"type":"NUMBER"},{"type":"BOOLEAN"}]}}}"#;
        let raw: &RawValue = serde_json::from_str(google).unwrap();
        assert_eq!(
            json_schema(raw, &At::Body).unwrap().get(),
            r#"{"type":"object","required":["a"],"properties":{"a":{"enum":["x","y",null],"type":["string","null"]},"b":{"type":"array","minItems":2,"items":{"type":"integer"}},"type":{"anyOf":[{"type":"number"},{"type":"boolean"}]}}}"#
        );
        let wrong: &RawValue = serde_json::from_str("[]").unwrap();
        assert!(json_schema(wrong, &At::Body).is_err());
    }
}
