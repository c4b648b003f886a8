//! What streams are made of: any cut of the bytes gives the same. The first byte says how to cut.

use std::fmt::Debug;

use tollgate_wire::frame::{
    aws::{self, Flaw},
    lines,
    sse::{self, Frame, TooLong},
};

use crate::cut;

fn check<T: PartialEq + Debug>(data: &[u8], read: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> T) {
    let Some((&how, data)) = data.split_first() else { return };
    let whole = read(&mut std::iter::once(data));
    assert_eq!(whole, read(&mut cut(how, data)));
    assert_eq!(whole, read(&mut data.chunks(1)));
}

/// Server-sent events.
pub(crate) fn sse(data: &[u8]) {
    check(data, |pieces| {
        let mut decoder = sse::Decoder::default();
        let mut seen = Vec::new();
        let mut each = |frame: Frame<'_>| {
            seen.push((frame.event.to_vec(), frame.data.to_vec()));
            Ok::<(), TooLong>(())
        };
        for piece in pieces {
            decoder.push(piece, &mut each)?;
        }
        decoder.end(&mut each)?;
        Ok::<_, TooLong>(seen)
    });
}

/// Lines of JSON.
pub(crate) fn lines(data: &[u8]) {
    check(data, |pieces| {
        let mut decoder = lines::Decoder::default();
        let mut seen = Vec::new();
        let mut each = |line: &[u8]| {
            seen.push(line.to_vec());
            Ok::<(), TooLong>(())
        };
        for piece in pieces {
            decoder.push(piece, &mut each)?;
        }
        decoder.end(&mut each)?;
        Ok::<_, TooLong>(seen)
    });
}

/// Amazon's event streams: the bytes as they are, and once more as headers and payload of one
/// message.
pub(crate) fn aws(data: &[u8]) {
    check(data, messages);
    let Some((how, rest)) = data.split_first() else { return };
    let (headers, payload) = rest.split_at(rest.len().min(usize::from(*how)));
    let mut framed = vec![*how];
    framed.extend(message(headers, payload));
    check(&framed, messages);
}

type Messages = (Vec<(Vec<String>, Vec<u8>)>, bool);

fn messages(pieces: &mut dyn Iterator<Item = &[u8]>) -> Result<Messages, Flaw> {
    let mut decoder = aws::Decoder::default();
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece, |frame| {
            let headers = frame.headers().map(|header| format!("{header:?}")).collect();
            seen.push((headers, frame.payload.to_vec()));
            Ok::<(), Flaw>(())
        })?;
    }
    Ok((seen, decoder.is_between()))
}

/// One message, its checksums right, so that what is in it is reached.
fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + headers.len() + payload.len());
    out.extend(((16 + headers.len() + payload.len()) as u32).to_be_bytes());
    out.extend((headers.len() as u32).to_be_bytes());
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(headers);
    out.extend(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

/// Bytes of a stream in one message.
const PART_BYTES: usize = 100;

/// The events of Bedrock's streams, and one that is none.
pub(crate) const BEDROCK: [&str; 12] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "internalServerException",
    "modelStreamErrorException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
    "somethingNew",
];

/// A stream of Bedrock's: of each line the first byte names the event, and the rest is its payload.
pub(crate) fn bedrock(lines: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some((&kind, payload)) = line.split_first() else { continue };
        let name = BEDROCK[usize::from(kind) % BEDROCK.len()];
        let mut headers = Vec::new();
        if name.ends_with("Exception") {
            header(&mut headers, ":exception-type", name);
            header(&mut headers, ":message-type", "exception");
        } else {
            header(&mut headers, ":event-type", name);
            header(&mut headers, ":message-type", "event");
        }
        stream.extend(message(&headers, payload));
    }
    stream
}

/// Any stream within messages, as SageMaker has it.
pub(crate) fn sagemaker(stream: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    header(&mut headers, ":event-type", "PayloadPart");
    header(&mut headers, ":message-type", "event");
    stream.chunks(PART_BYTES).flat_map(|part| message(&headers, part)).collect()
}

fn header(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(name.len() as u8);
    out.extend(name.as_bytes());
    // A string.
    out.push(7);
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value.as_bytes());
}
