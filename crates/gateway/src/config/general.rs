//! What a configuration says about everything but routing.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use http::HeaderName;
use tollgate_wire::{
    Secret,
    catalogue::{Catalogue, CatalogueError},
};

use crate::sync::Source;

use super::{
    Input,
    environment::Environment,
    keys,
    problem::{Report, Spot},
    rules::Settings,
    section::{Section, json, plain_text},
    yaml::{Node, Value},
};

/// Settings of the server as a whole. Every field is to be honoured by whoever runs the gateway.
#[derive(Debug, Clone)]
pub struct General {
    /// `general_settings.master_key`, else `TOLLGATE_MASTER_KEY`, else `LITELLM_MASTER_KEY`. Begins
    /// with `sk-`. `None`: one is made at the first start.
    pub master_key: Option<Secret>,
    /// The master key is short or publicly known: refuse to listen on a public address with it.
    pub master_key_is_weak: bool,
    /// `general_settings.dangerously_permit_weak_or_unset_master_key`: listen all the same.
    pub weak_master_key_permitted: bool,
    /// `general_settings.database_url`: `sqlite://…` or `postgres://…`; holds a password.
    pub database_url: Option<Secret>,
    /// `general_settings.max_request_size_mb` or `tollgate.max_body_bytes`.
    pub max_body_bytes: usize,
    /// `tollgate.body_timeout`: longest silence within a request's body.
    pub body_idle: Duration,
    /// `tollgate.header_timeout`: longest wait for a request's head.
    pub header_timeout: Duration,
    /// `tollgate.keepalive_timeout`: how long an idle connection of a client is kept.
    pub keepalive_timeout: Duration,
    /// `tollgate.max_connections`: connections of clients at a time.
    pub max_connections: Option<usize>,
    /// `general_settings.global_max_parallel_requests`: requests at a time, on this node.
    pub max_parallel: Option<u32>,
    /// `general_settings.max_parallel_requests`: requests at a time of a key that has no limit of
    /// its own.
    pub key_max_parallel: Option<u32>,
    /// `litellm_settings.budget_exceeded_status_code`
    pub budget_exceeded_status: u16,
    /// `tollgate.output_estimate_tokens`: what is set aside for an answer whose request names no
    /// limit.
    pub output_estimate_tokens: u64,
    /// `general_settings.user_header_name` and `user_header_mappings`: request headers that name
    /// the end user where the body does not; the first that is there counts.
    pub end_user_headers: Vec<HeaderName>,
    /// `litellm_settings.require_auth_for_metrics_endpoint`
    pub metrics_need_key: bool,
    /// `general_settings.return_wildcard_routes`: `/v1/models` lists wildcards too.
    pub return_wildcard_routes: bool,
    /// `litellm_settings.json_logs` or `tollgate.log_format`.
    pub log_format: LogFormat,
    /// `tollgate.log_level`; `debug` where `litellm_settings.set_verbose` is on.
    pub log_level: Option<LogLevel>,
    /// `tollgate.data_dir`: the folder of the journal and of the embedded database.
    pub data_dir: Option<PathBuf>,
    /// `tollgate.workers`: cores to serve on; all of them if `None`.
    pub workers: Option<usize>,
    /// `tollgate.drain_seconds`: how long a shutdown waits for requests.
    pub drain: Duration,
    /// `tollgate.models_sync`: price maps and lists of models that are read now and then.
    pub models_sync: Vec<Source>,
    /// `tollgate.ca_file`: further certificates to trust upstream, in PEM.
    pub ca_file: Option<PathBuf>,
    /// `tollgate.providers_file`: providers laid over the catalogue. It is watched.
    pub providers_file: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// From which weight on something is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happened.
    Info,
    /// What happened on the way.
    Debug,
    /// Everything; still no prompts and no keys.
    Trace,
}

impl LogLevel {
    /// The word in configuration and in filters.
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }

    const ALL: [LogLevel; 5] =
        [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
}

impl Default for General {
    fn default() -> Self {
        General {
            master_key: None,
            master_key_is_weak: false,
            weak_master_key_permitted: false,
            database_url: None,
            max_body_bytes: 64 << 20,
            body_idle: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(75),
            max_connections: None,
            max_parallel: None,
            key_max_parallel: None,
            budget_exceeded_status: 422,
            output_estimate_tokens: 1_024,
            end_user_headers: Vec::new(),
            metrics_need_key: true,
            return_wildcard_routes: false,
            log_format: LogFormat::Human,
            log_level: None,
            data_dir: None,
            workers: None,
            drain: Duration::from_secs(30),
            models_sync: Vec::new(),
            ca_file: None,
            providers_file: None,
        }
    }
}

/// Reads `general_settings`, `tollgate`, and what concerns the server in `litellm_settings`.
pub(super) fn read(
    general: &Section<'_>,
    settings: &Settings<'_>,
    env: &Environment<'_>,
    report: &mut Report,
) -> General {
    let mut out = General::default();
    master_key(&mut out, general, env, report);
    out.database_url = database_url(general, report);
    out.max_parallel = general.whole("global_max_parallel_requests", 1, report);
    out.key_max_parallel = general.whole("max_parallel_requests", 1, report);
    out.end_user_headers = end_user_headers(general, report);
    out.return_wildcard_routes = general.boolean("return_wildcard_routes", report).unwrap_or(false);
    if let Some(mb) = general.whole::<usize>("max_request_size_mb", 1, report) {
        out.max_body_bytes = mb.saturating_mul(1 << 20);
    }
    litellm(&mut out, &settings.litellm, report);
    own(&mut out, &settings.tollgate, report);
    out
}

fn master_key(
    out: &mut General,
    general: &Section<'_>,
    env: &Environment<'_>,
    report: &mut Report,
) {
    let permitted = general.boolean("dangerously_permit_weak_or_unset_master_key", report);
    out.weak_master_key_permitted = permitted.unwrap_or(false);
    let names = ["TOLLGATE_MASTER_KEY".to_owned(), "LITELLM_MASTER_KEY".to_owned()];
    let (key, at, path) = if general.node("master_key").is_some() {
        let key = general.secret("master_key", report);
        (key, general.spot("master_key"), general.path_of("master_key"))
    } else {
        match env.first(&names) {
            Some((name, key)) => {
                (Some(Secret::new(key.trim())), Spot::ENVIRONMENT, name.to_owned())
            }
            None => return,
        }
    };
    let Some(key) = key else { return };
    let help = "make one with `echo sk-$(openssl rand -hex 32)`";
    if !key.expose().starts_with("sk-") {
        report.error_help(at, &path, "the master key must begin with `sk-`", help);
        return;
    }
    out.master_key_is_weak = is_weak(key.expose());
    if out.master_key_is_weak && !out.weak_master_key_permitted {
        let message =
            "the master key is short or publicly known: it will not do on a public address";
        report.warning(at, &path, message, Some(help.to_owned()));
    }
    out.master_key = Some(key);
}

/// Keys of documentation, and keys that can be guessed.
fn is_weak(key: &str) -> bool {
    let rest = key.strip_prefix("sk-").unwrap_or(key);
    let kinds = rest.chars().collect::<std::collections::BTreeSet<_>>().len();
    rest.len() < 16 || kinds < 6
}

fn database_url(general: &Section<'_>, report: &mut Report) -> Option<Secret> {
    let url = general.secret("database_url", report)?;
    let schemes = ["postgres://", "postgresql://", "sqlite://", "sqlite:"];
    if !schemes.iter().any(|scheme| url.expose().starts_with(scheme)) {
        let message = "expected a URL that begins with `postgres://` or `sqlite://`";
        report.error(general.spot("database_url"), &general.path_of("database_url"), message);
        return None;
    }
    Some(url)
}

fn end_user_headers(general: &Section<'_>, report: &mut Report) -> Vec<HeaderName> {
    let mut out = Vec::new();
    if let Some(node) = general.node("user_header_mappings") {
        let path = general.path_of("user_header_mappings");
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                std::slice::from_ref(node)
            }
        };
        for (index, item) in items.iter().enumerate() {
            let one =
                Section::new("user_header_mappings", format!("{path}[{index}]"), item, report);
            let role = one.text("litellm_user_role", report);
            if role.as_deref() == Some("customer") {
                header_name(&one, "header_name", &mut out, report);
            }
        }
    }
    header_name(general, "user_header_name", &mut out, report);
    out
}

fn header_name(section: &Section<'_>, key: &str, out: &mut Vec<HeaderName>, report: &mut Report) {
    let Some(text) = section.text(key, report) else { return };
    match HeaderName::try_from(text) {
        Ok(name) => out.push(name),
        Err(_) => {
            report.error(section.spot(key), &section.path_of(key), "expected a header's name")
        }
    }
}

fn litellm(out: &mut General, litellm: &Section<'_>, report: &mut Report) {
    if let Some(status) = litellm.whole::<u16>("budget_exceeded_status_code", 400, report) {
        if status < 500 {
            out.budget_exceeded_status = status;
        } else {
            let key = "budget_exceeded_status_code";
            report.error(
                litellm.spot(key),
                &litellm.path_of(key),
                "expected a status from 400 to 499",
            );
        }
    }
    let need = litellm.boolean("require_auth_for_metrics_endpoint", report);
    out.metrics_need_key = need.unwrap_or(out.metrics_need_key);
    if litellm.boolean("json_logs", report) == Some(true) {
        out.log_format = LogFormat::Json;
    }
    if litellm.boolean("set_verbose", report) == Some(true) {
        out.log_level = Some(LogLevel::Debug);
    }
}

fn own(out: &mut General, own: &Section<'_>, report: &mut Report) {
    if let Some(bytes) = own.whole("max_body_bytes", 1_024, report) {
        out.max_body_bytes = bytes;
    }
    let mut time = |key: &str, into: &mut Duration| {
        if let Some(ms) = own.positive_millis(key, report) {
            *into = Duration::from_millis(ms);
        }
    };
    time("body_timeout", &mut out.body_idle);
    time("header_timeout", &mut out.header_timeout);
    time("keepalive_timeout", &mut out.keepalive_timeout);
    if let Some(ms) = own.millis("drain_seconds", report) {
        out.drain = Duration::from_millis(ms);
    }
    out.max_connections = own.whole("max_connections", 1, report);
    out.workers = own.whole("workers", 1, report);
    out.data_dir = own.text("data_dir", report).map(PathBuf::from);
    out.ca_file = own.text("ca_file", report).map(PathBuf::from);
    out.models_sync = models_sync(own, report);
    if let Some(tokens) = own.whole("output_estimate_tokens", 1, report) {
        out.output_estimate_tokens = tokens;
    }
    match own.text("log_format", report).as_deref() {
        Some("human") => out.log_format = LogFormat::Human,
        Some("json") => out.log_format = LogFormat::Json,
        Some(_) => {
            let message = "expected `human` or `json`";
            report.error(own.spot("log_format"), &own.path_of("log_format"), message);
        }
        None => {}
    }
    if let Some(word) = own.text("log_level", report) {
        let word = word.to_ascii_lowercase();
        out.log_level = LogLevel::ALL.into_iter().find(|level| level.name() == word);
        if out.log_level.is_none() {
            let message = "expected `error`, `warn`, `info`, `debug` or `trace`";
            report.error(own.spot("log_level"), &own.path_of("log_level"), message);
        }
    }
}

/// How often models are read where the configuration does not say: once a day.
const SYNC_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Not more often than once a minute.
const SYNC_LEAST: Duration = Duration::from_secs(60);

/// A URL or a file, or a list of them, or of `{from, provider, every}`.
fn models_sync(own: &Section<'_>, report: &mut Report) -> Vec<Source> {
    let Some(node) = own.node("models_sync") else { return Vec::new() };
    let path = own.path_of("models_sync");
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null => &[],
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
            std::slice::from_ref(node)
        }
    };
    let mut out = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(from) = plain_text(item) {
            out.push(Source { from, provider: None, every: SYNC_EVERY });
            continue;
        }
        let one = Section::new("models_sync", format!("{path}[{index}]"), item, report);
        one.judge(report);
        let every = one.positive_millis("every", report).map(Duration::from_millis);
        match one.text("from", report) {
            Some(from) => out.push(Source {
                from,
                provider: one.text("provider", report),
                every: every.unwrap_or(SYNC_EVERY).max(SYNC_LEAST),
            }),
            None => report.error(item.at, &one.path_of("from"), "expected `from`: a URL or a file"),
        }
    }
    out
}

/// The catalogue with the providers of `tollgate.providers_file` laid over it.
fn with_file(
    own: &Section<'_>,
    file: Option<&str>,
    input: &Input<'_>,
    report: &mut Report,
) -> Catalogue {
    let Some(file) = file else { return input.catalogue.clone() };
    let told = match (input.read)(file) {
        Err(why) => Err(format!("`{file}` cannot be read: {}", why.kind())),
        Ok(text) => {
            let is_json = Path::new(file).extension().is_some_and(|ext| ext == "json");
            let overlaid = match is_json {
                true => input.catalogue.overlay_litellm(&text),
                false => input.catalogue.overlay(&text),
            };
            overlaid.map_err(|why| format!("`{file}`: {why}"))
        }
    };
    told.unwrap_or_else(|message| {
        report.error(own.spot("providers_file"), &own.path_of("providers_file"), message);
        input.catalogue.clone()
    })
}

/// The catalogue with `tollgate.providers_file` laid over it, and over that `tollgate.providers`:
/// `{name: {url, key_env, auth, speaks, …}}`, the fields of `catalog/providers.toml`.
pub(super) fn catalogue(
    own: &Section<'_>,
    file: Option<&str>,
    input: &Input<'_>,
    report: &mut Report,
) -> Catalogue {
    let mut out = with_file(own, file, input, report);
    let Some(node) = own.node("providers") else { return out };
    let section = Section::new("providers", own.path_of("providers"), node, report);
    for entry in section.entries() {
        if !matches!(entry.value.value, Value::Map(_)) {
            let message = format!("expected a map, found {}", entry.value.kind());
            report.error(entry.value.at, &section.path_of(&entry.key), message);
            continue;
        }
        let mut text = serde_json::Value::from(entry.key.as_str()).to_string();
        text.push_str(" = ");
        toml(&json(&entry.value), &mut text);
        match out.overlay(&text) {
            Ok(more) => out = more,
            Err(why) => {
                let why = match why {
                    CatalogueError::Provider { why, .. } => why,
                    // What is said of the line and column is about a text that nobody wrote.
                    CatalogueError::Providers(why) => {
                        why.lines().last().unwrap_or_default().trim().to_owned()
                    }
                    CatalogueError::Model { why, .. } => why,
                };
                let message = format!("provider `{}`: {why}", keys::shown(&entry.key));
                report.error(entry.at, &section.path_of(&entry.key), message);
            }
        }
    }
    out
}

/// JSON as an inline value of TOML, which has no null.
fn toml(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::Null => out.push_str("\"\""),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => out.push_str(&value.to_string()),
        serde_json::Value::Array(items) => {
            out.push('[');
            for item in items {
                toml(item, out);
                out.push(',');
            }
            out.push(']');
        }
        serde_json::Value::Object(fields) => {
            out.push('{');
            let mut comma = "";
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                out.push_str(comma);
                comma = ",";
                out.push_str(&serde_json::Value::from(name.as_str()).to_string());
                out.push('=');
                toml(value, out);
            }
            out.push('}');
        }
    }
}

/// `credential_list`, by name.
pub(super) fn credentials<'a>(top: &'a Node, report: &mut Report) -> HashMap<String, &'a Node> {
    let mut out = HashMap::new();
    let Some(Node { value: Value::List(items), .. }) = top.get("credential_list") else {
        return out;
    };
    for (index, item) in items.iter().enumerate() {
        let path = format!("credential_list[{index}]");
        let section = Section::new("credential_list", path, item, report);
        section.judge(report);
        let name = section.text("credential_name", report);
        let values = section.node("credential_values");
        if let (Some(name), Some(values)) = (&name, values) {
            let path = section.path_of("credential_values");
            let values_section = Section::new("litellm_params", path, values, report);
            super::model::judge_params(&values_section, report);
            out.insert(name.clone(), values);
        } else {
            let at: Spot = item.at;
            let message = "expected `credential_name` and `credential_values`";
            report.error(at, &section.path, message);
        }
    }
    out
}
