use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn scan(text: &[u8]) -> Result<(), Flaw> {
    let mut scan = Scan::new(text);
    scan.value()?;
    scan.finish()
}

fn serde_agrees(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|s| serde_json::from_str::<&RawValue>(s).is_ok())
}

#[test]
fn what_is_json() {
    for text in [
        "1",
        "-0",
        "0.5e-3",
        "true",
        "null",
        "\"\"",
        "[]",
        "{}",
        " { \"a\" : [ 1 , 2 ] } ",
        "\"\\u00e9\\n\"",
        "[[],{}]",
        "\"0123456789abcdef0123456789abcdef0123456789abcdef\\\"x\"",
        "\"é\"",
        "\"\\ud800\"",
    ] {
        assert_eq!(scan(text.as_bytes()), Ok(()), "{text}");
    }
}

#[test]
fn what_is_not() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "+1",
        "NaN",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a\nb\"",
        "{}x",
        "{} {}",
        "{1:2}",
        "{\"a\":1]",
        "[1}",
        "'a'",
        "\u{feff}{}",
    ] {
        assert!(scan(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(scan(b"\"ab\xff\""), Err(Flaw::Utf8(3)));
}

#[test]
fn depth_is_limited_without_recursion() {
    let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(scan(nest(127).as_bytes()), Ok(()));
    assert!(serde_json::from_str::<serde_json::Value>(&nest(127)).is_ok());
    assert_eq!(scan(nest(128).as_bytes()), Err(Flaw::Deep));
    assert!(serde_json::from_str::<serde_json::Value>(&nest(128)).is_err());
    assert_eq!(scan("[".repeat(100_000).as_bytes()), Err(Flaw::Deep));
    assert_eq!(scan("{\"a\":".repeat(100_000).as_bytes()), Err(Flaw::Deep));
}

#[test]
fn walks_members_and_items() {
    let text = br#" {"a": [1, {"b":2}], "\u0063": "x\"y"} "#;
    let mut scan = Scan::new(text);
    let mut seen = Vec::new();
    scan.open_object().unwrap();
    let mut first = true;
    while let Some(key) = scan.next_key(&mut first).unwrap() {
        let span = scan.value().unwrap();
        seen.push((key.resolve().unwrap().into_owned(), &text[span]));
    }
    scan.finish().unwrap();
    assert_eq!(seen, [("a".to_owned(), &br#"[1, {"b":2}]"#[..]), ("c".to_owned(), br#""x\"y""#)]);
}

fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\"a\""),
        Just("\"a\":"),
        Just("1"),
        Just("-"),
        Just("0"),
        Just("."),
        Just("e"),
        Just("true"),
        Just("null"),
        Just(" "),
        Just("\n"),
        Just("é"),
        Just("\\u00e9"),
        Just("\u{1}"),
        Just("abcdefgh"),
    ];
    prop::collection::vec(token, 0..24).prop_map(|t| t.concat().into_bytes())
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in near_json()) {
        prop_assert_eq!(scan(&text).is_ok(), serde_agrees(&text));
    }

    #[test]
    fn agrees_on_any_string(text in any::<String>()) {
        let quoted = serde_json::to_vec(&text).unwrap();
        let mut scan = Scan::new(&quoted);
        let read = scan.string().unwrap();
        prop_assert_eq!(read.resolve().unwrap(), text);
        prop_assert_eq!(read.span(), 0..quoted.len());
    }

    #[test]
    fn agrees_on_damaged_strings(text in any::<String>(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut quoted = serde_json::to_vec(&text).unwrap();
        let at = at.index(quoted.len());
        quoted[at] = byte;
        prop_assert_eq!(scan(&quoted).is_ok(), serde_agrees(&quoted));
    }
}
