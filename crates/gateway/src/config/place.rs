//! Entries whose provider's address, paths or credentials depend on more than a key: their
//! settings, looked up for [`tollgate_wire::place`], which knows the rest.

use std::{cell::RefCell, sync::Arc};

use tollgate_router::sign;
use tollgate_wire::{
    Provider,
    place::{self, Lookup, Problem, Settled, Site},
};

use super::{
    environment::Environment,
    include::ReadFile,
    problem::Report,
    provider,
    section::{NOTHING, Section, json, plain_text},
    yaml::Value,
};

/// Where an entry stands, and what else is known.
pub(super) struct Around<'a> {
    pub env: &'a Environment<'a>,
    pub read: ReadFile<'a>,
    /// `litellm_settings.enable_azure_ad_token_refresh`
    pub azure_refresh: bool,
}

/// The provider with an entry's settings. `None` after an error.
pub(super) fn site(
    provider: &Arc<Provider>,
    section: &Section<'_>,
    around: &Around<'_>,
    report: &mut Report,
) -> Option<Site> {
    let base = provider::given(provider, section, around.env, report)?;
    // A key that is there but empty has been reported.
    let empty = |node| plain_text(node).is_some_and(|text| text.is_empty());
    if section.node("api_key").is_some_and(empty) {
        return None;
    }
    match prepared(provider, base.as_deref(), section, around, report) {
        Ok(site) => Some(site),
        Err(problems) => {
            tell(problems, section, report);
            None
        }
    }
}

/// The provider as the environment alone says, for entries that stand for every provider. `None`
/// where something is missing, or where the credentials would be those of the machine, which may
/// have none.
pub(super) fn from_env(provider: &Arc<Provider>, around: &Around<'_>) -> Option<Site> {
    let mut report = Report::new(super::Strictness::Strict);
    let section = Section::new("litellm_params", "", &NOTHING, &mut report);
    let base = provider::given(provider, &section, around.env, &mut report)?;
    let site = prepared(provider, base.as_deref(), &section, around, &mut report).ok()?;
    (!report.failed() && !site.known.of_machine).then_some(site)
}

/// The provider for a model, with its base URL checked. `None` after an error.
pub(super) fn settle(
    site: &Site,
    model: &str,
    known_as: Option<&str>,
    section: &Section<'_>,
    report: &mut Report,
) -> Option<Settled> {
    match settled(site, model, known_as) {
        Ok(settled) => Some(settled),
        Err(problems) => {
            tell(problems, section, report);
            None
        }
    }
}

/// The same, without a report.
pub(super) fn settled(
    site: &Site,
    model: &str,
    known_as: Option<&str>,
) -> Result<Settled, Vec<Problem>> {
    let known_as = known_as.filter(|name| !name.is_empty());
    let mut settled = site.settle(model, known_as)?;
    let main = provider::main_dialect(&settled.provider);
    // Paths of its own are below the host; a dialect's are below what is given.
    if !settled.provider.paths.contains_key(&main) {
        settled.base = provider::checked(&settled.base, &settled.provider).map_err(|why| {
            vec![Problem {
                param: "api_base".to_owned(),
                message: why.to_owned(),
                help: "such as `https://host/v1`".to_owned(),
            }]
        })?;
    }
    Ok(settled)
}

fn prepared(
    provider: &Arc<Provider>,
    base: Option<&str>,
    section: &Section<'_>,
    around: &Around<'_>,
    report: &mut Report,
) -> Result<Site, Vec<Problem>> {
    let report = RefCell::new(report);
    let param = |name: &str| {
        if name == "enable_azure_ad_token_refresh" {
            return Some(around.azure_refresh.to_string());
        }
        let node = section.node(name)?;
        match &node.value {
            // `vertex_credentials` may be written out.
            Value::Map(_) => Some(json(node).to_string()),
            _ => {
                let mut report = report.borrow_mut();
                section.text(name, &mut report).or_else(|| plain_text(node))
            }
        }
    };
    let read = |path: &str| {
        (around.read)(path).map_err(|why| match why.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            kind => kind.to_string(),
        })
    };
    let lookup = Lookup { param: &param, env: &|name| around.env.get(name), read: &read };
    let site = place::prepare(provider, base, lookup)?;
    if let Some(Err(message)) = site.known.login.as_deref().map(sign::check) {
        let help = "set the whole key, from `-----BEGIN` to `-----END …-----`".to_owned();
        let param = ["vertex_credentials", "oci_key", "oci_key_file", "api_key"];
        let param = param.into_iter().find(|name| section.node(name).is_some());
        let param = param.unwrap_or("model").to_owned();
        return Err(vec![Problem { param, message, help }]);
    }
    let key = site.known.credential.as_ref().map(|key| key.expose());
    if key.is_some_and(|key| http::HeaderValue::try_from(key).is_err()) {
        let message = "the key has characters that no header can carry".to_owned();
        let help = "write it without line breaks".to_owned();
        return Err(vec![Problem { param: "api_key".to_owned(), message, help }]);
    }
    Ok(site)
}

fn tell(problems: Vec<Problem>, section: &Section<'_>, report: &mut Report) {
    for problem in problems {
        let written = section.node(&problem.param).is_some();
        let spot = section.spot(if written { &problem.param } else { "model" });
        let path = section.path_of(&problem.param);
        report.error_help(spot, &path, problem.message, problem.help);
    }
}
