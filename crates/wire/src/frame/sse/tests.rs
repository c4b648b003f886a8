use proptest::prelude::*;

use super::*;

type Seen = Vec<(String, String)>;

fn decode(pieces: &[&[u8]]) -> Result<Seen, TooLong> {
    let mut decoder = Decoder::default();
    let mut seen = Seen::new();
    let mut each = |frame: Frame<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        seen.push((text(frame.event), text(&frame.data)));
        Ok::<(), TooLong>(())
    };
    for piece in pieces {
        decoder.push(piece, &mut each)?;
    }
    decoder.end(&mut each)?;
    Ok(seen)
}

#[track_caller]
fn check(stream: &str, expect: &[(&str, &str)]) {
    let expect: Seen = expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let bytes = stream.as_bytes();
    assert_eq!(decode(&[bytes]).unwrap(), expect);
    for cut in 0..=bytes.len() {
        assert_eq!(decode(&[&bytes[..cut], &bytes[cut..]]).unwrap(), expect, "cut at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decode(&single).unwrap(), expect, "byte by byte");
}

#[test]
fn line_ends() {
    check("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]);
    check("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]);
    check("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]);
    check("data: a\n\rdata: b\r\n\ndata: c\r\r\n", &[("", "a"), ("", "b"), ("", "c")]);
    check("\n\n\r\ndata: a\n\n\n\n", &[("", "a")]);
}

#[test]
fn fields() {
    check("\u{feff}data: a\n\n", &[("", "a")]);
    check(": hello\n\ndata: a\n\n:\n\n", &[("", "a")]);
    check("data: a\ndata:b\ndata:  c\n\n", &[("", "a\nb\n c")]);
    check("event: ping\ndata: {}\n\nevent: x\n\n", &[("ping", "{}")]);
    check("id: 7\nretry: 10\nfoo: bar\ndata: a: b\n\n", &[("", "a: b")]);
    check("data\n\ndata:\n\n", &[]);
    check("data: ééé → 日本語\n\n", &[("", "ééé → 日本語")]);
}

#[test]
fn the_last_event_may_lack_its_blank_line() {
    check("data: a\n\ndata: [DONE]", &[("", "a"), ("", "[DONE]")]);
    check("data: [DONE]\n", &[("", "[DONE]")]);
    check("data: [DONE]\r", &[("", "[DONE]")]);
}

#[test]
fn events_are_capped() {
    let fits = format!("data: {}\n\n", "x".repeat(MAX_EVENT_BYTES - 8));
    assert_eq!(decode(&[fits.as_bytes()]).unwrap().len(), 1);
    let long = format!("data: {}\n\n", "x".repeat(MAX_EVENT_BYTES - 7));
    assert_eq!(decode(&[long.as_bytes()]), Err(TooLong(MAX_EVENT_BYTES)));
    let pieces: Vec<&[u8]> = long.as_bytes().chunks(1000).collect();
    assert_eq!(decode(&pieces), Err(TooLong(MAX_EVENT_BYTES)));
    // Many small lines without a blank one are an event too.
    let lines = ": x\n".repeat(300_000);
    assert_eq!(decode(&[lines.as_bytes()]), Err(TooLong(MAX_EVENT_BYTES)));
}

#[test]
fn one_byte_at_a_time_stays_linear() {
    let long = format!("data: {}\n\n", "x".repeat(MAX_EVENT_BYTES - 8));
    let pieces: Vec<&[u8]> = long.as_bytes().chunks(1).collect();
    assert_eq!(decode(&pieces).unwrap().len(), 1);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        tokens in prop::collection::vec(
            prop_oneof![
                Just("data: a"), Just("data:"), Just("event: e"), Just(": c"), Just("\n"),
                Just("\r"), Just("\r\n"), Just("\n\n"), Just("é"), Just(":"), Just(" "),
                Just("\u{feff}"),
            ],
            0..30,
        ),
        sizes in prop::collection::vec(1usize..7, 1..40),
    ) {
        let stream = tokens.concat().into_bytes();
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        for size in sizes {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(decode(&[&stream]), decode(&pieces));
    }
}
