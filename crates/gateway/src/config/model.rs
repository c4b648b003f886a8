//! One entry of `model_list`: a member of a group, ready to be called.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tollgate_router::{HealthMap, Member, Timeouts};
use tollgate_wire::{
    Dialect, Login, Provider, Secret, Target, catalogue::Catalogue, exchange::policy::is_path,
    provider::Patch,
};

use super::{
    ModelEntry,
    environment::Environment,
    keys::{self, Place, Status},
    mask, near,
    place::{self, Around},
    price,
    problem::{Mark, Report, Spot},
    provider::{self, ANY},
    section::{NOTHING, Section, json},
    yaml::{Entry, Node, Value},
};

/// What the rest of the configuration gives to every entry.
pub(super) struct Defaults<'a> {
    pub timeouts: Timeouts,
    /// The same limit for the silence within streams, where an entry sets only `timeout`.
    pub idle_is_set: bool,
    pub max_parallel: Option<u32>,
    pub drop_params: bool,
    /// `default_litellm_params`
    pub params: Option<&'a Node>,
    /// `credential_list`, by name.
    pub credentials: HashMap<String, &'a Node>,
}

/// What entries are resolved with.
pub(super) struct World<'a> {
    pub catalogue: &'a Catalogue,
    pub env: &'a Environment<'a>,
    /// For providers with templates or logins.
    pub around: Around<'a>,
    pub health: &'a HealthMap,
    pub defaults: Defaults<'a>,
}

/// What `model_list` becomes.
#[derive(Default)]
pub(super) struct Models {
    pub members: Vec<(String, Member)>,
    pub entries: Vec<ModelEntry>,
    /// `num_retries` of the entries of each group, and where it stands.
    pub retries: HashMap<String, Vec<(Option<u32>, Spot)>>,
    ids: HashMap<String, u32>,
}

/// Reads all of `model_list`.
pub(super) fn read(root: &Node, world: &World<'_>, report: &mut Report) -> Models {
    let mut models = Models::default();
    let Some(list) = root.get("model_list") else { return models };
    let items = match &list.value {
        Value::List(items) => items.as_slice(),
        Value::Null => &[],
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
            let message = format!("expected a list of models, found {}", list.kind());
            report.error(list.at, "model_list", message);
            &[]
        }
    };
    for (index, item) in items.iter().enumerate() {
        models.entry(item, &format!("model_list[{index}]"), world, report);
    }
    models
}

impl Models {
    fn entry(&mut self, node: &Node, path: &str, world: &World<'_>, report: &mut Report) {
        let section = Section::new("model_list", path, node, report);
        if !matches!(node.value, Value::Map(_)) {
            return;
        }
        section.judge(report);
        let name = section.text("model_name", report);
        if name.is_none() && section.node("model_name").is_none() {
            report.error(node.at, &section.path_of("model_name"), "expected `model_name`");
        }
        let info = section.node("model_info").unwrap_or(&NOTHING);
        let info = Section::new("model_info", section.path_of("model_info"), info, report);
        judge_info(&info, report);
        let blocked = info.boolean("blocked", report).unwrap_or(false);
        let path = section.path_of("litellm_params");
        let Some(node) = section.node("litellm_params") else {
            report.error(node.at, &path, "expected `litellm_params` with a `model`");
            return;
        };
        let mut params = Section::new("litellm_params", path, node, report);
        if !matches!(node.value, Value::Map(_)) {
            return;
        }
        judge_params(&params, report);
        fill(&mut params, world, report);
        let places = Places::read(&params, &world.defaults, report);
        let made = made(&params, &info, world, report);
        if let (Some(name), Some(made)) = (name, made)
            && !blocked
        {
            self.add(Entrant { name, made, places }, &params, &info, world.health, report);
        }
    }

    /// Gives an entry its id and puts it into its group.
    fn add(
        &mut self,
        entrant: Entrant,
        params: &Section<'_>,
        info: &Section<'_>,
        health: &HealthMap,
        report: &mut Report,
    ) {
        let Entrant { name, made, places } = entrant;
        let given = info.text("id", report);
        let (id, at) = match &given {
            Some(id) => (id.clone(), info.spot("id")),
            None => (settings_id(&name, params), params.at),
        };
        let id: Arc<str> = match self.ids.get(&id) {
            None => id.as_str().into(),
            Some(line) if given.is_some() => {
                let message = format!("the id `{}` is taken by line {line}", keys::shown(&id));
                report.error(at, &info.path_of("id"), message);
                return;
            }
            Some(line) => {
                let message = format!("the same settings as at line {line}: it counts twice");
                report.warning(at, &params.path, message, None);
                format!("{id}-{}", self.entries.len()).into()
            }
        };
        self.ids.insert(id.to_string(), at.line);
        let spot = params.spot("num_retries");
        self.retries.entry(name.clone()).or_default().push((places.retries, spot));
        let target = |target: Target| Arc::new(Target { id: id.clone(), ..target });
        self.entries.push(ModelEntry {
            name: name.as_str().into(),
            id: id.clone(),
            provider: made.main.provider.name.clone(),
            model: made.main.model.clone(),
            base: made.main.base.clone(),
            card: made.main.card.clone(),
            params: shown_params(params),
            info: shown_info(info),
        });
        let member = Member {
            target: target(made.main),
            also: made.also.into_iter().map(target).collect(),
            weight: places.weight,
            rpm: places.rpm,
            tpm: places.tpm,
            order: places.order,
            timeouts: places.timeouts,
            cooldown_ms: places.cooldown_ms,
            max_parallel: places.max_parallel,
            health: health.get(&id),
        };
        self.members.push((name, member));
    }
}

/// An entry without problems.
struct Entrant {
    name: String,
    made: Made,
    places: Places,
}

/// What routing knows of an entry beside its targets.
struct Places {
    weight: Option<f64>,
    rpm: Option<u64>,
    tpm: Option<u64>,
    order: Option<u32>,
    cooldown_ms: Option<u64>,
    max_parallel: Option<u32>,
    timeouts: Timeouts,
    retries: Option<u32>,
}

impl Places {
    fn read(params: &Section<'_>, defaults: &Defaults<'_>, report: &mut Report) -> Self {
        let timeout = params.positive_millis("timeout", report);
        let stream_timeout = params.positive_millis("stream_timeout", report);
        let mut timeouts = defaults.timeouts;
        if let Some(ms) = timeout {
            timeouts.first_byte_ms = ms;
            if !defaults.idle_is_set {
                timeouts.idle_ms = ms;
            }
        }
        if let Some(ms) = stream_timeout {
            timeouts.idle_ms = ms;
        }
        timeouts.total_ms = timeouts.total_ms.max(timeouts.first_byte_ms);
        let max_retries = params.whole("max_retries", 0, report);
        let parallel = params.whole("max_parallel_requests", 1, report);
        Places {
            weight: params.share("weight", report),
            rpm: params.whole("rpm", 0, report),
            tpm: params.whole("tpm", 0, report),
            order: params.whole("order", 0, report),
            cooldown_ms: params.millis("cooldown_time", report),
            max_parallel: parallel.or(defaults.max_parallel),
            timeouts,
            retries: params.whole("num_retries", 0, report).or(max_retries),
        }
    }
}

/// The targets of an entry: in its provider's main dialect, and in the others that it speaks.
struct Made {
    main: Target,
    also: Vec<Target>,
}

fn made(
    params: &Section<'_>,
    info: &Section<'_>,
    world: &World<'_>,
    report: &mut Report,
) -> Option<Made> {
    let mut headers = headers(params, report);
    let mut defaults = defaults(params, report);
    let drop_params = params.boolean("drop_params", report).unwrap_or(world.defaults.drop_params);
    let Some(meant) = provider::meant(params, world.catalogue, world.env, report) else {
        // Prices are read all the same, for their problems.
        price::card("", "", params, info, world.catalogue, report);
        return None;
    };
    let provider = patched(meant.provider, params, report);
    // A variable of the provider's templates is no field of the request.
    let is_var = |name: &String| provider.vars.values().any(|var| var.param.contains(name));
    defaults.retain(|(name, _)| !is_var(name));
    let card = price::card(&provider.name, &meant.model, params, info, world.catalogue, report);
    let known_as = info.text("base_model", report).or_else(|| params.text("base_model", report));
    let placed = if provider.is_plain() {
        plain(provider, meant.model, params, world, report)
    } else {
        placed(&provider, &meant.model, known_as.as_deref(), params, world, report)
    };
    let Placed { provider, model, base, credential, login, own_headers } = placed?;
    headers.splice(0..0, own_headers);
    let main = provider::main_dialect(&provider);
    let target = |dialect: Dialect, prefix: &str| {
        let mut headers = headers.clone();
        if let Some(organization) = &organization(params)
            && dialect == Dialect::Openai
        {
            headers.push((HeaderName::from_static("openai-organization"), organization.clone()));
        }
        Target {
            id: "".into(),
            provider: provider.clone(),
            model: model.as_str().into(),
            dialect,
            base: format!("{base}{prefix}").into(),
            credential: credential.clone(),
            login: login.clone(),
            card: card.clone(),
            defaults: defaults.clone(),
            headers,
            drop_params,
        }
    };
    let prefix = provider.speaks.get(&main).map_or("", String::as_str);
    let also = provider.speaks.iter().filter(|(dialect, _)| **dialect != main);
    Some(Made {
        main: target(main, prefix),
        also: also.map(|(dialect, prefix)| target(*dialect, prefix)).collect(),
    })
}

/// Where an entry's model is, and what we are known by there.
struct Placed {
    provider: Arc<Provider>,
    model: String,
    base: String,
    credential: Option<Secret>,
    login: Option<Arc<Login>>,
    own_headers: Vec<(HeaderName, HeaderValue)>,
}

/// A provider whose table says all.
fn plain(
    provider: Arc<Provider>,
    model: String,
    params: &Section<'_>,
    world: &World<'_>,
    report: &mut Report,
) -> Option<Placed> {
    let base = match &*provider.name {
        ANY => Some(String::new()),
        _ => provider::base(&provider, params, world.env, report),
    };
    let credential = provider::credential(&provider, params, world.env, report);
    let (base, login, own_headers) = (base?, None, Vec::new());
    Some(Placed { provider, model, base, credential, login, own_headers })
}

/// A provider with templates or logins.
fn placed(
    provider: &Arc<Provider>,
    model: &str,
    known_as: Option<&str>,
    params: &Section<'_>,
    world: &World<'_>,
    report: &mut Report,
) -> Option<Placed> {
    let site = place::site(provider, params, &world.around, report)?;
    let settled = place::settle(&site, model, known_as, params, report)?;
    Some(Placed {
        provider: Arc::new(settled.provider),
        model: settled.model,
        base: settled.base,
        credential: site.known.credential,
        login: settled.login,
        own_headers: site.known.headers,
    })
}

/// Adds what `litellm_credential_name` and `default_litellm_params` say where the entry does not.
fn fill<'a>(params: &mut Section<'a>, world: &World<'a>, report: &mut Report) {
    if let Some(name) = params.text("litellm_credential_name", report) {
        match world.defaults.credentials.get(&name) {
            Some(node) => {
                if let Value::Map(entries) = &node.value {
                    params.fill_from(entries.iter());
                }
            }
            None => {
                let path = params.path_of("litellm_credential_name");
                let names = world.defaults.credentials.keys().map(String::as_str);
                let message = format!("no credential is called `{}`", keys::shown(&name));
                let help = near::nearest(&name, names)
                    .map_or("add it to `credential_list`".to_owned(), |near| {
                        format!("did you mean `{near}`?")
                    });
                report.error_help(params.spot("litellm_credential_name"), &path, message, help);
            }
        }
    }
    if let Some(Node { value: Value::Map(entries), .. }) = world.defaults.params {
        params.fill_from(entries.iter());
    }
}

/// Verdicts of `litellm_params`: what LiteLLM does not know it sends to the provider, and so do
/// we, unless it looks like a slip.
pub(super) fn judge_params(params: &Section<'_>, report: &mut Report) {
    for entry in params.entries() {
        let path = params.path_of(&entry.key);
        if keys::look_up("litellm_params", &entry.key).is_some() {
            let place =
                Place { section: "litellm_params", path: &path, key: &entry.key, at: entry.at };
            keys::judge(&place, &entry.value, report);
            continue;
        }
        if let Some(near) = near::nearest(&entry.key, keys::names("litellm_params")) {
            let help = format!("did you mean `{near}`?");
            let key = keys::shown(&entry.key);
            if mask::names_secret(&entry.key) {
                // It would go to the provider in every request's body.
                report.error_help(entry.at, &path, format!("unknown key `{key}`"), help);
            } else {
                let message = format!("`{key}` is sent to the provider as it is");
                report.warning(entry.at, &path, message, Some(help));
            }
        }
        report.verdict(
            entry.at,
            path,
            Mark::Exact,
            "sent to the provider where the client leaves it out",
        );
    }
}

/// Verdicts of `model_info`: what nobody knows is a note.
fn judge_info(info: &Section<'_>, report: &mut Report) {
    for entry in info.entries() {
        let path = info.path_of(&entry.key);
        if is_mode(entry) {
            report.verdict(entry.at, path, Mark::Exact, "");
        } else if entry.key == "mode" {
            let message =
                "models of this mode are not built yet: `chat`, `completion` and `embedding` are";
            report.unsupported(entry.at, &path, message);
            report.verdict(entry.at, path, Mark::Unsupported, "not built yet");
        } else if keys::look_up("model_info", &entry.key).is_some() {
            let place = Place { section: "model_info", path: &path, key: &entry.key, at: entry.at };
            keys::judge(&place, &entry.value, report);
        } else {
            report.verdict(entry.at, path, Mark::Exact, "shown by /model/info");
        }
    }
}

fn is_mode(entry: &Entry) -> bool {
    let modes = ["chat", "completion", "embedding"];
    entry.key == "mode"
        && match &entry.value.value {
            Value::Null => true,
            Value::Text(text) => modes.contains(&text.text.as_str()),
            Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => false,
        }
}

/// The provider with `additional_drop_params` and `allowed_openai_params` as further patches.
fn patched(provider: Arc<Provider>, params: &Section<'_>, report: &mut Report) -> Arc<Provider> {
    let drops = params.texts("additional_drop_params", report).unwrap_or_default();
    let allowed = params.texts("allowed_openai_params", report).unwrap_or_default();
    if drops.is_empty() && allowed.is_empty() {
        return provider;
    }
    let mut provider = Provider::clone(&provider);
    for (name, at) in drops {
        let path = params.path_of("additional_drop_params");
        if !is_path(&name) {
            let message = format!("`{}` is no parameter", keys::shown(&name));
            let help = "write one such as `seed` or `tools[*].function.strict`";
            report.error_help(at, &path, message, help);
        } else if ["model", "messages", "input", "stream"].contains(&&*name) {
            let message = format!("`{name}` cannot be dropped: a request is nothing without it");
            report.error(at, &path, message);
        } else {
            provider.patch.push(Patch::Drop(name));
        }
    }
    provider.patch.extend(allowed.into_iter().map(|(name, _)| Patch::Allow(name)));
    Arc::new(provider)
}

/// `extra_headers` and `headers`.
fn headers(params: &Section<'_>, report: &mut Report) -> Vec<(HeaderName, HeaderValue)> {
    let mut out = Vec::new();
    for key in ["extra_headers", "headers"] {
        let Some(node) = params.node(key) else { continue };
        let section = Section::new("headers", params.path_of(key), node, report);
        for entry in section.entries() {
            match header(entry, &section, report) {
                Ok(header) => out.push(header),
                Err(message) => report.error(entry.at, &section.path_of(&entry.key), message),
            }
        }
    }
    out
}

fn header(
    entry: &Entry,
    section: &Section<'_>,
    report: &mut Report,
) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = HeaderName::try_from(&entry.key).map_err(|_| "this is no header's name")?;
    let ours = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "content-type",
        "te",
        "upgrade",
        "keep-alive",
        "accept-encoding",
    ];
    if ours.contains(&name.as_str()) {
        return Err("this header is set by Tollgate alone");
    }
    let text = section.text(&entry.key, report).unwrap_or_default();
    let mut value = HeaderValue::try_from(text).map_err(|_| "this is no header's value")?;
    value.set_sensitive(mask::names_secret(name.as_str()));
    Ok((name, value))
}

fn organization(params: &Section<'_>) -> Option<HeaderValue> {
    let text = params.node("organization").and_then(super::section::plain_text)?;
    HeaderValue::try_from(text).ok()
}

/// The request fields that an entry sets: those of the table, and all that LiteLLM does not know.
fn defaults(params: &Section<'_>, report: &mut Report) -> Vec<(String, Bytes)> {
    let mut out = Vec::new();
    let mut push = |name: &str, node: &Node| {
        out.push((name.to_owned(), Bytes::from(json(node).to_string())));
    };
    for entry in params.entries() {
        if entry.value.value == Value::Null {
            continue;
        }
        match (
            keys::look_up("litellm_params", &entry.key).map(|known| known.status),
            &entry.value.value,
        ) {
            // What the OpenAI SDKs lay over the body.
            (Some(Status::Default), Value::Map(fields)) if entry.key == "extra_body" => {
                for field in fields {
                    push(&field.key, &field.value);
                }
            }
            (Some(Status::Default), _) if entry.key == "extra_body" => {
                let message = format!("expected a map, found {}", entry.value.kind());
                report.error(entry.value.at, &params.path_of(&entry.key), message);
            }
            (Some(Status::Default) | None, _) => push(&entry.key, &entry.value),
            (Some(_), _) => {}
        }
    }
    out
}

/// An id that depends on an entry's settings alone: 128 bits of their SHA-256. The order of the
/// keys does not count.
fn settings_id(name: &str, params: &Section<'_>) -> String {
    let mut settings: Vec<(&str, String)> =
        params.entries().map(|e| (e.key.as_str(), json(&e.value).to_string())).collect();
    settings.sort();
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in std::iter::once(name).chain(settings.iter().flat_map(|(k, v)| [*k, v.as_str()])) {
        digest.update(&part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finish().as_ref().iter().take(16).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `litellm_params` as `/model/info` may show them: without credentials and headers.
fn shown_params(params: &Section<'_>) -> serde_json::Map<String, serde_json::Value> {
    params
        .entries()
        .filter(|e| match &e.value.value {
            Value::Bool(_) | Value::Number(_) => true,
            Value::Text(text) => !text.text.contains('@'),
            Value::Null | Value::List(_) | Value::Map(_) => false,
        })
        .filter(|e| may_be_shown(e))
        .map(|e| (e.key.clone(), json(&e.value)))
        .collect()
}

/// `model_info` as it was written, without what came from the environment.
fn shown_info(info: &Section<'_>) -> serde_json::Map<String, serde_json::Value> {
    info.entries().filter(|e| may_be_shown(e)).map(|e| (e.key.clone(), json(&e.value))).collect()
}

/// Neither named like a secret nor from the environment, all the way down.
fn may_be_shown(entry: &Entry) -> bool {
    fn plain(node: &Node) -> bool {
        match &node.value {
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
            Value::Text(text) => !text.hidden,
            Value::List(items) => items.iter().all(plain),
            Value::Map(entries) => entries.iter().all(may_be_shown),
        }
    }
    let is_switch = matches!(entry.value.value, Value::Bool(_) | Value::Number(_));
    (is_switch || !mask::names_secret(&entry.key)) && plain(&entry.value)
}
