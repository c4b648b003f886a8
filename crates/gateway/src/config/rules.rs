//! `router_settings`, and what `litellm_settings` say of the same: retries, cooldowns, fallbacks,
//! aliases.

use std::{collections::HashMap, sync::Arc};

use tollgate_router::{
    Alias, ByClass, Policy, Rules, Timeouts,
    policy::MAX_RETRIES,
    table::{Concrete, Fallbacks},
};

use super::{
    keys,
    model::Models,
    near,
    problem::{Mark, Report, Spot},
    section::{Section, plain_text},
    yaml::{Node, Value},
};

/// The sections that speak of routing.
pub(super) struct Settings<'a> {
    pub router: Section<'a>,
    pub litellm: Section<'a>,
    pub tollgate: Section<'a>,
}

impl<'a> Settings<'a> {
    /// The section where a key is set; the router's wins.
    fn with(&self, key: &str) -> &Section<'a> {
        let in_litellm = self.litellm.node(key).is_some();
        if self.router.node(key).is_none() && in_litellm { &self.litellm } else { &self.router }
    }

    /// Limits on the time of a call, and whether one for silence within streams is set.
    pub(super) fn timeouts(&self, report: &mut Report) -> (Timeouts, bool) {
        let mut timeouts = Timeouts::default();
        if let Some(ms) = self.tollgate.positive_millis("connect_timeout", report) {
            timeouts.connect_ms = ms;
        }
        if let Some(ms) = self.tollgate.positive_millis("total_timeout", report) {
            timeouts.total_ms = ms;
        }
        let request_timeout = self.litellm.positive_millis("request_timeout", report);
        let router = self.router.positive_millis("timeout", report).or(request_timeout);
        let own = self.tollgate.positive_millis("first_byte_timeout", report);
        if let Some(ms) = own.or(router) {
            timeouts.first_byte_ms = ms;
        }
        let stream = self.with("stream_timeout").positive_millis("stream_timeout", report);
        let idle = self.tollgate.positive_millis("idle_timeout", report).or(stream);
        if let Some(ms) = idle.or(router) {
            timeouts.idle_ms = ms;
        }
        timeouts.total_ms = timeouts.total_ms.max(timeouts.first_byte_ms);
        (timeouts, idle.is_some())
    }

    fn policy(&self, timeouts: &Timeouts, report: &mut Report) -> Policy {
        let default = Policy::default();
        let retries = self.with("num_retries");
        let num_retries: Option<u32> = retries.whole("num_retries", 0, report);
        if num_retries.is_some_and(|n| n > MAX_RETRIES) {
            let message = format!("more than {MAX_RETRIES} retries are never made");
            let path = retries.path_of("num_retries");
            report.warning(retries.spot("num_retries"), &path, message, None);
        }
        let retry_policy = self
            .router
            .node("retry_policy")
            .map(|node| by_class(node, &self.router.path_of("retry_policy"), RETRIES, report));
        let allowed_fails_policy = self.router.node("allowed_fails_policy").map(|node| {
            by_class(node, &self.router.path_of("allowed_fails_policy"), ALLOWED_FAILS, report)
        });
        Policy {
            num_retries: num_retries.unwrap_or(default.num_retries).min(MAX_RETRIES),
            retry_policy: retry_policy.unwrap_or_default(),
            group_retry_policy: self.group_policies(report),
            retry_after_ms: self
                .router
                .millis("retry_after", report)
                .unwrap_or(default.retry_after_ms),
            max_fallbacks: self
                .with("max_fallbacks")
                .whole("max_fallbacks", 0, report)
                .unwrap_or(default.max_fallbacks),
            allowed_fails: self.with("allowed_fails").whole("allowed_fails", 0, report),
            allowed_fails_policy: allowed_fails_policy.unwrap_or_default(),
            cooldown_ms: self
                .with("cooldown_time")
                .millis("cooldown_time", report)
                .unwrap_or(default.cooldown_ms),
            disable_cooldowns: self.router.boolean("disable_cooldowns", report).unwrap_or(false),
            timeout_ms: timeouts.total_ms,
        }
    }

    fn group_policies(&self, report: &mut Report) -> HashMap<Arc<str>, ByClass> {
        let Some(node) = self.router.node("model_group_retry_policy") else {
            return HashMap::new();
        };
        let path = self.router.path_of("model_group_retry_policy");
        let section = Section::new("model_group_retry_policy", path, node, report);
        section
            .entries()
            .map(|e| {
                let path = section.path_of(&e.key);
                (e.key.as_str().into(), by_class(&e.value, &path, RETRIES, report))
            })
            .collect()
    }

    /// Everything about routing, with the members in it.
    pub(super) fn rules(
        &self,
        models: &mut Models,
        timeouts: &Timeouts,
        concrete: Concrete,
        report: &mut Report,
    ) -> Rules {
        let members = std::mem::take(&mut models.members);
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        let aliases = self.aliases(&names, report);
        let known = Names { groups: &names, aliases: &aliases };
        let mut policy = self.policy(timeouts, report);
        group_retries(&mut policy, models, report);
        let fallbacks = self.fallbacks("fallbacks", &known, report);
        let context_window_fallbacks = self.fallbacks("context_window_fallbacks", &known, report);
        let content_policy_fallbacks = self.fallbacks("content_policy_fallbacks", &known, report);
        let default_fallbacks = self.default_fallbacks(&known, report);
        Rules {
            aliases,
            fallbacks,
            default_fallbacks,
            context_window_fallbacks,
            content_policy_fallbacks,
            policy,
            concrete,
            members,
        }
    }

    /// `[{group: [group, …]}, …]`
    fn fallbacks(&self, key: &str, known: &Names<'_>, report: &mut Report) -> Fallbacks {
        let mut out = Fallbacks::new();
        let section = self.with(key);
        let Some(node) = section.node(key) else { return out };
        let path = section.path_of(key);
        let Value::List(items) = &node.value else {
            let message = format!("expected a list of maps, found {}", node.kind());
            report.error_help(
                node.at,
                &path,
                message,
                format!("write `{key}: [{{\"from\": [\"to\"]}}]`"),
            );
            return out;
        };
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let one = Section::new("fallbacks", path, item, report);
            for entry in one.entries() {
                let path = one.path_of(&entry.key);
                if entry.key != "*" {
                    known.check(&entry.key, entry.at, &path, report);
                }
                let groups = groups(&entry.value, &path, known, report);
                out.entry(entry.key.as_str().into()).or_insert(groups);
            }
        }
        out
    }

    fn default_fallbacks(&self, known: &Names<'_>, report: &mut Report) -> Vec<Arc<str>> {
        let section = self.with("default_fallbacks");
        let Some(node) = section.node("default_fallbacks") else { return Vec::new() };
        groups(node, &section.path_of("default_fallbacks"), known, report)
    }

    /// `{alias: group}` or `{alias: {model: group, hidden: true}}`
    fn aliases(&self, names: &[&str], report: &mut Report) -> HashMap<Arc<str>, Alias> {
        let mut out = HashMap::new();
        let Some(node) = self.router.node("model_group_alias") else { return out };
        let path = self.router.path_of("model_group_alias");
        let section = Section::new("model_group_alias", path, node, report);
        let empty = HashMap::new();
        let known = Names { groups: names, aliases: &empty };
        for entry in section.entries() {
            let path = section.path_of(&entry.key);
            let (group, hidden) = if let Value::Map(_) = &entry.value.value {
                let one = Section::new("model_group_alias", path.clone(), &entry.value, report);
                let group = one.text("model", report);
                (group, one.boolean("hidden", report).unwrap_or(false))
            } else {
                (section.text(&entry.key, report), false)
            };
            let Some(group) = group else {
                report.error(entry.value.at, &path, "expected the name of a model");
                continue;
            };
            known.check(&group, entry.value.at, &path, report);
            if names.contains(&entry.key.as_str()) {
                let message = format!(
                    "`{}` is a model's own name, which counts more",
                    keys::shown(&entry.key)
                );
                report.warning(entry.at, &path, message, None);
            }
            out.insert(entry.key.as_str().into(), Alias { group: group.into(), hidden });
        }
        out
    }
}

/// The names that a model may be called by.
struct Names<'a> {
    groups: &'a [&'a str],
    aliases: &'a HashMap<Arc<str>, Alias>,
}

impl Names<'_> {
    /// A name that means nothing is a slip; a wildcard may make anything mean something.
    fn check(&self, name: &str, at: Spot, path: &str, report: &mut Report) {
        let wild = self.groups.iter().any(|group| group.contains('*'));
        if wild || self.groups.contains(&name) || self.aliases.contains_key(name) {
            return;
        }
        let message = format!("no model is called `{}`", keys::shown(name));
        let help = near::nearest(name, self.groups.iter().copied())
            .map(|near| format!("did you mean `{near}`?"));
        report.warning(at, path, message, help);
    }
}

/// A list of names of groups.
fn groups(node: &Node, path: &str, known: &Names<'_>, report: &mut Report) -> Vec<Arc<str>> {
    let Value::List(items) = &node.value else {
        let message = format!("expected a list of model names, found {}", node.kind());
        report.error(node.at, path, message);
        return Vec::new();
    };
    let mut out = Vec::new();
    for item in items {
        match plain_text(item) {
            Some(name) => {
                known.check(&name, item.at, path, report);
                out.push(name.into());
            }
            None if matches!(item.value, Value::Map(_)) => {
                report.unsupported(
                    item.at,
                    path,
                    "fallbacks with settings of their own are not built yet",
                );
            }
            None => {
                let message = format!("expected the name of a model, found {}", item.kind());
                report.error(item.at, path, message);
            }
        }
    }
    out
}

/// LiteLLM takes the retries of the entry that failed; here they are the group's.
fn group_retries(policy: &mut Policy, models: &Models, report: &mut Report) {
    for (name, retries) in &models.retries {
        let Some(most) = retries.iter().filter_map(|(n, _)| *n).max() else { continue };
        if let Some((_, at)) = retries.iter().find(|(n, _)| *n != Some(most)) {
            let message = format!(
                "the models called `{}` differ in `num_retries`: {most} counts for all of them",
                keys::shown(name)
            );
            report.warning(*at, "model_list", message, None);
        }
        // `retry_policy` counts more than an entry's own number.
        let global = policy.retry_policy;
        let own = policy.group_retry_policy.entry(name.as_str().into()).or_insert(global);
        own.default.get_or_insert(most);
    }
}

/// Endings of the names in `retry_policy`.
const RETRIES: &str = "Retries";
/// Endings of the names in `allowed_fails_policy`.
const ALLOWED_FAILS: &str = "AllowedFails";

/// `{RateLimitErrorRetries: 3, …}`
fn by_class(node: &Node, path: &str, ending: &str, report: &mut Report) -> ByClass {
    let section = Section::new("by_class", path, node, report);
    let mut out = ByClass::default();
    for entry in section.entries() {
        let class = entry.key.strip_suffix(ending);
        let place = match class.map(|class| class.strip_suffix("Error").unwrap_or(class)) {
            Some("BadRequest") => &mut out.bad_request,
            Some("Authentication") => &mut out.authentication,
            Some("Timeout") => &mut out.timeout,
            Some("RateLimit") => &mut out.rate_limit,
            Some("ContentPolicyViolation") => &mut out.content_policy,
            Some("InternalServer") => &mut out.internal_server,
            Some("ServiceUnavailable") => &mut out.service_unavailable,
            Some("BadGateway") => &mut out.bad_gateway,
            Some("NotFound") => &mut out.not_found,
            Some("Default") if ending == RETRIES => &mut out.default,
            Some(_) | None => {
                let message = format!("unknown class `{}`", keys::shown(&entry.key));
                let help = format!("such as `RateLimitError{ending}` or `TimeoutError{ending}`");
                report.error_help(entry.at, &section.path_of(&entry.key), message, help);
                continue;
            }
        };
        *place = section.whole(&entry.key, 0, report);
        report.verdict(entry.at, section.path_of(&entry.key), Mark::Exact, "");
    }
    out
}
