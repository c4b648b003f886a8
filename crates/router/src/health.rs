//! How each target fares: calls in flight, successes and failures of this minute, cooldowns.
//!
//! The rules are LiteLLM's (`litellm.md` §5.4) with one difference: 404 never cools a target down,
//! because a client can provoke it at will.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use tollgate_wire::{Fault, FaultKind};

use crate::policy::{ByClass, Policy};

/// Rule (b) needs this many calls in the minute.
const SHARE_AT_LEAST: u64 = 5;
/// Rule (c) needs this many calls in the minute.
const ALL_FAILED_AT_LEAST: u64 = 1_000;
/// No cooldown is longer than this, whatever the upstream's `Retry-After` says.
const MAX_COOLDOWN_MS: u64 = 3_600_000;

/// The state of one target. All counts are atomics: any thread may look or write at any time.
///
/// A cache line of its own keeps targets from slowing each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Health {
    in_flight: AtomicU32,
    rate_limited: AtomicBool,
    cooldown_until_ms: AtomicU64,
    succeeded: PerMinute,
    failed: PerMinute,
}

/// The rules that a failure falls under.
#[derive(Debug, Clone, Copy)]
pub struct Cooling {
    disabled: bool,
    allowed_fails: Option<u32>,
    allowed_by_class: ByClass,
    cooldown_ms: u64,
    own_cooldown_ms: Option<u64>,
    members: usize,
}

impl Cooling {
    /// For a member with this `cooldown_time` of its own, of a group with so many `members`.
    pub fn new(policy: &Policy, own_cooldown_ms: Option<u64>, members: usize) -> Self {
        Cooling {
            disabled: policy.disable_cooldowns,
            allowed_fails: policy.allowed_fails,
            allowed_by_class: policy.allowed_fails_policy,
            cooldown_ms: policy.cooldown_ms,
            own_cooldown_ms,
            members,
        }
    }
}

impl Health {
    /// Calls that are being made.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Milliseconds until the target may be asked again; `None` when it may be now.
    pub fn cooling(&self, now_ms: u64) -> Option<u64> {
        let left = self.cooldown_until_ms.load(Relaxed).saturating_sub(now_ms);
        (left > 0).then_some(left)
    }

    /// Whether the last cooldown came from a 429.
    pub fn rate_limited(&self) -> bool {
        self.rate_limited.load(Relaxed)
    }

    /// Successes and failures in the minute of `now_ms`.
    pub fn this_minute(&self, now_ms: u64) -> (u64, u64) {
        (self.succeeded.get(now_ms), self.failed.get(now_ms))
    }

    /// Takes a place for a call; `None` when `max` calls are being made.
    pub fn begin(self: &Arc<Self>, max: Option<u32>) -> Option<Permit> {
        let before = self.in_flight.fetch_add(1, Relaxed);
        let permit = Permit { health: self.clone() };
        max.is_none_or(|max| before < max).then_some(permit)
    }

    /// Whether `begin` would be refused.
    pub fn full(&self, max: Option<u32>) -> bool {
        max.is_some_and(|max| self.in_flight() >= max)
    }

    /// Counts an answer.
    pub fn record_success(&self, now_ms: u64) {
        self.succeeded.add(now_ms);
    }

    /// Counts a fault, and cools the target down where the rules say so; gives the length of the
    /// cooldown.
    pub fn record_failure(&self, fault: &Fault, rules: Cooling, now_ms: u64) -> Option<u64> {
        if !counts(fault.kind) {
            return None;
        }
        let failed = self.failed.add(now_ms);
        let total = failed + self.succeeded.get(now_ms);
        if rules.disabled || !cools(fault.kind, failed, total, rules) {
            return None;
        }
        let usual = fault.retry_after_ms.unwrap_or(rules.cooldown_ms);
        let length = rules.own_cooldown_ms.unwrap_or(usual).min(MAX_COOLDOWN_MS);
        self.cool(now_ms.saturating_add(length), fault.kind == FaultKind::RateLimit);
        Some(length)
    }

    /// Cools the target down until `until_ms`; never shortens a cooldown.
    fn cool(&self, until_ms: u64, rate_limited: bool) {
        self.cooldown_until_ms.fetch_max(until_ms, Relaxed);
        self.rate_limited.store(rate_limited, Relaxed);
    }
}

/// A call that is being made; its place is free again when this is dropped.
#[derive(Debug)]
pub struct Permit {
    health: Arc<Health>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.health.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Faults that say something about the target. The others blame the request, or say no more than
/// that the network is bad, which may be our own (LiteLLM: `APIConnectionError`).
fn counts(kind: FaultKind) -> bool {
    use FaultKind as K;
    match kind {
        K::BadRequest
        | K::ContextWindow
        | K::ContentPolicy
        | K::NotFound
        | K::Conflict
        | K::TooLarge
        | K::Unprocessable
        | K::Unreachable
        | K::Tls
        | K::Disconnected
        | K::Deadline => false,
        K::Credential
        | K::Payment
        | K::Timeout
        | K::RateLimit
        | K::Server
        | K::BadGateway
        | K::Unavailable
        | K::GatewayTimeout
        | K::Redirect
        | K::BadResponse
        | K::ConnectTimeout
        | K::FirstByteTimeout
        | K::IdleTimeout => true,
    }
}

/// Whether a target that failed `failed` of `total` times in this minute, last with `kind`, is to
/// cool down.
fn cools(kind: FaultKind, failed: u64, total: u64, rules: Cooling) -> bool {
    let allowed = rules.allowed_by_class.of(kind).or(rules.allowed_fails);
    if let Some(allowed) = allowed {
        return failed > u64::from(allowed);
    }
    if failed == total && total >= ALL_FAILED_AT_LEAST {
        return true;
    }
    if rules.members < 2 {
        return false;
    }
    let at_once = matches!(kind, FaultKind::RateLimit | FaultKind::Credential | FaultKind::Payment);
    at_once || (total >= SHARE_AT_LEAST && failed * 2 > total)
}

/// A counter that starts anew each minute: the minute in the upper half, the count in the lower.
#[derive(Debug, Default)]
struct PerMinute(AtomicU64);

impl PerMinute {
    fn add(&self, now_ms: u64) -> u64 {
        let minute = minute(now_ms);
        let old = self.0.load(Relaxed);
        if old >> 32 == minute {
            return (self.0.fetch_add(1, Relaxed) + 1) & u64::from(u32::MAX);
        }
        // Two threads that turn the same minute may lose a count; it is a hint, not a ledger.
        self.0.store((minute << 32) | 1, Relaxed);
        1
    }

    fn get(&self, now_ms: u64) -> u64 {
        let value = self.0.load(Relaxed);
        if value >> 32 == minute(now_ms) { value & u64::from(u32::MAX) } else { 0 }
    }
}

fn minute(now_ms: u64) -> u64 {
    (now_ms / 60_000) & u64::from(u32::MAX)
}

/// The health of every target by its id. Lives longer than a configuration, so that a reload does
/// not forget a cooldown.
#[derive(Debug, Default)]
pub struct HealthMap {
    by_id: Mutex<HashMap<Arc<str>, Arc<Health>>>,
}

impl HealthMap {
    /// The state of the target `id`, made at the first call.
    pub fn get(&self, id: &Arc<str>) -> Arc<Health> {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        by_id.entry(id.clone()).or_default().clone()
    }

    /// Forgets the targets that no table holds any more.
    pub fn sweep(&self) {
        let mut by_id = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        by_id.retain(|_, health| Arc::strong_count(health) > 1);
    }
}

#[cfg(test)]
mod tests;
