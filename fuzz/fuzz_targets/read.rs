//! What the targets that read a client's bytes share.

use bytes::Bytes;
use tollgate_wire::{
    Dialect, Peek,
    dialect::{surface, upstream},
    exchange::Payload,
};

use crate::chat::target;

/// A client's bytes: no panic, and whatever can be put to a target is JSON.
pub fn read(dialect: Dialect, data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let payload = Payload { body, peek: Peek::default(), headers: Vec::new(), received_s: 0 };
    let Ok(ask) = surface(dialect).unwrap().read(&payload) else { return };
    for other in Dialect::ALL {
        let Some(upstream) = upstream(other) else { continue };
        let mut dropped = Vec::new();
        let Ok(body) = upstream.write(&ask, &target(other), &mut dropped) else { continue };
        serde_json::from_slice::<&serde_json::value::RawValue>(&body).unwrap();
    }
}
