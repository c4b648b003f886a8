//! F40: a panic inside a request.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderValue;
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tollgate_router::{HealthMap, Tls};
use tollgate_store::{Outcome, Page, Store, UsageFilter, UsageRow};
use tollgate_testkit::{EvilUpstream, Reply, ScriptedUpstream, evil::acts};
use tollgate_wire::catalogue;

use super::*;
use crate::{
    admin,
    ask::Ask,
    boot::{self, Booted, Parts},
    config::{self, Strictness},
};

/// A request for this model panics when everything is reserved and a target would be asked.
const PANICKING_MODEL: &str = "panicking";

pub(crate) fn panic_where_asked(ask: &Ask) {
    assert!(ask.payload.peek.model != PANICKING_MODEL, "a prompt, which nobody may see");
}

/// A body that panics when it is read.
struct PanickingBody;

impl Body for PanickingBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        unreachable!("a prompt, which nobody may see")
    }
}

struct Bench {
    core: Arc<Core>,
    upstream: ScriptedUpstream,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let upstream = ScriptedUpstream::start().await;
        upstream.add_model("m");
        let url = upstream.url();
        Bench::at(&url, upstream).await
    }

    /// With its models at `url`.
    async fn at(url: &str, upstream: ScriptedUpstream) -> Self {
        let params = |name: &str| {
            format!(
                "  - model_name: {name}\n    litellm_params:\n      model: openai/m\n      \
                 api_base: {url}/v1\n      api_key: sk-x\n      input_cost_per_token: 0.001\n      \
                 output_cost_per_token: 0.001\n"
            )
        };
        let text = format!("model_list:\n{}{}", params("m"), params(PANICKING_MODEL));
        let health = HealthMap::default();
        let outcome = config::load(&config::Input {
            file: "config.yaml",
            text: &text,
            env: &|_| None,
            read: &|_| Err(std::io::ErrorKind::NotFound.into()),
            catalogue: catalogue::builtin(),
            health: &health,
            strictness: Strictness::Strict,
        });
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts {
            config: outcome.config.unwrap(),
            store: Store::open("sqlite::memory:").await.unwrap(),
            data_dir: folder.path(),
            cores: 1,
            tls: Tls::new(Vec::new()).unwrap(),
            health,
        };
        let Booted { cores, .. } = boot::boot(parts).await.unwrap();
        let core = cores.into_iter().next().unwrap();
        Bench { core, upstream, _folder: folder }
    }

    /// A key for one request at a time, and for less money than two set aside.
    async fn key(&self) -> String {
        let limits = json!({ "max_parallel_requests": 1, "max_budget": 0.01 });
        let made = admin::keys::generate(&self.core.gw, limits, Now::read()).await.unwrap();
        made["key"].as_str().unwrap().to_owned()
    }

    async fn ask<B>(&self, key: &str, surface: Dialect, body: B) -> (u16, Value)
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let now = Now::read();
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(key).unwrap());
        let id = now.request_id();
        let operation = Operation::Chat;
        let out = answer(
            &self.core,
            Incoming { id, operation, surface, named: None, headers, body, ip: None },
            now,
        );
        let out = out.await;
        let status = out.status().as_u16();
        let Ok(body) = out.into_body().collect().await;
        (status, serde_json::from_slice(&body.to_bytes()).unwrap())
    }

    async fn chat(&self, key: &str, model: &str) -> (u16, Value) {
        let body = json!({ "model": model, "max_tokens": 5,
            "messages": [{ "role": "user", "content": "Hi" }] });
        self.ask(key, Dialect::Openai, Full::from(body.to_string())).await
    }

    /// The usage rows.
    async fn rows(&self) -> Vec<UsageRow> {
        self.core.gw.recorder.flush().await;
        let all = UsageFilter::default();
        self.core.gw.store.usage(&all, Page::first(100)).await.unwrap().0
    }
}

#[tokio::test]
async fn f40_a_panic_is_a_500_in_the_clients_dialect() {
    let bench = Bench::new().await;
    let key = bench.key().await;
    for _ in 0..3 {
        let (status, body) = bench.ask(&key, Dialect::Openai, PanickingBody).await;
        assert_eq!((status, &body["error"]["code"]), (500, &json!("internal")), "{body}");
        assert!(!body.to_string().contains("prompt"), "{body}");
        let (status, body) = bench.ask(&key, Dialect::Anthropic, PanickingBody).await;
        assert_eq!((status, &body["error"]["type"]), (500, &json!("api_error")), "{body}");
        assert_eq!(body["type"], "error");
    }
    assert_eq!(bench.chat(&key, "m").await.0, 200);
    let (panicked, served): (Vec<_>, Vec<_>) =
        bench.rows().await.into_iter().partition(|row| row.outcome == Outcome::Failed);
    assert_eq!((panicked.len(), served.len()), (6, 1));
    for row in panicked {
        assert_eq!((row.status, row.error.as_deref(), row.cost), (500, Some("internal"), None));
    }
}

#[tokio::test]
async fn f40_a_panic_gives_back_what_was_set_aside_and_leaves_neighbours_alone() {
    let bench = Bench::new().await;
    let (key, neighbour) = (bench.key().await, bench.key().await);
    bench.upstream.script(Reply::auto().delay_ms(300));
    let slow = bench.chat(&neighbour, "m");
    let panicking = async {
        for _ in 0..3 {
            let (status, body) = bench.chat(&key, PANICKING_MODEL).await;
            assert_eq!(status, 500, "{body}");
        }
        // Its only place and its whole budget are free.
        assert_eq!(bench.upstream.requests().len(), 0, "the neighbour is through already");
        bench.chat(&key, "m").await
    };
    let (slow, after) = tokio::join!(slow, panicking);
    assert_eq!((slow.0, after.0), (200, 200), "{} {}", slow.1, after.1);
    let gw = &bench.core.gw;
    let meters = &gw.keys.get(&crate::auth::hash(&key)).unwrap().meters;
    assert_eq!(gw.in_flight(), 0);
    assert_eq!(bench.rows().await.iter().filter(|row| row.status == 500).count(), 3);
    assert_eq!(meters.spend(), tollgate_ledger::Nano(4_000_000));
}

#[tokio::test]
async fn a_stream_that_comes_in_one_piece_is_written_down_before_its_end_is_seen() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n\
                  data: [DONE]\n\n";
    let whole = acts::whole("200 OK", "text/event-stream", stream);
    let upstream = EvilUpstream::start(acts::answer(whole)).await;
    let bench = Bench::at(&upstream.url(), ScriptedUpstream::start().await).await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&bench.key().await).unwrap());
    let body = json!({ "model": "m", "stream": true, "max_tokens": 5,
        "messages": [{ "role": "user", "content": "Hi" }] });
    let body = Full::from(body.to_string());
    let (now, operation, surface) = (Now::read(), Operation::Chat, Dialect::Openai);
    let id = now.request_id();
    let incoming = Incoming { id, operation, surface, named: None, headers, body, ip: None };
    let mut out = answer(&bench.core, incoming, now).await.into_body();
    let seen = out.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(seen.ends_with(b"data: [DONE]\n\n"), "{seen:?}");
    let rows = bench.rows().await;
    assert_eq!(rows.iter().map(|row| row.outcome).collect::<Vec<_>>(), [Outcome::Ok]);
    drop(out);
    assert_eq!(bench.rows().await.len(), 1);
}
