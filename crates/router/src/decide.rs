//! What follows a fault. A pure table: see [`decide`].

use tollgate_wire::FaultKind;

use crate::policy::Policy;

/// A target that says "wait longer than this" is not waited for (LiteLLM's bound for
/// `Retry-After`).
const MAX_WAIT_MS: u64 = 60_000;
/// The first back-off; doubled at each further one.
const BACKOFF_MS: u64 = 500;
/// The longest back-off.
const MAX_BACKOFF_MS: u64 = 8_000;
/// At most this much is added to a wait by chance.
const JITTER_MS: u64 = 750;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Ask a target again that has failed before, after this wait.
    Retry {
        /// Milliseconds.
        after_ms: u64,
    },
    /// Ask another target of the group, now.
    NextTarget,
    /// Go to the next `order` level or to the next group.
    Fallback,
    /// The fault is the answer.
    GiveUp,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Retries made in this level of this group.
    pub retries: u32,
    /// Retries allowed by `num_retries`.
    pub allowed: u32,
    /// What `retry_policy` allows for this class of fault, if it names it.
    pub class_allowed: Option<u32>,
    /// A healthy target of this level was not asked yet.
    pub another: bool,
    /// A target of this level that has failed may be asked again: it is not cooling down.
    pub again: bool,
    /// There is a level or a group to fall back to.
    pub fallback: bool,
    /// `Retry-After` of the upstream, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Chance, 0 to 255.
    pub chance: u8,
}

/// Where a fault may be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mend {
    /// Nowhere: no time is left.
    Nowhere,
    /// The request is to blame; another model may still take it.
    OtherGroup,
    /// The target is to blame, and would do the same again, or may be doing it still.
    OtherTarget,
    /// Time may heal it.
    Anywhere,
}

const fn mend(kind: FaultKind) -> Mend {
    use FaultKind as K;
    match kind {
        K::Deadline => Mend::Nowhere,
        K::BadRequest
        | K::ContextWindow
        | K::ContentPolicy
        | K::NotFound
        | K::TooLarge
        | K::Unprocessable => Mend::OtherGroup,
        // A request that timed out after it was sent may still run, and be paid for: the same
        // target does not get it twice.
        K::FirstByteTimeout
        | K::IdleTimeout
        | K::Credential
        | K::Payment
        | K::Redirect
        | K::Tls => Mend::OtherTarget,
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
        | K::Disconnected => Mend::Anywhere,
    }
}

/// What follows `fault`.
///
/// | the fault's class | another target | a fallback | the same target |
/// |---|---|---|---|
/// | the request's (400, 404, 413, 422, …) | never | yes | never |
/// | the target's (401–403, TLS, redirect, no answer in time) | at once | yes | never |
/// | passing (408, 409, 429, 5xx, connection) | at once | yes | after a wait |
///
/// The columns are tried from left to right; the first and the last need a retry that is left. A
/// class that `retry_policy` names with more than 0 counts as passing. LiteLLM waits for the same
/// target before it falls back; we fall back at once.
pub fn decide(fault: FaultKind, tries: Tries, policy: &Policy) -> Verdict {
    let mend = match (mend(fault), tries.class_allowed) {
        (Mend::Nowhere, _) => return Verdict::GiveUp,
        (_, Some(1..)) => Mend::Anywhere,
        (mend, _) => mend,
    };
    let left = tries.retries < tries.class_allowed.unwrap_or(tries.allowed);
    if mend != Mend::OtherGroup && left && tries.another {
        return Verdict::NextTarget;
    }
    if tries.fallback {
        return Verdict::Fallback;
    }
    let patient = tries.retry_after_ms.is_none_or(|wait| wait <= MAX_WAIT_MS);
    if mend == Mend::Anywhere && left && tries.again && patient {
        return Verdict::Retry { after_ms: wait(tries, policy) };
    }
    Verdict::GiveUp
}

/// `Retry-After`, else 0.5 s · 2ⁿ up to 8 s and at least `retry_after`; each with some jitter.
fn wait(tries: Tries, policy: &Policy) -> u64 {
    let backoff = BACKOFF_MS
        .saturating_mul(1 << tries.retries.min(10))
        .min(MAX_BACKOFF_MS)
        .max(policy.retry_after_ms.min(MAX_WAIT_MS));
    let asked = tries.retry_after_ms.filter(|wait| *wait > 0);
    asked.unwrap_or(backoff) + JITTER_MS * u64::from(tries.chance) / 255
}

#[cfg(test)]
mod tests;
