//! Embeddings where client and upstream speak different dialects: through the hub.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{Call, CannotAsk, Exchange, Malformed, Payload, head};
use crate::{
    Dialect, Operation,
    dialect::{self, embeddings},
    fault::{Fault, FaultKind},
    op::embeddings::{Input, Request, Response},
    provider::Embeds,
    refusal::Refusal,
    target::Target,
    usage::Usage,
};

/// Bytes of text that an estimate takes for a token.
const BYTES_A_TOKEN: u64 = 4;

/// An exchange of embeddings between dialects.
pub struct Embed {
    surface: Dialect,
    upstream: Dialect,
    /// How the place spells them, where its dialect does not say.
    form: Option<Embeds>,
    /// The model's name as the client is to see it.
    shown_model: Box<str>,
    ask: Option<Request>,
    /// What is to be asked beside the first text.
    others: Vec<Call>,
    usage: Option<Usage>,
    done: bool,
    dropped: Vec<String>,
}

impl Embed {
    /// `shown_model` is the model name that the client is to see.
    pub fn new(surface: Dialect, to: &Target, shown_model: &str) -> Self {
        Embed {
            surface,
            upstream: to.dialect,
            form: to.provider.embeds,
            shown_model: shown_model.into(),
            ask: None,
            others: Vec::new(),
            usage: None,
            done: false,
            dropped: Vec::new(),
        }
    }

    fn client(&self) -> Result<&'static dyn embeddings::Surface, Malformed> {
        embeddings::surface(self.surface).ok_or_else(|| none(self.surface))
    }

    fn provider(&self) -> Result<&'static dyn embeddings::Upstream, Malformed> {
        embeddings::upstream(self.upstream, self.form).ok_or_else(|| none(self.upstream))
    }
}

impl Exchange for Embed {
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk> {
        // A dialect that has none cannot be asked; another target might.
        let path = head::path(Operation::Embeddings, self.upstream, to, false)?;
        let mut ask = self.client()?.read(payload)?;
        ask.fill(&to.defaults)?;
        self.dropped.clear();
        let provider = self.provider()?;
        let headers = head::headers(self.upstream, false, &[], to);
        let call = |body| Call { path: path.clone(), headers: headers.clone(), body: vec![body] };
        let most = provider.most_a_call(to).filter(|most| ask.input.count() > *most);
        let parts = most.map(|most| ask.parts(most)).unwrap_or_default();
        let first = parts.first().unwrap_or(&ask);
        let first = call(provider.write(first, to, &mut self.dropped)?);
        // What is dropped of one is dropped of all.
        let others = parts.iter().skip(1).map(|part| provider.write(part, to, &mut Vec::new()));
        self.others = others.map(|body| body.map(call)).collect::<Result<_, _>>()?;
        self.ask = Some(ask);
        Ok(first)
    }

    fn others(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.others)
    }

    fn reply(&mut self, body: Bytes) -> Result<Bytes, Malformed> {
        self.join(&[body])
    }

    fn join(&mut self, bodies: &[Bytes]) -> Result<Bytes, Malformed> {
        let provider = self.provider()?;
        let Some(ask) = &self.ask else { return Err(Malformed::new("nothing was asked")) };
        let mut vectors = Vec::with_capacity(ask.input.count());
        let mut told = Vec::with_capacity(bodies.len());
        for body in bodies {
            let reply = provider.read(body)?;
            vectors.extend(reply.vectors);
            told.push(reply.usage);
        }
        let (wanted, got) = (ask.input.count(), vectors.len());
        if wanted != got {
            return Err(Malformed::new(format!(
                "the upstream answered {got} vectors to {wanted} texts"
            )));
        }
        let usage = sum(told).unwrap_or_else(|| estimate(&ask.input));
        let model = self.shown_model.to_string();
        let reply = Response { model, vectors, usage: Some(usage) };
        let written = self.client()?.write(ask, &reply)?;
        self.usage = Some(usage);
        self.done = true;
        Ok(written)
    }

    fn push(&mut self, _chunk: &Bytes, _out: &mut BytesMut) -> Result<(), Fault> {
        Err(no_stream())
    }

    fn end(&mut self, _out: &mut BytesMut) -> Result<(), Fault> {
        Err(no_stream())
    }

    fn begun(&self) -> bool {
        self.done
    }

    fn done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        self.usage.unwrap_or(Usage { estimated: true, ..Usage::default() })
    }

    fn finish_reason(&self) -> Option<&str> {
        None
    }

    fn dropped(&self) -> &[String] {
        &self.dropped
    }

    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Fault {
        dialect::fault(status, headers, &body)
    }

    fn broken(&self, why: &Refusal, out: &mut BytesMut) {
        dialect::broken(self.surface, why, out);
    }
}

/// What several calls took, where each says it. Embeddings take input alone.
fn sum(told: Vec<Option<Usage>>) -> Option<Usage> {
    let told = told.into_iter().collect::<Option<Vec<_>>>()?;
    told.into_iter().reduce(|sum, one| Usage { input: sum.input.saturating_add(one.input), ..one })
}

fn estimate(input: &Input) -> Usage {
    let bytes = match input {
        Input::Texts { texts, .. } => texts.iter().map(String::len).sum(),
        Input::Tokens { raw, .. } => raw.get().len(),
    };
    let input = (bytes as u64).div_ceil(BYTES_A_TOKEN);
    Usage { input, estimated: true, ..Usage::default() }
}

fn none(dialect: Dialect) -> Malformed {
    Malformed::new(format!("{} is not a dialect of embeddings on this side", dialect.name()))
}

fn no_stream() -> Fault {
    Fault::new(FaultKind::BadResponse, "embeddings are not streamed")
}
