use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Bytes(Vec<u8>),
    Text(String),
    Timestamp(i64),
    Uuid([u8; 16]),
}

type Message = (Vec<(String, Owned)>, Vec<u8>);

fn encode((headers, payload): &Message) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(name.len() as u8);
        block.extend(name.as_bytes());
        let mut put = |kind: u8, bytes: &[u8]| {
            block.push(kind);
            block.extend(bytes);
        };
        match value {
            Owned::Bool(true) => put(0, &[]),
            Owned::Bool(false) => put(1, &[]),
            Owned::Byte(n) => put(2, &n.to_be_bytes()),
            Owned::Short(n) => put(3, &n.to_be_bytes()),
            Owned::Int(n) => put(4, &n.to_be_bytes()),
            Owned::Long(n) => put(5, &n.to_be_bytes()),
            Owned::Bytes(bytes) => put(6, &[&counted(bytes)[..], bytes].concat()),
            Owned::Text(text) => put(7, &[&counted(text.as_bytes())[..], text.as_bytes()].concat()),
            Owned::Timestamp(n) => put(8, &n.to_be_bytes()),
            Owned::Uuid(bytes) => put(9, bytes),
        }
    }
    frame(&block, payload)
}

fn counted(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_be_bytes()
}

fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(((PRELUDE + TRAILER + headers.len() + payload.len()) as u32).to_be_bytes());
    out.extend((headers.len() as u32).to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn decode(pieces: &[&[u8]]) -> Result<(Vec<Message>, bool), Flaw> {
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece, |frame| {
            let headers = frame.headers().map(|(name, value)| {
                let value = match value {
                    Value::Bool(value) => Owned::Bool(value),
                    Value::Byte(n) => Owned::Byte(n),
                    Value::Short(n) => Owned::Short(n),
                    Value::Int(n) => Owned::Int(n),
                    Value::Long(n) => Owned::Long(n),
                    Value::Bytes(bytes) => Owned::Bytes(bytes.to_vec()),
                    Value::Text(text) => Owned::Text(text.to_owned()),
                    Value::Timestamp(n) => Owned::Timestamp(n),
                    Value::Uuid(bytes) => Owned::Uuid(bytes),
                };
                (name.to_owned(), value)
            });
            seen.push((headers.collect(), frame.payload.to_vec()));
            Ok::<(), Flaw>(())
        })?;
    }
    Ok((seen, decoder.is_between()))
}

fn text(name: &str, value: &str) -> (String, Owned) {
    (name.to_owned(), Owned::Text(value.to_owned()))
}

/// The vectors that Amazon's SDKs are tested with.
#[test]
fn known_messages() {
    let empty = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff";
    assert_eq!(decode(&[empty]), Ok((vec![(vec![], vec![])], true)));
    let int32 = b"\x00\x00\x00+\x00\x00\x00\x0e4\x8b\xec{\x08event-id\x04\x00\x00\xa0\x0c{'foo':'bar'}\xd3\x89\x02\x85";
    let headers = vec![("event-id".to_owned(), Owned::Int(40972))];
    assert_eq!(decode(&[int32]), Ok((vec![(headers, b"{'foo':'bar'}".to_vec())], true)));
    let json = b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1";
    let headers = vec![text("content-type", "application/json")];
    assert_eq!(decode(&[json]), Ok((vec![(headers, b"{'foo':'bar'}".to_vec())], true)));
}

#[test]
fn headers_by_name() {
    let bytes = encode(&(
        vec![
            (":flag".to_owned(), Owned::Bool(true)),
            text(":message-type", "event"),
            text(":message-type", "exception"),
        ],
        Vec::new(),
    ));
    let mut seen = 0;
    let mut decoder = Decoder::default();
    decoder
        .push(&bytes, |frame| {
            assert_eq!(frame.text(":message-type"), Some("event"));
            assert_eq!(frame.text(":flag"), None);
            assert_eq!(frame.text(":other"), None);
            seen += 1;
            Ok::<(), Flaw>(())
        })
        .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn every_flipped_bit_is_found() {
    let message = (vec![text(":event-type", "metadata")], br#"{"a":1}"#.to_vec());
    let bytes = encode(&message);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            // A length that became larger is only waited for; its checksum is wrong at once.
            assert!(decode(&[&damaged]).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn lengths_are_bounded_before_anything_is_kept() {
    let prelude = |whole: u32, headers: u32| {
        let mut out = Vec::new();
        out.extend(whole.to_be_bytes());
        out.extend(headers.to_be_bytes());
        out.extend(crc32fast::hash(&out).to_be_bytes());
        decode(&[&out]).unwrap_err()
    };
    assert_eq!(prelude(MAX_MESSAGE_BYTES as u32 + 1, 0), Flaw::TooLong);
    assert_eq!(prelude(u32::MAX, u32::MAX), Flaw::TooLong);
    assert_eq!(prelude(1 << 20, MAX_HEADER_BYTES as u32 + 1), Flaw::Lengths);
    assert_eq!(prelude(15, 0), Flaw::Lengths);
    assert_eq!(prelude(0, 0), Flaw::Lengths);
    assert_eq!(prelude(20, 5), Flaw::Lengths);
    assert_eq!(decode(&[b"data: this is something else"]).unwrap_err(), Flaw::TooLong);
}

#[test]
fn bad_headers_are_refused() {
    for headers in [
        b"\x00".as_slice(),
        b"\x05abc",
        b"\x01a\x0a",
        b"\x01a\x07\x00\x05abc",
        b"\x01a\x07\x00\x01\xff",
        b"\x01\xff\x00",
        b"\x01a\x04\x00\x00",
        b"\x01a\x09\x00",
        b"\x01a",
    ] {
        assert_eq!(decode(&[&frame(headers, b"x")]), Err(Flaw::Headers), "{headers:?}");
    }
}

#[test]
fn what_is_cut_is_not_complete() {
    let bytes = encode(&(vec![text("a", "b")], b"payload".to_vec()));
    for cut in 1..bytes.len() {
        assert_eq!(decode(&[&bytes[..cut]]), Ok((vec![], false)), "cut at {cut}");
    }
}

fn value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<bool>().prop_map(Owned::Bool),
        any::<i8>().prop_map(Owned::Byte),
        any::<i16>().prop_map(Owned::Short),
        any::<i32>().prop_map(Owned::Int),
        any::<i64>().prop_map(Owned::Long),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Owned::Bytes),
        ".{0,20}".prop_map(Owned::Text),
        any::<i64>().prop_map(Owned::Timestamp),
        any::<[u8; 16]>().prop_map(Owned::Uuid),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let headers = prop::collection::vec((".{1,20}", value()), 0..6);
    (headers, prop::collection::vec(any::<u8>(), 0..200))
}

/// `stream` in pieces of these sizes, and the rest.
fn pieces<'a>(stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = stream;
    for size in sizes {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

proptest! {
    #[test]
    fn messages_come_back_however_they_are_cut(
        messages in prop::collection::vec(message(), 0..6),
        sizes in prop::collection::vec(1usize..60, 0..60),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(encode).collect();
        prop_assert_eq!(decode(&pieces(&stream, &sizes)), Ok((messages, true)));
    }

    #[test]
    fn any_bytes_any_split(
        stream in prop::collection::vec(any::<u8>(), 0..200),
        sizes in prop::collection::vec(1usize..20, 0..20),
    ) {
        prop_assert_eq!(decode(&[&stream]), decode(&pieces(&stream, &sizes)));
    }
}
