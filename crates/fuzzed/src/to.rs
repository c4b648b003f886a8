//! Who is asked.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use tollgate_wire::{
    Card, Dialect, Operation, Peek, Provider, Target, dialect,
    exchange::Payload,
    peek,
    provider::{Frames, Inputs},
};

/// What clients may speak to us.
pub(crate) const SURFACES: [Dialect; 6] = [
    Dialect::Openai,
    Dialect::Anthropic,
    Dialect::Responses,
    Dialect::Completions,
    Dialect::Gemini,
    Dialect::Cohere,
];

/// What we may speak to providers.
pub(crate) const UPSTREAMS: [Dialect; 12] = [
    Dialect::Openai,
    Dialect::Anthropic,
    Dialect::Responses,
    Dialect::Gemini,
    Dialect::Bedrock,
    Dialect::Cohere,
    Dialect::Ollama,
    Dialect::Oci,
    Dialect::OciCohere,
    Dialect::Tgi,
    Dialect::WatsonxText,
    Dialect::Replicate,
];

static TARGETS: LazyLock<Vec<Target>> = LazyLock::new(|| {
    let framings = [Frames::Plain, Frames::Aws].into_iter();
    framings.flat_map(|frames| Dialect::ALL.map(|dialect| make(dialect, frames))).collect()
});

fn make(dialect: Dialect, frames: Frames) -> Target {
    let provider = Provider {
        name: "test".into(),
        url: "https://a.test".to_owned(),
        speaks: [(dialect, String::new())].into(),
        ops: vec![Operation::Chat, Operation::Embeddings, Operation::CountTokens],
        frames,
        follows: vec!["*.b.test".to_owned()],
        inputs: Some(Inputs { turns: Some("words".to_owned()), takes: None }),
        ..Provider::default()
    };
    Target {
        id: "t".into(),
        provider: Arc::new(provider),
        model: "real".into(),
        dialect,
        base: "https://a.test".into(),
        credential: None,
        login: None,
        card: Some(Arc::new(Card { max_output: Some(8192), ..Card::default() })),
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

/// Whom this dialect is spoken to.
pub(crate) fn to(dialect: Dialect) -> &'static Target {
    find(dialect, Frames::Plain)
}

/// The same where streams come within Amazon's event stream.
pub(crate) fn within_frames(dialect: Dialect) -> &'static Target {
    find(dialect, Frames::Aws)
}

fn find(dialect: Dialect, frames: Frames) -> &'static Target {
    let mut all = TARGETS.iter();
    let found = all.find(|to| to.dialect == dialect && to.provider.frames == frames);
    found.expect("there is one for each dialect and framing")
}

/// One of these, by a byte.
pub(crate) fn one_of<T: Copy>(all: &[T], which: u8) -> T {
    all[usize::from(which) % all.len()]
}

/// A body of which nothing is known.
pub(crate) fn payload(body: &[u8]) -> Payload {
    let body = Bytes::copy_from_slice(body);
    Payload { body, peek: Peek::default(), headers: Vec::new(), received_s: 0 }
}

/// A small request.
pub(crate) fn plain(surface: Dialect, stream: bool) -> Payload {
    let body: &[u8] = match (surface, stream) {
        (Dialect::Responses, true) => br#"{"model":"m","input":"x","stream":true}"#,
        (Dialect::Responses, false) => br#"{"model":"m","input":"x"}"#,
        (Dialect::Completions, true) => {
            br#"{"model":"m","prompt":"x","echo":true,"stream":true}"#
        }
        (Dialect::Completions, false) => br#"{"model":"m","prompt":"x","echo":true}"#,
        (Dialect::Gemini, _) => br#"{"contents":[{"parts":[{"text":"x"}]}]}"#,
        (_, true) => {
            br#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":1,"stream":true}"#
        }
        (_, false) => {
            br#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":1}"#
        }
    };
    let body = Bytes::from_static(body);
    let mut peek = peek::peek(surface, Operation::Chat, &body).expect("it is a request");
    // Google's path says so.
    peek.stream = stream;
    Payload { body, peek, headers: Vec::new(), received_s: 0 }
}

pub(crate) fn surface(dialect: Dialect) -> &'static dyn dialect::Surface {
    dialect::surface(dialect).expect("it is a client's")
}

pub(crate) fn upstream(dialect: Dialect) -> &'static dyn dialect::Upstream {
    dialect::upstream(dialect).expect("it is a provider's")
}
