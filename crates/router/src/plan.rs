//! In which order a request may go to a group's members. Pure: the same table, group, wishes, time
//! and seed give the same plan.

use std::{borrow::Cow, cmp::Ordering, sync::Arc};

use tollgate_wire::{Dialect, Peek};

use crate::{
    policy::MAX_RETRIES,
    table::{Group, Member, Table},
};

/// As many of a request's own fallbacks are looked at.
const MAX_CLIENT_FALLBACKS: usize = 16;

/// What a client wishes of the routing.
#[derive(Debug, Clone, Copy)]
pub struct Prefs<'a> {
    /// The dialect that the client speaks.
    pub surface: Dialect,
    /// `fallbacks` of the request; used instead of the configuration's for the first group. Who
    /// may use which group is not known here: leave out what the client may not use.
    pub fallbacks: &'a [String],
    /// `num_retries` of the request.
    pub num_retries: Option<u32>,
    /// `disable_fallbacks` of the request: neither other groups nor other `order` levels.
    pub disable_fallbacks: bool,
}

impl<'a> Prefs<'a> {
    /// What a request body says.
    pub fn of(surface: Dialect, peek: &'a Peek) -> Self {
        Prefs {
            surface,
            fallbacks: &peek.fallbacks,
            num_retries: peek.num_retries,
            disable_fallbacks: peek.disable_fallbacks,
        }
    }
}

/// Ordered targets for one request. The groups to fall back to are looked up when they are
/// needed, because which they are depends on the fault.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The group that was asked for.
    pub group: Arc<Group>,
    /// The client's dialect.
    pub surface: Dialect,
    /// Positions in the group: level by level, cooling ones left out.
    pub(crate) order: Cow<'static, [u16]>,
    pub(crate) fallbacks: Vec<Arc<str>>,
    pub(crate) num_retries: u32,
    pub(crate) disable_fallbacks: bool,
    pub(crate) seed: u64,
}

impl Plan {
    /// The members that may be called, in order.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.order.iter().filter_map(|at| self.group.members.get(usize::from(*at)))
    }

    /// True when every member is cooling down.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// The plan for one request to `group`. `now_ms` is on the clock that [`crate::Health`] is told.
pub fn plan(table: &Table, group: &Arc<Group>, prefs: Prefs<'_>, now_ms: u64, seed: u64) -> Plan {
    Plan {
        group: group.clone(),
        surface: prefs.surface,
        order: order(group, prefs.surface, now_ms, seed),
        fallbacks: prefs
            .fallbacks
            .iter()
            .take(MAX_CLIENT_FALLBACKS)
            .map(|name| name.as_str().into())
            .collect(),
        num_retries: prefs.num_retries.unwrap_or(table.policy.num_retries).min(MAX_RETRIES),
        disable_fallbacks: prefs.disable_fallbacks,
        seed,
    }
}

/// Positions of the members that are not cooling down: by `order`, then by a weighted shuffle.
pub(crate) fn order(
    group: &Group,
    surface: Dialect,
    now_ms: u64,
    seed: u64,
) -> Cow<'static, [u16]> {
    if let [only] = group.members.as_slice() {
        let free = only.health.cooling(now_ms).is_none();
        return Cow::Borrowed(if free { &[0] } else { &[] });
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let weighing = Weighing::of(&group.members);
    let mut ranked: Vec<(Rank, u16)> = (0u16..)
        .zip(&group.members)
        // Drawn for cooling members too, so that a cooldown does not reshuffle the others.
        .map(|(at, member)| (at, member, random.f64()))
        .filter(|(_, member, _)| member.health.cooling(now_ms).is_none())
        .map(|(at, member, draw)| (Rank::of(member, weighing, surface, draw), at))
        .collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
    ranked.into_iter().map(|(_, at)| at).collect()
}

/// A member's `order`; none is the first level.
pub(crate) fn level(member: &Member) -> u32 {
    member.order.unwrap_or(0)
}

/// The field that a group is weighted by: the first that any member sets above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weighing {
    Weight,
    Rpm,
    Tpm,
    Equal,
}

impl Weighing {
    fn of(members: &[Member]) -> Self {
        [Weighing::Weight, Weighing::Rpm, Weighing::Tpm]
            .into_iter()
            .find(|weighing| members.iter().any(|member| weighing.weight(member) > 0.0))
            .unwrap_or(Weighing::Equal)
    }

    fn weight(self, member: &Member) -> f64 {
        match self {
            Weighing::Weight => member.weight.unwrap_or(0.0),
            #[expect(clippy::cast_precision_loss, reason = "a weight needs no more than 52 bits")]
            Weighing::Rpm => member.rpm.unwrap_or(0) as f64,
            #[expect(clippy::cast_precision_loss, reason = "a weight needs no more than 52 bits")]
            Weighing::Tpm => member.tpm.unwrap_or(0) as f64,
            Weighing::Equal => 1.0,
        }
    }
}

/// Where a member stands; the least comes first.
struct Rank {
    level: u32,
    /// Among equals, one that the client's bytes can pass to comes first. Weights that were set
    /// are obeyed instead.
    foreign: bool,
    /// Exponentially distributed with the weight as its rate: sorting by it draws without
    /// replacement in proportion to the weights (Efraimidis and Spirakis, 2006).
    arrival: f64,
}

impl Rank {
    fn of(member: &Member, weighing: Weighing, surface: Dialect, draw: f64) -> Self {
        let weight = weighing.weight(member);
        let arrival = if weight > 0.0 { -(1.0 - draw).ln() / weight } else { f64::INFINITY };
        Rank {
            level: level(member),
            foreign: weighing == Weighing::Equal && !member.speaks(surface),
            arrival,
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        self.level
            .cmp(&other.level)
            .then(self.foreign.cmp(&other.foreign))
            .then(self.arrival.total_cmp(&other.arrival))
    }
}

#[cfg(test)]
mod tests;
