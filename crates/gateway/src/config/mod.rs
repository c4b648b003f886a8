//! LiteLLM's `config.yaml`, read into what the gateway runs with.
//!
//! Pure: text, environment and catalogue in, a [`Config`] or problems out. All problems are found
//! at once, each with its file, line and path, and every key gets a [`Verdict`]: does it do what
//! LiteLLM does with it, nearly that, nothing, or is it something that Tollgate does not have. The
//! stages are files: [`yaml`] reads, [`mod@include`] merges, [`environment`] fills in, [`keys`] judges
//! by the table `keys.txt`, and [`model`], [`rules`] and [`general`] resolve.
//!
//! Tollgate's own settings stand in the same file under `tollgate:`, all optional:
//!
//! | key | default | what it says |
//! |---|---|---|
//! | `data_dir` | the user's data directory | folder of the journal and of the embedded database |
//! | `workers` | all cores | cores to serve on |
//! | `log_format`, `log_level` | `human`, `info` | `human` or `json`; `error` … `trace` |
//! | `max_body_bytes` | 64 MiB | largest request body |
//! | `header_timeout`, `body_timeout`, `keepalive_timeout` | 10, 30, 75 s | patience with clients: for a request's head, within its body, between requests |
//! | `max_connections` | no limit | connections of clients at a time |
//! | `drain_seconds` | 30 | how long a shutdown waits for requests |
//! | `connect_timeout`, `first_byte_timeout`, `idle_timeout`, `total_timeout` | 5, 600, 300, 6000 s | patience with targets; a model's own `timeout` and `stream_timeout` count more |
//! | `output_estimate_tokens` | 1024 | set aside for an answer whose request names no limit |
//! | `models_sync` | none | price maps and lists of models to read now and then: `{from, provider, every}` |
//! | `ca_file` | none | further certificates to trust upstream, in PEM |
//! | `providers_file` | none | providers laid over the catalogue: a file as `catalog/providers.toml`, or `.json` as LiteLLM's `providers.json` |
//! | `providers` | none | providers laid over the catalogue: `{name: {url, key_env, auth, speaks, …}}` |

mod environment;
mod general;
mod include;
mod keys;
mod mask;
mod model;
mod near;
mod place;
mod price;
mod problem;
mod provider;
mod render;
mod rules;
mod scalar;
mod section;
mod wildcard;
mod yaml;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tollgate_router::{HealthMap, Table};
use tollgate_wire::{Card, catalogue::Catalogue};

pub use general::{General, LogFormat, LogLevel};
pub use include::ReadFile;
pub(crate) use mask::names_secret;
pub use problem::{Mark, Problem, Severity, Strictness, Verdict};
pub(crate) use provider::{ANY, main_dialect};
pub use render::{render, verdict_table};

use environment::Environment;
use model::{Defaults, Models, World};
use problem::{Report, Spot};
use rules::Settings;
use section::Section;
use yaml::{Node, Value};

/// A configuration, ready to run.
#[derive(Debug)]
pub struct Config {
    /// Groups, targets and how to route between them.
    pub table: Table,
    /// Everything else.
    pub general: General,
    /// The entries of `model_list`, in order.
    pub models: Vec<ModelEntry>,
    /// The catalogue with `tollgate.providers` in it.
    pub catalogue: Arc<Catalogue>,
    /// The providers that can be called with what the environment has, by name.
    pub reachable: Vec<Arc<str>>,
}

/// One entry of `model_list`, as `/v1/models` and `/model/info` show it. No secret is in it.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    /// `model_name`
    pub name: Arc<str>,
    /// `model_info.id`, else made from the settings; [`tollgate_wire::Target::id`] of its targets.
    pub id: Arc<str>,
    /// The provider's name; `*` where the entry stands for every provider.
    pub provider: Arc<str>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// The base URL.
    pub base: Arc<str>,
    /// Prices and limits, if known.
    pub card: Option<Arc<Card>>,
    /// `litellm_params`, simple values only, without credentials.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// `model_info` as written.
    pub info: serde_json::Map<String, serde_json::Value>,
}

/// What a configuration is read from.
pub struct Input<'a> {
    /// The file's name, for messages, and for `include` to be relative to.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads an included file, or one with credentials.
    pub read: ReadFile<'a>,
    /// Providers and prices.
    pub catalogue: &'a Catalogue,
    /// Outlives configurations, so that a reload does not forget a cooldown.
    pub health: &'a HealthMap,
    /// Whether what Tollgate does not have is an error.
    pub strictness: Strictness,
}

/// What reading came to.
#[derive(Debug)]
pub struct Outcome {
    /// `None` if there is an error among the problems.
    pub config: Option<Config>,
    /// In the order of the files.
    pub problems: Vec<Problem>,
    /// One for each key.
    pub verdicts: Vec<Verdict>,
}

/// Reads a configuration file.
pub fn load(input: &Input<'_>) -> Outcome {
    let mut report = Report::new(input.strictness);
    let config = read(input, &mut report);
    if !report.failed() && config.as_ref().is_some_and(|config| config.models.is_empty()) {
        let start = Spot { file: 0, line: 1, column: 1, width: 1 };
        report.warning(start, "model_list", "there are no models", None);
    }
    outcome(config, report)
}

fn outcome(config: Option<Config>, report: Report) -> Outcome {
    let config = config.filter(|_| !report.failed());
    let (problems, verdicts) = report.finish();
    Outcome { config, problems, verdicts }
}

/// The configuration without a file: every provider whose key is in the environment, as
/// `provider/*`.
pub fn from_env(
    env: &dyn Fn(&str) -> Option<String>,
    read_file: ReadFile<'_>,
    catalogue: &Catalogue,
    health: &HealthMap,
) -> Outcome {
    let process = Environment::process(env);
    let around = place::Around { env: &process, read: read_file, azure_refresh: false };
    let usable = catalogue.providers().filter(|provider| match provider.is_plain() {
        true => process.first(&provider.key_env).is_some(),
        false => place::from_env(provider, &around).is_some(),
    });
    let mut text = "model_list:\n".to_owned();
    for provider in usable {
        let name = format!("'{}/*'", provider.name.replace('\'', "''"));
        text.push_str(&format!("- {{model_name: {name}, litellm_params: {{model: {name}}}}}\n"));
    }
    let input = Input {
        file: "environment",
        text: &text,
        env,
        read: read_file,
        catalogue,
        health,
        strictness: Strictness::Strict,
    };
    let mut report = Report::new(input.strictness);
    outcome(read(&input, &mut report), report)
}

fn read(input: &Input<'_>, report: &mut Report) -> Option<Config> {
    let index = report.sources.add(input.file, input.text.to_owned());
    let root = yaml::parse(index, input.text, report)?;
    if !matches!(root.value, Value::Map(_)) {
        report.error(root.at, "", format!("expected a map of settings, found {}", root.kind()));
        return None;
    }
    let mut root = include::merge(root, input.file, input.read, report);
    let env = Environment::new(input.env, &root, report);
    env.fill(&mut root, "", report);
    Some(resolve(&root, &env, input, report))
}

fn resolve(root: &Node, env: &Environment<'_>, input: &Input<'_>, report: &mut Report) -> Config {
    judge_top(root, report);
    let general = Section::of(root, "general_settings", report);
    let settings = Settings {
        router: Section::of(root, "router_settings", report),
        litellm: Section::of(root, "litellm_settings", report),
        tollgate: Section::of(root, "tollgate", report),
    };
    let providers_file = settings.tollgate.text("providers_file", report);
    let providers_file = providers_file.map(|name| include::beside(input.file, &name));
    let catalogue =
        general::catalogue(&settings.tollgate, providers_file.as_deref(), input, report);
    let (timeouts, idle_is_set) = settings.timeouts(report);
    let azure_refresh = settings.litellm.boolean("enable_azure_ad_token_refresh", report);
    let around =
        || place::Around { env, read: input.read, azure_refresh: azure_refresh.unwrap_or(false) };
    let world = World {
        catalogue: &catalogue,
        env,
        around: around(),
        health: input.health,
        defaults: Defaults {
            timeouts,
            idle_is_set,
            max_parallel: settings.router.whole("default_max_parallel_requests", 1, report),
            drop_params: settings
                .litellm
                .boolean("drop_params", report)
                .or_else(|| scalar::boolean(env.get("LITELLM_DROP_PARAMS")?.trim()))
                .unwrap_or(false),
            params: default_params(&settings, report),
            credentials: general::credentials(root, report),
        },
    };
    let mut models: Models = model::read(root, &world, report);
    let mut general = general::read(&general, &settings, env, report);
    general.providers_file = providers_file.map(Into::into);
    let catalogue = Arc::new(catalogue);
    let places = wildcard::places(&catalogue, &around());
    let mut reachable: Vec<Arc<str>> = places.keys().cloned().collect();
    reachable.sort();
    let concrete = wildcard::concrete(&catalogue, places);
    let rules = settings.rules(&mut models, &timeouts, concrete, report);
    Config { table: Table::new(rules), general, models: models.entries, catalogue, reachable }
}

/// Verdicts of the sections. What only holds an anchor, or begins with `x-`, is the file's own
/// affair.
fn judge_top(root: &Node, report: &mut Report) {
    let top = Section::new("top", "", root, report);
    for entry in top.entries() {
        let known = keys::look_up("top", &entry.key).is_some();
        if !known && (entry.anchored || entry.key.starts_with("x-")) {
            let path = top.path_of(&entry.key);
            report.verdict(entry.at, path, Mark::Ignored, "only for this file to repeat");
        } else {
            top.judge_one(entry, report);
        }
    }
}

/// `router_settings.default_litellm_params`
fn default_params<'a>(settings: &Settings<'a>, report: &mut Report) -> Option<&'a Node> {
    let node = settings.router.node("default_litellm_params")?;
    let path = settings.router.path_of("default_litellm_params");
    model::judge_params(&Section::new("litellm_params", path, node, report), report);
    Some(node)
}
