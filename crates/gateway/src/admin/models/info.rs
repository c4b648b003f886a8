//! `/model/info`, `/model_group/info` and `/utils/model_info`: LiteLLM's fields. What is not known
//! of a model is left out, so an answer is as long as there is something to say.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tollgate_router::{Group, Member};
use tollgate_wire::{Card, Refusal, card::Ability};

use super::{
    allowed, mode,
    names::{Wildcards, listed},
    no_such_model, show, supported_params, target,
};
use crate::{
    auth::Caller,
    config::ModelEntry,
    core::{Gateway, Snapshot},
};

/// Most rows of an answer.
const MAX_ROWS: usize = 1_000;
/// The abilities that LiteLLM tells of a group.
const SHOWN: [Ability; 6] = [
    Ability::Tools,
    Ability::ParallelTools,
    Ability::Vision,
    Ability::WebSearch,
    Ability::UrlContext,
    Ability::Reasoning,
];

/// `GET /model/info`: each entry of `model_list` that the caller may use, without its secrets. A
/// wildcard is one entry. Where a target is and how it is weighted is the administrator's to know.
pub fn models(gw: &Gateway, caller: &Caller, id: Option<&str>) -> Result<Value, Refusal> {
    let snapshot = gw.snapshot.load();
    let data: Vec<Value> = snapshot
        .models
        .iter()
        .filter(|entry| id.is_none_or(|id| *entry.id == *id) && may_see(caller, entry))
        .map(|model| entry(&snapshot, caller, model))
        .collect();
    if let Some(id) = id
        && data.is_empty()
    {
        return Err(no_such_model(id));
    }
    Ok(json!({ "data": data }))
}

/// A wildcard is shown to a key that may use something of it.
fn may_see(caller: &Caller, entry: &ModelEntry) -> bool {
    let Some(key) = caller.key() else { return true };
    key.terms.access.allows(&entry.name)
        || entry.name.split_once('*').is_some_and(|(start, _)| {
            key.terms.access.names().iter().any(|name| name.starts_with(start))
        })
}

fn entry(snapshot: &Snapshot, caller: &Caller, model: &ModelEntry) -> Value {
    let name = format!("{}/{}", model.provider, model.model);
    let mut params = match caller {
        Caller::Admin => model.params.clone(),
        Caller::Key(_) => Map::new(),
    };
    params.insert("model".to_owned(), json!(name));
    params.insert("custom_llm_provider".to_owned(), json!(model.provider));
    if matches!(caller, Caller::Admin) {
        params.insert("api_base".to_owned(), json!(model.base));
    }
    let mut info = show::litellm(model.card.as_deref());
    info.insert("id".to_owned(), json!(model.id));
    info.insert("db_model".to_owned(), json!(false));
    info.insert("key".to_owned(), json!(name));
    info.insert("litellm_provider".to_owned(), json!(model.provider));
    if !model.name.contains('*')
        && let Some(target) = target(snapshot, &model.name)
    {
        info.insert("supported_openai_params".to_owned(), json!(supported_params(&target)));
    }
    // What the operator wrote down counts more than what the catalogue knows.
    info.extend(model.info.iter().map(|(name, value)| (name.clone(), value.clone())));
    json!({ "model_name": model.name, "litellm_params": params, "model_info": info })
}

/// `GET /model_group/info`: each public name that the caller may use, with what all of its targets
/// have in common.
pub fn groups(gw: &Gateway, caller: &Caller, group: Option<&str>) -> Result<Value, Refusal> {
    let snapshot = gw.snapshot.load();
    if let Some(name) = group {
        let found = snapshot.table.group(name).filter(|_| allowed(caller, name));
        let found = found.ok_or_else(|| no_such_model(name))?;
        return Ok(json!({ "data": [shown(name, &found.group)] }));
    }
    let names = listed(&snapshot, caller, Wildcards::AsTheyAre);
    let data: Vec<Value> = names
        .iter()
        .take(MAX_ROWS)
        .filter_map(|name| {
            let named = snapshot.table.groups().find(|group| *group.name == *name.id).cloned();
            let group = named.or_else(|| Some(snapshot.table.group(&name.id)?.group))?;
            Some(shown(&name.id, &group))
        })
        .collect();
    Ok(json!({ "data": data }))
}

fn shown(name: &str, group: &Group) -> Value {
    let cards: Vec<&Card> =
        group.members.iter().filter_map(|member| member.target.card.as_deref()).collect();
    let most = |limit: fn(&Card) -> Option<u64>| cards.iter().filter_map(|card| limit(card)).max();
    let dearest = |price: fn(&tollgate_wire::Rates) -> i64| {
        let prices = cards.iter().filter_map(|card| card.rates.as_ref()).map(price);
        prices.max().map(crate::admin::usd_per_token)
    };
    let sum = |of: fn(&Member) -> Option<u64>| {
        let all: Vec<u64> = group.members.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.iter().fold(0u64, |a, b| a.saturating_add(*b)))
    };
    let providers: BTreeSet<&str> =
        group.members.iter().map(|member| &*member.target.provider.name).collect();
    // What any of them takes: the router goes to one that does.
    let params: BTreeSet<&str> = match name.contains('*') {
        true => BTreeSet::new(),
        false => group
            .members
            .iter()
            .flat_map(|member| supported_params(member.target_for(tollgate_wire::Dialect::Openai)))
            .collect(),
    };
    let mut out = json!({
        "model_group": name,
        "providers": providers,
        "mode": mode(cards.first().copied()),
        "max_input_tokens": most(|card| card.max_input),
        "max_output_tokens": most(|card| card.max_output),
        "input_cost_per_token": dearest(|rates| rates.input),
        "output_cost_per_token": dearest(|rates| rates.output),
        "tpm": sum(|member| member.tpm),
        "rpm": sum(|member| member.rpm),
        "supported_openai_params": params,
    });
    if let Some(fields) = out.as_object_mut() {
        for ability in SHOWN {
            let can = cards.iter().any(|card| card.can(ability));
            fields.insert(ability.litellm().to_owned(), json!(can));
        }
    }
    out
}

/// `GET /utils/model_info`: what is known of a model, whether it is configured or only in the
/// catalogue (LiteLLM's `get_model_info`).
pub fn of_model(gw: &Gateway, caller: &Caller, model: &str) -> Result<Value, Refusal> {
    let snapshot = gw.snapshot.load();
    let known = snapshot.table.group(model).is_none() || allowed(caller, model);
    let target = target(&snapshot, model).filter(|_| known);
    let target = target.ok_or_else(|| no_such_model(model))?;
    let provider = &target.provider.name;
    let mut info = show::litellm(target.card.as_deref());
    info.insert("key".to_owned(), json!(format!("{provider}/{}", target.model)));
    info.insert("litellm_provider".to_owned(), json!(provider));
    info.insert("supported_openai_params".to_owned(), json!(supported_params(&target)));
    Ok(json!({ "model": target.model, "custom_llm_provider": provider, "model_info": info }))
}

/// `GET /utils/supported_openai_params`
pub fn supported_openai_params(
    gw: &Gateway,
    caller: &Caller,
    model: &str,
) -> Result<Value, Refusal> {
    let snapshot = gw.snapshot.load();
    let known = snapshot.table.group(model).is_none() || allowed(caller, model);
    let target = target(&snapshot, model).filter(|_| known);
    let target = target.ok_or_else(|| no_such_model(model))?;
    Ok(json!({ "supported_openai_params": supported_params(&target) }))
}
