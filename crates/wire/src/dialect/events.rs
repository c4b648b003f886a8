//! Reads a stream of server-sent events whose end the dialect itself marks.

use super::Decode;
use crate::{
    fault::{Fault, FaultKind},
    frame::sse,
    op::chat::Event,
};

/// What a dialect makes of its events, one at a time.
pub(super) trait Events: Default + Send {
    /// Most bytes of an event.
    const MAX_BYTES: usize = sse::MAX_EVENT_BYTES;
    /// One event's data.
    fn frame(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault>;
    /// True once the event that marks the end has come.
    fn is_done(&self) -> bool;
}

/// Reads a stream.
pub(super) struct Decoder<S> {
    sse: sse::Decoder,
    state: S,
}

impl<S: Events> Default for Decoder<S> {
    fn default() -> Self {
        Decoder { sse: sse::Decoder::up_to(S::MAX_BYTES), state: S::default() }
    }
}

impl<S: Events> Decode for Decoder<S> {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.push(bytes, |frame| state.frame(&frame.data, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.end(|frame| state.frame(&frame.data, out))?;
        if state.is_done() {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Disconnected,
            "the upstream's stream ended before it was complete",
        ))
    }

    fn done(&self) -> bool {
        self.state.is_done()
    }
}
