//! A table over made-up members, a client, and the question.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tollgate_router::{
    Answer, Ask, Client, Failed, Health, Live, Member, Policy, Prefs, Rules, Table, Timeouts, Tls,
    Tokens, UpstreamBody, first_answer, plan,
};
use tollgate_wire::{
    Auth, Dialect, Login, Operation, Provider, Secret, Target, exchange::Payload, peek::peek,
};

/// The credential of every target.
pub(crate) const KEY: &str = "sk-upstream-secret-0123456789";

/// A whole answer as OpenAI gives it.
pub(crate) const OK: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
/// The first event of a stream.
pub(crate) const EVENT: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";
/// An error as OpenAI gives it.
pub(crate) const ERROR: &str = r#"{"error":{"message":"no such thing","type":"teapot_error","param":"messages","code":"teapot"}}"#;

pub(crate) struct Rig {
    pub(crate) rules: Option<Rules>,
    pub(crate) client: Client,
    table: Option<Table>,
    stream: bool,
    now_ms: u64,
}

pub(crate) fn member(id: &str, base: &str) -> Member {
    let provider = Provider {
        name: "acme".into(),
        url: base.into(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: Auth::Bearer,
        speaks: BTreeMap::from([(Dialect::Openai, String::new())]),
        ops: vec![Operation::Chat],
        headers: BTreeMap::new(),
        patch: Vec::new(),
        ..Provider::default()
    };
    let target = Target {
        id: id.into(),
        provider: Arc::new(provider),
        model: "m".into(),
        dialect: Dialect::Openai,
        base: base.into(),
        credential: Some(Secret::new(KEY)),
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    };
    let timeouts =
        Timeouts { connect_ms: 2_000, first_byte_ms: 5_000, idle_ms: 5_000, total_ms: 20_000 };
    Member { timeouts, ..Member::new(Arc::new(target), Arc::new(Health::default())) }
}

impl Rig {
    /// One group `g` with a member `a`, `b`, … for each base URL, asked in this order.
    pub(crate) fn new(bases: &[String]) -> Self {
        let mut rules =
            Rules { policy: Policy { num_retries: 2, ..Policy::default() }, ..Rules::default() };
        for (at, base) in (0u8..).zip(bases) {
            let mut member = member(&char::from(b'a' + at).to_string(), base);
            // A weight of nearly nothing after the first: the order is the list's.
            member.weight = Some(0.000_001f64.powi(i32::from(at)));
            rules.members.push(("g".into(), member));
        }
        Rig {
            rules: Some(rules),
            client: Client::new(&Tls::new(Vec::new()).unwrap()),
            table: None,
            stream: false,
            now_ms: 1_000_000,
        }
    }

    pub(crate) fn each(mut self, change: impl Fn(&mut Member)) -> Self {
        self.rules.as_mut().unwrap().members.iter_mut().for_each(|(_, member)| change(member));
        self
    }

    pub(crate) fn timeouts(self, change: impl Fn(&mut Timeouts)) -> Self {
        self.each(|member| change(&mut member.timeouts))
    }

    pub(crate) fn rules(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(self.rules.as_mut().unwrap());
        self
    }

    pub(crate) fn retries(self, num_retries: u32) -> Self {
        self.rules(|rules| rules.policy.num_retries = num_retries)
    }

    /// Signs in so, instead of with a key, by the real time.
    pub(crate) fn login(mut self, login: Login) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        self.now_ms = u64::try_from(now.as_millis()).unwrap();
        let login = Arc::new(login);
        self.each(|member| {
            let target = Target::clone(&member.target);
            let login = Some(login.clone());
            member.target = Arc::new(Target { credential: None, login, ..target });
        })
    }

    /// This member has a key after all.
    pub(crate) fn key_for(self, id: &str) -> Self {
        self.each(|member| {
            if &*member.target.id == id {
                let target = Target::clone(&member.target);
                let credential = Some(Secret::new(KEY));
                member.target = Arc::new(Target { credential, login: None, ..target });
            }
        })
    }

    /// Keeps tokens here.
    pub(crate) fn tokens(mut self, tokens: &Arc<Tokens>) -> Self {
        self.client = Client::new(&Tls::new(Vec::new()).unwrap()).with_tokens(tokens.clone());
        self
    }

    pub(crate) fn streaming(mut self) -> Self {
        self.stream = true;
        self
    }

    pub(crate) fn table(&mut self) -> &Table {
        let rules = &mut self.rules;
        self.table.get_or_insert_with(|| Table::new(rules.take().unwrap()))
    }

    pub(crate) async fn ask(&mut self) -> Result<Live, Box<Failed>> {
        self.table();
        self.now_ms += 500;
        self.ask_at_once().await
    }

    /// Asks, beside others that ask. The table must be there.
    pub(crate) async fn ask_at_once(&self) -> Result<Live, Box<Failed>> {
        let table = self.table.as_ref().unwrap();
        let body = format!(
            r#"{{"model":"g","messages":[{{"role":"user","content":"hi"}}],"stream":{}}}"#,
            self.stream
        );
        let body = Bytes::from(body);
        let peek = peek(Dialect::Openai, Operation::Chat, &body).unwrap();
        let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
        let found = table.group("g").unwrap();
        let prefs = Prefs::of(Dialect::Openai, &payload.peek);
        let plan = plan(table, &found.group, prefs, self.now_ms, 1);
        let ask = Ask {
            client: &self.client,
            table,
            plan: &plan,
            operation: Operation::Chat,
            payload: &payload,
            shown_model: "g",
            now_ms: self.now_ms,
            started: tokio::time::Instant::now(),
        };
        tokio::time::timeout(Duration::from_secs(30), first_answer(ask)).await.expect("no hang")
    }

    /// The status, the code and the whole failure.
    pub(crate) async fn refused(&mut self) -> (u16, String, Box<Failed>) {
        let Err(failed) = self.ask().await else { panic!("an answer came") };
        let refusal = &failed.refusal;
        let code = refusal.code.clone().unwrap_or_else(|| refusal.kind.code().to_owned());
        assert!(!format!("{failed:?}").contains(KEY), "the credential is in {failed:?}");
        (refusal.http_status().as_u16(), code, failed)
    }

    /// The answer, and who gave it.
    pub(crate) async fn answered(&mut self) -> (String, Live) {
        let live = match self.ask().await {
            Ok(live) => live,
            Err(failed) => panic!("{failed:?}"),
        };
        (live.target.id.to_string(), live)
    }
}

pub(crate) fn whole(live: &Live) -> &Bytes {
    let Answer::Whole(bytes) = &live.answer else { panic!("a stream") };
    bytes
}

pub(crate) fn stream(live: Live) -> (BytesMut, UpstreamBody) {
    let Answer::Stream { first, body } = live.answer else { panic!("no stream") };
    (first, body)
}

/// Waits until `done` is true.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within 2.5 s: {what}");
}
