//! A call's place at its target.

use std::time::Duration;

use tokio::time::Instant;
use tollgate_wire::Fault;

use crate::{
    health::{Cooling, Permit},
    policy::Policy,
    walk::Step,
};

/// Tells the time of a request on the clock that its plan was made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) started: Instant,
    pub(crate) started_ms: u64,
}

impl Clock {
    pub(crate) fn now_ms(self) -> u64 {
        self.at_ms(self.started.elapsed())
    }

    /// The time when so much had passed since the start.
    pub(crate) fn at_ms(self, passed: Duration) -> u64 {
        self.started_ms.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The target counts as busy until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    step: Step,
    rules: Cooling,
    clock: Clock,
    _permit: Permit,
}

impl Place {
    pub(crate) fn new(step: &Step, permit: Permit, policy: &Policy, clock: Clock) -> Self {
        let own_ms = step.member().and_then(|member| member.cooldown_ms);
        let rules = Cooling::new(policy, own_ms, step.group.members.len());
        Place { step: step.clone(), rules, clock, _permit: permit }
    }

    /// Counts an answer.
    pub(crate) fn praise(&self, passed: Duration) {
        if let Some(member) = self.step.member() {
            member.health.record_success(self.clock.at_ms(passed));
        }
    }

    /// Counts a fault, which may cool the target down.
    pub(crate) fn blame(&self, fault: &Fault) {
        let Some(member) = self.step.member() else { return };
        let id = &*member.target.id;
        let (group, kind, status) = (&*self.step.group.name, fault.kind, fault.status);
        tracing::debug!(target.id = id, group, ?kind, status, "target `{id}` failed");
        if let Some(ms) = member.health.record_failure(fault, self.rules, self.clock.now_ms()) {
            tracing::warn!(
                target.id = id,
                group,
                ?kind,
                status,
                cooldown_ms = ms,
                "target `{id}` cools down for {ms} ms"
            );
        }
    }
}
