//! From attempt to attempt: which target is next, and when a group is left. Pure; time and chance
//! come in as numbers.

use std::{borrow::Cow, sync::Arc};

use tollgate_wire::{Fault, FaultKind};

use crate::{
    decide::{Tries, Verdict, decide},
    plan::{self, Plan},
    table::{Group, Member, Table},
};

/// The way of one request through groups, levels and targets.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    table: &'a Table,
    plan: &'a Plan,
    group: Arc<Group>,
    /// Positions in `group`, level by level.
    order: Cow<'a, [u16]>,
    level: u32,
    /// Position of the latest call, as long as nothing is known of it.
    latest: Option<u16>,
    /// Retries made in this level.
    level_retries: u32,
    /// Ids of the targets whose calls have failed, the latest last.
    called: Vec<Arc<str>>,
    /// Ids of the targets that are not to be called again.
    passed_over: Vec<Arc<str>>,
    /// Names of the groups that were entered.
    entered: Vec<Arc<str>>,
    /// Names of the groups to fall back to, the next last.
    ahead: Vec<Arc<str>>,
    chance: fastrand::Rng,
    /// Calls made.
    pub(crate) attempts: u32,
    /// Calls made after a failed one in the same level.
    pub(crate) retries: u32,
    /// Changes of level or group.
    pub(crate) fallbacks: u32,
}

/// Who is called next.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) group: Arc<Group>,
    at: u16,
    /// The wait before the call.
    pub(crate) after_ms: u64,
}

impl Step {
    pub(crate) fn member(&self) -> Option<&Member> {
        self.group.members.get(usize::from(self.at))
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(table: &'a Table, plan: &'a Plan) -> Self {
        Walk {
            table,
            plan,
            group: plan.group.clone(),
            order: Cow::Borrowed(&plan.order),
            latest: None,
            level: 0,
            level_retries: 0,
            called: Vec::new(),
            passed_over: Vec::new(),
            entered: Vec::new(),
            ahead: Vec::new(),
            chance: fastrand::Rng::with_seed(plan.seed),
            attempts: 0,
            retries: 0,
            fallbacks: 0,
        }
    }

    /// True while the group that was asked for is tried.
    pub(crate) fn at_home(&self) -> bool {
        self.entered.is_empty()
    }

    /// The first call; `None` where nobody is free.
    pub(crate) fn first(&mut self, now_ms: u64) -> Option<Step> {
        match self.lowest_level(now_ms, 0) {
            Some((at, level)) => {
                self.level = level;
                Some(self.call(at, 0))
            }
            None => self.leave(None, now_ms),
        }
    }

    /// What follows a fault of the latest call; `None` is the end.
    pub(crate) fn failed(&mut self, fault: &Fault, now_ms: u64) -> Option<Step> {
        if let Some(id) = self.latest_id() {
            self.called.retain(|called| *called != id);
            self.called.push(id);
        }
        let another = self.untried(now_ms);
        let again = self.oldest_called(now_ms);
        let tries = Tries {
            retries: self.level_retries,
            allowed: self.plan.num_retries,
            class_allowed: self.table.policy.class_retries(&self.group.name, fault.kind),
            another: another.is_some(),
            again: again.is_some(),
            fallback: self.may_leave(Some(fault.kind), now_ms),
            retry_after_ms: fault.retry_after_ms,
            chance: self.chance.u8(..),
        };
        match (decide(fault.kind, tries, &self.table.policy), another, again) {
            (Verdict::NextTarget, Some(at), _) => Some(self.retry(at, 0)),
            (Verdict::Retry { after_ms }, _, Some(at)) => Some(self.retry(at, after_ms)),
            (Verdict::Fallback, ..) => self.leave(Some(fault.kind), now_ms),
            (Verdict::GiveUp | Verdict::NextTarget | Verdict::Retry { .. }, ..) => None,
        }
    }

    /// The target of the latest step was not called after all: it cannot do what is asked, or has
    /// no place free. This is no retry.
    pub(crate) fn pass_over(&mut self, now_ms: u64) -> Option<Step> {
        self.attempts = self.attempts.saturating_sub(1);
        let id = self.latest_id();
        self.passed_over.extend(id);
        match self.untried(now_ms) {
            Some(at) => Some(self.call(at, 0)),
            None => self.leave(None, now_ms),
        }
    }

    fn latest_id(&mut self) -> Option<Arc<str>> {
        let at = self.latest.take()?;
        self.group.members.get(usize::from(at)).map(|member| member.target.id.clone())
    }

    fn retry(&mut self, at: u16, after_ms: u64) -> Step {
        self.level_retries += 1;
        self.retries += 1;
        self.call(at, after_ms)
    }

    fn call(&mut self, at: u16, after_ms: u64) -> Step {
        self.attempts += 1;
        self.latest = Some(at);
        Step { group: self.group.clone(), at, after_ms }
    }

    /// To the next level, else to the next group that has someone free.
    fn leave(&mut self, kind: Option<FaultKind>, now_ms: u64) -> Option<Step> {
        if self.plan.disable_fallbacks {
            return None;
        }
        self.level_retries = 0;
        if let Some((at, level)) = self.lowest_level(now_ms, self.level.saturating_add(1)) {
            self.level = level;
            self.fallbacks += 1;
            return Some(self.call(at, 0));
        }
        let mut kind = kind;
        loop {
            let list: Vec<Arc<str>> = self.list(kind).iter().rev().cloned().collect();
            self.ahead.extend(list);
            let group = self.next_group()?;
            self.entered.push(group.name.clone());
            let seed = self.plan.seed.wrapping_add(self.entered.len() as u64);
            self.order = plan::order(&group, self.plan.surface, now_ms, seed);
            self.group = group;
            if let Some((at, level)) = self.lowest_level(now_ms, 0) {
                self.level = level;
                self.fallbacks += 1;
                return Some(self.call(at, 0));
            }
            // Nobody is free there: its own fallbacks are next.
            kind = None;
        }
    }

    /// Whether `leave` would find someone.
    fn may_leave(&self, kind: Option<FaultKind>, now_ms: u64) -> bool {
        if self.plan.disable_fallbacks {
            return false;
        }
        self.lowest_level(now_ms, self.level.saturating_add(1)).is_some()
            || self.hops_left()
                && self
                    .list(kind)
                    .iter()
                    .chain(&self.ahead)
                    .filter(|name| !self.was_entered(name))
                    .filter_map(|name| self.table.group(name))
                    .any(|found| {
                        !self.was_entered(&found.group.name)
                            && found.group.members.iter().any(|member| self.free(member, now_ms))
                    })
    }

    /// The groups to fall back to from this one: the first list that there is.
    fn list(&self, kind: Option<FaultKind>) -> &[Arc<str>] {
        if self.at_home() && !self.plan.fallbacks.is_empty() {
            return &self.plan.fallbacks;
        }
        let table = self.table;
        let by_kind = match kind {
            Some(FaultKind::ContextWindow) => table.context_window_fallbacks.get(&self.group.name),
            Some(FaultKind::ContentPolicy) => table.content_policy_fallbacks.get(&self.group.name),
            Some(_) | None => None,
        };
        by_kind
            .or_else(|| table.fallbacks.get(&self.group.name))
            .or_else(|| table.fallbacks.get("*"))
            .unwrap_or(&table.default_fallbacks)
    }

    fn next_group(&mut self) -> Option<Arc<Group>> {
        if !self.hops_left() {
            return None;
        }
        while let Some(name) = self.ahead.pop() {
            if let Some(found) = self.table.group(&name)
                && !self.was_entered(&found.group.name)
            {
                return Some(found.group);
            }
        }
        None
    }

    fn hops_left(&self) -> bool {
        self.entered.len() < self.table.policy.max_fallbacks as usize
    }

    fn was_entered(&self, name: &Arc<str>) -> bool {
        *name == self.plan.group.name || self.entered.contains(name)
    }

    /// The first free member of the lowest level from `least` on, and that level.
    fn lowest_level(&self, now_ms: u64, least: u32) -> Option<(u16, u32)> {
        self.members()
            .map(|(at, member)| (at, member, plan::level(member)))
            .find(|(_, member, level)| *level >= least && self.free(member, now_ms))
            .map(|(at, _, level)| (at, level))
    }

    /// The next member of this level that was not called.
    fn untried(&self, now_ms: u64) -> Option<u16> {
        self.members()
            .find(|(_, m)| plan::level(m) == self.level && self.free(m, now_ms))
            .map(|(at, _)| at)
    }

    /// The member of this level whose call is longest ago, if it may be called again.
    fn oldest_called(&self, now_ms: u64) -> Option<u16> {
        self.members()
            .filter(|(_, m)| plan::level(m) == self.level && open(m, now_ms))
            .filter_map(|(at, m)| {
                let place = self.called.iter().position(|id| *id == m.target.id)?;
                Some((place, at))
            })
            .min()
            .map(|(_, at)| at)
    }

    fn members(&self) -> impl Iterator<Item = (u16, &Member)> {
        self.order.iter().filter_map(|at| Some((*at, self.group.members.get(usize::from(*at))?)))
    }

    /// May be called, and was not called before in this request.
    fn free(&self, member: &Member, now_ms: u64) -> bool {
        let id = &member.target.id;
        open(member, now_ms) && !self.called.contains(id) && !self.passed_over.contains(id)
    }
}

/// Neither cooling down nor full.
fn open(member: &Member, now_ms: u64) -> bool {
    member.health.cooling(now_ms).is_none() && !member.health.full(member.max_parallel)
}

#[cfg(test)]
mod tests;
