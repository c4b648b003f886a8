//! Reads an upstream's error answer. Providers agree on little: this takes every envelope that is
//! known to occur, whatever the dialect, and never shows a client markup or control characters.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::fault::{Fault, FaultKind};

/// Most bytes of an error body that are kept.
const MAX_BODY: usize = 64 * 1024;
/// Most bytes of a message that are kept.
const MAX_MESSAGE: usize = 2 * 1024;
/// Most of Google's details of an error that are looked at.
const MAX_DETAILS: usize = 16;
/// Longest `Retry-After` that is believed: a day.
const MAX_RETRY_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// Phrases of messages that mean "the prompt is too long", in lower case. Most are LiteLLM's
/// (`ExceptionCheckers.is_error_str_context_window_exceeded`), so that the same fallbacks fire.
const CONTEXT_WINDOW: &[&str] = &[
    "exceed context limit",
    "this model's maximum context length is",
    "string too long. expected a string with maximum length",
    "model's maximum context limit",
    "is longer than the model's context length",
    "input tokens exceed the configured limit",
    "`inputs` tokens + `max_new_tokens` must be",
    "`inputs` must have less than",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "prompt is too long",
    "prompt: length",
    "exceeds the context window",
    "context_length_exceeded",
    "context window exceeds limit",
    "input is too long for requested model",
    // Cohere
    "too many tokens: ",
    // Ollama
    "input length exceeds the context length",
];

/// Phrases of messages, codes and types that mean "this content is refused", in lower case.
const CONTENT_POLICY: &[&str] = &[
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "the response was filtered due to the prompt triggering azure openai's content management",
    "your task failed as a result of our safety system",
    "the model produced invalid content",
    "content_filter_policy",
    "request was rejected as a result of our safety system",
    "request was rejected as a result of the safety system",
    "violating our usage policy",
    "output blocked by content filtering policy",
    "content_filter",
    "datainspectionfailed",
    "data_inspection_failed",
    // Replicate's models
    "flagged as sensitive",
    // OCI's guardrails
    "inappropriate content detected",
];

/// What an upstream says of an error, wherever it put it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: Option<String>,
    pub(super) code: Option<String>,
    pub(super) error_type: Option<String>,
    pub(super) param: Option<String>,
    /// How long to wait (`details[].retryDelay`), as Google says it.
    pub(super) retry_after_ms: Option<u64>,
    /// A status inside the body (`error.code: 502`, `error.status: 429`), as aggregators send it
    /// within streams.
    pub(super) status: Option<u16>,
    /// What a container answered that SageMaker's 424 tells of.
    pub(super) original_status: Option<u16>,
}

/// The fault that an answer with an error status means.
pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Fault {
    let mut complaint = complaint(body);
    let amazon = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok());
    complaint.error_type = complaint.error_type.or_else(|| amazon.and_then(exception));
    let status = complaint.original_status.unwrap_or(status.as_u16());
    let mut fault = complaint.into_fault(Some(status));
    fault.retry_after_ms = retry_after_ms(headers).or(fault.retry_after_ms);
    fault.body = clip(body);
    fault
}

/// The fault that an error object inside a stream, or with status 200, means.
pub(super) fn inside(body: &[u8]) -> Fault {
    let complaint = complaint(body);
    let status = complaint
        .status
        .or_else(|| status_of_type(complaint.error_type.as_deref()))
        .or_else(|| status_of_type(complaint.code.as_deref()));
    let mut fault = complaint.into_fault(Some(status.unwrap_or(500)));
    fault.status = status;
    fault.body = clip(body);
    fault
}

/// The fault that an exception of one of Amazon's services within a stream means. There is no
/// status but the one that its name stands for.
pub(super) fn named(name: &str, body: &[u8]) -> Fault {
    let mut complaint = complaint(body);
    complaint.error_type = exception(name);
    let status = status_of_type(complaint.error_type.as_deref());
    let mut fault = complaint.into_fault(Some(status.unwrap_or(500)));
    fault.status = status;
    fault.body = clip(body);
    fault
}

/// `com.amazon.coral.service#ValidationException:http://…` is a `ValidationException`; so is
/// `validationException`, as streams have it.
/// <https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization>
fn exception(name: &str) -> Option<String> {
    let name = name.split(':').next().unwrap_or_default();
    let name = clean(name.rsplit('#').next().unwrap_or_default())?;
    let mut rest = name.chars();
    let first = rest.next()?.to_ascii_uppercase();
    Some(std::iter::once(first).chain(rest).collect())
}

impl Complaint {
    fn into_fault(self, status: Option<u16>) -> Fault {
        let message = self.message.unwrap_or_else(|| match status {
            Some(status) => format!("the upstream answered {status} without a message"),
            None => "the upstream failed without a message".to_owned(),
        });
        let kind = classify(status, &message, self.code.as_deref(), self.error_type.as_deref());
        Fault {
            status,
            code: self.code,
            error_type: self.error_type,
            param: self.param,
            retry_after_ms: self.retry_after_ms,
            ..Fault::new(kind, message)
        }
    }
}

/// The kind of failure, from the status and, where that says too little, from the words.
fn classify(
    status: Option<u16>,
    message: &str,
    code: Option<&str>,
    error_type: Option<&str>,
) -> FaultKind {
    let words = [message, code.unwrap_or_default(), error_type.unwrap_or_default()]
        .join("\n")
        .to_ascii_lowercase();
    if let Some(kind) = error_type.and_then(amazon) {
        return kind;
    }
    match status.unwrap_or(500) {
        300..=399 => FaultKind::Redirect,
        400 | 403 | 413 | 422 if context_window(&words) => FaultKind::ContextWindow,
        400 | 403 | 422 if CONTENT_POLICY.iter().any(|phrase| words.contains(phrase)) => {
            FaultKind::ContentPolicy
        }
        // Anthropic answers 400 for an empty account.
        400 if words.contains("credit balance is too low") => FaultKind::Payment,
        400 if words.contains("model_not_found")
            || words.contains("the provided model identifier is invalid") =>
        {
            FaultKind::NotFound
        }
        // Google answers 400 for a key that it does not know.
        400 if words.contains("api_key_invalid") || words.contains("api key not valid") => {
            FaultKind::Credential
        }
        401 | 403 => FaultKind::Credential,
        402 => FaultKind::Payment,
        404 => FaultKind::NotFound,
        408 => FaultKind::Timeout,
        409 => FaultKind::Conflict,
        413 => FaultKind::TooLarge,
        422 => FaultKind::Unprocessable,
        429 => FaultKind::RateLimit,
        // Cohere: something is on a list of words that are denied; the request was cancelled.
        498 => FaultKind::ContentPolicy,
        499 => FaultKind::Timeout,
        400..=499 => FaultKind::BadRequest,
        502 => FaultKind::BadGateway,
        503 | 529 => FaultKind::Unavailable,
        504 => FaultKind::GatewayTimeout,
        _ => FaultKind::Server,
    }
}

/// What Amazon's services mean by a name where the status says something else.
fn amazon(error_type: &str) -> Option<FaultKind> {
    Some(match error_type {
        // 424: the model failed, not the request.
        "ModelErrorException" | "ModelStreamErrorException" => FaultKind::Server,
        // 400
        "ThrottlingException" | "TooManyRequestsException" | "ServiceQuotaExceededException" => {
            FaultKind::RateLimit
        }
        // 400 or 403
        "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "UnrecognizedClientException" => FaultKind::Credential,
        _ => return None,
    })
}

fn context_window(words: &str) -> bool {
    // A field that is too long is not a prompt that is too long.
    if words.contains("string_above_max_length")
        || (words.contains("invalid 'user'") && words.contains("string too long"))
    {
        return false;
    }
    CONTEXT_WINDOW.iter().any(|phrase| words.contains(phrase))
        || (words.contains("current length is") && words.contains("while limit is"))
        || (words.contains("maximum input length is") && words.contains("tokens"))
}

/// The status that an error type stands for, in both dialects' names.
fn status_of_type(error_type: Option<&str>) -> Option<u16> {
    Some(match error_type? {
        "invalid_request_error" | "invalid_prompt" => 400,
        "authentication_error" => 401,
        "billing_error" | "insufficient_quota" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" | "rate_limit_exceeded" | "throttling_error" => 429,
        "api_error" | "server_error" | "internal_server_error" => 500,
        "timeout_error" => 504,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "RESOURCE_EXHAUSTED" => 429,
        "INTERNAL" | "UNKNOWN" => 500,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        "overloaded_error" => 529,
        // Bedrock's: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>
        "ValidationException" => 400,
        "AccessDeniedException" => 403,
        "ResourceNotFoundException" => 404,
        "ModelTimeoutException" => 408,
        "ModelErrorException" | "ModelStreamErrorException" => 424,
        "ThrottlingException" | "ModelNotReadyException" => 429,
        "InternalServerException" => 500,
        "ServiceUnavailableException" => 503,
        // OCI's: <https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm>
        "CannotParseRequest" | "InvalidParameter" | "LimitExceeded" | "MissingParameter" => 400,
        "NotAuthenticated" => 401,
        "NotAuthorized" => 403,
        "NotAuthorizedOrNotFound" => 404,
        "TooManyRequests" => 429,
        "InternalServerError" => 500,
        "ServiceUnavailable" => 503,
        _ => return None,
    })
}

/// Whether the value of `error` means that there is one. Apertis, for one, sends an empty object
/// with answers that succeed.
pub(crate) fn says_something(value: &[u8]) -> bool {
    let inner = match value {
        b"null" | b"false" | b"\"\"" | b"0" => return false,
        [b'{' | b'[', inner @ .., b'}' | b']'] => inner,
        _ => return true,
    };
    !inner.iter().all(u8::is_ascii_whitespace)
}

fn complaint(body: &[u8]) -> Complaint {
    let body = body.get(..MAX_BODY).unwrap_or(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => of_value(&value),
        Err(_) => Complaint { message: plain_text(body), ..Complaint::default() },
    }
}

fn of_value(value: &Value) -> Complaint {
    match value {
        Value::Object(fields) => match fields.get("error") {
            Some(error @ Value::Object(_)) => of_object(error),
            Some(Value::String(text)) => Complaint {
                message: fields
                    .get("message")
                    .and_then(Value::as_str)
                    .or(Some(text))
                    .and_then(clean),
                ..of_object(value)
            },
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => {
                of_object(value)
            }
        },
        // Google's OpenAI endpoint wraps the envelope in a list.
        Value::Array(items) => items.first().map(of_object_or_wrapped).unwrap_or_default(),
        Value::String(text) => Complaint { message: clean(text), ..Complaint::default() },
        Value::Null | Value::Bool(_) | Value::Number(_) => Complaint::default(),
    }
}

fn of_object_or_wrapped(value: &Value) -> Complaint {
    of_object(value.get("error").unwrap_or(value))
}

/// `{"message", "type", "code", "param"}` in their variants; `detail` is FastAPI's.
fn of_object(value: &Value) -> Complaint {
    let text = |name: &str| value.get(name).and_then(Value::as_str).and_then(clean);
    let message = ["message", "Message", "detail", "error_message", "msg", "title"]
        .into_iter()
        .find_map(text)
        .or_else(|| {
            let detail = value.get("detail").or_else(|| value.get("errors"))?.get(0)?;
            let words = detail.get("msg").or_else(|| detail.get("message"))?;
            words.as_str().and_then(clean)
        });
    let google = Details::of(value);
    let code = google.reason.clone().or_else(|| code_of(value));
    let status = ["code", "status", "status_code"].into_iter().find_map(|name| {
        let number = value.get(name)?;
        let number = number.as_u64().or_else(|| number.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (400..600).contains(status))
    });
    // Google's word for the status is what others call the type.
    let word =
        text("status").filter(|word| word.bytes().all(|b| b == b'_' || b.is_ascii_uppercase()));
    Complaint {
        message,
        code,
        error_type: text("type")
            .filter(|kind| kind != "error")
            .or_else(|| text("__type").as_deref().and_then(exception))
            .or(word),
        param: text("param").or(google.field),
        retry_after_ms: google.retry_after_ms,
        status,
        // https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
        original_status: value
            .get("OriginalStatusCode")
            .and_then(Value::as_u64)
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (400..600).contains(status)),
    }
}

/// What Google says of an error beside its message.
/// <https://cloud.google.com/apis/design/errors#error_details>
#[derive(Default)]
struct Details {
    /// `ErrorInfo.reason`
    reason: Option<String>,
    /// `BadRequest.fieldViolations[0].field`
    field: Option<String>,
    /// `RetryInfo.retryDelay`, such as `34.074824224s`
    retry_after_ms: Option<u64>,
}

impl Details {
    fn of(error: &Value) -> Details {
        let mut found = Details::default();
        let details = error.get("details").and_then(Value::as_array);
        for detail in details.into_iter().flatten().take(MAX_DETAILS) {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).and_then(clean);
            found.reason = found.reason.or_else(|| text(detail.get("reason")));
            let violation = detail.get("fieldViolations").and_then(|list| list.get(0));
            let field = violation.and_then(|violation| violation.get("field"));
            found.field = found.field.or_else(|| text(field));
            let delay = text(detail.get("retryDelay"));
            let seconds = delay.and_then(|delay| delay.strip_suffix('s')?.parse::<f64>().ok());
            found.retry_after_ms = found.retry_after_ms.or_else(|| ms_of(seconds?));
        }
        found
    }
}

/// Milliseconds of seconds, within reason.
fn ms_of(seconds: f64) -> Option<u64> {
    let ms = (seconds * 1000.0).ceil();
    (ms.is_finite() && ms >= 0.0).then_some((ms as u64).min(MAX_RETRY_AFTER_MS))
}

fn code_of(value: &Value) -> Option<String> {
    value.get("code").and_then(|code| match code {
        Value::String(text) => clean(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

/// A message that is not JSON. Markup is not shown: it is an error page of something in between.
fn plain_text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    if text.starts_with(['<', '{', '[']) {
        return None;
    }
    clean(text)
}

/// Without control characters and at most [`MAX_MESSAGE`] bytes; `None` if nothing is left.
fn clean(text: &str) -> Option<String> {
    let mut kept = String::new();
    for character in text.trim().chars() {
        if kept.len().saturating_add(character.len_utf8()) > MAX_MESSAGE {
            break;
        }
        match character {
            '\n' | '\t' => kept.push(' '),
            _ if character.is_control() => {}
            _ => kept.push(character),
        }
    }
    (!kept.is_empty()).then_some(kept)
}

fn clip(body: &[u8]) -> Bytes {
    Bytes::copy_from_slice(body.get(..MAX_BODY).unwrap_or(body))
}

/// `retry-after-ms` in milliseconds, else `retry-after` in seconds (fractions allowed). The form
/// with a date needs a clock, which this crate has not.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| -> Option<f64> {
        let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
    ms_of(seconds?)
}

#[cfg(test)]
mod tests;
