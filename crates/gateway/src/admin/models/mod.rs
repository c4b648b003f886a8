//! Models: what can be asked for, what each can do, and what it costs. `/v1/models` in three
//! spellings ([`list`]), LiteLLM's `/model/info` and its relatives ([`info`]).

pub mod info;
pub mod list;
mod names;
pub mod show;

use std::sync::Arc;

use tollgate_router::Table;
use tollgate_wire::{Card, Dialect, Mode, Operation, Refusal, RefusalKind, Target};

use crate::{auth::Caller, core::Snapshot};

/// What LiteLLM gives as every model's `created`: nobody knows when most were made.
const CREATED: u64 = 1_677_610_602;
/// The same as Anthropic writes it.
const CREATED_AT: &str = "2023-02-28T18:56:42Z";

fn allowed(caller: &Caller, name: &str) -> bool {
    caller.key().is_none_or(|key| key.terms.access.allows(name))
}

/// Says neither that the model exists nor that it does not.
pub(super) fn no_such_model(model: &str) -> Refusal {
    let shown: String = model.chars().filter(|c| !c.is_control()).take(120).collect();
    Refusal::new(
        RefusalKind::UnknownModel,
        format!("the model `{shown}` does not exist, or this key may not use it"),
    )
    .param("model")
}

/// The first target of a public name, as it is called for clients of OpenAI's dialect.
fn first_target(table: &Table, name: &str) -> Option<Arc<Target>> {
    let found = table.group(name)?;
    found.group.members.first().map(|member| Arc::clone(member.target_for(Dialect::Openai)))
}

/// What a name means: a public one, or `provider/model`, or a model that only one provider of the
/// catalogue has, or that the name alone means. What is not configured cannot be called, and has no credential.
pub(super) fn target(snapshot: &Snapshot, name: &str) -> Option<Arc<Target>> {
    first_target(&snapshot.table, name).or_else(|| of_catalogue(snapshot, name).map(Arc::new))
}

fn of_catalogue(snapshot: &Snapshot, name: &str) -> Option<Target> {
    let catalogue = &snapshot.catalogue;
    let named = name.split_once('/').filter(|(_, model)| !model.is_empty());
    let (provider, model) = match named.and_then(|(p, m)| Some((catalogue.provider(p)?, m))) {
        Some(found) => found,
        None => {
            let cards = catalogue.cards_named(name);
            let first = cards.first().filter(|first| first.bare || cards.len() == 1)?;
            (catalogue.provider(&first.provider)?, name)
        }
    };
    let dialect = crate::config::main_dialect(provider);
    let prefix = provider.speaks.get(&dialect).map_or("", String::as_str);
    Some(Target {
        id: "".into(),
        provider: Arc::clone(provider),
        model: model.into(),
        dialect,
        base: format!("{}{prefix}", provider.url).into(),
        credential: None,
        login: None,
        card: catalogue.card(&provider.name, model),
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    })
}

/// What a model is for, in LiteLLM's word. A model whose card does not say is one of chat.
fn mode(card: Option<&Card>) -> &'static str {
    card.and_then(|card| card.mode).unwrap_or(Mode::Chat).litellm()
}

/// OpenAI's parameters that reach the target, less what its model cannot do.
fn supported_params(target: &Target) -> Vec<&'static str> {
    let card = target.card.as_deref();
    let operation = card.and_then(|card| card.mode?.operation()).unwrap_or(Operation::Chat);
    tollgate_wire::params::supported(operation, target)
}
