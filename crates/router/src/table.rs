//! The groups behind the public model names: the router's part of a configuration snapshot.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use tollgate_wire::{Card, Dialect, Provider, Target};

use crate::{health::Health, pattern::Pattern, policy::Policy};

/// A model name longer than this matches no pattern.
const MAX_MODEL_NAME: usize = 256;
/// Concrete groups that patterns have made and that are kept; beyond it all are forgotten.
const MAX_CONCRETE: usize = 1_024;
/// How alike a name must be to be offered as a near one (Jaro-Winkler, 0 to 1).
const NEAR: f64 = 0.8;
/// At most this many near names.
const MAX_NEAR: usize = 3;

/// Limits on the time that one call of a target may take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and TCP together; the TLS handshake gets the same again.
    pub connect_ms: u64,
    /// From sending the request to the first event of a stream, or to the end of a whole answer
    /// (LiteLLM's `timeout` and `stream_timeout`).
    pub first_byte_ms: u64,
    /// Longest silence within a stream.
    pub idle_ms: u64,
    /// The whole call, first connect to last byte.
    pub total_ms: u64,
}

impl Default for Timeouts {
    /// 5 s to connect, 600 s to the first byte, 300 s of silence, 6000 s in all: LiteLLM's
    /// `request_timeout` is 6000 s and its HTTP client's read timeout 600 s; a model that thinks
    /// may be silent for minutes.
    fn default() -> Self {
        Timeouts {
            connect_ms: 5_000,
            first_byte_ms: 600_000,
            idle_ms: 300_000,
            total_ms: 6_000_000,
        }
    }
}

/// A target's place in a group.
#[derive(Debug, Clone)]
pub struct Member {
    /// What is called.
    pub target: Arc<Target>,
    /// The same deployment in the other dialects that its provider speaks. The client's own
    /// dialect is preferred, so that bytes pass.
    pub also: Vec<Arc<Target>>,
    /// `weight`
    pub weight: Option<f64>,
    /// `rpm`: a weight where no member has a `weight`, not a limit (LiteLLM's simple-shuffle).
    pub rpm: Option<u64>,
    /// `tpm`: a weight where no member has a `weight` or an `rpm`.
    pub tpm: Option<u64>,
    /// `order`: lower ones are used first, higher ones when those have failed.
    pub order: Option<u32>,
    /// Limits on the time of a call.
    pub timeouts: Timeouts,
    /// `cooldown_time` of its own, in milliseconds.
    pub cooldown_ms: Option<u64>,
    /// `max_parallel_requests`: the member is passed over while it has this many.
    pub max_parallel: Option<u32>,
    /// How it fares; shared by all that call the same deployment, and kept over reloads.
    pub health: Arc<Health>,
}

impl Member {
    /// A member with no settings of its own.
    pub fn new(target: Arc<Target>, health: Arc<Health>) -> Self {
        Member {
            target,
            also: Vec::new(),
            weight: None,
            rpm: None,
            tpm: None,
            order: None,
            timeouts: Timeouts::default(),
            cooldown_ms: None,
            max_parallel: None,
            health,
        }
    }

    /// The target to call for a client that speaks `surface`.
    pub fn target_for(&self, surface: Dialect) -> &Arc<Target> {
        if self.target.dialect == surface {
            return &self.target;
        }
        self.also.iter().find(|target| target.dialect == surface).unwrap_or(&self.target)
    }

    /// Whether it can be called in the client's own dialect.
    pub fn speaks(&self, surface: Dialect) -> bool {
        self.target_for(surface).dialect == surface
    }
}

/// The targets behind one public model name.
#[derive(Debug, Clone)]
pub struct Group {
    /// The public name.
    pub name: Arc<str>,
    /// In the order of the configuration; never empty.
    pub members: Vec<Member>,
}

impl Group {
    /// A copy that shares no counted text and no target with the original, only the members'
    /// health. Each core asks for its targets with every request: counts that cores share would
    /// wander between them all the time.
    pub fn unshared(&self) -> Group {
        let target = |target: &Arc<Target>| {
            let provider =
                Provider { name: (*target.provider.name).into(), ..(*target.provider).clone() };
            Arc::new(Target {
                id: (*target.id).into(),
                model: (*target.model).into(),
                base: (*target.base).into(),
                provider: Arc::new(provider),
                ..(**target).clone()
            })
        };
        let member = |member: &Member| Member {
            target: target(&member.target),
            also: member.also.iter().map(target).collect(),
            ..member.clone()
        };
        Group { name: (*self.name).into(), members: self.members.iter().map(member).collect() }
    }
}

/// Another name for a group (`model_group_alias`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The group meant.
    pub group: Arc<str>,
    /// Not listed among the models.
    pub hidden: bool,
}

/// Lists of groups by the name of the group that failed; `*` stands for any.
pub type Fallbacks = HashMap<Arc<str>, Vec<Arc<str>>>;

/// Makes the target for a concrete model from a wildcard's target, or `None` where there is no
/// such target. The first argument is the wildcard's, the second the model's name with the
/// captures filled in.
pub type Concrete = Arc<dyn Fn(&Target, &str) -> Option<Target> + Send + Sync>;

/// What a [`Table`] is made of.
pub struct Rules {
    /// Each entry of `model_list`: its `model_name`, which may have `*` in it, and the member.
    /// Entries of the same name form a group.
    pub members: Vec<(String, Member)>,
    /// `model_group_alias`
    pub aliases: HashMap<Arc<str>, Alias>,
    /// `fallbacks`; the list under `*` serves every group without one.
    pub fallbacks: Fallbacks,
    /// `default_fallbacks`
    pub default_fallbacks: Vec<Arc<str>>,
    /// `context_window_fallbacks`
    pub context_window_fallbacks: Fallbacks,
    /// `content_policy_fallbacks`
    pub content_policy_fallbacks: Fallbacks,
    /// Retries, cooldowns, limits.
    pub policy: Policy,
    /// How a wildcard's target becomes a concrete one: see [`with_cards`].
    pub concrete: Concrete,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            members: Vec::new(),
            aliases: HashMap::new(),
            fallbacks: HashMap::new(),
            default_fallbacks: Vec::new(),
            context_window_fallbacks: HashMap::new(),
            content_policy_fallbacks: HashMap::new(),
            policy: Policy::default(),
            concrete: with_cards(|_, _| None),
        }
    }
}

/// The usual [`Concrete`]: the wildcard's target with the model's name and its card. `card` is
/// asked with the provider's name and the model's.
pub fn with_cards(
    card: impl Fn(&str, &str) -> Option<Arc<Card>> + Send + Sync + 'static,
) -> Concrete {
    Arc::new(move |target, model| {
        let card = card(&target.provider.name, model);
        Some(Target { model: model.into(), card, ..target.clone() })
    })
}

/// What a model name means.
#[derive(Debug, Clone)]
pub struct Found {
    /// The group; for a wildcard the concrete one, whose name is the model's.
    pub group: Arc<Group>,
}

/// All groups and the rules between them. Immutable but for a cache.
pub struct Table {
    groups: HashMap<Arc<str>, Arc<Group>, foldhash::fast::RandomState>,
    /// Public names in the order of the configuration.
    order: Vec<Arc<str>>,
    patterns: Vec<(Pattern, Arc<Group>)>,
    concrete: Concrete,
    made: RwLock<HashMap<Box<str>, Arc<Group>, foldhash::fast::RandomState>>,
    /// `model_group_alias`
    pub aliases: HashMap<Arc<str>, Alias>,
    /// `fallbacks`
    pub fallbacks: Fallbacks,
    /// `default_fallbacks`
    pub default_fallbacks: Vec<Arc<str>>,
    /// `context_window_fallbacks`
    pub context_window_fallbacks: Fallbacks,
    /// `content_policy_fallbacks`
    pub content_policy_fallbacks: Fallbacks,
    /// Retries, cooldowns, limits.
    pub policy: Policy,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("groups", &self.order).finish_non_exhaustive()
    }
}

impl Table {
    /// Sorts the rules into a table.
    pub fn new(rules: Rules) -> Self {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut members: HashMap<Arc<str>, Vec<Member>> = HashMap::new();
        for (name, member) in rules.members {
            let name: Arc<str> = name.into();
            let list = members.entry(name.clone()).or_default();
            if list.is_empty() {
                names.push(name);
            }
            list.push(member);
        }
        let mut groups = HashMap::default();
        let mut patterns = Vec::new();
        for name in &names {
            let members = members.remove(name).unwrap_or_default();
            let group = Arc::new(Group { name: name.clone(), members });
            if name.contains('*') {
                patterns.push((Pattern::new(name), group));
            } else {
                groups.insert(name.clone(), group);
            }
        }
        patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.rank()));
        Table {
            groups,
            order: names,
            patterns,
            concrete: rules.concrete,
            made: RwLock::default(),
            aliases: rules.aliases,
            fallbacks: rules.fallbacks,
            default_fallbacks: rules.default_fallbacks,
            context_window_fallbacks: rules.context_window_fallbacks,
            content_policy_fallbacks: rules.content_policy_fallbacks,
            policy: rules.policy,
        }
    }

    /// What `model` means: a group's exact name, an alias, or a name that a pattern matches, in
    /// this order.
    pub fn group(&self, model: &str) -> Option<Found> {
        if let Some(group) = self.groups.get(model) {
            return Some(Found { group: group.clone() });
        }
        let name = self.aliases.get(model).map_or(model, |alias| &alias.group);
        if let Some(group) = self.groups.get(name) {
            return Some(Found { group: group.clone() });
        }
        self.by_pattern(name).map(|group| Found { group })
    }

    /// Every public name in the order of the configuration, patterns included, then the aliases
    /// that are not hidden.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let shown = self.aliases.iter().filter(|(_, alias)| !alias.hidden);
        self.order.iter().map(|name| &**name).chain(shown.map(|(name, _)| &**name))
    }

    /// Every group of the configuration; the name of a wildcard's has `*` in it.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values().chain(self.patterns.iter().map(|(_, group)| group))
    }

    /// The members of the groups that patterns have made, and those that their members would become
    /// for these models.
    pub fn made_of<'m>(&self, models: impl Iterator<Item = &'m str> + Clone) -> Vec<Member> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let mut members: Vec<Member> =
            made.values().flat_map(|group| group.members.iter().cloned()).collect();
        drop(made);
        let templates = self.patterns.iter().flat_map(|(_, group)| &group.members);
        for (member, model) in templates.flat_map(|it| models.clone().map(move |m| (it, m))) {
            let concrete = |target: &Arc<Target>| (self.concrete)(target, model).map(Arc::new);
            if let Some(target) = concrete(&member.target) {
                let also = member.also.iter().filter_map(concrete).collect();
                members.push(Member { target, also, ..member.clone() });
            }
        }
        members
    }

    /// Up to three public names that look like `model`, best first.
    pub fn near(&self, model: &str) -> Vec<String> {
        let mut start: String = model.chars().take(MAX_MODEL_NAME).collect();
        start.make_ascii_lowercase();
        let mut near: Vec<(f64, &str)> = self
            .names()
            .filter(|name| !name.contains('*'))
            .map(|name| (strsim::jaro_winkler(&start, &name.to_ascii_lowercase()), name))
            .filter(|(alike, _)| *alike >= NEAR)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        near.into_iter().take(MAX_NEAR).map(|(_, name)| name.to_owned()).collect()
    }

    fn by_pattern(&self, model: &str) -> Option<Arc<Group>> {
        if self.patterns.is_empty() || model.is_empty() || model.len() > MAX_MODEL_NAME {
            return None;
        }
        if let Some(group) = self.made.read().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Some(group.clone());
        }
        let group = Arc::new(self.make(model)?);
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if made.len() >= MAX_CONCRETE {
            made.clear();
        }
        made.insert(model.into(), group.clone());
        Some(group)
    }

    /// The concrete group of the first pattern that matches; members for which there is no
    /// concrete target fall away, and a group without any is none.
    fn make(&self, model: &str) -> Option<Group> {
        let (captures, group) = self
            .patterns
            .iter()
            .find_map(|(pattern, group)| Some((pattern.captures(model)?, group)))?;
        let members: Vec<Member> = group
            .members
            .iter()
            .filter_map(|member| {
                let concrete = |target: &Arc<Target>| {
                    let name = crate::pattern::fill(&target.model, &captures, model);
                    let own = name.strip_prefix(&*target.provider.name);
                    let name = match own.and_then(|rest| rest.strip_prefix('/')) {
                        Some(rest) if captures.len() > stars(&target.model) => rest,
                        _ => &name,
                    };
                    if name.is_empty() {
                        return None;
                    }
                    (self.concrete)(target, name).map(Arc::new)
                };
                let target = concrete(&member.target)?;
                let also = member.also.iter().filter_map(concrete).collect();
                Some(Member { target, also, ..member.clone() })
            })
            .collect();
        (!members.is_empty()).then(|| Group { name: model.into(), members })
    }
}

fn stars(model: &str) -> usize {
    model.bytes().filter(|byte| *byte == b'*').count()
}

#[cfg(test)]
mod tests;
