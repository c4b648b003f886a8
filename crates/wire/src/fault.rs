//! Why an upstream failed, in one small type that the router can decide on.

use bytes::Bytes;

/// What went wrong at an upstream. The router branches on [`FaultKind`]; people read the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure it is.
    pub kind: FaultKind,
    /// The upstream's status, where it answered at all.
    pub status: Option<u16>,
    /// The upstream's own message, or ours where it said nothing; safe to show to a client.
    pub message: String,
    /// The upstream's error code (`error.code`), if it gave one.
    pub code: Option<String>,
    /// The upstream's error type (`error.type`), if it gave one.
    pub error_type: Option<String>,
    /// The parameter the upstream complains about, if it named one.
    pub param: Option<String>,
    /// `Retry-After` of the upstream in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The upstream's body as it came, at most 64 kB of it. Empty where there was none.
    pub body: Bytes,
}

/// Kinds of failure, by what is to be done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// 400 and other 4xx that blame the request.
    BadRequest,
    /// 400 whose message says that the prompt is too long.
    ContextWindow,
    /// 400 or 403 whose message or code says that the content is refused.
    ContentPolicy,
    /// 401 or 403: the provider refuses *our* credential.
    Credential,
    /// 402: our account at the provider is out of money.
    Payment,
    /// 404: the provider has no such model or path.
    NotFound,
    /// 408 from the provider.
    Timeout,
    /// 409 from the provider.
    Conflict,
    /// 413: the provider finds the request too large.
    TooLarge,
    /// 422 from the provider.
    Unprocessable,
    /// 429.
    RateLimit,
    /// 500 and other 5xx that are not below.
    Server,
    /// 502 from the provider.
    BadGateway,
    /// 503 or 529: overloaded.
    Unavailable,
    /// 504 from the provider.
    GatewayTimeout,
    /// A 3xx: never followed.
    Redirect,
    /// An answer that is not what the dialect says (HTML, broken JSON, an empty body).
    BadResponse,
    /// Name resolution or connection refused.
    Unreachable,
    /// No connection within the connect timeout.
    ConnectTimeout,
    /// TLS handshake or certificate trouble.
    Tls,
    /// Connected and sent, but no first byte in time.
    FirstByteTimeout,
    /// The answer began and then stalled.
    IdleTimeout,
    /// The whole exchange took too long.
    Deadline,
    /// The connection broke before the answer was complete.
    Disconnected,
}

impl Fault {
    /// A fault that no upstream message describes.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Fault {
            kind,
            status: None,
            message: message.into(),
            code: None,
            error_type: None,
            param: None,
            retry_after_ms: None,
            body: Bytes::new(),
        }
    }
}

impl FaultKind {
    /// The name of LiteLLM's exception class for this kind.
    pub const fn class(self) -> &'static str {
        use FaultKind as K;
        match self {
            K::BadRequest | K::TooLarge => "BadRequestError",
            K::ContextWindow => "ContextWindowExceededError",
            K::ContentPolicy => "ContentPolicyViolationError",
            K::Credential => "AuthenticationError",
            K::Payment => "PaymentRequiredError",
            K::NotFound => "NotFoundError",
            K::Timeout
            | K::GatewayTimeout
            | K::ConnectTimeout
            | K::FirstByteTimeout
            | K::IdleTimeout
            | K::Deadline => "Timeout",
            K::Conflict | K::Redirect => "APIError",
            K::Unprocessable => "UnprocessableEntityError",
            K::RateLimit => "RateLimitError",
            K::Server => "InternalServerError",
            K::BadGateway => "BadGatewayError",
            K::Unavailable => "ServiceUnavailableError",
            K::BadResponse => "APIResponseValidationError",
            K::Unreachable | K::Tls | K::Disconnected => "APIConnectionError",
        }
    }
}
