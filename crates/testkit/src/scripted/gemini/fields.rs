//! Every field of the API's messages: any other is refused, as protocol buffers refuse it. Names may
//! come in camelCase or in snake_case. <https://ai.google.dev/api/generate-content>

use serde_json::Value;

use super::super::refuse::Refuse;

/// What a field may hold.
pub(super) enum Kind {
    Text,
    Flag,
    Whole,
    Number,
    /// Any JSON: `google.protobuf.Struct` and `Value`.
    Any,
    Word(&'static [&'static str]),
    One(&'static Message),
    Many(&'static Message),
    Texts,
    /// [`SCHEMA`], which is within itself.
    Schema,
    Schemas,
    Words(&'static [&'static str]),
}

/// The fields of a message.
pub(super) type Message = [(&'static str, Kind)];

pub(super) const REQUEST: &Message = &[
    ("model", Kind::Text),
    ("contents", Kind::Many(CONTENT)),
    ("systemInstruction", Kind::One(CONTENT)),
    ("tools", Kind::Many(TOOL)),
    ("toolConfig", Kind::One(TOOL_CONFIG)),
    ("safetySettings", Kind::Many(SAFETY)),
    ("generationConfig", Kind::One(CONFIG)),
    ("cachedContent", Kind::Text),
    ("serviceTier", Kind::Word(&["standard", "flex", "priority"])),
    ("store", Kind::Flag),
];

/// Labels are Vertex AI's alone.
pub(super) const COUNT: &Message =
    &[("contents", Kind::Many(CONTENT)), ("generateContentRequest", Kind::One(REQUEST))];

const CONTENT: &Message = &[("role", Kind::Text), ("parts", Kind::Many(PART))];

const PART: &Message = &[
    ("text", Kind::Text),
    ("thought", Kind::Flag),
    ("thoughtSignature", Kind::Text),
    ("inlineData", Kind::One(BLOB)),
    ("fileData", Kind::One(FILE)),
    ("functionCall", Kind::One(CALL)),
    ("functionResponse", Kind::One(RESPONSE)),
    ("executableCode", Kind::Any),
    ("codeExecutionResult", Kind::Any),
    ("videoMetadata", Kind::Any),
    ("mediaResolution", Kind::Any),
    ("partMetadata", Kind::Any),
];

const BLOB: &Message =
    &[("mimeType", Kind::Text), ("data", Kind::Text), ("displayName", Kind::Text)];
const FILE: &Message =
    &[("mimeType", Kind::Text), ("fileUri", Kind::Text), ("displayName", Kind::Text)];
const CALL: &Message = &[("id", Kind::Text), ("name", Kind::Text), ("args", Kind::Any)];
const RESPONSE: &Message = &[
    ("id", Kind::Text),
    ("name", Kind::Text),
    ("response", Kind::Any),
    ("parts", Kind::Any),
    ("willContinue", Kind::Flag),
    ("scheduling", Kind::Text),
];

const TOOL: &Message = &[
    ("functionDeclarations", Kind::Many(FUNCTION)),
    ("googleSearch", Kind::Any),
    ("googleSearchRetrieval", Kind::Any),
    ("codeExecution", Kind::Any),
    ("urlContext", Kind::Any),
    ("computerUse", Kind::Any),
    ("googleMaps", Kind::Any),
    ("fileSearch", Kind::Any),
];

const FUNCTION: &Message = &[
    ("name", Kind::Text),
    ("description", Kind::Text),
    ("behavior", Kind::Text),
    ("parameters", Kind::One(SCHEMA)),
    ("parametersJsonSchema", Kind::Any),
    ("response", Kind::One(SCHEMA)),
    ("responseJsonSchema", Kind::Any),
];

/// Google's subset of OpenAPI's schemas: no `$ref`, no `additionalProperties`.
const SCHEMA: &Message = &[
    ("type", Kind::Text),
    ("format", Kind::Text),
    ("title", Kind::Text),
    ("description", Kind::Text),
    ("nullable", Kind::Flag),
    ("enum", Kind::Texts),
    ("items", Kind::Schema),
    ("properties", Kind::Any),
    ("required", Kind::Texts),
    ("propertyOrdering", Kind::Texts),
    ("anyOf", Kind::Schemas),
    ("minItems", Kind::Any),
    ("maxItems", Kind::Any),
    ("minimum", Kind::Number),
    ("maximum", Kind::Number),
    ("minLength", Kind::Any),
    ("maxLength", Kind::Any),
    ("pattern", Kind::Text),
    ("default", Kind::Any),
    ("example", Kind::Any),
];

const TOOL_CONFIG: &Message =
    &[("functionCallingConfig", Kind::One(CALLING)), ("retrievalConfig", Kind::Any)];
const CALLING: &Message = &[
    ("mode", Kind::Word(&["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"])),
    ("allowedFunctionNames", Kind::Texts),
];

const SAFETY: &Message = &[
    (
        "category",
        Kind::Word(&[
            "HARM_CATEGORY_HARASSMENT",
            "HARM_CATEGORY_HATE_SPEECH",
            "HARM_CATEGORY_SEXUALLY_EXPLICIT",
            "HARM_CATEGORY_DANGEROUS_CONTENT",
            "HARM_CATEGORY_CIVIC_INTEGRITY",
        ]),
    ),
    (
        "threshold",
        Kind::Word(&[
            "BLOCK_LOW_AND_ABOVE",
            "BLOCK_MEDIUM_AND_ABOVE",
            "BLOCK_ONLY_HIGH",
            "BLOCK_NONE",
            "OFF",
        ]),
    ),
];

const CONFIG: &Message = &[
    ("stopSequences", Kind::Texts),
    ("responseMimeType", Kind::Word(&["text/plain", "application/json", "text/x.enum"])),
    ("responseSchema", Kind::One(SCHEMA)),
    ("responseJsonSchema", Kind::Any),
    ("responseModalities", Kind::Words(&["TEXT", "IMAGE", "AUDIO"])),
    ("candidateCount", Kind::Whole),
    ("maxOutputTokens", Kind::Whole),
    ("temperature", Kind::Number),
    ("topP", Kind::Number),
    ("topK", Kind::Whole),
    ("seed", Kind::Whole),
    ("presencePenalty", Kind::Number),
    ("frequencyPenalty", Kind::Number),
    ("responseLogprobs", Kind::Flag),
    ("logprobs", Kind::Whole),
    ("enableEnhancedCivicAnswers", Kind::Flag),
    ("speechConfig", Kind::Any),
    ("thinkingConfig", Kind::One(THINKING)),
    ("imageConfig", Kind::Any),
    (
        "mediaResolution",
        Kind::Word(&["MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"]),
    ),
];

const THINKING: &Message = &[
    ("includeThoughts", Kind::Flag),
    ("thinkingBudget", Kind::Whole),
    (
        "thinkingLevel",
        Kind::Word(&["minimal", "low", "medium", "high", "MINIMAL", "LOW", "MEDIUM", "HIGH"]),
    ),
];

/// A message with its names in camelCase, if it has no field but these, each of its kind.
pub(super) fn read(value: &Value, of: &Message, at: &str) -> Result<Value, Refuse> {
    let Some(fields) = value.as_object() else {
        return Err(invalid(at, format!("Invalid value at '{at}': expected an object.")));
    };
    let mut out = serde_json::Map::new();
    for (name, value) in fields {
        let camel = camel(name);
        let Some((_, kind)) = of.iter().find(|(known, _)| *known == camel) else {
            return Err(invalid(
                at,
                format!(
                    "Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field."
                ),
            ));
        };
        let path = if at.is_empty() { snake(&camel) } else { format!("{at}.{}", snake(&camel)) };
        if !value.is_null() {
            out.insert(camel, field(value, kind, &path)?);
        }
    }
    Ok(Value::Object(out))
}

fn field(value: &Value, kind: &Kind, at: &str) -> Result<Value, Refuse> {
    let right = match kind {
        Kind::Text => value.is_string(),
        Kind::Flag => value.is_boolean(),
        Kind::Whole => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Any => true,
        Kind::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        Kind::Words(words) => value.as_array().is_some_and(|list| {
            list.iter().all(|word| word.as_str().is_some_and(|word| words.contains(&word)))
        }),
        Kind::One(of) => return read(value, of, at),
        Kind::Schema => return read(value, SCHEMA, at),
        Kind::Many(of) => return many(value, of, at),
        Kind::Schemas => return many(value, SCHEMA, at),
    };
    if right {
        return Ok(value.clone());
    }
    Err(invalid(at, format!("Invalid value at '{at}' ({value})")))
}

fn many(value: &Value, of: &Message, at: &str) -> Result<Value, Refuse> {
    // One item stands for a list of one.
    let one = std::slice::from_ref(value);
    let list = value.as_array().map_or(one, Vec::as_slice);
    let items = list.iter().enumerate();
    let items = items.map(|(index, item)| read(item, of, &format!("{at}[{index}]")));
    Ok(Value::Array(items.collect::<Result<_, _>>()?))
}

pub(super) fn invalid(field: &str, message: impl Into<String>) -> Refuse {
    let param = (!field.is_empty()).then(|| field.to_owned());
    Refuse { param, ..Refuse::new(400, message) }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
