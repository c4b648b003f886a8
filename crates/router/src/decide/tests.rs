use super::*;
use crate::fake;

const NO_JITTER: Tries = Tries {
    retries: 0,
    allowed: 2,
    class_allowed: None,
    another: false,
    again: true,
    fallback: false,
    retry_after_ms: None,
    chance: 0,
};

fn verdict(kind: FaultKind, tries: Tries) -> Verdict {
    decide(kind, tries, &Policy::default())
}

/// Every kind × what there is: another target, a fallback, only the same target; and the same
/// with no retry left.
#[test]
fn every_fault_in_every_situation() {
    use FaultKind as K;
    use Verdict as V;
    const RETRY: Verdict = V::Retry { after_ms: 500 };
    for kind in fake::KINDS {
        let (another, same) = match kind {
            K::Deadline => (V::GiveUp, V::GiveUp),
            K::BadRequest
            | K::ContextWindow
            | K::ContentPolicy
            | K::NotFound
            | K::TooLarge
            | K::Unprocessable => (V::Fallback, V::GiveUp),
            K::FirstByteTimeout
            | K::IdleTimeout
            | K::Credential
            | K::Payment
            | K::Redirect
            | K::Tls => (V::NextTarget, V::GiveUp),
            K::Timeout
            | K::Conflict
            | K::RateLimit
            | K::Server
            | K::BadGateway
            | K::Unavailable
            | K::GatewayTimeout
            | K::BadResponse
            | K::Unreachable
            | K::ConnectTimeout
            | K::Disconnected => (V::NextTarget, RETRY),
        };
        let fallback = if kind == K::Deadline { V::GiveUp } else { V::Fallback };
        let all = Tries { another: true, fallback: true, ..NO_JITTER };
        assert_eq!(verdict(kind, all), another, "{kind:?}: another and a fallback");
        let only_fallback = Tries { fallback: true, ..NO_JITTER };
        assert_eq!(verdict(kind, only_fallback), fallback, "{kind:?}: only a fallback");
        assert_eq!(verdict(kind, NO_JITTER), same, "{kind:?}: only itself");
        let cold = Tries { again: false, ..NO_JITTER };
        assert_eq!(verdict(kind, cold), V::GiveUp, "{kind:?}: nobody");
        let spent = Tries { retries: 2, another: true, ..NO_JITTER };
        assert_eq!(verdict(kind, spent), V::GiveUp, "{kind:?}: no retry left");
        let spent = Tries { fallback: true, ..spent };
        assert_eq!(verdict(kind, spent), fallback, "{kind:?}: no retry left, a fallback");
    }
}

#[test]
fn a_named_class_is_retried_as_often_as_it_says() {
    let named = |retries, allowed| Tries { retries, class_allowed: Some(allowed), ..NO_JITTER };
    let retried = |tries| matches!(verdict(FaultKind::BadRequest, tries), Verdict::Retry { .. });
    assert!(retried(named(0, 1)));
    assert!(!retried(named(1, 1)));
    assert!(!retried(named(0, 0)));
    assert_eq!(verdict(FaultKind::Server, named(0, 0)), Verdict::GiveUp);
    assert_eq!(verdict(FaultKind::Deadline, named(0, 9)), Verdict::GiveUp);
}

#[test]
fn waits_double_up_to_eight_seconds_and_obey_retry_after() {
    let wait = |retries, retry_after_ms, chance, policy: &Policy| {
        let tries = Tries { retries, allowed: 9, retry_after_ms, chance, ..NO_JITTER };
        decide(FaultKind::RateLimit, tries, policy)
    };
    let after = |after_ms| Verdict::Retry { after_ms };
    let usual = Policy::default();
    let doubled: Vec<_> = (0..6).map(|n| wait(n, None, 0, &usual)).collect();
    assert_eq!(doubled, [500, 1_000, 2_000, 4_000, 8_000, 8_000].map(after));
    assert_eq!(wait(0, None, 255, &usual), after(1_250));
    assert_eq!(wait(0, Some(3_000), 0, &usual), after(3_000));
    assert_eq!(wait(0, Some(0), 0, &usual), after(500));
    assert_eq!(wait(0, Some(60_001), 0, &usual), Verdict::GiveUp);
    let patient = Policy { retry_after_ms: 20_000, ..Policy::default() };
    assert_eq!(wait(0, None, 0, &patient), after(20_000));
}
