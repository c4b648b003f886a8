//! Answers that fit a schema. Models that hold to one are told it in `outputConfig`; others are
//! made to call a tool whose arguments are the answer, and the call is read back as text.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>

use serde_json::Value;

use super::family::Family;
use crate::{
    dialect::{json::Object, sieve::Sieve},
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Format, Request, Schema, Thinking},
};

/// The tool whose arguments are the answer: LiteLLM's name for it.
pub(super) const ANSWER_TOOL: &str = "json_tool_call";

/// How an answer is brought into form.
pub(super) enum Shape<'a> {
    /// Not at all.
    Free,
    /// The model does it.
    Told(&'a Schema),
    /// By [`ANSWER_TOOL`].
    Tool(&'a Schema),
}

pub(super) fn shape<'a>(
    ask: &'a Request,
    family: Family,
    thinking: Option<Thinking>,
    sieve: &mut Sieve<'_>,
) -> Result<Shape<'a>, CannotAsk> {
    let field = match ask.surface {
        Dialect::Anthropic => "output_config.format",
        Dialect::Responses => "text.format",
        Dialect::Gemini => "generationConfig.responseMimeType",
        _ => "response_format",
    };
    match &ask.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonSchema(schema)) if schema.schema.is_none() => {
            sieve.refuse(field, "bedrock wants a schema")?;
        }
        Some(Format::JsonSchema(schema)) if family.formats() => return Ok(Shape::Told(schema)),
        Some(Format::JsonSchema(schema)) => {
            if matches!(thinking, Some(Thinking::Enabled { .. } | Thinking::Adaptive)) {
                let why = "this model is held to a schema by a tool, which excludes thinking";
                sieve.refuse(field, why)?;
            } else {
                return Ok(Shape::Tool(schema));
            }
        }
        Some(Format::JsonObject) => {
            let why = "bedrock has no JSON mode without a schema; give a `json_schema`";
            sieve.refuse(field, why)?;
        }
        Some(Format::Other { .. }) => sieve.refuse(field, "bedrock has no such format")?,
    }
    Ok(Shape::Free)
}

/// Writes `textFormat`.
pub(super) fn write(o: &mut Object<'_>, schema: &Schema) {
    o.object("textFormat", |o| {
        o.text("type", "json_schema");
        o.object("structure", |o| {
            o.object("jsonSchema", |o| {
                o.some_text("name", schema.name.as_deref());
                o.some_text("description", schema.description.as_deref());
                let raw = schema.schema.as_ref().map_or("{}", |raw| raw.get());
                o.text("schema", &closed(raw));
            });
        });
    });
}

/// The schema with `additionalProperties: false` at each object that does not say: Bedrock wants
/// it said.
fn closed(raw: &str) -> String {
    let Ok(mut schema) = serde_json::from_str::<Value>(raw) else { return raw.to_owned() };
    close(&mut schema);
    schema.to_string()
}

/// As deep as JSON may be at all: the parser has a limit.
fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let object = fields.get("type").is_some_and(|kind| match kind {
        Value::String(kind) => kind == "object",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    });
    if (object || fields.contains_key("properties")) && !fields.contains_key("additionalProperties")
    {
        fields.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                named.values_mut().for_each(close);
            }
            ("anyOf" | "allOf" | "oneOf" | "prefixItems", Value::Array(items)) => {
                items.iter_mut().for_each(close);
            }
            ("items" | "additionalProperties", value) => close(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_closed_at_every_object() {
        let open = r##"{"type":"object","properties":{"a":{"type":["object","null"]},
            "b":{"type":"array","items":{"properties":{"type":{"type":"string"}}}},
            "c":{"$ref":"#/$defs/d"},"e":{"type":"object","additionalProperties":{"type":"object"}}},
            "$defs":{"d":{"anyOf":[{"type":"object"},{"type":"null"}]}},"enum":[{"type":"object"}]}"##;
        let closed: Value = serde_json::from_str(&closed(open)).unwrap();
        let no = Value::Bool(false);
        for (path, expect) in [
            ("/additionalProperties", Some(&no)),
            ("/properties/a/additionalProperties", Some(&no)),
            ("/properties/b/additionalProperties", None),
            ("/properties/b/items/additionalProperties", Some(&no)),
            ("/properties/b/items/properties/type/additionalProperties", None),
            ("/properties/e/additionalProperties/additionalProperties", Some(&no)),
            ("/$defs/d/anyOf/0/additionalProperties", Some(&no)),
            ("/enum/0/additionalProperties", None),
        ] {
            assert_eq!(closed.pointer(path), expect, "{path}");
        }
    }
}
