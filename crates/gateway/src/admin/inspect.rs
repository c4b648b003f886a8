//! LiteLLM's `/utils/…`: how many tokens a prompt is, and what would be sent for a request.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_router::{Answer, Ask, Prefs, plan};
use tollgate_wire::{
    Dialect, Malformed, Operation, Refusal, RefusalKind, Target,
    exchange::{self, Payload, count},
    matrix::{self, Route},
    peek, tokens,
};

use super::bad;
use crate::{
    auth::Caller,
    core::{Gateway, Snapshot},
    now::Now,
};

/// What `POST /utils/token_counter` takes.
#[derive(Debug, Deserialize)]
pub struct Prompt {
    model: String,
    prompt: Option<String>,
    /// OpenAI's, or Anthropic's where there is `system`.
    messages: Option<Vec<Value>>,
    /// Gemini's.
    contents: Option<Vec<Value>>,
    tools: Option<Vec<Value>>,
    system: Option<Value>,
}

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Tollgate estimates.
    Here,
    /// The provider where it can, else Tollgate (`call_endpoint=true`).
    Provider,
}

/// `POST /utils/token_counter`
pub async fn token_counter(
    gw: &Gateway,
    caller: &Caller,
    body: Value,
    counter: Counter,
    now: Now,
) -> Result<Value, Refusal> {
    let prompt: Prompt =
        serde_json::from_value(body).map_err(|error| bad(&format!("the body: {error}")))?;
    let snapshot = gw.snapshot.load_full();
    let group = snapshot.table.group(&prompt.model);
    let allowed = caller.key().is_none_or(|key| key.terms.access.allows(&prompt.model));
    let target = super::models::target(&snapshot, &prompt.model).filter(|_| allowed);
    let model_used =
        target.as_ref().map_or(prompt.model.clone(), |target| target.model.to_string());
    let (surface, payload) = prompt.payload()?;
    let estimate = match &prompt.prompt {
        Some(text) => tokens::of_text(text),
        None => count::estimate(surface, &payload).map_err(malformed)?,
    };
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("total_tokens", json!(estimate));
    put("request_model", json!(prompt.model));
    put("model_used", json!(model_used));
    put("tokenizer_type", json!("estimate"));
    put("count_source", json!("local_estimate"));
    put("original_response", Value::Null);
    put("error", json!(false));
    put("error_message", Value::Null);
    put("status_code", Value::Null);
    if counter == Counter::Here || group.is_none() {
        return Ok(Value::Object(answer));
    }
    if !allowed {
        return Err(super::models::no_such_model(&prompt.model));
    }
    match ask(gw, &snapshot, surface, &payload, now).await {
        Ok((counted, provider, original)) => {
            put("total_tokens", json!(counted));
            put("tokenizer_type", json!(format!("{provider}_api")));
            put("count_source", json!("provider_api"));
            put("original_response", original);
            put("status_code", json!(200));
        }
        // No provider that can is no error; the label says who counted.
        Err(why) if why.kind == RefusalKind::Unsupported => {}
        Err(why) => {
            put("error", json!(true));
            put("status_code", json!(why.http_status().as_u16()));
            put("error_message", json!(why.message));
        }
    }
    Ok(Value::Object(answer))
}

impl Prompt {
    /// The same as a request whose tokens are to be counted.
    fn payload(&self) -> Result<(Dialect, Payload), Refusal> {
        let given = [self.prompt.is_some(), self.messages.is_some(), self.contents.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(bad("expected one of `prompt`, `messages` and `contents`"));
        }
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("model", json!(self.model));
        if let Some(tools) = &self.tools {
            put("tools", json!(tools));
        }
        let surface = if let Some(contents) = &self.contents {
            put("contents", json!(contents));
            Dialect::Gemini
        } else {
            let said = json!([{ "role": "user", "content": self.prompt }]);
            put("messages", self.messages.as_ref().map_or(said, |messages| json!(messages)));
            match &self.system {
                None => Dialect::Openai,
                Some(system) => {
                    put("system", system.clone());
                    Dialect::Anthropic
                }
            }
        };
        let payload = payload(surface, Operation::CountTokens, Value::Object(fields))?;
        Ok((surface, payload))
    }
}

/// Asks the model's own targets: the count, whose it is, and the answer.
async fn ask(
    gw: &Gateway,
    snapshot: &Snapshot,
    surface: Dialect,
    payload: &Payload,
    now: Now,
) -> Result<(u64, String, Value), Refusal> {
    let model = &payload.peek.model;
    let found = snapshot.table.group(model).ok_or_else(|| super::models::no_such_model(model))?;
    let mut prefs = Prefs::of(surface, &payload.peek);
    prefs.disable_fallbacks = true;
    let plan = plan(&snapshot.table, &found.group, prefs, now.unix_ms(), 0);
    let asked = tollgate_router::first_answer(Ask {
        client: &gw.upstream,
        table: &snapshot.table,
        plan: &plan,
        operation: Operation::CountTokens,
        payload,
        shown_model: model,
        now_ms: now.unix_ms(),
        started: now.mono.into(),
    });
    let live = asked.await.map_err(|failed| failed.refusal)?;
    let Answer::Whole(body) = live.answer else {
        return Err(bad("the provider's count is a stream"));
    };
    let original: Value = serde_json::from_slice(&body).unwrap_or_default();
    let counted = ["input_tokens", "totalTokens"].iter().find_map(|name| original.get(name));
    let counted =
        counted.and_then(Value::as_u64).ok_or_else(|| bad("the provider's answer has no count"))?;
    Ok((counted, live.target.provider.name.to_string(), original))
}

/// What `POST /utils/transform_request` takes.
#[derive(Debug, Deserialize)]
struct Transform {
    call_type: String,
    request_body: Value,
}

/// `POST /utils/transform_request`: what would be sent for a request, and where to. Nothing is
/// sent, and secrets are masked.
pub fn transform_request(gw: &Gateway, body: Value) -> Result<Value, Refusal> {
    let ask: Transform =
        serde_json::from_value(body).map_err(|error| bad(&format!("the body: {error}")))?;
    let route = route(&ask.call_type).ok_or_else(|| {
        bad("expected `call_type` to be one of LiteLLM's, such as `completion`, `embedding`, \
             `anthropic_messages` or `responses`, or a path such as `/v1/messages`")
    })?;
    let mut payload = payload(route.surface, route.operation, ask.request_body)?;
    if let Some(named) = route.named {
        payload.peek.model = named.model.to_owned();
        payload.peek.stream = named.stream;
    }
    let snapshot = gw.snapshot.load();
    let model = payload.peek.model.clone();
    let configured = snapshot.table.group(&model);
    let target = configured
        .and_then(|found| {
            found.group.members.first().map(|member| member.target_for(route.surface).clone())
        })
        .or_else(|| super::models::target(&snapshot, &model))
        .ok_or_else(|| super::models::no_such_model(&model))?;
    Ok(sent(&route, &payload, &target))
}

fn sent(route: &Route<'_>, payload: &Payload, target: &Target) -> Value {
    let shown = &payload.peek.model;
    let mut exchange =
        exchange::exchange_for(route.operation, route.surface, target, shown, payload);
    let call = match exchange.call(payload, target) {
        Ok(call) => call,
        Err(why) => return json!({ "error": why.to_string() }),
    };
    let body = call.body.concat();
    let body: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    let headers: Map<String, Value> =
        call.headers.iter().map(|(name, value)| (name.to_string(), masked(name, value))).collect();
    json!({
        "raw_request_api_base": format!("{}{}", origin(&target.base), call.path),
        "raw_request_body": body,
        "raw_request_headers": headers,
        "error": null,
        "provider": target.provider.name,
        "dialect": target.dialect.name(),
        "model_id": target.id,
        "dropped": exchange.dropped(),
    })
}

/// A header's value; stars for one that is a secret, after the scheme.
fn masked(name: &HeaderName, value: &HeaderValue) -> Value {
    let text = String::from_utf8_lossy(value.as_bytes());
    if !value.is_sensitive() && !crate::config::names_secret(name.as_str()) {
        return json!(text);
    }
    let scheme = text.strip_prefix("Bearer ").map_or("", |_| "Bearer ");
    json!(format!("{scheme}****"))
}

/// Scheme and authority of a base URL.
fn origin(base: &str) -> &str {
    let start = base.find("://").map_or(0, |at| at + 3);
    let end = base.get(start..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| start + at);
    base.get(..end).unwrap_or(base)
}

/// What a call type of LiteLLM's means, or a path.
fn route(call_type: &str) -> Option<Route<'_>> {
    let plain = |operation, surface| Some(Route { operation, surface, named: None });
    match call_type
        .strip_prefix('a')
        .filter(|rest| *rest != "nthropic_messages")
        .unwrap_or(call_type)
    {
        "completion" => plain(Operation::Chat, Dialect::Openai),
        "text_completion" => plain(Operation::Chat, Dialect::Completions),
        "embedding" => plain(Operation::Embeddings, Dialect::Openai),
        "anthropic_messages" => plain(Operation::Chat, Dialect::Anthropic),
        "responses" => plain(Operation::Chat, Dialect::Responses),
        "count_tokens" => plain(Operation::CountTokens, Dialect::Anthropic),
        path if path.starts_with('/') => matrix::surface(path),
        _ => None,
    }
}

fn payload(surface: Dialect, operation: Operation, body: Value) -> Result<Payload, Refusal> {
    let body = Bytes::from(body.to_string());
    let peek = peek::peek(surface, operation, &body)
        .map_err(|why| malformed(Malformed { message: why.message, param: why.param }))?;
    Ok(Payload { body, peek, headers: Vec::new(), received_s: 0 })
}

fn malformed(why: Malformed) -> Refusal {
    Refusal { param: why.param, ..Refusal::new(RefusalKind::InvalidRequest, why.message) }
}
