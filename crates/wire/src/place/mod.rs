//! Places whose address, paths or credentials depend on more than a key: URL templates, their
//! variables, and what changes with the model.
//!
//! [`prepare`] reads an entry's settings, [`Site::settle`] makes of it the provider that one model
//! is called at. Both are pure: settings, environment and files come in as functions.

mod fill;
mod sign_in;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use http::{HeaderName, HeaderValue};
use serde::Deserialize;

pub use self::{fill::with_model, sign_in::SignIn};
use crate::{
    Auth, Dialect, Login, Operation, Provider, Secret,
    dialect::text::is_form,
    login::Aws,
    provider::{Embeds, Frames, Inputs, Patch},
};

/// A variable of a provider's templates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Var {
    /// Settings that may hold it; the first that is set counts.
    pub param: Vec<String>,
    /// Environment variables that may hold it.
    pub env: Vec<String>,
    /// What it is where nobody says.
    pub default: Option<String>,
    /// Another variable that it is made from, where nobody says.
    pub from: Option<String>,
    /// What it is, by the value of `from`.
    pub map: BTreeMap<String, String>,
    /// What it is for other values of `from`: a template.
    #[serde(rename = "else")]
    pub otherwise: Option<String>,
    /// What has it in it is left out where it is not set.
    pub optional: bool,
}

/// Paths that differ from the dialect's own, by operation. `{model}` in them is the model's name,
/// `{+model}` the same with its slashes.
pub type Paths = BTreeMap<Dialect, BTreeMap<Operation, Path>>;

/// The path of an operation below the base URL, its query included.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Path {
    /// For whole answers and streams alike.
    Any(String),
    /// Each has its own.
    Each {
        /// For whole answers.
        whole: String,
        /// For streams.
        stream: String,
    },
}

impl Path {
    /// The template for a request.
    pub fn of(&self, streamed: bool) -> &str {
        match self {
            Path::Any(path) => path,
            Path::Each { whole, .. } if !streamed => whole,
            Path::Each { stream, .. } => stream,
        }
    }
}

/// What is different for some models or addresses. All conditions that are given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Family {
    /// The model's name, or its `base_model`, is like one of these; `*` stands for any text.
    pub models: Vec<String>,
    /// The base URL is like one of these.
    pub base: Vec<String>,
    /// Variables that have one of these values.
    pub vars: BTreeMap<String, Vec<String>>,
    /// The model's name at the provider: `$1` is what the first `*` stands for.
    pub model: Option<String>,
    /// Variables that the model's name sets, such as a region: `$1` as above.
    pub set: BTreeMap<String, String>,
    /// In the place of the provider's own; `paths` then count only if they are given, too.
    pub speaks: Option<BTreeMap<Dialect, String>>,
    /// In the place of the provider's own.
    pub paths: Option<Paths>,
    /// In the place of the provider's own.
    pub auth: Option<Auth>,
    /// In the place of the provider's own.
    pub ops: Option<Vec<Operation>>,
    /// In the place of the provider's own.
    pub embeds: Option<Embeds>,
    /// In the place of the provider's own.
    pub inputs: Option<Inputs>,
    /// After the provider's own.
    pub patch: Vec<Patch>,
    /// One of these optional variables must be set. The last family that says so counts.
    pub needs: Option<Vec<String>>,
}

/// Where an entry's settings are looked up.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// A setting, such as `api_version`. A map is given as JSON.
    pub param: &'a dyn Fn(&str) -> Option<String>,
    /// An environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A file's text, or why there is none.
    pub read: &'a dyn Fn(&str) -> Result<String, String>,
}

impl Lookup<'_> {
    fn first_param(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| (self.param)(name)).filter(|value| !value.is_empty())
    }

    fn first_env(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| (self.env)(name)).filter(|value| !value.is_empty())
    }

    fn any(&self, params: &[&str], env: &[&str]) -> Option<String> {
        self.first_param(params).or_else(|| self.first_env(env))
    }
}

/// What is wrong with an entry's settings, and what would mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting that is meant.
    pub param: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What a place knows us by.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// A key or a token that stands in a header.
    pub credential: Option<Secret>,
    /// How it travels, where that is not the provider's way.
    pub auth: Option<Auth>,
    /// What is done for every call.
    pub login: Option<Arc<Login>>,
    /// Headers of every call.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Variables that the credentials themselves know, such as a project.
    offers: BTreeMap<&'static str, String>,
    /// Nobody gave these credentials: they are what the machine has, if it has any.
    pub of_machine: bool,
}

/// A provider with an entry's settings: everything but the model.
#[derive(Debug, Clone)]
pub struct Site {
    provider: Arc<Provider>,
    values: BTreeMap<String, String>,
    root: String,
    /// Whether the entry or the environment says where it is.
    given: bool,
    /// What it knows us by.
    pub known: Known,
}

/// A provider as one model is called there.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Without templates but `{model}` in its paths.
    pub provider: Provider,
    /// The model's name there.
    pub model: String,
    /// The base URL, without a dialect's prefix and a slash at the end.
    pub base: String,
    /// What is done for every call.
    pub login: Option<Arc<Login>>,
}

impl Provider {
    /// Whether its table says all: no variables, no families, no paths or logins of its own.
    pub fn is_plain(&self) -> bool {
        self.vars.is_empty()
            && self.families.is_empty()
            && self.paths.is_empty()
            && self.login.is_none()
            && self.frames == Frames::Plain
    }
}

/// Reads what `provider` needs of an entry's settings. `base` is the URL that the entry or the
/// environment gives, if any.
pub fn prepare(
    provider: &Arc<Provider>,
    base: Option<&str>,
    lookup: Lookup<'_>,
) -> Result<Site, Vec<Problem>> {
    let known = sign_in::known(provider, lookup).map_err(|problem| vec![problem])?;
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, var) in &provider.vars {
        match value(name, var, &known, lookup) {
            Ok(Some(value)) => {
                values.insert(name.clone(), value);
            }
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    fill::derive(&provider.vars, &mut values);
    if !problems.is_empty() {
        return Err(problems);
    }
    let given = base.is_some();
    let mut site = Site { provider: provider.clone(), values, root: String::new(), given, known };
    site.root = site.root(base).map_err(|problem| vec![problem])?;
    site.known.login = site.known.login.take().map(|login| at_origin(login, &site.root));
    Ok(site)
}

fn value(
    name: &str,
    var: &Var,
    known: &Known,
    lookup: Lookup<'_>,
) -> Result<Option<String>, Problem> {
    let params: Vec<&str> = var.param.iter().map(String::as_str).collect();
    let env: Vec<&str> = var.env.iter().map(String::as_str).collect();
    let given = lookup.any(&params, &env);
    let Some(value) = given.or_else(|| known.offers.get(name).cloned()).or(var.default.clone())
    else {
        return Ok(None);
    };
    // A host may be given as a URL.
    let value = value.trim();
    let value = value.strip_prefix("https://").unwrap_or(value).trim_end_matches('/');
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if value.is_empty() || !value.chars().all(fine) {
        let param = params.first().copied().unwrap_or(name).to_owned();
        return Err(Problem {
            message: format!("`{param}` stands in a URL: expected letters, digits, `.`, `_`, `-`"),
            help: "write it without spaces and slashes".to_owned(),
            param,
        });
    }
    Ok(Some(value.to_owned()))
}

/// Databricks has its token endpoint where its API is.
fn at_origin(login: Arc<Login>, root: &str) -> Arc<Login> {
    let Login::Client { url, id, secret, scope } = &*login else { return login };
    let Some(path) = url.strip_prefix(sign_in::ORIGIN) else { return login };
    let from = root.find("://").map_or(0, |at| at + 3);
    let end = root.get(from..).and_then(|rest| rest.find('/')).map_or(root.len(), |at| from + at);
    let url = format!("{}{path}", root.get(..end).unwrap_or(root));
    Arc::new(Login::Client { url, id: id.clone(), secret: secret.clone(), scope: scope.clone() })
}

impl Site {
    /// The base URL: the one that is given, else the provider's own. One that is given without a
    /// path gets the path of the provider's own.
    fn root(&self, given: Option<&str>) -> Result<String, Problem> {
        let url = &self.provider.url;
        let Some(given) = given else { return self.fill(url) };
        let given = given.trim_end_matches('/');
        let after = given.split_once("://").map_or(given, |(_, rest)| rest);
        let own_path = url.split_once("://").and_then(|(_, rest)| rest.get(rest.find('/')?..));
        match own_path {
            Some(path) if !after.contains('/') => Ok(format!("{given}{}", self.fill(path)?)),
            _ => Ok(given.to_owned()),
        }
    }

    fn fill(&self, template: &str) -> Result<String, Problem> {
        fill::fill(template, &self.values).map_err(|name| self.missing(&name))
    }

    fn missing(&self, name: &str) -> Problem {
        let var = self.provider.vars.get(name);
        let param = var.and_then(|var| var.param.first());
        let env = var.map(|var| var.env.join("` or `")).unwrap_or_default();
        let help = match (param, env.as_str()) {
            (Some(param), "") => format!("set `{param}`"),
            (Some(param), env) => format!("set `{param}`, or the environment variable `{env}`"),
            (None, env) => format!("set `api_base`, or the environment variable `{env}`"),
        };
        Problem {
            param: param.map_or("api_base", String::as_str).to_owned(),
            message: format!(
                "`{}` needs to know its {}",
                self.provider.name,
                name.replace('_', " ")
            ),
            help,
        }
    }

    fn needs_one(&self, names: &[String]) -> Problem {
        let each: Vec<Problem> = names.iter().map(|name| self.missing(name)).collect();
        let helps: Vec<&str> = each.iter().map(|problem| &*problem.help).collect();
        Problem {
            param: each.first().map(|problem| problem.param.clone()).unwrap_or_default(),
            message: format!("`{}` needs one of `{}`", self.provider.name, names.join("`, `")),
            help: helps.join("; or "),
        }
    }

    /// The provider for a model. `known_as` is what the model really is, where its name at the
    /// provider does not say (`base_model`).
    pub fn settle(&self, model: &str, known_as: Option<&str>) -> Result<Settled, Vec<Problem>> {
        let mut provider = Provider::clone(&self.provider);
        let mut name = model.to_owned();
        let mut needs: &[String] = &[];
        let mut set = BTreeMap::new();
        for family in &self.provider.families {
            let Some(captures) = self.belongs(family, &name, known_as) else { continue };
            for (name, template) in &family.set {
                set.insert(name.clone(), fill::captured(template, &captures));
            }
            if let Some(template) = &family.model {
                name = fill::captured(template, &captures);
            }
            if let Some(speaks) = &family.speaks {
                provider.speaks = speaks.clone();
                provider.paths = Paths::new();
            }
            if let Some(paths) = &family.paths {
                provider.paths = paths.clone();
            }
            needs = family.needs.as_deref().unwrap_or(needs);
            provider.auth = family.auth.unwrap_or(provider.auth);
            provider.ops = family.ops.clone().unwrap_or(provider.ops);
            provider.embeds = family.embeds.or(provider.embeds);
            provider.inputs = family.inputs.clone().or(provider.inputs);
            provider.patch.extend(family.patch.iter().cloned());
        }
        let site = self.with(set).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        if !needs.is_empty() && !needs.iter().any(|name| site.values.contains_key(name)) {
            problems.push(site.needs_one(needs));
        }
        site.fill_paths(&mut provider, &mut problems);
        site.fill_patches(&mut provider, &mut problems);
        if name.is_empty() {
            problems.push(Problem {
                param: "model".to_owned(),
                message: "this names no model".to_owned(),
                help: format!("write `{}/<model>`", site.provider.name),
            });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let base = fill::without_overlap(&site.root, &provider);
        provider.auth = site.known.auth.unwrap_or(provider.auth);
        provider.site = Some(Arc::new(self.clone()));
        provider.url.clone_from(&base);
        let login = site.known.login.clone();
        Ok(Settled { provider, model: name, base, login })
    }

    /// The same with other values of some variables, and of all that is made from them.
    fn with(&self, set: BTreeMap<String, String>) -> Result<Cow<'_, Site>, Problem> {
        if set.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut site = self.clone();
        let vars = &self.provider.vars;
        let is_made = |name: &String| vars.get(name).is_some_and(|var| var.from.is_some());
        let mut made = self.values.clone();
        made.retain(|name, _| !is_made(name));
        fill::derive(vars, &mut made);
        site.values.retain(|name, value| !is_made(name) || made.get(name) != Some(value));
        if let (Some(region), Some(Login::Aws(aws))) =
            (set.get("region"), site.known.login.as_deref())
        {
            let aws = Aws { region: region.clone(), ..Aws::clone(aws) };
            site.known.login = Some(Arc::new(Login::Aws(Box::new(aws))));
        }
        site.values.extend(set);
        fill::derive(vars, &mut site.values);
        if !site.given {
            site.root = site.root(None)?;
        }
        Ok(Cow::Owned(site))
    }

    fn belongs(&self, family: &Family, model: &str, known_as: Option<&str>) -> Option<Vec<String>> {
        let of_var = |(name, values): (&String, &Vec<String>)| {
            self.values.get(name).is_some_and(|value| values.contains(value))
        };
        let of_base = |pattern: &String| fill::like(pattern, &self.root).is_some();
        if !family.vars.iter().all(of_var)
            || !(family.base.is_empty() || family.base.iter().any(of_base))
        {
            return None;
        }
        if family.models.is_empty() {
            return Some(Vec::new());
        }
        let like = |name: &str| family.models.iter().find_map(|pattern| fill::like(pattern, name));
        like(model).or_else(|| known_as.and_then(like).map(|_| vec![model.to_owned()]))
    }

    fn fill_paths(&self, provider: &mut Provider, problems: &mut Vec<Problem>) {
        let mut filled = |template: &mut String| match self.fill(template) {
            Ok(path) => *template = path,
            Err(problem) if !problems.contains(&problem) => problems.push(problem),
            Err(_) => {}
        };
        for path in provider.paths.values_mut().flat_map(BTreeMap::values_mut) {
            match path {
                Path::Any(path) => filled(path),
                Path::Each { whole, stream } => {
                    filled(whole);
                    filled(stream);
                }
            }
        }
    }

    /// Fills the texts that patches set; one whose optional variable is not set falls away.
    fn fill_patches(&self, provider: &mut Provider, problems: &mut Vec<Problem>) {
        provider.patch.retain_mut(|patch| {
            let (Patch::Set(_, value) | Patch::Default(_, value)) = patch else { return true };
            let Some(text) = value.as_str().filter(|text| text.contains('{')) else { return true };
            match fill::fill(text, &self.values) {
                Ok(text) => {
                    *value = text.into();
                    true
                }
                Err(name) => {
                    let var = self.provider.vars.get(&name);
                    if !var.is_some_and(|var| var.optional) {
                        problems.push(self.missing(&name));
                    }
                    false
                }
            }
        });
    }
}

/// Looks a provider's templates over.
pub(crate) fn check(provider: &Provider) -> Result<(), String> {
    let mut templates: Vec<&str> = vec![&provider.url];
    let paths = provider.families.iter().filter_map(|family| family.paths.as_ref());
    for path in paths.chain([&provider.paths]).flat_map(BTreeMap::values) {
        templates.extend(path.values().flat_map(|path| [path.of(false), path.of(true)]));
    }
    let patches = provider.families.iter().flat_map(|family| &family.patch);
    templates.extend(patches.chain(&provider.patch).filter_map(|patch| match patch {
        Patch::Set(_, value) | Patch::Default(_, value) => value.as_str(),
        Patch::Drop(_) | Patch::Cut(_) | Patch::CutValue(..) | Patch::Allow(_) => None,
        Patch::Rename(..) | Patch::RenameText(..) | Patch::Clamp(..) => None,
    }));
    let derived = provider.vars.values();
    templates.extend(derived.clone().filter_map(|var| var.otherwise.as_deref()));
    for template in templates {
        for name in fill::names(template)? {
            if !fill::MODELS.contains(&name) && !provider.vars.contains_key(name) {
                return Err(format!("`{{{name}}}` in `{template}` is none of its `vars`"));
            }
        }
    }
    let inputs = provider.families.iter().filter_map(|family| family.inputs.as_ref());
    for form in inputs.chain(&provider.inputs).filter_map(|inputs| inputs.turns.as_deref()) {
        if form != "messages" && !is_form(form) {
            return Err(format!("`{form}` is no form of a conversation"));
        }
    }
    let plain = |host: &str| {
        let host = host.strip_prefix("*.").unwrap_or(host);
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        host.contains('.') && !host.starts_with('.') && host.chars().all(fits)
    };
    if let Some(host) = provider.follows.iter().find(|host| !plain(host)) {
        return Err(format!(
            "`{host}` is no host: expected such as `a.example.com`, `*.example.com`"
        ));
    }
    let from = derived.filter_map(|var| var.from.as_ref());
    match from.into_iter().find(|name| !provider.vars.contains_key(*name)) {
        Some(name) => Err(format!("`from = \"{name}\"` is none of its `vars`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
