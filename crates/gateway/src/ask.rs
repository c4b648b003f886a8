//! What is asked for: the body, read whole and within bounds, and the few fields of it that count.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::Body;
use http_body_util::BodyExt;
use tollgate_wire::{
    Dialect, Operation, Refusal, RefusalKind,
    exchange::{Payload, seal::Tenant, stored},
    peek,
};

use crate::{
    auth::Caller,
    core::{Gateway, Snapshot},
    handle::Incoming,
    now::Now,
};

/// A request, read.
#[derive(Debug)]
pub struct Ask {
    /// What is wanted.
    pub operation: Operation,
    /// How the client spells it.
    pub surface: Dialect,
    /// The body and what was read of it.
    pub payload: Payload,
    /// Tags from the header and the body.
    pub tags: Vec<String>,
    /// The end user, from the body or `x-litellm-end-user-id`.
    pub end_user: Option<String>,
    /// Whether the provider is to go on with the answer by itself; see [`crate::background`].
    pub background: bool,
}

impl Ask {
    /// A guess at the prompt's tokens, before anybody counted: four bytes a token.
    pub fn input_estimate(&self) -> u64 {
        self.payload.body.len() as u64 / 4
    }
}

/// Marks whose ids a request may have, where its dialect has ids of what a provider keeps: answers,
/// containers, files.
pub fn owned(mut ask: Ask, gw: &Gateway, snapshot: &Snapshot, caller: &Caller) -> Ask {
    if matches!(ask.surface, Dialect::Responses | Dialect::Anthropic) {
        ask.payload.peek.tenant = Some(tenant(gw, snapshot, caller));
        ask.background = stored::in_background(&ask.payload);
    }
    ask
}

/// Whose answers these are: a team's, else a user's, else a key's. They are marked with what only
/// the gateway's nodes know, so they are lost with another master key.
pub fn tenant(gw: &Gateway, snapshot: &Snapshot, caller: &Caller) -> Tenant {
    let name = match caller {
        Caller::Admin => "admin".to_owned(),
        Caller::Key(key) => match (&key.terms.team_id, &key.user_id) {
            (Some(team), _) => format!("team {team}"),
            (None, Some(user)) => format!("user {user}"),
            (None, None) => format!("key {}", key.hash),
        },
    };
    let secret = snapshot.master_key.as_ref().unwrap_or(&gw.generated_master_key);
    Tenant::new(&secret.0, &name)
}

/// Reads a request: its body, its fields, the headers that steer it.
pub async fn read<B>(snapshot: &Snapshot, incoming: Incoming<B>, now: Now) -> Result<Ask, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Incoming { operation, surface, named, headers, body, .. } = incoming;
    let headers = &headers;
    let general = &snapshot.general;
    let body = read_capped(body, headers, general.max_body_bytes, general.body_idle).await?;
    // OpenAI's paths may name the model; all else is in the body as ever.
    let engine = matches!(surface, Dialect::Openai | Dialect::Completions);
    let read = match named {
        Some(_) if engine => peek::peek_named,
        Some(_) | None => peek::peek,
    };
    let mut peek = read(surface, operation, &body).map_err(|error| {
        let mut why = Refusal::new(RefusalKind::InvalidRequest, error.message);
        why.param = error.param;
        why
    })?;
    if let Some(named) = named {
        peek.model = named.model;
        if !engine {
            (peek.stream, peek.listed) = (named.stream, named.listed);
        }
    }
    // Most requests have none of LiteLLM's own headers: one look spares many.
    let litellm = headers.keys().any(|name| name.as_str().starts_with("x-litellm-"));
    if litellm {
        steer(&mut peek, headers);
    }
    let received_s = now.unix_ms() / 1_000;
    let mut tags = std::mem::take(&mut peek.tags);
    if let Some(listed) = litellm.then(|| text(headers, "x-litellm-tags")).flatten() {
        tags.extend(
            listed.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()),
        );
        tags.truncate(MAX_TAGS);
    }
    let named = |name: &str| text(headers, name).map(str::to_owned);
    let end_user = litellm
        .then(|| ["x-litellm-end-user-id", "x-litellm-customer-id"].into_iter().find_map(named))
        .flatten()
        .or_else(|| peek.end_user.clone())
        .or_else(|| general.end_user_headers.iter().find_map(|name| named(name.as_str())))
        .filter(|user| user.len() <= MAX_END_USER_BYTES);
    let payload = Payload { body, peek, headers: travelling(surface, headers), received_s };
    Ok(Ask { operation, surface, payload, tags, end_user, background: false })
}

const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 * 1024 * 1024;
const MAX_TAGS: usize = 32;
const MAX_END_USER_BYTES: usize = 256;

/// Headers that override what the body says, as LiteLLM has them.
fn steer(peek: &mut tollgate_wire::Peek, headers: &HeaderMap) {
    if let Some(tries) = text(headers, "x-litellm-num-retries").and_then(|text| text.parse().ok()) {
        peek.num_retries = Some(tries);
    }
    let seconds = text(headers, "x-litellm-timeout").and_then(|text| text.parse::<f64>().ok());
    if let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0) {
        peek.timeout_ms = Some((seconds * 1_000.0) as u64);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a client's header belongs to its dialect and travels on to an upstream of that dialect.
fn travels(surface: Dialect, name: &str) -> bool {
    match surface {
        Dialect::Openai | Dialect::Responses | Dialect::Completions => {
            matches!(name, "openai-organization" | "openai-project" | "openai-beta")
        }
        Dialect::Anthropic => matches!(name, "anthropic-version" | "anthropic-beta"),
        _ => false,
    }
}

fn travelling(surface: Dialect, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    headers
        .iter()
        .filter(|(name, _)| travels(surface, name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Reads a body whole, at most `cap` bytes of it, with at most `idle` between two pieces.
pub async fn read_capped<B>(
    mut body: B,
    headers: &HeaderMap,
    cap: usize,
    idle: Duration,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > cap as u64) {
        linger(&mut body).await;
        return Err(too_large(cap));
    }
    let mut first: Option<Bytes> = None;
    let mut whole = BytesMut::new();
    let mut total = 0usize;
    let mut patience = Patience { idle, since: None };
    while let Some(frame) = patience.next_frame(&mut body, total).await? {
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total > cap {
            linger(&mut body).await;
            return Err(too_large(cap));
        }
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => whole.extend_from_slice(&data),
            Some(before) => {
                let expected = announced.map_or(0, |length| length as usize);
                whole.reserve(expected.max(total));
                whole.extend_from_slice(&before);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// Reads on for a moment and throws away what comes. Most clients send their whole body before they
/// look at the answer; closed earlier, the connection would take the answer with it.
async fn linger<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = LINGER_BYTES;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Whoever takes longer learns it the hard way.
    let _ = tokio::time::timeout(LINGER, read).await;
}

/// How long a client may take: `idle` for the first byte that is waited for, and a second more for
/// every kilobyte that came.
struct Patience {
    idle: Duration,
    since: Option<tokio::time::Instant>,
}

impl Patience {
    /// The next piece. What has arrived already costs no timer.
    async fn next_frame<B>(
        &mut self,
        body: &mut B,
        so_far: usize,
    ) -> Result<Option<http_body::Frame<Bytes>>, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let arrived = match body.frame().now_or_never() {
            Some(arrived) => arrived,
            None => {
                let since = *self.since.get_or_insert_with(tokio::time::Instant::now);
                let earned = Duration::from_millis(so_far as u64);
                let deadline = since + self.idle.saturating_add(earned);
                tokio::time::timeout_at(deadline, body.frame()).await.map_err(|_| {
                    Refusal::new(
                        RefusalKind::SlowClient,
                        "the body came too slowly: a kilobyte a second is the least",
                    )
                })?
            }
        };
        arrived.transpose().map_err(|_| {
            Refusal::new(RefusalKind::InvalidRequest, "the body ended before it was complete")
        })
    }
}

fn too_large(cap: usize) -> Refusal {
    Refusal::new(
        RefusalKind::TooLarge,
        format!(
            "the body is larger than {cap} bytes; `general_settings.max_request_size_mb` sets the limit"
        ),
    )
}
