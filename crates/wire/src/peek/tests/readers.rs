//! F27: what we route, limit and price by is what every parser behind us reads, whichever of two
//! equal names it prefers and whether or not it tells `Model` from `model`.

use std::cell::Cell;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::*;

/// An object's members as they stand there, none dropped.
struct All(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for All {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = All;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<All, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(All(all))
            }
        }
        from.deserialize_map(Members)
    }
}

/// How a parser chooses among members.
#[derive(Debug, Clone, Copy)]
enum Choice {
    First,
    Last,
    /// As Go's `encoding/json`: the last of those that are equal but for case.
    LastFolded,
}

impl All {
    fn get(&self, choice: Choice, name: &str) -> Option<Value> {
        let fold =
            |text: &str| text.to_lowercase().replace('\u{17f}', "s").replace('\u{212a}', "k");
        let mut found = self.0.iter().filter(|(key, _)| match choice {
            Choice::First | Choice::Last => key == name,
            Choice::LastFolded => fold(key) == name,
        });
        match choice {
            Choice::First => found.next(),
            Choice::Last | Choice::LastFolded => found.next_back(),
        }
        .and_then(|(_, value)| serde_json::from_str(value.get()).ok())
    }
}

/// A name, spelled so that some parsers may take it for another.
fn key() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "model",
        "messages",
        "stream",
        "max_tokens",
        "n",
        "user",
        "stream_options",
        "temperature",
        "mode",
        "models",
        "x",
    ]);
    (names, 0..12u8, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(name, how, at, upper)| {
            let at = at.index(name.len());
            let (head, rest) = name.split_at(at);
            let (letter, tail) = rest.split_at(1);
            let code = u32::from(letter.as_bytes()[0]);
            match how {
                0 if upper => format!("{head}\\u{code:04X}{tail}"),
                0 => format!("{head}\\u{code:04x}{tail}"),
                1 => format!("{head}{}{tail}", letter.to_uppercase()),
                2 => name.replacen('s', "\u{17f}", 1),
                3 => format!("{head}\\u{:04x}{tail}", code - 32),
                4 => format!(" {name}"),
                5 => format!("{name}\\u0000"),
                6 => format!("{name}\\/"),
                _ => name.to_owned(),
            }
        },
    )
}

fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        r#""a""#,
        r#""b""#,
        r#""\u0061""#,
        r#""a\u0000""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        "[]",
        r#"[{"model":"b","role":"user"}]"#,
        r#"{"model":"b"}"#,
        r#"{"include_usage":true}"#,
        r#"{"include_usage":true,"include_usage":false}"#,
        "true",
        "false",
        "null",
        "1",
        "2",
        "1e2",
        "-1",
        r#""{\"model\":\"b\"}""#,
        r#""\",\"model\":\"b""#,
    ])
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n\t", "\r\n ", "\u{b}", "\u{a0}"])
}

/// A value that the name may have, mostly.
fn fitting(key: &str) -> &'static str {
    match key {
        "messages" => r#"[{"role":"user","content":"\"model\":\"b\"","model":"b"}]"#,
        "stream" => "true",
        "max_tokens" | "n" => "7",
        "stream_options" => r#"{"include_usage":true}"#,
        _ => r#""a""#,
    }
}

fn body() -> impl Strategy<Value = String> {
    let member = (key(), value(), any::<u8>(), space(), space(), space());
    let more = prop::collection::vec(member, 0..5);
    (more, any::<prop::sample::Index>(), 0..20u8).prop_map(|(more, at, plain)| {
        let mut members: Vec<String> = more
            .into_iter()
            .map(|(key, value, wild, a, b, c)| {
                let value = if wild < 60 { value } else { fitting(&key) };
                // Odd white space is rare, or few bodies would be JSON at all.
                let (a, b, c) = if wild % 8 == 0 { (a, b, c) } else { ("", "", " ") };
                format!("{a}\"{key}\"{b}:{c}{value}")
            })
            .collect();
        for (nth, name) in ["model", "messages"].into_iter().enumerate() {
            // Now and then it is missing.
            if usize::from(plain) != nth {
                let at = at.index(members.len() + 1);
                members.insert(at, format!("\"{name}\": {}", fitting(name)));
            }
        }
        format!("{{{}}}", members.join(","))
    })
}

/// What is read of `text` by the parsers behind us, if we let it pass.
fn check(text: &str) -> Result<bool, TestCaseError> {
    let Ok(peek) = read(text) else { return Ok(false) };
    let all: All = serde_json::from_str(text).map_err(|e| TestCaseError::fail(e.to_string()))?;
    for choice in [Choice::First, Choice::Last, Choice::LastFolded] {
        let get = |name: &str| all.get(choice, name);
        prop_assert_eq!(get("model"), Some(Value::from(&*peek.model)), "{:?}", choice);
        prop_assert!(get("messages").is_some_and(|messages| messages.is_array()));
        prop_assert_eq!(get("stream") == Some(Value::Bool(true)), peek.stream);
        let user = get("user").and_then(|user| user.as_str().map(str::to_owned));
        prop_assert_eq!(&user, &peek.end_user);
        let count = |name: &str| {
            let number = get(name).and_then(|number| number.as_f64());
            number.filter(|number| *number >= 0.0).map(|number| number as u64)
        };
        prop_assert_eq!(count("max_tokens"), peek.max_tokens);
        prop_assert_eq!(count("n"), peek.n);
        let usage = get("stream_options").is_some_and(|options| options["include_usage"] == true);
        prop_assert_eq!(usage, peek.include_usage);
    }
    prop_assert_eq!(
        serde_json::from_str::<String>(&text[peek.model_span.clone()]).ok(),
        Some(peek.model)
    );
    Ok(true)
}

#[test]
fn f27_every_parser_reads_what_we_read() {
    let accepted = Cell::new(0u32);
    let config = Config { cases: 4_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let run = runner.run(&body(), |text| {
        accepted.set(accepted.get() + u32::from(check(&text)?));
        Ok(())
    });
    run.unwrap();
    // Neither all nor none, or nothing was tested.
    assert!((400..3_600).contains(&accepted.get()), "{} accepted", accepted.get());
}
