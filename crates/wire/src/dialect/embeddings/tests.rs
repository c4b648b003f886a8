use bytes::BytesMut;
use serde_json::value::RawValue;

use super::{vector::write, *};
use crate::op::embeddings::{Encoding, Task};

fn written(vector: &Vector, encoding: Encoding) -> Option<String> {
    let mut out = BytesMut::new();
    write(&mut out, vector, encoding).ok()?;
    Some(String::from_utf8(out.to_vec()).unwrap())
}

#[test]
fn numbers_and_their_bytes_say_the_same() {
    let floats = Vector::Floats(RawValue::from_string("[0.5,-2, 1e-3]".to_owned()).unwrap());
    let bytes = written(&floats, Encoding::Base64).unwrap();
    assert_eq!(bytes, "\"AAAAPwAAAMBvEoM6\"");
    let base64 = Vector::Base64(bytes.trim_matches('"').to_owned());
    assert_eq!(written(&base64, Encoding::Float).unwrap(), "[0.5,-2,0.001]");
    // What needs no other spelling keeps its own.
    assert_eq!(written(&floats, Encoding::Float).unwrap(), "[0.5,-2, 1e-3]");
    assert_eq!(written(&base64, Encoding::Base64).unwrap(), bytes);
}

#[test]
fn what_is_no_vector_is_refused() {
    for text in ["{}", "null", "\"AAAA\"", "[1,\"2\"]", "[null]"] {
        let vector = Vector::Floats(RawValue::from_string(text.to_owned()).unwrap());
        assert_eq!(written(&vector, Encoding::Base64), None, "{text}");
    }
    for text in ["AAA", "AAAA", "äöü", "AAAAPwA=", "AADAfw=="] {
        assert_eq!(written(&Vector::Base64(text.to_owned()), Encoding::Float), None, "{text}");
    }
}

#[test]
fn tasks_go_by_many_names() {
    for (word, task) in [
        ("search_query", Task::Query),
        ("RETRIEVAL_QUERY", Task::Query),
        ("document", Task::Document),
        ("CLUSTERING", Task::Clustering),
        ("SEMANTIC_SIMILARITY", Task::Other("SEMANTIC_SIMILARITY".to_owned())),
    ] {
        assert_eq!(Task::read(word), task, "{word}");
    }
}
