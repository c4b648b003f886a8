use super::*;
use crate::{ByClass, fake};

fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind, "")
}

fn rules(policy: &Policy, members: usize) -> Cooling {
    Cooling::new(policy, None, members)
}

/// Whether `failed` faults after `succeeded` answers cool a target of a group down.
fn cools_after(kind: FaultKind, succeeded: u64, failed: u64, members: usize) -> bool {
    let (health, policy) = (Health::default(), Policy::default());
    (0..succeeded).for_each(|_| health.record_success(1));
    for _ in 0..failed {
        health.record_failure(&fault(kind), rules(&policy, members), 1);
    }
    health.cooling(1).is_some()
}

#[test]
fn a_rate_limit_or_a_bad_credential_cools_at_once_but_not_the_only_target() {
    for kind in [FaultKind::RateLimit, FaultKind::Credential, FaultKind::Payment] {
        assert!(cools_after(kind, 1_000, 1, 2), "{kind:?}");
        assert!(!cools_after(kind, 0, 999, 1), "{kind:?}");
    }
}

#[test]
fn more_than_half_of_five_calls_cool() {
    assert!(!cools_after(FaultKind::Server, 0, 4, 2));
    assert!(cools_after(FaultKind::Server, 0, 5, 2));
    assert!(!cools_after(FaultKind::Server, 3, 3, 2));
    assert!(cools_after(FaultKind::Server, 3, 4, 2));
}

#[test]
fn the_only_target_cools_after_a_thousand_failures_without_a_success() {
    assert!(!cools_after(FaultKind::Server, 0, 999, 1));
    assert!(cools_after(FaultKind::Server, 0, 1_000, 1));
    assert!(!cools_after(FaultKind::Server, 1, 2_000, 1));
}

#[test]
fn faults_of_the_request_and_of_the_network_never_cool() {
    let innocent: Vec<_> =
        fake::KINDS.into_iter().filter(|kind| !cools_after(*kind, 0, 2_000, 2)).collect();
    use FaultKind as K;
    let expect = [
        K::BadRequest,
        K::ContextWindow,
        K::ContentPolicy,
        K::NotFound,
        K::Conflict,
        K::TooLarge,
        K::Unprocessable,
        K::Unreachable,
        K::Tls,
        K::Deadline,
        K::Disconnected,
    ];
    assert_eq!(innocent, expect);
}

#[test]
fn a_minute_forgets() {
    let (health, policy) = (Health::default(), Policy::default());
    for _ in 0..4 {
        health.record_failure(&fault(FaultKind::Server), rules(&policy, 2), 59_999);
    }
    health.record_failure(&fault(FaultKind::Server), rules(&policy, 2), 60_000);
    assert_eq!(health.cooling(60_000), None);
    assert_eq!(health.this_minute(60_000), (0, 1));
    assert_eq!(health.this_minute(120_000), (0, 0));
}

#[test]
fn allowed_fails_counts_instead() {
    let policy = Policy {
        allowed_fails: Some(2),
        allowed_fails_policy: ByClass { rate_limit: Some(0), ..ByClass::default() },
        ..Policy::default()
    };
    let health = Health::default();
    let fail = |kind| {
        health.record_failure(&fault(kind), rules(&policy, 1), 1);
        health.cooling(1).is_some()
    };
    assert_eq!([(); 3].map(|()| fail(FaultKind::Server)), [false, false, true]);
    let health = Health::default();
    health.record_failure(&fault(FaultKind::RateLimit), rules(&policy, 1), 1);
    assert!(health.cooling(1).is_some());
}

#[test]
fn the_targets_own_time_counts_more_than_the_upstreams_and_that_more_than_ours() {
    let policy = Policy::default();
    let length = |own: Option<u64>, asked: Option<u64>| {
        let health = Health::default();
        let fault = Fault { retry_after_ms: asked, ..fault(FaultKind::RateLimit) };
        let rules = Cooling::new(&policy, own, 2);
        health.record_failure(&fault, rules, 100);
        assert!(health.rate_limited());
        health.cooling(100)
    };
    assert_eq!(length(Some(7), Some(9)), Some(7));
    assert_eq!(length(None, Some(9)), Some(9));
    assert_eq!(length(None, None), Some(5_000));
    assert_eq!(length(None, Some(u64::MAX)), Some(MAX_COOLDOWN_MS));
    assert_eq!(length(Some(0), None), None);
}

#[test]
fn places_are_counted_and_given_back() {
    let health = Arc::new(Health::default());
    let first = health.begin(Some(1));
    assert!(first.is_some() && health.full(Some(1)));
    assert!(health.begin(Some(1)).is_none());
    assert_eq!(health.in_flight(), 1);
    assert!(health.begin(None).is_some());
    drop(first);
    assert_eq!(health.in_flight(), 0);
}

#[test]
fn a_reload_keeps_cooldowns_and_a_sweep_forgets_what_nobody_holds() {
    let map = HealthMap::default();
    let id: Arc<str> = "a".into();
    let held = map.get(&id);
    held.cool(99, false);
    map.sweep();
    assert_eq!(map.get(&id).cooling(1), Some(98));
    drop(held);
    map.sweep();
    assert_eq!(map.get(&id).cooling(1), None);
}
