//! Which targets, in which order. Pure: everything it needs is in its arguments.

use std::sync::Arc;

use tollgate_router::{Plan, Prefs, plan};
use tollgate_wire::{Card, Operation, Refusal, RefusalKind};

use crate::{
    ask::Ask,
    auth::Caller,
    core::{Snapshot, View},
    now::Now,
};

/// The card of the first target that would be tried, for estimates.
pub fn first_card(plan: &Plan) -> Option<&Arc<Card>> {
    plan.members().next()?.target_for(plan.surface).card.as_ref()
}

/// Finds the group and plans the attempts.
pub fn plan_for(
    view: &View,
    caller: &Caller,
    ask: &Ask,
    now: Now,
    seed: u64,
) -> Result<Plan, Refusal> {
    let snapshot = &view.snapshot;
    let model = &ask.payload.peek.model;
    if let Some(key) = caller.key()
        && !key.terms.access.allows(model)
    {
        return Err(not_allowed(model, key.terms.access.names()));
    }
    // The client's own fallbacks are asked for like the model itself. Those of the configuration
    // are the operator's will.
    let barred = |name: &&String| caller.key().is_some_and(|key| !key.terms.access.allows(name));
    if let Some(name) = ask.payload.peek.fallbacks.iter().find(barred) {
        let models = caller.key().map(|key| key.terms.access.names()).unwrap_or_default();
        return Err(not_allowed(name, models).param("fallbacks"));
    }
    let Some(group) = view.group(model) else {
        return Err(unknown_model(snapshot, caller, model));
    };
    let mut prefs = Prefs::of(ask.surface, &ask.payload.peek);
    // Another model's count would be wrong.
    prefs.disable_fallbacks |= ask.operation == Operation::CountTokens;
    Ok(plan(&snapshot.table, &group, prefs, now.unix_ms(), seed))
}

fn not_allowed(model: &str, models: &[String]) -> Refusal {
    let shown: Vec<&str> = models.iter().take(20).map(String::as_str).collect();
    Refusal::new(
        RefusalKind::NotAllowed,
        format!(
            "key not allowed to access model. This key can only access models={shown:?}. Tried to access {}",
            clip(model)
        ),
    )
    .param("model")
}

fn unknown_model(snapshot: &Snapshot, caller: &Caller, model: &str) -> Refusal {
    let near: Vec<String> = snapshot
        .table
        .near(model)
        .into_iter()
        .filter(|name| caller.key().is_none_or(|key| key.terms.access.allows(name)))
        .map(|name| format!("`{name}`"))
        .collect();
    let hint = if near.is_empty() {
        "`GET /v1/models` lists what there is".to_owned()
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Refusal::new(
        RefusalKind::UnknownModel,
        format!("the model `{}` does not exist; {hint}", clip(model)),
    )
    .param("model")
}

fn clip(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(120).collect()
}
