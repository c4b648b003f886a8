//! Embeddings as OpenAI's API checks and spells them.
//! <https://platform.openai.com/docs/api-reference/embeddings>

use serde_json::{Value, json};

use super::{
    refuse::{Fields, Refuse},
    said::count_words,
};

/// Numbers in a vector, unless `dimensions` says otherwise.
pub(super) const DIMENSIONS: u64 = 8;

/// Checks the request and gives the model and the answer.
pub(super) fn answer(body: &Value) -> Result<(String, Value), Refuse> {
    let top = Fields::new(body, "")?;
    let model = top.text("model")?.to_owned();
    let inputs = inputs(top.required("input")?)?;
    let format = top.one_of("encoding_format", &["float", "base64"])?.unwrap_or("float");
    let dimensions = top.count("dimensions", 1)?.unwrap_or(DIMENSIONS);
    top.maybe_text("user")?;
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text, dimensions);
            let embedding = if format == "base64" { json!(base64(&vector)) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: u64 = inputs.iter().map(|text| count_words(text).max(1)).sum();
    let answer = json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    });
    Ok((model, answer))
}

fn inputs(input: &Value) -> Result<Vec<String>, Refuse> {
    let wrong = || Refuse::wrong_type("input", "a string or an array", input);
    let list = match input {
        Value::String(one) => return Ok(vec![one.clone()]),
        Value::Array(list) if !list.is_empty() => list,
        Value::Array(_) => {
            let message = "Invalid 'input': empty array. Expected an array with minimum length 1.";
            return Err(Refuse::bad("input", message, "empty_array"));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(wrong()),
    };
    if list.iter().all(Value::is_u64) {
        return Ok(vec![join(list)]);
    }
    list.iter()
        .map(|one| match one {
            Value::String(text) => Ok(text.clone()),
            Value::Array(tokens) if tokens.iter().all(Value::is_u64) => Ok(join(tokens)),
            Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Object(_) => Err(wrong()),
        })
        .collect()
}

fn join(tokens: &[Value]) -> String {
    tokens.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")
}

/// A vector that depends on the text alone; every number is exact in binary.
pub(super) fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let seed = text.bytes().fold(7_u64, |h, b| (h * 31 + u64::from(b)) % 1009);
    (0..dimensions)
        .map(|i| u16::try_from((seed * (i + 1)) % 256).map_or(0.0, |n| f32::from(n) / 256.0))
        .collect()
}

/// The vector as base64 of its numbers.
pub(super) fn base64(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let n = group.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for i in 0..4 {
            let six = (n >> (18 - 6 * i)) & 63;
            let letter = usize::try_from(six).ok().and_then(|six| ALPHABET.get(six));
            out.push(if i > group.len() { '=' } else { char::from(*letter.unwrap_or(&b'=')) });
        }
    }
    out
}
