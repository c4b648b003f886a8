//! A stream within Amazon's event stream: SageMaker hands on what the model's container streams,
//! cut anywhere, in messages of its own.
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html>

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::{Call, CannotAsk, Exchange, Malformed, Payload, follow::Next};
use crate::{
    fault::{Fault, FaultKind},
    frame::aws::{self, Frame},
    refusal::Refusal,
    target::Target,
    usage::Usage,
};

/// An exchange around the one that reads what the container streams.
pub(super) struct Framed {
    inner: Box<dyn Exchange>,
    frames: aws::Decoder,
}

/// What the service says of a stream that it cannot go on with.
#[derive(Deserialize)]
struct Said {
    #[serde(alias = "message")]
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "ErrorCode")]
    code: Option<String>,
}

impl Framed {
    /// Around `inner`.
    pub(super) fn new(inner: Box<dyn Exchange>) -> Self {
        Framed { inner, frames: aws::Decoder::default() }
    }
}

/// The payload of an event. `Err` for an exception.
fn part<'a>(frame: &Frame<'a>) -> Result<&'a [u8], Fault> {
    match (frame.text(":message-type"), frame.text(":event-type")) {
        (Some("event"), Some("PayloadPart")) => Ok(frame.payload),
        // What is not known yet says nothing.
        (Some("event"), _) => Ok(&[]),
        _ => Err(broken(frame)),
    }
}

fn broken(frame: &Frame<'_>) -> Fault {
    let said = serde_json::from_slice::<Said>(frame.payload).ok();
    let (message, code) = said.map(|said| (said.message, said.code)).unwrap_or_default();
    let name = frame.text(":exception-type").or_else(|| frame.text(":error-code"));
    let message = message.unwrap_or_else(|| "the service broke the stream off".to_owned());
    Fault {
        code: code.or_else(|| name.map(str::to_owned)),
        error_type: name.map(str::to_owned),
        ..Fault::new(FaultKind::Server, message)
    }
}

impl Exchange for Framed {
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk> {
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
        let Framed { inner, frames } = self;
        frames.push(chunk, |frame| {
            let part = part(&frame)?;
            if part.is_empty() { Ok(()) } else { inner.push(&Bytes::copy_from_slice(part), out) }
        })
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        if !self.frames.is_between() {
            let message = "the upstream's stream ended within a message";
            return Err(Fault::new(FaultKind::Disconnected, message));
        }
        self.inner.end(out)
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
        self.inner.broken(why, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, Operation, Provider, exchange::exchange, peek::peek, provider::Frames};

    /// One message: headers of type 7 and a payload.
    fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(name.len() as u8);
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&(value.len() as u16).to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let whole = 12 + head.len() + payload.len() + 4;
        let mut out = Vec::new();
        out.extend_from_slice(&(whole as u32).to_be_bytes());
        out.extend_from_slice(&(head.len() as u32).to_be_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(payload);
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out
    }

    fn part(payload: &str) -> Vec<u8> {
        let headers = [
            (":message-type", "event"),
            (":event-type", "PayloadPart"),
            (":content-type", "application/octet-stream"),
        ];
        message(&headers, payload.as_bytes())
    }

    const STREAM: &str = concat!(
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}]}"#,
        "\n\n",
        r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
        "\n\ndata: [DONE]\n\n",
    );

    /// A client of this dialect, asked for a stream.
    fn client(surface: Dialect) -> Box<dyn Exchange> {
        let provider = Provider {
            name: "p".into(),
            frames: Frames::Aws,
            speaks: [(Dialect::Openai, String::new())].into(),
            ..Provider::default()
        };
        let target = Target {
            id: "t".into(),
            provider: std::sync::Arc::new(provider),
            model: "m".into(),
            dialect: Dialect::Openai,
            base: "https://p.example".into(),
            credential: None,
            login: None,
            card: None,
            defaults: Vec::new(),
            headers: Vec::new(),
            drop_params: false,
        };
        let body = r#"{"model":"g","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
        let body = Bytes::from_static(body.as_bytes());
        let peek = peek(surface, Operation::Chat, &body).unwrap();
        let payload = Payload { body, peek, headers: Vec::new(), received_s: 1 };
        let mut exchange = exchange(Operation::Chat, surface, &target, "g");
        exchange.call(&payload, &target).unwrap();
        exchange
    }

    #[test]
    fn any_cut_of_messages_and_of_what_is_in_them_gives_the_same_answer() {
        for surface in [Dialect::Openai, Dialect::Anthropic] {
            let mut plain = client(surface);
            let mut expected = BytesMut::new();
            plain.push(&Bytes::from(part(STREAM)), &mut expected).unwrap();
            plain.end(&mut expected).unwrap();
            assert!(String::from_utf8_lossy(&expected).contains("hello"));
            for cut in 1..STREAM.len() {
                let (a, b) = STREAM.split_at(cut);
                let bytes = [part(a), part(b)].concat();
                let mut framed = client(surface);
                let mut got = BytesMut::new();
                let at = cut % bytes.len();
                framed.push(&Bytes::copy_from_slice(&bytes[..at]), &mut got).unwrap();
                framed.push(&Bytes::copy_from_slice(&bytes[at..]), &mut got).unwrap();
                framed.end(&mut got).unwrap();
                assert_eq!(got, expected, "{surface:?}, cut at {cut}");
                assert!(framed.done());
                assert_eq!(framed.usage().output, 2);
            }
        }
    }

    #[test]
    fn an_exception_and_a_cut_are_faults() {
        let exception = message(
            &[(":message-type", "exception"), (":exception-type", "ModelStreamError")],
            br#"{"Message":"the container is out of memory","ErrorCode":"MODEL_ERROR"}"#,
        );
        let mut framed = client(Dialect::Openai);
        let fault = framed.push(&exception.into(), &mut BytesMut::new()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Server);
        assert_eq!(fault.message, "the container is out of memory");
        assert_eq!(fault.code.as_deref(), Some("MODEL_ERROR"));

        let whole = part(STREAM);
        let mut framed = client(Dialect::Openai);
        framed.push(&Bytes::copy_from_slice(&whole[..40]), &mut BytesMut::new()).unwrap();
        let fault = framed.end(&mut BytesMut::new()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Disconnected);
    }
}
