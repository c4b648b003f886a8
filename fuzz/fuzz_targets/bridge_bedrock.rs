//! Whatever Bedrock answers an OpenAI or an Anthropic client. After the first byte, which says how
//! to split, each line is the payload of a message; its first byte names the event.
#![no_main]

mod bridge;
mod chat;
mod messages;

use libfuzzer_sys::fuzz_target;
use tollgate_wire::Dialect;

const EVENTS: &[&str] = &[
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "throttlingException",
    "somethingNew",
];

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
    out.push(7);
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value.as_bytes());
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, rest)) = data.split_first() else { return };
    let mut stream = vec![size];
    for line in rest.split(|byte| *byte == b'\n') {
        let Some((&kind, payload)) = line.split_first() else { continue };
        let name = EVENTS[usize::from(kind) % EVENTS.len()];
        let mut headers = Vec::new();
        if name.ends_with("Exception") {
            header(&mut headers, ":exception-type", name);
            header(&mut headers, ":message-type", "exception");
        } else {
            header(&mut headers, ":event-type", name);
            header(&mut headers, ":message-type", "event");
        }
        stream.extend(messages::message(&headers, payload));
    }
    for surface in [Dialect::Openai, Dialect::Anthropic] {
        bridge::answer(surface, Dialect::Bedrock, &stream);
        bridge::answer(surface, Dialect::Bedrock, data);
    }
});
