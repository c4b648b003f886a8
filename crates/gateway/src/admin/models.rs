//! `/v1/models` and `/model/info`: what can be asked for.

use serde_json::{Map, Value, json};
use tollgate_router::Member;
use tollgate_wire::{Refusal, RefusalKind};

use super::{members, usd_per_token};
use crate::{auth::Caller, core::Gateway};

/// What LiteLLM gives as every model's `created`.
const CREATED: u64 = 1_677_610_602;

/// `GET /v1/models`: the names that the caller may use. A wildcard stands as itself: its provider's
/// models are not expanded into hundreds of rows.
pub fn list(gw: &Gateway, caller: &Caller) -> Value {
    let snapshot = gw.snapshot.load();
    let data: Vec<Value> = snapshot
        .table
        .names()
        .filter(|name| allowed(caller, name))
        .map(|name| object(gw, name))
        .collect();
    json!({ "object": "list", "data": data })
}

/// `GET /v1/models/{id}`
pub fn one(gw: &Gateway, caller: &Caller, id: &str) -> Result<Value, Refusal> {
    let snapshot = gw.snapshot.load();
    if !allowed(caller, id) || snapshot.table.group(id).is_none() {
        return Err(Refusal::new(
            RefusalKind::UnknownModel,
            "the model does not exist, or this key may not use it",
        )
        .param("model"));
    }
    Ok(object(gw, id))
}

fn allowed(caller: &Caller, name: &str) -> bool {
    caller.key().is_none_or(|key| key.access.allows(name))
}

fn object(gw: &Gateway, name: &str) -> Value {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(name));
    shown.insert("object".to_owned(), json!("model"));
    shown.insert("created".to_owned(), json!(CREATED));
    shown.insert("owned_by".to_owned(), json!("tollgate"));
    let snapshot = gw.snapshot.load();
    let found = (!name.contains('*')).then(|| snapshot.table.group(name)).flatten();
    if let Some(found) = found
        && let Some(card) =
            found.group.members.iter().find_map(|member| member.target.card.as_ref())
    {
        if let Some(max) = card.max_input {
            shown.insert("max_input_tokens".to_owned(), json!(max));
        }
        if let Some(max) = card.max_output {
            shown.insert("max_output_tokens".to_owned(), json!(max));
        }
    }
    Value::Object(shown)
}

/// `GET /model/info`: each entry of `model_list`, without its secrets.
pub fn info(gw: &Gateway) -> Value {
    let snapshot = gw.snapshot.load();
    let data: Vec<Value> =
        members(&snapshot.table).map(|(group, member)| entry(group, member)).collect();
    json!({ "data": data })
}

fn entry(group: &str, member: &Member) -> Value {
    let target = &member.target;
    let mut info = Map::new();
    info.insert("id".to_owned(), json!(target.id));
    if let Some(card) = &target.card {
        info.insert("max_input_tokens".to_owned(), json!(card.max_input));
        info.insert("max_output_tokens".to_owned(), json!(card.max_output));
        if let Some(rates) = &card.rates {
            info.insert("input_cost_per_token".to_owned(), usd_per_token(rates.input));
            info.insert("output_cost_per_token".to_owned(), usd_per_token(rates.output));
        }
    }
    json!({
        "model_name": group,
        "litellm_params": {
            "model": format!("{}/{}", target.provider.name, target.model),
            "api_base": target.base,
            "weight": member.weight,
            "rpm": member.rpm,
            "tpm": member.tpm,
            "order": member.order,
        },
        "model_info": info,
    })
}
