//! A vector's two spellings: numbers, and their bytes in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{BufMut, BytesMut};

use crate::{
    dialect::json,
    exchange::Malformed,
    op::embeddings::{Encoding, Vector},
};

/// Writes a vector as it was asked for.
pub(super) fn write(
    out: &mut BytesMut,
    vector: &Vector,
    encoding: Encoding,
) -> Result<(), Malformed> {
    match (vector, encoding) {
        (Vector::Floats(raw), Encoding::Float) => {
            if !raw.get().starts_with('[') {
                return Err(no_vector());
            }
            out.put_slice(raw.get().as_bytes());
        }
        (Vector::Base64(text), Encoding::Base64) => json::string(out, text),
        (Vector::Floats(raw), Encoding::Base64) => {
            let numbers: Vec<f32> = serde_json::from_str(raw.get()).map_err(|_| no_vector())?;
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            json::string(out, &STANDARD.encode(bytes));
        }
        (Vector::Bytes(text), encoding) => {
            let bytes = STANDARD.decode(text).map_err(|_| no_vector())?;
            let numbers = bytes.iter().map(|byte| byte.cast_signed());
            match encoding {
                Encoding::Float => json::list(out, |list| {
                    numbers.for_each(|number| list.raw(&number.to_string()));
                }),
                Encoding::Base64 => {
                    let bytes: Vec<u8> = numbers.flat_map(|n| f32::from(n).to_le_bytes()).collect();
                    json::string(out, &STANDARD.encode(bytes));
                }
            }
        }
        (Vector::Base64(text), Encoding::Float) => {
            let bytes = STANDARD.decode(text).map_err(|_| no_vector())?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return Err(no_vector());
            }
            let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
            // JSON has no other numbers.
            if !numbers.clone().all(f32::is_finite) {
                return Err(no_vector());
            }
            json::list(out, |list| numbers.for_each(|number| list.raw(&number.to_string())));
        }
    }
    Ok(())
}

fn no_vector() -> Malformed {
    Malformed::new("the upstream's answer has a vector that is none")
}
