//! `application/vnd.amazon.eventstream`, written.
//! <https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html>

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Value;

pub(super) fn event(name: &str, payload: &Value) -> Bytes {
    message(&[(":event-type", name), (":message-type", "event")], payload)
}

pub(super) fn exception(name: &str, payload: &Value) -> Bytes {
    message(&[(":exception-type", name), (":message-type", "exception")], payload)
}

fn message(headers: &[(&str, &str)], payload: &Value) -> Bytes {
    let headers = [headers, &[(":content-type", "application/json")]].concat();
    raw(&headers, payload.to_string().as_bytes())
}

/// A message of any bytes.
pub(in super::super) fn raw(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut block = BytesMut::new();
    for (name, value) in headers {
        block.put_u8(u8::try_from(name.len()).expect("a short name"));
        block.put_slice(name.as_bytes());
        block.put_u8(7);
        block.put_u16(u16::try_from(value.len()).expect("a short value"));
        block.put_slice(value.as_bytes());
    }
    let mut out = BytesMut::new();
    out.put_u32(u32::try_from(16 + block.len() + payload.len()).expect("a short message"));
    out.put_u32(u32::try_from(block.len()).expect("short headers"));
    out.put_u32(crc32(&out));
    out.put_slice(&block);
    out.put_slice(payload);
    out.put_u32(crc32(&out));
    out.freeze()
}

/// CRC-32 as in gzip, bit by bit: not the code that it is to test.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}
