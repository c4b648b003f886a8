//! Errors, under the names of LiteLLM's exception classes.

use std::{fmt, time::Duration};

use tollgate_wire::{Fault, FaultKind, Refusal, RefusalKind};

/// Why there is no answer. The variants have the names of LiteLLM's exception classes; what they
/// hold is the same for all ([`Details`]).
///
/// ```
/// # use tollgate::Error;
/// # fn wait(_: std::time::Duration) {}
/// fn on_error(error: &Error) {
///     match error {
///         Error::RateLimitError(details) => wait(details.retry_after.unwrap_or_default()),
///         Error::ContextWindowExceededError(_) => eprintln!("make the prompt shorter"),
///         other => eprintln!("{other}"),
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 400: the request is wrong, or the provider is unknown.
    #[error("BadRequestError: {0}")]
    BadRequestError(Box<Details>),
    /// 400: the model cannot do what a parameter asks.
    #[error("UnsupportedParamsError: {0}")]
    UnsupportedParamsError(Box<Details>),
    /// 400: the prompt is too long for the model.
    #[error("ContextWindowExceededError: {0}")]
    ContextWindowExceededError(Box<Details>),
    /// 400: the provider refuses the content.
    #[error("ContentPolicyViolationError: {0}")]
    ContentPolicyViolationError(Box<Details>),
    /// 401: no key, or one that the provider does not accept.
    #[error("AuthenticationError: {0}")]
    AuthenticationError(Box<Details>),
    /// 402: the account is out of money.
    #[error("PaymentRequiredError: {0}")]
    PaymentRequiredError(Box<Details>),
    /// 403: the key may not do this.
    #[error("PermissionDeniedError: {0}")]
    PermissionDeniedError(Box<Details>),
    /// 404: no such model or path.
    #[error("NotFoundError: {0}")]
    NotFoundError(Box<Details>),
    /// 408: too slow: connecting, the first byte, a pause, or the whole.
    #[error("Timeout: {0}")]
    Timeout(Box<Details>),
    /// 422: the provider cannot process the request.
    #[error("UnprocessableEntityError: {0}")]
    UnprocessableEntityError(Box<Details>),
    /// 422: the gateway key's budget is spent.
    #[error("BudgetExceededError: {0}")]
    BudgetExceededError(Box<Details>),
    /// 429: too many requests or tokens.
    #[error("RateLimitError: {0}")]
    RateLimitError(Box<Details>),
    /// 500 at the provider.
    #[error("InternalServerError: {0}")]
    InternalServerError(Box<Details>),
    /// 502 at the provider.
    #[error("BadGatewayError: {0}")]
    BadGatewayError(Box<Details>),
    /// 503 or 529: the provider is overloaded.
    #[error("ServiceUnavailableError: {0}")]
    ServiceUnavailableError(Box<Details>),
    /// No connection, or one that broke.
    #[error("APIConnectionError: {0}")]
    APIConnectionError(Box<Details>),
    /// An answer that is not what the API promises.
    #[error("APIResponseValidationError: {0}")]
    APIResponseValidationError(Box<Details>),
    /// Any other status.
    #[error("APIError: {0}")]
    APIError(Box<Details>),
}

/// What is known of a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The provider's HTTP status, or the one LiteLLM gives this class.
    pub status: u16,
    /// What went wrong, in the provider's words where it has any.
    pub message: String,
    /// The provider that was asked; empty where none was.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// `error.code` of the provider.
    pub code: Option<String>,
    /// `error.type` of the provider.
    pub error_type: Option<String>,
    /// The parameter that is meant.
    pub param: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Calls made before giving up.
    pub attempts: u32,
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.provider.is_empty() {
            write!(f, "{}: ", self.provider)?;
        }
        f.write_str(&self.message)
    }
}

impl Details {
    fn over_budget(&self) -> bool {
        [&self.error_type, &self.code]
            .into_iter()
            .any(|word| word.as_deref() == Some("budget_exceeded"))
    }
}

impl Error {
    /// What is known of the failure.
    pub fn details(&self) -> &Details {
        match self {
            Error::BadRequestError(details)
            | Error::UnsupportedParamsError(details)
            | Error::ContextWindowExceededError(details)
            | Error::ContentPolicyViolationError(details)
            | Error::AuthenticationError(details)
            | Error::PaymentRequiredError(details)
            | Error::PermissionDeniedError(details)
            | Error::NotFoundError(details)
            | Error::Timeout(details)
            | Error::UnprocessableEntityError(details)
            | Error::BudgetExceededError(details)
            | Error::RateLimitError(details)
            | Error::InternalServerError(details)
            | Error::BadGatewayError(details)
            | Error::ServiceUnavailableError(details)
            | Error::APIConnectionError(details)
            | Error::APIResponseValidationError(details)
            | Error::APIError(details) => details,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.details().status
    }

    /// What went wrong, in the provider's words where it has any.
    pub fn message(&self) -> &str {
        &self.details().message
    }

    /// The provider that was asked; empty where none was.
    pub fn provider(&self) -> &str {
        &self.details().provider
    }

    /// The model that was asked for.
    pub fn model(&self) -> &str {
        &self.details().model
    }

    /// When to try again, if the provider said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.details().retry_after
    }

    pub(crate) fn bad_request(model: &str, message: impl Into<String>) -> Self {
        Error::BadRequestError(Box::new(Details {
            status: 400,
            message: message.into(),
            model: model.to_owned(),
            ..Details::default()
        }))
    }

    /// The error for an answer that nothing is known of but its status.
    pub(crate) fn of_status(details: Details) -> Self {
        of_status(Box::new(details))
    }

    pub(crate) fn no_connection(message: &str) -> Self {
        Error::APIConnectionError(Box::new(Details {
            status: 500,
            message: message.to_owned(),
            ..Details::default()
        }))
    }

    /// The error for what an upstream did, given to the class that LiteLLM gives it.
    pub(crate) fn of_fault(fault: &Fault, provider: &str, model: &str, attempts: u32) -> Self {
        let usual = usual_status(fault.kind);
        let details = Details {
            status: fault.status.filter(|status| *status >= 300).unwrap_or(usual),
            message: fault.message.clone(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            code: fault.code.clone(),
            error_type: fault.error_type.clone(),
            param: fault.param.clone(),
            retry_after: fault.retry_after_ms.map(Duration::from_millis),
            attempts,
        };
        of_kind(fault.kind, Box::new(details))
    }

    /// The error for a request that could not be put to any upstream.
    pub(crate) fn of_refusal(why: &Refusal, provider: &str, model: &str, attempts: u32) -> Self {
        let details = Box::new(Details {
            status: why.http_status().as_u16(),
            message: why.message.clone(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            code: Some(why.code.clone().unwrap_or_else(|| why.kind.code().to_owned())),
            error_type: why.error_type.clone(),
            param: why.param.clone(),
            retry_after: why.retry_after_s.map(Duration::from_secs),
            attempts,
        });
        match why.kind {
            RefusalKind::Unsupported => Error::UnsupportedParamsError(details),
            RefusalKind::UpstreamTimeout | RefusalKind::SlowClient => Error::Timeout(details),
            RefusalKind::NoHealthyTarget => Error::ServiceUnavailableError(details),
            RefusalKind::InvalidRequest
            | RefusalKind::NoKey
            | RefusalKind::UnknownKey
            | RefusalKind::ExpiredKey
            | RefusalKind::BlockedKey
            | RefusalKind::NotAllowed
            | RefusalKind::UnknownModel
            | RefusalKind::NotFound
            | RefusalKind::MethodNotAllowed
            | RefusalKind::TooLarge
            | RefusalKind::BudgetExceeded
            | RefusalKind::RateLimited
            | RefusalKind::Upstream
            | RefusalKind::UpstreamRateLimited
            | RefusalKind::UpstreamError
            | RefusalKind::AuthUnavailable
            | RefusalKind::StorageUnavailable
            | RefusalKind::Overloaded
            | RefusalKind::Internal => of_status(details),
        }
    }
}

fn of_kind(kind: FaultKind, details: Box<Details>) -> Error {
    use FaultKind as K;
    match kind {
        // A gateway before us says so with a status of its operator's choice.
        _ if details.over_budget() => Error::BudgetExceededError(details),
        K::BadRequest => of_bad_request(details),
        K::TooLarge => Error::BadRequestError(details),
        K::ContextWindow => Error::ContextWindowExceededError(details),
        K::ContentPolicy => Error::ContentPolicyViolationError(details),
        K::Credential if details.status == 403 => Error::PermissionDeniedError(details),
        K::Credential => Error::AuthenticationError(details),
        K::Payment => Error::PaymentRequiredError(details),
        K::NotFound => Error::NotFoundError(details),
        K::Timeout
        | K::GatewayTimeout
        | K::ConnectTimeout
        | K::FirstByteTimeout
        | K::IdleTimeout
        | K::Deadline => Error::Timeout(details),
        K::Conflict | K::Redirect => Error::APIError(details),
        K::Unprocessable => of_status(details),
        K::RateLimit => Error::RateLimitError(details),
        K::Server => Error::InternalServerError(details),
        K::BadGateway => Error::BadGatewayError(details),
        K::Unavailable => Error::ServiceUnavailableError(details),
        K::BadResponse => Error::APIResponseValidationError(details),
        K::Unreachable | K::Tls | K::Disconnected => Error::APIConnectionError(details),
    }
}

/// A gateway's answers carry more than a provider's: its codes are told apart.
fn of_bad_request(details: Box<Details>) -> Error {
    match details.code.as_deref() {
        Some("unsupported_parameter") => Error::UnsupportedParamsError(details),
        _ => Error::BadRequestError(details),
    }
}

fn of_status(details: Box<Details>) -> Error {
    match details.status {
        _ if details.over_budget() => Error::BudgetExceededError(details),
        400 | 405 | 413 => Error::BadRequestError(details),
        401 => Error::AuthenticationError(details),
        402 => Error::PaymentRequiredError(details),
        403 => Error::PermissionDeniedError(details),
        404 => Error::NotFoundError(details),
        408 | 504 => Error::Timeout(details),
        422 => Error::UnprocessableEntityError(details),
        429 => Error::RateLimitError(details),
        500 => Error::InternalServerError(details),
        502 => Error::BadGatewayError(details),
        503 | 529 => Error::ServiceUnavailableError(details),
        _ => Error::APIError(details),
    }
}

/// The status that LiteLLM's class has, where no upstream gave one.
fn usual_status(kind: FaultKind) -> u16 {
    use FaultKind as K;
    match kind {
        K::BadRequest | K::ContextWindow | K::ContentPolicy => 400,
        K::Credential => 401,
        K::Payment => 402,
        K::NotFound => 404,
        K::Timeout | K::ConnectTimeout | K::FirstByteTimeout | K::IdleTimeout | K::Deadline => 408,
        K::Conflict => 409,
        K::TooLarge => 413,
        K::Unprocessable => 422,
        K::RateLimit => 429,
        K::Server | K::Unreachable | K::Tls | K::Disconnected | K::BadResponse | K::Redirect => 500,
        K::BadGateway => 502,
        K::Unavailable => 503,
        K::GatewayTimeout => 504,
    }
}
