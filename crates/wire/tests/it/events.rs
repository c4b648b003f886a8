//! `upstream.bedrock.bin` is what `upstream.bedrock.events` says, in Amazon's framing. Each line of
//! the latter is a message: `name json`, `!name json` for an exception, `?code text` for an error.
//! `INSTA_UPDATE=always` writes the former anew.

use std::{fs, path::Path};

use bytes::Bytes;

use crate::fixtures::cases;

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(u8::try_from(name.len()).unwrap());
    out.extend(name.as_bytes());
    out.push(7);
    out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    out.extend(value.as_bytes());
}

fn message(line: &str) -> Vec<u8> {
    let (name, payload) = line.split_once(' ').unwrap();
    let mut headers = Vec::new();
    let payload = if let Some(name) = name.strip_prefix('!') {
        header(&mut headers, ":exception-type", name);
        header(&mut headers, ":content-type", "application/json");
        header(&mut headers, ":message-type", "exception");
        payload
    } else if let Some(code) = name.strip_prefix('?') {
        header(&mut headers, ":error-code", code);
        header(&mut headers, ":error-message", payload);
        header(&mut headers, ":message-type", "error");
        ""
    } else {
        header(&mut headers, ":event-type", name);
        header(&mut headers, ":content-type", "application/json");
        header(&mut headers, ":message-type", "event");
        payload
    };
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let mut out = Vec::new();
    out.extend(length(16 + headers.len() + payload.len()));
    out.extend(length(headers.len()));
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload.as_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch that snapshots have too")]
fn binary_streams_are_what_their_lines_say() {
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always");
    let mut checked = 0;
    for case in cases() {
        let Some(lines) = case.file("upstream.bedrock.events") else { continue };
        let lines = std::str::from_utf8(&lines).unwrap();
        let bytes: Vec<u8> = lines.lines().flat_map(message).collect();
        let file = case.file("upstream.bedrock.bin");
        // What is right already is left alone: other tests read it at the same time.
        if update && file.as_deref() != Some(&bytes) {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chat");
            fs::write(root.join(&case.name).join("upstream.bedrock.bin"), &bytes).unwrap();
        } else {
            assert_eq!(file, Some(Bytes::from(bytes)), "{}", case.name);
        }
        checked += 1;
    }
    assert!(checked >= 15, "{checked} streams only");
}
