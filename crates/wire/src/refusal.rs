//! Why *we* say no. Few kinds; each is spelled in the client's dialect by its surface.

use http::StatusCode;

/// An answer that is an error: ours, or an upstream's that is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind it is; gives status, type and code.
    pub kind: RefusalKind,
    /// What was expected and what to do; shown to the client.
    pub message: String,
    /// The request field that is meant, if one is.
    pub param: Option<String>,
    /// Seconds after which to try again (`Retry-After`).
    pub retry_after_s: Option<u64>,
    /// Status of its own, where the kind alone does not say it: an upstream's 4xx passed on.
    pub status: Option<StatusCode>,
    /// Type of its own (`error.type`): an upstream's, passed on.
    pub error_type: Option<String>,
    /// Code of its own (`error.code`): an upstream's, passed on, or a sub-kind such as
    /// `context_length_exceeded`.
    pub code: Option<String>,
}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// 400: the body is not JSON, or a field is missing, wrong or given twice.
    InvalidRequest,
    /// 400: the model cannot do what a parameter asks.
    Unsupported,
    /// 401: no key was sent.
    NoKey,
    /// 401: nobody has this key.
    UnknownKey,
    /// 401: the key is past its time.
    ExpiredKey,
    /// 401: the key is blocked.
    BlockedKey,
    /// 403: the key may not use this model, or not this route.
    NotAllowed,
    /// 404: no model of that name.
    UnknownModel,
    /// 404: no such path or object.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 408: the client sent its body too slowly.
    SlowClient,
    /// 413: the body is over the limit.
    TooLarge,
    /// 422 (`budget_exceeded_status_code`): the key's budget is spent.
    BudgetExceeded,
    /// 429: one of the key's limits.
    RateLimited,
    /// An upstream's 4xx, passed on with its status and message.
    Upstream,
    /// 429: every target said 429, or all are cooling down after one.
    UpstreamRateLimited,
    /// 502: the upstream failed (5xx, refused connection, broken answer); `code` tells which.
    UpstreamError,
    /// 504: the upstream did not answer in time.
    UpstreamTimeout,
    /// 503: no target is healthy.
    NoHealthyTarget,
    /// 503: the database cannot be asked, and we will not guess.
    AuthUnavailable,
    /// 503: nothing may be served that cannot be written down.
    StorageUnavailable,
    /// 503: over capacity, or shutting down.
    Overloaded,
    /// 500: our own fault.
    Internal,
}

impl Refusal {
    /// A refusal of this kind with nothing special about it.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        Refusal {
            kind,
            message: message.into(),
            param: None,
            retry_after_s: None,
            status: None,
            error_type: None,
            code: None,
        }
    }

    /// The same, blaming a request field.
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same, with `Retry-After`.
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The same, with a code of its own.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The HTTP status of the answer.
    pub fn http_status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| self.kind.status())
    }
}

impl RefusalKind {
    /// The usual HTTP status of this kind.
    pub const fn status(self) -> StatusCode {
        use RefusalKind as K;
        match self {
            K::InvalidRequest | K::Unsupported | K::Upstream => StatusCode::BAD_REQUEST,
            K::NoKey | K::UnknownKey | K::ExpiredKey | K::BlockedKey => StatusCode::UNAUTHORIZED,
            K::NotAllowed => StatusCode::FORBIDDEN,
            K::UnknownModel | K::NotFound => StatusCode::NOT_FOUND,
            K::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            K::SlowClient => StatusCode::REQUEST_TIMEOUT,
            K::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            K::BudgetExceeded => StatusCode::UNPROCESSABLE_ENTITY,
            K::RateLimited | K::UpstreamRateLimited => StatusCode::TOO_MANY_REQUESTS,
            K::UpstreamError => StatusCode::BAD_GATEWAY,
            K::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            K::NoHealthyTarget | K::AuthUnavailable | K::StorageUnavailable | K::Overloaded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            K::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// `error.type` in OpenAI's envelope. The names of LiteLLM's `ProxyErrorTypes` where it has
    /// one.
    pub const fn error_type(self) -> &'static str {
        use RefusalKind as K;
        match self {
            K::InvalidRequest
            | K::Unsupported
            | K::UnknownModel
            | K::NotFound
            | K::MethodNotAllowed
            | K::SlowClient
            | K::TooLarge
            | K::Upstream => "invalid_request_error",
            K::NoKey | K::BlockedKey => "auth_error",
            K::UnknownKey => "token_not_found_in_db",
            K::ExpiredKey => "expired_key",
            K::NotAllowed => "key_model_access_denied",
            K::BudgetExceeded => "budget_exceeded",
            K::RateLimited => "rate_limit_error",
            K::UpstreamRateLimited => "throttling_error",
            K::AuthUnavailable => "auth_provider_unavailable",
            K::UpstreamError
            | K::UpstreamTimeout
            | K::NoHealthyTarget
            | K::StorageUnavailable
            | K::Overloaded
            | K::Internal => "internal_server_error",
        }
    }

    /// `error.code` in OpenAI's envelope, for clients that branch on it.
    pub const fn code(self) -> &'static str {
        use RefusalKind as K;
        match self {
            K::InvalidRequest | K::Upstream => "invalid_request",
            K::Unsupported => "unsupported_parameter",
            K::NoKey | K::UnknownKey => "invalid_api_key",
            K::ExpiredKey => "expired_api_key",
            K::BlockedKey => "blocked_api_key",
            K::NotAllowed => "model_not_allowed",
            K::UnknownModel => "model_not_found",
            K::NotFound => "not_found",
            K::MethodNotAllowed => "method_not_allowed",
            K::SlowClient => "request_timeout",
            K::TooLarge => "request_too_large",
            K::BudgetExceeded => "budget_exceeded",
            K::RateLimited => "rate_limit_exceeded",
            K::UpstreamRateLimited => "upstream_rate_limited",
            K::UpstreamError => "upstream_error",
            K::UpstreamTimeout => "upstream_timeout",
            K::NoHealthyTarget => "no_healthy_target",
            K::AuthUnavailable => "auth_unavailable",
            K::StorageUnavailable => "storage_unavailable",
            K::Overloaded => "overloaded",
            K::Internal => "internal",
        }
    }
}
