//! Virtual keys: LiteLLM's `/key/…` endpoints.
//!
//! A field that we enforce is enforced; one that only describes is stored and returned; one that
//! would restrict something and that nothing here would enforce is refused by name.

use serde_json::{Map, Value, json};
use tollgate_ledger::Nano;
use tollgate_store::{KeyFilter, KeyHash, KeyRow, Page};
use tollgate_wire::{Refusal, RefusalKind};

use super::{bad, iso, stored, usd};
use crate::{auth, auth::Caller, budget::Duration, core::Gateway, now::Now};

/// Fields that describe a key and restrict nothing: stored and returned.
const DESCRIPTIVE: [&str; 12] = [
    "organization_id",
    "project_id",
    "agent_id",
    "config",
    "send_invite_email",
    "default_estimated_output_tokens",
    "default_estimated_output_tokens_per_model",
    "created_by_user",
    "spend_logs_metadata",
    "key_type",
    "rotation_count",
    "disable_global_guardrails",
];

/// Fields that would restrict a key and that nothing enforces yet: refused unless empty.
const UNENFORCED: [&str; 35] = [
    "aliases",
    "budget_id",
    "budget_limits",
    "tpd_limit",
    "rpm_limit_type",
    "tpm_limit_type",
    "model_max_budget",
    "model_rpm_limit",
    "model_tpm_limit",
    "mcp_rpm_limit",
    "tag_rpm_limit",
    "budget_fallbacks",
    "throttle_on_budget_exceeded",
    "permissions",
    "allowed_cache_controls",
    "allowed_routes",
    "allowed_passthrough_routes",
    "denied_passthrough_routes",
    "guardrails",
    "policies",
    "prompts",
    "enforced_params",
    "object_permission",
    "access_group_ids",
    "router_settings",
    "auto_rotate",
    "rotation_interval",
    "end_user_budget_id",
    "enable_prompt_caching",
    "allowed_vector_store_indexes",
    "temp_budget_increase",
    "temp_budget_expiry",
    "grace_period",
    "new_master_key",
    "allowed_model_region",
];

const NAME_BYTES: usize = 256;
const MODELS_AT_MOST: usize = 1_000;
const METADATA_BYTES: usize = 64 * 1024;
const CUSTOM_KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=256;
const NO_BODY: &str = "the body must be a JSON object";

/// `POST /key/generate`: makes a key and tells it, this once.
pub async fn generate(gw: &Gateway, body: Value, now: Now) -> Result<Value, Refusal> {
    let mut fields = object(body)?;
    let key = match take_text(&mut fields, "key")? {
        Some(custom) => custom_key(custom)?,
        None => random_key()?,
    };
    let mut row = blank(&key, now);
    if let Some(spend) = take(&mut fields, "spend") {
        row.spend = money("spend", &spend)?.unwrap_or(Nano(0));
    }
    apply(&mut row, fields, now)?;
    stored(gw.store.insert_key(&row).await)?;
    gw.keys.put(&row);
    let mut shown = view(&row, now);
    shown.insert("key".to_owned(), Value::String(key));
    Ok(Value::Object(shown))
}

/// `POST /key/update`: changes the fields that are sent.
pub async fn update(gw: &Gateway, body: Value, now: Now) -> Result<Value, Refusal> {
    let mut fields = object(body)?;
    let row = find(gw, take_text(&mut fields, "key")?).await?;
    let row = change(gw, row, now, |row| apply(row, fields, now)).await?;
    Ok(Value::Object(view(&row, now)))
}

/// `POST /key/block` and `/key/unblock`.
pub async fn set_blocked(
    gw: &Gateway,
    body: Value,
    blocked: bool,
    now: Now,
) -> Result<Value, Refusal> {
    let mut fields = object(body)?;
    let row = find(gw, take_text(&mut fields, "key")?).await?;
    let set = |row: &mut KeyRow| {
        row.blocked = blocked;
        Ok(())
    };
    let row = change(gw, row, now, set).await?;
    Ok(Value::Object(view(&row, now)))
}

/// `POST /key/delete`: by `keys` (keys or their hashes) or by `key_aliases`.
pub async fn delete(gw: &Gateway, body: Value) -> Result<Value, Refusal> {
    let mut fields = object(body)?;
    let mut hashes = Vec::new();
    for key in take_texts(&mut fields, "keys")?.unwrap_or_default() {
        hashes.push(hash_of(&key));
    }
    for alias in take_texts(&mut fields, "key_aliases")?.unwrap_or_default() {
        let row = stored(gw.store.key_by_alias(&alias).await)?;
        hashes.push(row.ok_or_else(|| no_such_key(&alias))?.hash);
    }
    if hashes.is_empty() {
        return Err(bad("name the keys to delete in `keys` or `key_aliases`").param("keys"));
    }
    let deleted = stored(gw.store.delete_keys(&hashes).await)?;
    deleted.iter().for_each(|hash| gw.keys.remove(hash));
    if deleted.is_empty() {
        return Err(no_such_key("of that name"));
    }
    let deleted: Vec<String> = deleted.iter().map(KeyHash::to_string).collect();
    Ok(json!({ "deleted_keys": deleted }))
}

/// `POST /key/{key}/regenerate`: a new key with the same settings; the old one ends at once.
pub async fn regenerate(
    gw: &Gateway,
    key: Option<String>,
    body: Value,
    now: Now,
) -> Result<Value, Refusal> {
    let mut fields = object(body)?;
    let named = take_text(&mut fields, "key")?;
    let old = find(gw, key.or(named)).await?;
    let new_key = match take_text(&mut fields, "new_key")? {
        Some(custom) => custom_key(custom)?,
        None => random_key()?,
    };
    let mut row = KeyRow { hash: auth::hash(&new_key), name: short(&new_key), ..old.clone() };
    row.spend = spend_of(gw, &old);
    apply(&mut row, fields, now)?;
    if !stored(gw.store.replace_key_hash(&old.hash, &row).await)? {
        return Err(no_such_key(&old.name));
    }
    gw.keys.rename(&old.hash, &row);
    let mut shown = view(&row, now);
    shown.insert("key".to_owned(), Value::String(new_key));
    Ok(Value::Object(shown))
}

/// `GET /key/info`: of `key`, or of the caller's own.
pub async fn info(
    gw: &Gateway,
    caller: &Caller,
    key: Option<String>,
    now: Now,
) -> Result<Value, Refusal> {
    let row = match (caller, key) {
        (Caller::Key(own), Some(asked)) if hash_of(&asked) != own.hash => return Err(admin_only()),
        (Caller::Key(own), Some(_) | None) => find(gw, Some(own.hash.to_string())).await?,
        (Caller::Admin, key) => find(gw, key).await?,
    };
    let row = KeyRow { spend: spend_of(gw, &row), ..row };
    let token = row.hash.to_string();
    let mut info = view(&row, now);
    info.remove("token");
    info.remove("token_id");
    Ok(json!({ "key": token, "info": info }))
}

/// What `GET /key/list` can be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only this key: the key itself or its hash.
    pub key_hash: Option<String>,
    /// Only the key of this alias.
    pub key_alias: Option<String>,
    /// Only this user's.
    pub user_id: Option<String>,
    /// Only this team's.
    pub team_id: Option<String>,
    /// The page, from 1.
    pub page: u64,
    /// Keys on a page, at most 100.
    pub size: u64,
    /// Whole objects instead of hashes.
    pub return_full_object: bool,
}

/// `GET /key/list`
pub async fn list(gw: &Gateway, query: ListQuery, now: Now) -> Result<Value, Refusal> {
    let size = query.size.clamp(1, 100);
    let page = query.page.max(1);
    let filter = KeyFilter {
        hash: query.key_hash.as_deref().map(hash_of),
        alias: query.key_alias,
        user_id: query.user_id,
        team_id: query.team_id,
        blocked: None,
    };
    let window = Page { offset: (page - 1).saturating_mul(size), limit: size };
    let (rows, total) = stored(gw.store.list_keys(&filter, window).await)?;
    let keys: Vec<Value> = rows
        .into_iter()
        .map(|row| match query.return_full_object {
            true => Value::Object(view(&KeyRow { spend: spend_of(gw, &row), ..row }, now)),
            false => Value::String(row.hash.to_string()),
        })
        .collect();
    Ok(json!({
        "keys": keys,
        "total_count": total,
        "current_page": page,
        "total_pages": total.div_ceil(size),
    }))
}

/// A row for a key that exists already: LiteLLM's hash as `token`, or the `key` itself, and any
/// field of `/key/generate` beside it. For `tollgate keys import`.
pub fn import_row(line: Value, now: Now) -> Result<KeyRow, Refusal> {
    let mut fields = object(line)?;
    let key = take_text(&mut fields, "key")?;
    let token = take_text(&mut fields, "token")?;
    let mut row = match (&key, &token) {
        (Some(key), _) => blank(key, now),
        (None, Some(token)) => {
            let hash = token.parse().map_err(|_| {
                bad("`token` must be the SHA-256 of the key in hexadecimal").param("token")
            })?;
            KeyRow { hash, name: "sk-...".to_owned(), ..blank("", now) }
        }
        (None, None) => return Err(bad("each line needs a `key` or a `token`")),
    };
    if let Some(name) = take_text(&mut fields, "key_name")? {
        row.name = name;
    }
    if let Some(spend) = take(&mut fields, "spend") {
        row.spend = money("spend", &spend)?.unwrap_or(Nano(0));
    }
    apply(&mut row, fields, now)?;
    Ok(row)
}

/// Refuses whoever is not the holder of the master key.
pub fn require_admin(caller: &Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Admin => Ok(()),
        Caller::Key(_) => Err(admin_only()),
    }
}

fn admin_only() -> Refusal {
    Refusal::new(RefusalKind::NotAllowed, "only the master key may do this").code("admin_only")
}

async fn change(
    gw: &Gateway,
    mut row: KeyRow,
    now: Now,
    edit: impl FnOnce(&mut KeyRow) -> Result<(), Refusal>,
) -> Result<KeyRow, Refusal> {
    edit(&mut row)?;
    row.updated_us = now.unix_us;
    if !stored(gw.store.update_key(&row).await)? {
        gw.keys.remove(&row.hash);
        return Err(no_such_key(&row.name));
    }
    let row = KeyRow { spend: spend_of(gw, &row), ..row };
    gw.keys.put(&row);
    Ok(row)
}

/// The freshest figure: the database's is behind by what is still in the journal.
fn spend_of(gw: &Gateway, row: &KeyRow) -> Nano {
    gw.keys.get(&row.hash).map_or(row.spend, |key| key.meters.spend())
}

async fn find(gw: &Gateway, key: Option<String>) -> Result<KeyRow, Refusal> {
    let key = key.ok_or_else(|| bad("`key` is missing: the key or its hash").param("key"))?;
    let row = stored(gw.store.key(&hash_of(&key)).await)?;
    row.ok_or_else(|| no_such_key(&short(&key)))
}

fn no_such_key(name: &str) -> Refusal {
    Refusal::new(RefusalKind::NotFound, format!("there is no key {name}")).param("key")
}

/// The hash of a key, or of a text that is such a hash already.
fn hash_of(key: &str) -> KeyHash {
    match key.parse() {
        Ok(hash) if !key.starts_with("sk-") => hash,
        _ => auth::hash(key),
    }
}

fn blank(key: &str, now: Now) -> KeyRow {
    KeyRow {
        hash: auth::hash(key),
        name: short(key),
        alias: None,
        models: Vec::new(),
        expires_us: None,
        max_budget: None,
        soft_budget: None,
        budget_duration: None,
        budget_reset_us: None,
        spend: Nano(0),
        rpm: None,
        tpm: None,
        max_parallel: None,
        metadata: Map::new(),
        tags: Vec::new(),
        user_id: None,
        team_id: None,
        blocked: false,
        created_us: now.unix_us,
        updated_us: now.unix_us,
        created_by: None,
        extra: Map::new(),
    }
}

/// `sk-...` and the last four characters, as LiteLLM shows a key.
fn short(key: &str) -> String {
    let tail: Vec<char> = key.chars().rev().take(4).collect();
    format!("sk-...{}", tail.into_iter().rev().collect::<String>())
}

/// A key with 192 bits from the operating system's generator.
pub fn random_key() -> Result<String, Refusal> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Refusal::new(RefusalKind::Internal, "no randomness to make a key of"))?;
    let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
    Ok(format!("sk-{}", letters.map(|byte| char::from(*byte)).collect::<String>()))
}

fn custom_key(key: String) -> Result<String, Refusal> {
    let plain = key.bytes().all(|byte| byte.is_ascii_graphic());
    if !key.starts_with("sk-") || !CUSTOM_KEY_BYTES.contains(&key.len()) || !plain {
        return Err(bad(
            "a key of your own must start with `sk-` and have 16 to 256 visible ASCII characters",
        )
        .param("key"));
    }
    Ok(key)
}

/// Applies LiteLLM's fields to a row; what is absent stays as it is, `null` clears.
fn apply(row: &mut KeyRow, mut fields: Map<String, Value>, now: Now) -> Result<(), Refusal> {
    if fields.contains_key("key_alias") {
        row.alias = take_text(&mut fields, "key_alias")?;
    }
    if fields.contains_key("models") {
        row.models = take_texts(&mut fields, "models")?.unwrap_or_default();
        if row.models.len() > MODELS_AT_MOST {
            return Err(bad("`models` may name 1,000 models at most").param("models"));
        }
    }
    if fields.contains_key("duration") {
        row.expires_us = match take_text(&mut fields, "duration")? {
            None => None,
            Some(text) => Some(duration("duration", &text)?.after_us(now.unix_us)),
        };
    }
    if let Some(value) = take(&mut fields, "max_budget") {
        row.max_budget = money("max_budget", &value)?;
    }
    if let Some(value) = take(&mut fields, "soft_budget") {
        row.soft_budget = money("soft_budget", &value)?;
    }
    if fields.contains_key("budget_duration") {
        row.budget_duration = take_text(&mut fields, "budget_duration")?;
        row.budget_reset_us = match &row.budget_duration {
            None => None,
            Some(text) => Some(duration("budget_duration", text)?.period_end_us(now.unix_us)),
        };
    }
    for (name, slot) in [
        ("rpm_limit", &mut row.rpm),
        ("tpm_limit", &mut row.tpm),
        ("max_parallel_requests", &mut row.max_parallel),
    ] {
        if let Some(value) = take(&mut fields, name) {
            *slot = count(name, &value)?;
        }
    }
    if let Some(value) = take(&mut fields, "metadata") {
        row.metadata = metadata(value)?;
    }
    if fields.contains_key("tags") {
        row.tags = take_texts(&mut fields, "tags")?.unwrap_or_default();
    }
    if fields.contains_key("user_id") {
        row.user_id = take_text(&mut fields, "user_id")?;
    }
    if fields.contains_key("team_id") {
        row.team_id = take_text(&mut fields, "team_id")?;
    }
    if let Some(value) = take(&mut fields, "blocked") {
        row.blocked = value.as_bool().unwrap_or(false);
    }
    rest(row, fields)
}

/// What is left: descriptive, refused, or unknown.
fn rest(row: &mut KeyRow, fields: Map<String, Value>) -> Result<(), Refusal> {
    for (name, value) in fields {
        let name_ref = name.as_str();
        if DESCRIPTIVE.contains(&name_ref) {
            row.extra.insert(name, value);
        } else if UNENFORCED.contains(&name_ref) {
            if !is_empty(&value) {
                return Err(Refusal::new(
                    RefusalKind::Unsupported,
                    format!("`{name}` would not be enforced here, so it is refused; leave it out"),
                )
                .param(name));
            }
        } else {
            return Err(bad(&format!("`{name}` is no field of a key")).param(name));
        }
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A row in LiteLLM's field names, without the key itself.
fn view(row: &KeyRow, now: Now) -> Map<String, Value> {
    let expired = row.expires_us.is_some_and(|end| end <= now.unix_us);
    let status = match (row.blocked, expired) {
        (true, _) => "revoked",
        (false, true) => "expired",
        (false, false) => "active",
    };
    let shown = json!({
        "key_name": row.name,
        "key_alias": row.alias,
        "token": row.hash.to_string(),
        "token_id": row.hash.to_string(),
        "models": row.models,
        "spend": usd(row.spend),
        "expires": row.expires_us.map(iso),
        "max_budget": row.max_budget.map(usd),
        "soft_budget": row.soft_budget.map(usd),
        "budget_duration": row.budget_duration,
        "budget_reset_at": row.budget_reset_us.map(iso),
        "rpm_limit": row.rpm,
        "tpm_limit": row.tpm,
        "max_parallel_requests": row.max_parallel,
        "metadata": row.metadata,
        "tags": row.tags,
        "user_id": row.user_id,
        "team_id": row.team_id,
        "blocked": row.blocked,
        "status": status,
        "created_by": row.created_by,
        "created_at": iso(row.created_us),
        "updated_at": iso(row.updated_us),
    });
    let mut shown = if let Value::Object(shown) = shown { shown } else { Map::new() };
    shown.extend(row.extra.clone());
    shown
}

fn object(body: Value) -> Result<Map<String, Value>, Refusal> {
    if body.is_null() {
        return Ok(Map::new());
    }
    if let Value::Object(fields) = body { Ok(fields) } else { Err(bad(NO_BODY)) }
}

fn take(fields: &mut Map<String, Value>, name: &str) -> Option<Value> {
    fields.shift_remove(name)
}

fn take_text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match take(fields, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= NAME_BYTES => Ok(Some(text)),
        Some(_) => Err(bad(&format!("`{name}` must be a text of at most 256 bytes")).param(name)),
    }
}

fn take_texts(fields: &mut Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Refusal> {
    match take(fields, name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|_| bad(&format!("`{name}` must be a list of texts")).param(name)),
    }
}

fn metadata(value: Value) -> Result<Map<String, Value>, Refusal> {
    let fields =
        object(value).map_err(|_| bad("`metadata` must be an object").param("metadata"))?;
    let bytes = serde_json::to_vec(&fields).map_or(usize::MAX, |text| text.len());
    if bytes > METADATA_BYTES {
        return Err(bad("`metadata` may have 64 kB at most").param("metadata"));
    }
    Ok(fields)
}

fn money(name: &str, value: &Value) -> Result<Option<Nano>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_number().map(ToString::to_string);
    let text = number.or_else(|| value.as_str().map(str::to_owned)).unwrap_or_default();
    let amount = Nano::from_usd_text(&text).ok().filter(|amount| amount.0 >= 0);
    let amount = amount.ok_or_else(|| {
        bad(&format!("`{name}` must be an amount of USD from 0 to 9,000,000,000")).param(name)
    })?;
    Ok(Some(amount))
}

fn count(name: &str, value: &Value) -> Result<Option<u64>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().filter(|n| i64::try_from(*n).is_ok());
    number
        .map(Some)
        .ok_or_else(|| bad(&format!("`{name}` must be a whole number from 0")).param(name))
}

fn duration(name: &str, text: &str) -> Result<Duration, Refusal> {
    text.parse().map_err(|error: crate::budget::NotADuration| bad(&error.to_string()).param(name))
}
