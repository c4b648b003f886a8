//! The names that a caller may ask for, wildcards spelled out.

use std::{collections::HashSet, sync::Arc};

use tollgate_router::{Group, Table};
use tollgate_wire::{Card, Dialect, Operation, Provider};

use super::allowed;
use crate::{auth::Caller, config::ANY, core::Snapshot};

/// Most names that wildcards are spelled out into.
const MAX_NAMES: usize = 20_000;

/// A name that may be asked for.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// The name.
    pub(super) id: String,
    /// Who has the model: a provider's name.
    pub(super) owner: Arc<str>,
    /// What is known of the model.
    pub(super) card: Option<Arc<Card>>,
    /// Whether a wildcard stands behind it, not an entry of its own.
    pub(super) expanded: bool,
}

/// What is to become of a wildcard such as `openai/*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wildcards {
    /// It stands for the models that the catalogue has of it.
    SpelledOut,
    /// The same, and itself before them (LiteLLM's `return_wildcard_routes`).
    BothWays,
    /// It stands for itself alone.
    AsTheyAre,
}

/// The names in the order of the configuration, each once.
pub(super) fn listed(snapshot: &Snapshot, caller: &Caller, how: Wildcards) -> Vec<Listed> {
    let mut out = Names { caller, seen: HashSet::new(), out: Vec::new() };
    // A name of its own counts more than one that a wildcard has too.
    let own: HashSet<&str> = snapshot.table.names().filter(|name| !name.contains('*')).collect();
    for name in snapshot.table.names() {
        if !name.contains('*') {
            if let Some(listed) = of_group(&snapshot.table, name) {
                out.add(listed);
            }
            continue;
        }
        let Some(group) = snapshot.table.groups().find(|group| *group.name == *name) else {
            continue;
        };
        let expanded = match how {
            Wildcards::AsTheyAre => Vec::new(),
            Wildcards::SpelledOut | Wildcards::BothWays => expand(snapshot, group),
        };
        if how != Wildcards::SpelledOut || expanded.is_empty() {
            out.add(itself(group));
        }
        for listed in expanded {
            if !own.contains(&*listed.id) {
                out.add(listed);
            }
        }
    }
    // What a key may use by name and only a wildcard knows, such as a model newer than the
    // catalogue.
    if let Some(key) = caller.key() {
        for name in key.terms.access.names().iter().filter(|name| !name.contains('*')) {
            if let Some(listed) = of_group(&snapshot.table, name) {
                out.add(listed);
            }
        }
    }
    out.out
}

struct Names<'a> {
    caller: &'a Caller,
    seen: HashSet<String>,
    out: Vec<Listed>,
}

impl Names<'_> {
    fn add(&mut self, listed: Listed) {
        if self.out.len() < MAX_NAMES
            && allowed(self.caller, &listed.id)
            && self.seen.insert(listed.id.clone())
        {
            self.out.push(listed);
        }
    }
}

/// A name as its group has it.
pub(super) fn of_group(table: &Table, name: &str) -> Option<Listed> {
    let group = table.group(name)?.group;
    let target = &group.members.first()?.target;
    let card = group.members.iter().find_map(|member| member.target.card.clone());
    let owner = Arc::clone(&target.provider.name);
    Some(Listed { id: name.to_owned(), owner, card, expanded: false })
}

fn itself(group: &Group) -> Listed {
    let owner = group.members.first().map(|member| Arc::clone(&member.target.provider.name));
    Listed {
        id: group.name.to_string(),
        owner: owner.unwrap_or_else(|| ANY.into()),
        card: None,
        expanded: false,
    }
}

/// The models that the catalogue has behind a wildcard. Only a wildcard of one star on both sides
/// can be spelled out.
fn expand(snapshot: &Snapshot, group: &Group) -> Vec<Listed> {
    let Some((before, after)) = one_star(&group.name) else { return Vec::new() };
    let mut out = Vec::new();
    for member in &group.members {
        let target = &member.target;
        let Some((start, end)) = one_star(&target.model) else { continue };
        let any = &*target.provider.name == ANY;
        let providers: Vec<&Arc<Provider>> = if any {
            snapshot.reachable.iter().filter_map(|name| snapshot.catalogue.provider(name)).collect()
        } else {
            vec![&target.provider]
        };
        for provider in providers {
            for card in snapshot.catalogue.cards_of(&provider.name) {
                if card.mode.is_some_and(|mode| !can_serve(provider, mode.operation())) {
                    continue;
                }
                let model = if any {
                    format!("{}/{}", provider.name, card.name)
                } else {
                    card.name.clone()
                };
                let star = model.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
                let Some(star) = star.filter(|star| !star.is_empty()) else { continue };
                out.push(Listed {
                    id: [before, star, after].concat(),
                    owner: Arc::clone(&provider.name),
                    card: Some(target.card.clone().unwrap_or(card)),
                    expanded: true,
                });
            }
        }
    }
    out
}

/// Whether a card's operation is one that we call this provider for.
fn can_serve(provider: &Provider, operation: Option<Operation>) -> bool {
    let Some(operation) = operation else { return false };
    let speaks = |dialect: &Dialect| tollgate_wire::matrix::has(operation, *dialect);
    provider.ops.contains(&operation) && provider.speaks.keys().any(speaks)
}

fn one_star(pattern: &str) -> Option<(&str, &str)> {
    pattern.split_once('*').filter(|(_, rest)| !rest.contains('*'))
}
