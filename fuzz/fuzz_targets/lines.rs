//! Whatever the bytes: no panic, and any split gives the same lines. The first byte says how to
//! split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate_wire::frame::{lines::Decoder, sse::TooLong};

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, TooLong> {
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    let mut each = |line: &[u8]| {
        seen.push(line.to_vec());
        Ok::<(), TooLong>(())
    };
    for piece in pieces {
        decoder.push(piece, &mut each)?;
    }
    decoder.end(&mut each)?;
    Ok(seen)
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    let whole = decode(std::iter::once(data));
    assert_eq!(whole, decode(data.chunks(usize::from(size).max(1))));
    assert_eq!(whole, decode(data.chunks(1)));
});
