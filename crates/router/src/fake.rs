//! Made-up providers, targets and tables for the tests of this crate.

use std::{collections::BTreeMap, sync::Arc};

use tollgate_wire::{Auth, Dialect, FaultKind, Provider, Target};

use crate::{Health, Member, Rules, Table};

/// Every kind of fault.
pub(crate) const KINDS: [FaultKind; 24] = {
    use FaultKind as K;
    [
        K::BadRequest,
        K::ContextWindow,
        K::ContentPolicy,
        K::Credential,
        K::Payment,
        K::NotFound,
        K::Timeout,
        K::Conflict,
        K::TooLarge,
        K::Unprocessable,
        K::RateLimit,
        K::Server,
        K::BadGateway,
        K::Unavailable,
        K::GatewayTimeout,
        K::Redirect,
        K::BadResponse,
        K::Unreachable,
        K::ConnectTimeout,
        K::Tls,
        K::FirstByteTimeout,
        K::IdleTimeout,
        K::Deadline,
        K::Disconnected,
    ]
};

pub(crate) fn provider(name: &str) -> Arc<Provider> {
    Arc::new(Provider {
        name: name.into(),
        url: "http://upstream.test/v1".into(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: Auth::Bearer,
        speaks: BTreeMap::new(),
        ops: Vec::new(),
        headers: BTreeMap::new(),
        patch: Vec::new(),
        ..Provider::default()
    })
}

pub(crate) fn target(id: &str, dialect: Dialect, model: &str) -> Target {
    Target {
        id: id.into(),
        provider: provider("acme"),
        model: model.into(),
        dialect,
        base: "http://upstream.test/v1".into(),
        credential: None,
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

/// A member that speaks OpenAI.
pub(crate) fn member(id: &str) -> Member {
    Member::new(Arc::new(target(id, Dialect::Openai, "m")), Arc::new(Health::default()))
}

/// `group: members` as (name, id) pairs.
pub(crate) fn rules(members: &[(&str, &str)]) -> Rules {
    Rules {
        members: members.iter().map(|(name, id)| ((*name).to_owned(), member(id))).collect(),
        ..Rules::default()
    }
}

pub(crate) fn table(members: &[(&str, &str)]) -> Table {
    Table::new(rules(members))
}

pub(crate) fn names(list: &[&str]) -> Vec<Arc<str>> {
    list.iter().map(|name| Arc::from(*name)).collect()
}
