//! The cases.

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use anyhow::{Context, anyhow, ensure};
use bytes::{Bytes, BytesMut};
use tollgate_bench::{answers, ask::Ask};
use tollgate_gateway::{Now, admin::keys::import_row, auth, keys::KeyBook};
use tollgate_ledger::price;
use tollgate_router::{
    Health,
    plan::{self, Prefs},
    table::{Member, Rules, Table},
};
use tollgate_wire::{
    Auth, Dialect, Exchange, Operation, Provider, Rates, Secret, Target, Usage,
    exchange::{self, Payload},
    peek,
};

/// A piece of the hot path.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// So many iterations that what is counted is the case, and not its surroundings.
    pub(crate) iterations: u32,
    pub(crate) set_up: fn() -> anyhow::Result<Work>,
}

/// One iteration.
pub(crate) type Work = Box<dyn FnMut() -> anyhow::Result<()>>;

use Dialect::{Anthropic, Openai};

pub(crate) const CASES: &[Case] = &[
    Case { name: "peek-1k", iterations: 2000, set_up: || read(1024) },
    Case { name: "peek-100k", iterations: 200, set_up: || read(102_400) },
    Case { name: "splice-1k", iterations: 2000, set_up: || splice(1024) },
    Case { name: "splice-100k", iterations: 200, set_up: || splice(102_400) },
    Case { name: "reply-relayed", iterations: 2000, set_up: || reply(Openai, Openai, "bench") },
    Case { name: "reply-aliased", iterations: 2000, set_up: || reply(Openai, Openai, "public") },
    Case { name: "reply-bridged", iterations: 500, set_up: || reply(Openai, Anthropic, "bench") },
    Case { name: "chunk-relayed", iterations: 5000, set_up: || chunk(Openai, Openai, "bench") },
    Case { name: "chunk-aliased", iterations: 5000, set_up: || chunk(Openai, Openai, "public") },
    Case {
        name: "chunk-anthropic-to-openai",
        iterations: 2000,
        set_up: || chunk(Openai, Anthropic, "bench"),
    },
    Case {
        name: "chunk-openai-to-anthropic",
        iterations: 2000,
        set_up: || chunk(Anthropic, Openai, "bench"),
    },
    Case { name: "key-look-up", iterations: 5000, set_up: look_up },
    Case { name: "plan-1-target", iterations: 5000, set_up: || plan(1) },
    Case { name: "plan-4-targets", iterations: 5000, set_up: || plan(4) },
    Case { name: "price", iterations: 5000, set_up: cost },
];

fn body(dialect: Dialect, stream: bool, body_bytes: usize) -> Bytes {
    Ask {
        dialect,
        host: String::new(),
        path: String::new(),
        model: "public".to_owned(),
        stream,
        usage: false,
        body_bytes,
    }
    .body()
}

fn payload(dialect: Dialect, stream: bool, body_bytes: usize) -> anyhow::Result<Payload> {
    let body = body(dialect, stream, body_bytes);
    let peek = peek::peek(dialect, Operation::Chat, &body)?;
    Ok(Payload { body, peek, headers: Vec::new(), received_s: 0 })
}

fn target(dialect: Dialect) -> Target {
    let provider = Provider {
        name: "bench".into(),
        url: "http://127.0.0.1:9/v1".to_owned(),
        auth: Auth::Bearer,
        speaks: BTreeMap::from([(dialect, String::new())]),
        ops: vec![Operation::Chat],
        ..Provider::default()
    };
    Target {
        id: "bench".into(),
        base: provider.url.as_str().into(),
        provider: Arc::new(provider),
        model: "bench".into(),
        dialect,
        credential: Some(Secret::new("sk-upstream")),
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

/// An exchange whose call has been made.
fn called(
    surface: Dialect,
    upstream: Dialect,
    shown: &str,
    stream: bool,
) -> anyhow::Result<Box<dyn Exchange>> {
    let to = target(upstream);
    let mut exchange = exchange::exchange(Operation::Chat, surface, &to, shown);
    exchange.call(&payload(surface, stream, 1024)?, &to)?;
    Ok(exchange)
}

/// The routed fields of a request.
fn read(body_bytes: usize) -> anyhow::Result<Work> {
    let body = body(Openai, true, body_bytes);
    Ok(Box::new(move || {
        black_box(peek::peek(Openai, Operation::Chat, black_box(&body))?);
        Ok(())
    }))
}

/// The call to the upstream: another model's name put in, `stream_options` added.
fn splice(body_bytes: usize) -> anyhow::Result<Work> {
    let payload = payload(Openai, true, body_bytes)?;
    let to = target(Openai);
    Ok(Box::new(move || {
        let mut exchange = exchange::exchange(Operation::Chat, Openai, &to, "public");
        black_box(exchange.call(black_box(&payload), &to)?);
        Ok(())
    }))
}

/// A whole answer.
fn reply(surface: Dialect, upstream: Dialect, shown: &'static str) -> anyhow::Result<Work> {
    let to = target(upstream);
    let payload = payload(surface, false, 1024)?;
    let answer = answers::whole(upstream, "bench");
    Ok(Box::new(move || {
        let mut exchange = exchange::exchange(Operation::Chat, surface, &to, shown);
        exchange.call(&payload, &to)?;
        black_box(exchange.reply(black_box(answer.clone()))?);
        black_box(exchange.usage());
        Ok(())
    }))
}

/// One content event of a stream that is under way.
fn chunk(surface: Dialect, upstream: Dialect, shown: &'static str) -> anyhow::Result<Work> {
    const FRAMING: usize = 3;
    let events = answers::stream(upstream, "bench", 100, true);
    let mut exchange = called(surface, upstream, shown, true)?;
    let mut out = BytesMut::with_capacity(64 * 1024);
    for event in events.iter().take(FRAMING) {
        push(&mut *exchange, event, &mut out)?;
    }
    let content: Vec<Bytes> = events.into_iter().skip(FRAMING).take(90).collect();
    let mut next = content.into_iter().cycle();
    Ok(Box::new(move || {
        let event = next.next().context("an endless iterator has ended")?;
        out.clear();
        push(&mut *exchange, black_box(&event), &mut out)?;
        ensure!(!out.is_empty(), "an event was swallowed");
        black_box(&out);
        Ok(())
    }))
}

fn push(exchange: &mut dyn Exchange, event: &Bytes, out: &mut BytesMut) -> anyhow::Result<()> {
    exchange.push(event, out).map_err(|fault| anyhow!("{:?}: {}", fault.kind, fault.message))
}

/// From a key as it was sent to what is known of it, among 10,000.
fn look_up() -> anyhow::Result<Work> {
    const KEYS: usize = 10_000;
    let sent: Vec<String> = (0..KEYS).map(|n| format!("sk-bench{n:014}")).collect();
    let book = KeyBook::default();
    for key in &sent {
        let row = import_row(serde_json::json!({"key": key}), Now::read());
        book.put(&row.map_err(|refusal| anyhow!(refusal.message))?);
    }
    let mut next = sent.into_iter().cycle();
    Ok(Box::new(move || {
        let sent = next.next().context("an endless iterator has ended")?;
        let key = book.get(&auth::hash(black_box(&sent))).context("the key is gone")?;
        black_box(key);
        Ok(())
    }))
}

/// From a model's name to the order of its targets.
fn plan(members: usize) -> anyhow::Result<Work> {
    let target = Arc::new(target(Openai));
    let member = |_| Member::new(target.clone(), Arc::new(Health::default()));
    let members = (0..members).map(|n| ("public".to_owned(), member(n))).collect();
    let table = Table::new(Rules { members, ..Rules::default() });
    let prefs =
        Prefs { surface: Openai, fallbacks: &[], num_retries: None, disable_fallbacks: false };
    let mut seed = 0_u64;
    Ok(Box::new(move || {
        seed = seed.wrapping_add(1);
        let found = table.group(black_box("public")).context("the group is gone")?;
        black_box(plan::plan(&table, &found.group, prefs, 1_000, seed));
        Ok(())
    }))
}

/// What an answer costs.
fn cost() -> anyhow::Result<Work> {
    let usage =
        Usage { input: 1250, cache_read: 1000, output: 60, reasoning: 20, ..Usage::default() };
    let rates = Rates {
        input: 2_500_000_000,
        output: 10_000_000_000,
        cache_read: Some(1_250_000_000),
        ..Rates::default()
    };
    Ok(Box::new(move || {
        black_box(price::cost(black_box(&usage), black_box(&rates), None)?);
        Ok(())
    }))
}
