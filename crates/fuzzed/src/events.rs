//! The events of a stream, compared.

use tollgate_wire::{
    Fault,
    dialect::Upstream,
    op::chat::{Delta, Event, Opening},
};

/// All that a decoder says of a stream.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) events: Vec<Event>,
    pub(crate) end: Result<(), Fault>,
    pub(crate) done: bool,
}

/// Reads a stream that comes in these pieces.
pub(crate) fn hear<'a>(upstream: &dyn Upstream, pieces: impl Iterator<Item = &'a [u8]>) -> Heard {
    let mut decoder = upstream.decoder();
    let mut events = Vec::new();
    let mut end = Ok(());
    for piece in pieces {
        end = decoder.push(piece, &mut events);
        if end.is_err() {
            break;
        }
    }
    if end.is_ok() {
        end = decoder.end(&mut events);
    }
    Heard { events, end, done: decoder.done() }
}

/// The same from both.
pub(crate) fn assert_same(a: &Heard, b: &Heard) {
    assert_eq!(a.end, b.end);
    assert_eq!(a.done, b.done);
    assert_eq!(a.events.len(), b.events.len(), "{:?}\n{:?}", a.events, b.events);
    for (a, b) in a.events.iter().zip(&b.events) {
        assert!(is_same(a, b), "{a:?}\n{b:?}");
    }
}

/// Events are not made to be compared: the many by their members, the few by their `Debug`.
fn is_same(a: &Event, b: &Event) -> bool {
    match (a, b) {
        (
            Event::Delta { choice, part, delta: Delta::Text(text) },
            Event::Delta { choice: choice_b, part: part_b, delta: Delta::Text(text_b) },
        )
        | (
            Event::Delta { choice, part, delta: Delta::Arguments(text) },
            Event::Delta { choice: choice_b, part: part_b, delta: Delta::Arguments(text_b) },
        ) => choice == choice_b && part == part_b && text == text_b,
        (Event::Close { choice, part }, Event::Close { choice: choice_b, part: part_b })
        | (
            Event::Open { choice, part, kind: Opening::Text },
            Event::Open { choice: choice_b, part: part_b, kind: Opening::Text },
        ) => choice == choice_b && part == part_b,
        (Event::Usage(a), Event::Usage(b)) => a == b,
        _ => format!("{a:?}") == format!("{b:?}"),
    }
}
