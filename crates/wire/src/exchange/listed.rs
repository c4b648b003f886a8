//! A stream as one JSON list: what Google sends to those who do not ask for events.
//!
//! `data: {"a":1}` and `data: {"a":2}` become `[{"a":1},{"a":2}]`, piece by piece.
//! <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{Call, CannotAsk, Exchange, Malformed, Payload, bridge::Bridge, follow::Next};
use crate::{
    fault::Fault,
    frame::sse::{self, TooLong},
    refusal::Refusal,
    target::Target,
    usage::Usage,
};

/// An exchange around the exchange of a Gemini client: it says nothing of its own until the client
/// wants a list.
pub struct Listed {
    inner: Box<dyn Exchange>,
    /// What takes the place of a relay where bytes cannot pass: thoughts that another provider
    /// signed are held in `thoughtSignature`, and only a bridge leaves them out.
    instead: Option<Bridge>,
    /// Whether the client wants a list.
    wanted: bool,
    events: sse::Decoder,
    list: List,
}

/// A list that is being written.
#[derive(Clone, Copy, Default)]
struct List {
    /// An item is out.
    begun: bool,
    closed: bool,
}

impl List {
    /// The data of an event: an item, but for the word of OpenAI's that some end streams with.
    fn item(&mut self, item: &[u8], out: &mut BytesMut) {
        if item.trim_ascii() == b"[DONE]" {
            self.close(out);
        }
        if self.closed {
            return;
        }
        let before: &[u8] = if self.begun { b",\r\n" } else { b"[" };
        out.extend_from_slice(before);
        out.extend_from_slice(item);
        self.begun = true;
    }

    fn close(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.closed, true) {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
    }
}

impl Listed {
    /// Around `inner`, or `instead` for a conversation that another provider has signed.
    pub fn new(inner: Box<dyn Exchange>, instead: Option<Bridge>) -> Self {
        let events = sse::Decoder::up_to(sse::MAX_PICTURE_BYTES);
        Listed { inner, instead, wanted: false, events, list: List::default() }
    }

    fn items(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
        let Listed { events, list, .. } = self;
        events.push(bytes, |frame| {
            list.item(&frame.data, out);
            Ok::<(), TooLong>(())
        })?;
        Ok(())
    }
}

impl Exchange for Listed {
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk> {
        self.wanted = payload.peek.listed && payload.peek.stream;
        if let Some(bridge) = self.instead.take()
            && crate::dialect::holds_signatures(&payload.body)
        {
            self.inner = Box::new(bridge);
        }
        self.inner.call(payload, to)
    }

    fn reply(&mut self, body: Bytes) -> Result<Bytes, Malformed> {
        self.inner.reply(body)
    }

    fn others(&mut self) -> Vec<Call> {
        self.inner.others()
    }

    fn join(&mut self, bodies: &[Bytes]) -> Result<Bytes, Malformed> {
        self.inner.join(bodies)
    }

    fn follow(&mut self, body: &[u8], to: &Target) -> Result<Next, Fault> {
        self.inner.follow(body, to)
    }

    fn push(&mut self, chunk: &Bytes, out: &mut BytesMut) -> Result<(), Fault> {
        if !self.wanted {
            return self.inner.push(chunk, out);
        }
        let mut events = BytesMut::new();
        let pushed = self.inner.push(chunk, &mut events);
        self.items(&events, out)?;
        if pushed.is_ok() && self.inner.done() {
            self.list.close(out);
        }
        pushed
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        if !self.wanted {
            return self.inner.end(out);
        }
        let mut events = BytesMut::new();
        let ended = self.inner.end(&mut events);
        self.items(&events, out)?;
        ended?;
        self.list.close(out);
        Ok(())
    }

    fn begun(&self) -> bool {
        self.inner.begun()
    }

    fn done(&self) -> bool {
        self.inner.done()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn finish_reason(&self) -> Option<&str> {
        self.inner.finish_reason()
    }

    fn unfinished(&self) -> Option<&str> {
        self.inner.unfinished()
    }

    fn dropped(&self) -> &[String] {
        self.inner.dropped()
    }

    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Fault {
        self.inner.fault(status, headers, body)
    }

    fn broken(&self, why: &Refusal, out: &mut BytesMut) {
        if !self.wanted {
            return self.inner.broken(why, out);
        }
        let mut events = BytesMut::new();
        self.inner.broken(why, &mut events);
        let mut list = self.list;
        // Our own words fit.
        let _ = sse::Decoder::default().push(&events, |frame| {
            list.item(&frame.data, out);
            Ok::<(), TooLong>(())
        });
        list.close(out);
    }
}
