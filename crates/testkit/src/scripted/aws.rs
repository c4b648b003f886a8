//! Amazon's signatures and event streams, for places beside Bedrock.

use bytes::Bytes;

use super::{Recorded, bedrock};

/// A key that is known; its secret is [`SECRET_KEY`].
pub const ACCESS_KEY: &str = "AKIDSCRIPTED";
/// See [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "scripted/secret+key";

/// Whether a request is signed for `service`, as strictly as Amazon checks that. `Err` is status
/// and message.
pub fn signed(recorded: &Recorded, service: &str) -> Result<(), (u16, String)> {
    bedrock::aws::authorise(recorded, service).map_err(|refuse| (refuse.status, refuse.message))
}

/// A piece of a container's stream, as SageMaker hands it on.
pub fn payload_part(payload: &[u8]) -> Bytes {
    let headers = [
        (":event-type", "PayloadPart"),
        (":content-type", "application/octet-stream"),
        (":message-type", "event"),
    ];
    bedrock::frame::raw(&headers, payload)
}
