//! Whatever the bytes: no panic, and any split gives the same messages. The first byte says how to
//! split; the bytes are read as they are, and once more as headers and payload of one message.
#![no_main]

mod messages;

use libfuzzer_sys::fuzz_target;
use tollgate_wire::frame::aws::{Decoder, Flaw};

type Seen = Vec<(Vec<String>, Vec<u8>)>;

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<(Seen, bool), Flaw> {
    let mut decoder = Decoder::default();
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

fn check(size: usize, data: &[u8]) {
    let whole = decode(std::iter::once(data));
    assert_eq!(whole, decode(data.chunks(size.max(1))));
    assert_eq!(whole, decode(data.chunks(1)));
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    let size = usize::from(size);
    check(size, data);
    let (headers, payload) = data.split_at(data.len().min(size));
    check(size, &messages::message(headers, payload));
});
