//! Providers: who they are, whether we have their key, and whether they answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_router::{Answer, Ask, Client, Prefs, first_answer, plan};
use tollgate_wire::{
    Card, Dialect, FaultKind, Operation, Provider, card::Mode, catalogue::Catalogue,
    exchange::Payload, peek::peek,
};

use crate::{config::Config, now::Now};

/// What is asked for.
const PROMPT: &str = "Reply with the single word: pong";

/// A provider as a person wants to see it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The variable that holds its key, of those that are set.
    pub key: Option<String>,
    /// Models that have a card.
    pub models: usize,
}

/// All providers, by name.
pub fn list(catalogue: &Catalogue, env: &dyn Fn(&str) -> Option<String>) -> Vec<Listed> {
    let mut models = std::collections::HashMap::<String, usize>::new();
    for card in catalogue.cards() {
        *models.entry(card.provider.clone()).or_default() += 1;
    }
    let count = |provider: &Provider| {
        let lent = provider.cards.as_ref().and_then(|lender| models.get(lender));
        models.get(&*provider.name).or(lent).copied().unwrap_or(0)
    };
    let set = |name: &&String| env(name).is_some_and(|value| !value.trim().is_empty());
    catalogue
        .providers()
        .map(|provider| Listed {
            provider: Arc::clone(provider),
            key: provider.key_env.iter().find(set).cloned(),
            models: count(provider),
        })
        .collect()
}

impl Listed {
    /// The same as JSON.
    pub fn json(&self) -> Value {
        let provider = &self.provider;
        json!({
            "name": provider.name,
            "url": provider.url,
            "speaks": provider.speaks.keys().map(|dialect| dialect.name()).collect::<Vec<_>>(),
            "ops": provider.ops.iter().map(|operation| operation.name()).collect::<Vec<_>>(),
            "key_env": provider.key_env,
            "url_env": provider.url_env,
            "key_set": self.key,
            "models": self.models,
        })
    }
}

/// The model that a provider is tried with where nobody says one: its cheapest of chat that has a
/// price, for it is called.
pub fn cheapest(catalogue: &Catalogue, provider: &str) -> Option<String> {
    let price = |card: &Card| card.rates.as_ref().map(|rates| rates.output.max(rates.input));
    catalogue
        .cards_of(provider)
        .filter(|card| card.mode == Some(Mode::Chat) && card.retires.is_none())
        .filter_map(|card| Some((price(&card).filter(|price| *price > 0)?, card.name.clone())))
        .min()
        .map(|(_, name)| name)
}

/// What a call came to.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Where it went.
    pub url: String,
    /// The model's name at the provider.
    pub model: String,
    /// Until the whole answer was there.
    pub took: Duration,
    /// The upstream's status, if it answered at all.
    pub status: Option<u16>,
    /// What it said, or why it did not.
    pub outcome: Result<Said, Trouble>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its text.
    pub text: String,
    /// Tokens of the prompt and of the answer.
    pub tokens: (u64, u64),
}

/// No answer.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// LiteLLM's class of the error.
    pub class: &'static str,
    /// What the provider said, or what happened.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// Calls the one model of `config`, which is called `name`, once.
pub async fn try_out(config: &Config, name: &str, client: &Client, now: Now) -> Option<Tried> {
    let group = config.table.group(name)?.group;
    let target = Arc::clone(group.members.first()?.target_for(Dialect::Openai));
    let body = json!({ "model": name, "messages": [{ "role": "user", "content": PROMPT }] });
    let body = Bytes::from(body.to_string());
    let peek = peek(Dialect::Openai, Operation::Chat, &body).ok()?;
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let prefs = Prefs { num_retries: Some(0), ..Prefs::of(Dialect::Openai, &payload.peek) };
    let plan = plan(&config.table, &group, prefs, now.unix_ms(), 0);
    let asked = first_answer(Ask {
        client,
        table: &config.table,
        plan: &plan,
        operation: Operation::Chat,
        payload: &payload,
        shown_model: name,
        now_ms: now.unix_ms(),
        started: now.mono.into(),
    });
    let asked = asked.await;
    let took = Now::read().mono.saturating_duration_since(now.mono);
    let (status, outcome) = match asked {
        Ok(live) => {
            let usage = live.exchange.usage();
            let Answer::Whole(body) = live.answer else { return None };
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
            let text = text.unwrap_or_default().to_owned();
            let said = Said { text, tokens: (usage.input, usage.output) };
            (Some(live.status.as_u16()), Ok(said))
        }
        Err(failed) => {
            let fault = failed.last.as_ref().map(|(_, fault)| fault);
            let kind = fault.map(|fault| fault.kind);
            let trouble = Trouble {
                class: kind.map_or("UnsupportedParamsError", FaultKind::class),
                message: fault.map_or(failed.refusal.message.clone(), |f| f.message.clone()),
                advice: advice(kind, &target.provider),
            };
            (fault.and_then(|fault| fault.status), Err(trouble))
        }
    };
    let (url, model) = (target.base.to_string(), target.model.to_string());
    Some(Tried { url, model, took, status, outcome })
}

/// What to do about a fault.
fn advice(kind: Option<FaultKind>, provider: &Provider) -> String {
    use FaultKind as K;
    let keys = provider.key_env.join("` or `");
    let urls = provider.url_env.join("` or `");
    let Some(kind) = kind else { return "report it: a plain question was not sent".to_owned() };
    match kind {
        K::Credential if keys.is_empty() => "the provider wants a credential".to_owned(),
        K::Credential => format!("check the key in `{keys}`: the provider refuses it"),
        K::Payment => "the account at the provider has no money: top it up".to_owned(),
        K::NotFound => "the provider has no such model: choose another one with --model".to_owned(),
        K::RateLimit => "the provider limits this key: wait, or raise its limits there".to_owned(),
        K::BadRequest
        | K::ContextWindow
        | K::ContentPolicy
        | K::TooLarge
        | K::Conflict
        | K::Unprocessable => {
            "the provider does not take this request: it may not be a model of chat; choose \
             another one with --model"
                .to_owned()
        }
        K::Server | K::BadGateway | K::Unavailable | K::GatewayTimeout => {
            "the provider has trouble: try again later".to_owned()
        }
        K::Unreachable | K::ConnectTimeout | K::Disconnected if urls.is_empty() => {
            "nobody answers there: check the network".to_owned()
        }
        K::Unreachable | K::ConnectTimeout | K::Disconnected => {
            format!("nobody answers there: check the network, and `{urls}` if it is set")
        }
        K::Tls => "the certificate is not trusted: set SSL_CERT_FILE to further ones".to_owned(),
        K::Timeout | K::FirstByteTimeout | K::IdleTimeout | K::Deadline => {
            "the provider is too slow: try again, or another model".to_owned()
        }
        K::Redirect | K::BadResponse if urls.is_empty() => {
            "what answers there does not speak the provider's API".to_owned()
        }
        K::Redirect | K::BadResponse => {
            format!("what answers there does not speak the provider's API: check `{urls}`")
        }
    }
}
