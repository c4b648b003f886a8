//! How often, how long, how patiently: the router's settings, with LiteLLM's names and defaults.

use std::{collections::HashMap, sync::Arc};

use tollgate_wire::FaultKind;

/// No request makes more retries in one group than this, whatever it asks for.
pub const MAX_RETRIES: u32 = 10;

/// `router_settings`, as far as they concern retries, fallbacks and cooldowns.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// `num_retries`: further calls within a group after the first has failed.
    pub num_retries: u32,
    /// `retry_policy`: the same by class of failure; overrides `num_retries`.
    pub retry_policy: ByClass,
    /// `model_group_retry_policy`: the same for single groups; overrides `retry_policy`.
    pub group_retry_policy: HashMap<Arc<str>, ByClass>,
    /// `retry_after`: least wait before a target is asked again, in milliseconds.
    pub retry_after_ms: u64,
    /// `max_fallbacks`: groups that are tried after the first.
    pub max_fallbacks: u32,
    /// `allowed_fails`, if set: a target cools down once it fails more often than this in a
    /// minute, instead of the rules by share of failures.
    pub allowed_fails: Option<u32>,
    /// `allowed_fails_policy`: the same by class of failure.
    pub allowed_fails_policy: ByClass,
    /// `cooldown_time`, in milliseconds; a target's own and the upstream's `Retry-After` count
    /// more.
    pub cooldown_ms: u64,
    /// `disable_cooldowns`: targets never cool down.
    pub disable_cooldowns: bool,
    /// `timeout`: the whole request, all attempts and waits together, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            num_retries: 2,
            retry_policy: ByClass::default(),
            group_retry_policy: HashMap::new(),
            retry_after_ms: 0,
            max_fallbacks: 5,
            allowed_fails: None,
            allowed_fails_policy: ByClass::default(),
            cooldown_ms: 5_000,
            disable_cooldowns: false,
            timeout_ms: 6_000_000,
        }
    }
}

/// A number by class of failure, as in LiteLLM's `retry_policy` (`…ErrorRetries`) and
/// `allowed_fails_policy` (`…ErrorAllowedFails`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByClass {
    /// `BadRequestError…`
    pub bad_request: Option<u32>,
    /// `AuthenticationError…`
    pub authentication: Option<u32>,
    /// `TimeoutError…`
    pub timeout: Option<u32>,
    /// `RateLimitError…`
    pub rate_limit: Option<u32>,
    /// `ContentPolicyViolationError…`
    pub content_policy: Option<u32>,
    /// `InternalServerError…`
    pub internal_server: Option<u32>,
    /// `ServiceUnavailableError…`
    pub service_unavailable: Option<u32>,
    /// `BadGatewayError…`
    pub bad_gateway: Option<u32>,
    /// `NotFoundError…`
    pub not_found: Option<u32>,
    /// `DefaultRetries`: every class that is not named.
    pub default: Option<u32>,
}

impl ByClass {
    /// The number for `kind`, if one is set.
    pub fn of(&self, kind: FaultKind) -> Option<u32> {
        use FaultKind as K;
        let own = match kind {
            K::BadRequest | K::ContextWindow | K::TooLarge => self.bad_request,
            K::ContentPolicy => self.content_policy,
            K::Credential => self.authentication,
            K::NotFound => self.not_found,
            K::Timeout
            | K::GatewayTimeout
            | K::ConnectTimeout
            | K::FirstByteTimeout
            | K::IdleTimeout
            | K::Deadline => self.timeout,
            K::RateLimit => self.rate_limit,
            K::Server => self.internal_server,
            K::BadGateway => self.bad_gateway,
            K::Unavailable => self.service_unavailable,
            K::Payment
            | K::Conflict
            | K::Unprocessable
            | K::Redirect
            | K::BadResponse
            | K::Unreachable
            | K::Tls
            | K::Disconnected => None,
        };
        own.or(self.default)
    }
}

impl Policy {
    /// What `retry_policy` says of `kind` in `group`, if anything.
    pub fn class_retries(&self, group: &str, kind: FaultKind) -> Option<u32> {
        self.group_retry_policy
            .get(group)
            .and_then(|own| own.of(kind))
            .or_else(|| self.retry_policy.of(kind))
            .map(|retries| retries.min(MAX_RETRIES))
    }
}
