//! `fixtures/chat/<case>/request.<surface>.json · upstream.<dialect>.{json,sse,ndjson,bin}`

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use bytes::{Bytes, BytesMut};
use tollgate_wire::{
    Card, Dialect, Exchange, Operation, Provider, Secret, Target,
    dialect::{surface, upstream},
    exchange::{Payload, bridge::Bridge},
    peek::peek,
    provider::{Auth, Inputs, Patch},
};

/// What clients may speak to us.
pub(crate) fn surfaces() -> impl Iterator<Item = Dialect> + Clone {
    Dialect::ALL.into_iter().filter(|dialect| surface(*dialect).is_some())
}

/// What we may speak to providers.
pub(crate) fn upstreams() -> impl Iterator<Item = Dialect> + Clone {
    Dialect::ALL.into_iter().filter(|dialect| upstream(*dialect).is_some())
}

/// The smallest request of a surface.
pub(crate) fn plain(surface: Dialect, stream: bool) -> Payload {
    let body = match surface {
        Dialect::Gemini => r#"{"contents":[{"parts":[{"text":"x"}]}]}"#.to_owned(),
        Dialect::Responses => format!(r#"{{"model":"m","stream":{stream},"input":"x"}}"#),
        Dialect::Completions => format!(r#"{{"model":"m","stream":{stream},"prompt":"x"}}"#),
        _ => format!(
            r#"{{"model":"m","max_tokens":9,"stream":{stream},"messages":[{{"role":"user","content":"x"}}]}}"#
        ),
    };
    payload(surface, body.into(), stream)
}

/// A request as the gateway would read it. Whether Google's answer is to be streamed stands in the
/// path, as does the model.
fn payload(surface: Dialect, body: Bytes, stream: bool) -> Payload {
    let mut payload = peeked(surface, body);
    if surface == Dialect::Gemini {
        payload.peek.stream = stream;
        payload.peek.model = "m".to_owned();
    }
    payload
}

pub(crate) const SHOWN: &str = "shown-model";

/// One folder.
pub(crate) struct Case {
    pub(crate) name: String,
    files: BTreeMap<String, Bytes>,
}

impl Case {
    /// The body of the client's request.
    pub(crate) fn request(&self, surface: Dialect) -> Option<Bytes> {
        self.file(&format!("request.{}.json", surface.name()))
    }

    /// The same, read. A case of a stream says so in its name.
    pub(crate) fn asked(&self, surface: Dialect) -> Option<Payload> {
        Some(payload(surface, self.request(surface)?, self.name.ends_with("_stream")))
    }

    pub(crate) fn asked_or_plain(&self, surface: Dialect, stream: bool) -> Payload {
        let own = self.asked(surface).filter(|payload| payload.peek.stream == stream);
        own.unwrap_or_else(|| plain(surface, stream))
    }

    pub(crate) fn reply(&self, upstream: Dialect) -> Option<Bytes> {
        self.file(&format!("upstream.{}.json", upstream.name()))
    }

    pub(crate) fn stream(&self, upstream: Dialect) -> Option<Bytes> {
        let file = |end: &str| self.file(&format!("upstream.{}.{end}", upstream.name()));
        ["sse", "ndjson", "bin"].into_iter().find_map(file)
    }

    pub(crate) fn file(&self, name: &str) -> Option<Bytes> {
        self.files.get(name).cloned()
    }
}

/// All cases, by name.
pub(crate) fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chat");
    let mut cases: Vec<Case> = fs::read_dir(&root)
        .unwrap()
        .map(|folder| {
            let folder = folder.unwrap().path();
            let files = fs::read_dir(&folder).unwrap().map(|file| {
                let file = file.unwrap().path();
                let name = file.file_name().unwrap().to_str().unwrap().to_owned();
                (name, Bytes::from(fs::read(&file).unwrap()))
            });
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            Case { name, files: files.collect() }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() >= 15, "fixtures are missing");
    cases
}

pub(crate) fn peeked(surface: Dialect, body: Bytes) -> Payload {
    let peek = peek(surface, Operation::Chat, &body).unwrap();
    Payload { body, peek, headers: Vec::new(), received_s: 0 }
}

/// How a model that only goes on from a text is told who says what.
fn form(dialect: Dialect) -> Vec<Patch> {
    let name = match dialect {
        Dialect::Tgi => "llama3",
        Dialect::WatsonxText => "granite",
        _ => return Vec::new(),
    };
    vec![Patch::Set("chat_template".to_owned(), name.into())]
}

/// The same for one that is given a single message.
fn inputs(dialect: Dialect) -> Option<Inputs> {
    let told = Inputs { turns: Some("words".to_owned()), takes: None };
    (dialect == Dialect::Replicate).then_some(told)
}

pub(crate) fn target(dialect: Dialect) -> Target {
    let provider = Provider {
        name: "test".into(),
        url: "https://api.test/v1".to_owned(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: match dialect {
            Dialect::Anthropic => Auth::XApiKey,
            Dialect::Gemini => Auth::XGoogApiKey,
            _ => Auth::Bearer,
        },
        speaks: [(dialect, String::new())].into(),
        ops: vec![Operation::Chat],
        headers: BTreeMap::new(),
        patch: form(dialect),
        inputs: inputs(dialect),
        ..Provider::default()
    };
    Target {
        id: "t".into(),
        provider: Arc::new(provider),
        model: "upstream-model".into(),
        dialect,
        base: "https://api.test/v1".into(),
        credential: Some(Secret::new("sk-secret")),
        login: None,
        card: Some(Arc::new(Card { max_output: Some(8192), ..Card::default() })),
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

pub(crate) fn dropping(mut to: Target) -> Target {
    to.drop_params = true;
    to
}

pub(crate) fn bridge(surface: Dialect, upstream: Dialect) -> Bridge {
    Bridge::new(Operation::Chat, surface, upstream, SHOWN)
}

/// A bridge that has put `request` to a target that takes everything.
pub(crate) fn called(surface: Dialect, upstream: Dialect, request: Payload) -> Bridge {
    let mut bridge = bridge(surface, upstream);
    bridge.call(&request, &dropping(target(upstream))).unwrap();
    bridge
}

pub(crate) fn concat(pieces: &[Bytes]) -> Vec<u8> {
    pieces.concat()
}

/// What a client sees of a stream that comes in these pieces, and the fault it ends in.
pub(crate) fn streamed(exchange: &mut dyn Exchange, pieces: &[&[u8]]) -> (String, Option<String>) {
    let mut out = BytesMut::new();
    let mut fault = None;
    for piece in pieces {
        if let Err(why) = exchange.push(&Bytes::copy_from_slice(piece), &mut out) {
            fault = Some(why);
            break;
        }
    }
    if fault.is_none() {
        fault = exchange.end(&mut out).err();
    }
    let text = String::from_utf8(out.to_vec()).unwrap();
    (text, fault.map(|why| format!("{:?}: {}", why.kind, why.message)))
}
