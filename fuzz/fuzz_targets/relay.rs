//! Whatever the upstream answers: no panic, memory bounded by the input, and any split of a stream
//! gives the same bytes, the same usage and the same end.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use tollgate_wire::{
    Dialect, Exchange, FaultKind, Operation, Provider, Target, Usage,
    exchange::{self, Payload, relay::Relay},
    peek,
};

static PROVIDER: LazyLock<Arc<Provider>> = LazyLock::new(|| {
    let text = "url = \"https://a.test\"\nspeaks = { openai = \"\", anthropic = \"\" }";
    Arc::new(toml::from_str(text).unwrap())
});

fn relay(dialect: Dialect, shown: &str) -> Box<dyn Exchange> {
    let to = Target {
        id: "t".into(),
        provider: PROVIDER.clone(),
        model: "real".into(),
        dialect,
        base: "https://a.test".into(),
        credential: None,
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    };
    let body: &[u8] = match dialect {
        Dialect::Responses => br#"{"model":"m","input":"x","stream":true}"#,
        Dialect::Completions => br#"{"model":"m","prompt":"x","stream":true}"#,
        Dialect::Gemini => br#"{"contents":[]}"#,
        _ => br#"{"model":"m","messages":[],"max_tokens":1,"stream":true}"#,
    };
    let body = Bytes::from_static(body);
    let mut peek = peek::peek(dialect, Operation::Chat, &body).unwrap();
    // Google's path says so, and its query whether it is to be a list.
    (peek.stream, peek.listed) = (true, shown == "listed");
    let mut exchange = exchange::exchange(Operation::Chat, dialect, &to, shown);
    exchange.call(&Payload { body, peek, headers: Vec::new(), received_s: 0 }, &to).unwrap();
    exchange
}

type Passed = (BytesMut, Result<(), FaultKind>, Usage, Option<String>, bool, bool);

fn pass<'a>(dialect: Dialect, shown: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Passed {
    let mut relay = relay(dialect, shown);
    let mut out = BytesMut::new();
    let mut end = Ok(());
    for piece in pieces {
        end = relay.push(&Bytes::copy_from_slice(piece), &mut out);
        if end.is_err() {
            break;
        }
    }
    if end.is_ok() {
        end = relay.end(&mut out);
    }
    let finish = relay.finish_reason().map(str::to_owned);
    (out, end.map_err(|f| f.kind), relay.usage(), finish, relay.begun(), relay.done())
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    for dialect in Dialect::ALL.into_iter().filter(|dialect| Relay::serves(*dialect)) {
        for shown in ["real", "alias", "listed"] {
            let whole = pass(dialect, shown, std::iter::once(data));
            assert!(whole.0.len() <= data.len() * 4 + 64);
            assert_eq!(whole, pass(dialect, shown, data.chunks(usize::from(size).max(1))));
            let _ = relay(dialect, shown).reply(Bytes::copy_from_slice(data));
        }
    }
});
