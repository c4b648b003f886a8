use super::*;

fn check(status: u16, body: &str) -> (FaultKind, String) {
    let status = StatusCode::from_u16(status).unwrap();
    let fault = read(status, &HeaderMap::new(), &Bytes::copy_from_slice(body.as_bytes()));
    assert_eq!(fault.status, Some(status.as_u16()));
    (fault.kind, fault.message)
}

#[test]
fn every_envelope_gives_its_message() {
    for body in [
        r#"{"error":{"message":"no","type":"t","param":null,"code":null}}"#,
        r#"{"error":"no"}"#,
        r#"{"error":"Bad Request","message":"no"}"#,
        r#"{"message":"no"}"#,
        r#"{"object":"error","message":"no","type":"BadRequestError","code":400}"#,
        r#"{"detail":"no"}"#,
        r#"{"detail":[{"loc":["body"],"msg":"no","type":"missing"}]}"#,
        r#"[{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}]"#,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#,
        r#""no""#,
        "no",
        " n\u{1b}o\r\n",
    ] {
        assert_eq!(check(400, body), (FaultKind::BadRequest, "no".to_owned()), "{body}");
    }
}

#[test]
fn error_pages_and_empty_bodies_are_not_shown() {
    for body in ["", "<html><body>secret</body></html>", "{\"error\":", "\u{0}"] {
        let (kind, message) = check(502, body);
        assert_eq!(kind, FaultKind::BadGateway);
        assert_eq!(message, "the upstream answered 502 without a message");
    }
}

#[test]
fn statuses_and_words_give_the_kind() {
    use FaultKind as K;
    let message = |text: &str| format!(r#"{{"error":{{"message":{text:?}}}}}"#);
    let code = |text: &str| format!(r#"{{"error":{{"message":"no","code":{text:?}}}}}"#);
    for (status, body, kind) in [
        (301, String::new(), K::Redirect),
        (400, code("context_length_exceeded"), K::ContextWindow),
        (400, message("This model's maximum context length is 8192 tokens."), K::ContextWindow),
        (400, message("prompt is too long: 215000 tokens > 200000 maximum"), K::ContextWindow),
        (400, code("string_above_max_length"), K::BadRequest),
        (400, code("content_policy_violation"), K::ContentPolicy),
        (400, code("content_filter"), K::ContentPolicy),
        (
            403,
            message("Your request was rejected as a result of our safety system."),
            K::ContentPolicy,
        ),
        (400, message("Output blocked by content filtering policy"), K::ContentPolicy),
        (400, message("Your credit balance is too low to access the API"), K::Payment),
        (400, code("model_not_found"), K::NotFound),
        (401, message("bad key"), K::Credential),
        (402, message("pay"), K::Payment),
        (403, message("no"), K::Credential),
        (404, message("no"), K::NotFound),
        (408, message("no"), K::Timeout),
        (409, message("no"), K::Conflict),
        (413, message("no"), K::TooLarge),
        (418, message("no"), K::BadRequest),
        (422, message("no"), K::Unprocessable),
        (429, message("no"), K::RateLimit),
        (500, message("no"), K::Server),
        (502, message("no"), K::BadGateway),
        (503, message("no"), K::Unavailable),
        (504, message("no"), K::GatewayTimeout),
        (529, message("Overloaded"), K::Unavailable),
    ] {
        assert_eq!(check(status, &body).0, kind, "{status} {body}");
    }
}

#[test]
fn an_error_inside_a_stream_has_the_status_it_names() {
    for (body, kind) in [
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            FaultKind::Unavailable,
        ),
        (r#"{"error":{"code":502,"message":"Provider disconnected"}}"#, FaultKind::BadGateway),
        (r#"{"error":{"type":"invalid_request_error","message":"no"}}"#, FaultKind::BadRequest),
        (r#"{"error":{"message":"something"}}"#, FaultKind::Server),
    ] {
        assert_eq!(inside(body.as_bytes()).kind, kind, "{body}");
    }
}

#[test]
fn retry_after_is_read_in_seconds_and_milliseconds() {
    let read = |name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after_ms(&headers)
    };
    assert_eq!(read("retry-after", "7"), Some(7_000));
    assert_eq!(read("retry-after", "0.25"), Some(250));
    assert_eq!(read("retry-after-ms", "120"), Some(120));
    assert_eq!(read("retry-after", "-1"), None);
    assert_eq!(read("retry-after", "NaN"), None);
    assert_eq!(read("retry-after", "1e300"), Some(MAX_RETRY_AFTER_MS));
    assert_eq!(read("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), None);
}

#[test]
fn bodies_and_messages_are_bounded() {
    let long = "x".repeat(200_000);
    let fault = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), long.as_bytes());
    assert_eq!(fault.body.len(), MAX_BODY);
    assert_eq!(fault.message.len(), MAX_MESSAGE);
}

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>
#[test]
fn amazons_errors_are_named_in_a_header_or_in_the_body() {
    use FaultKind as K;
    for (status, name, message, kind) in [
        (400, "ValidationException", "Malformed input request", K::BadRequest),
        (400, "ValidationException", "Input is too long for requested model.", K::ContextWindow),
        (400, "ValidationException", "The provided model identifier is invalid.", K::NotFound),
        (400, "ServiceQuotaExceededException", "no", K::RateLimit),
        (403, "AccessDeniedException", "no", K::Credential),
        (403, "InvalidSignatureException", "no", K::Credential),
        (400, "ExpiredTokenException", "no", K::Credential),
        (404, "ResourceNotFoundException", "no", K::NotFound),
        (408, "ModelTimeoutException", "no", K::Timeout),
        (424, "ModelErrorException", "no", K::Server),
        (429, "ThrottlingException", "no", K::RateLimit),
        (429, "ModelNotReadyException", "no", K::RateLimit),
        (500, "InternalServerException", "no", K::Server),
        (503, "ServiceUnavailableException", "no", K::Unavailable),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let mut headers = HeaderMap::new();
        let long = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
        headers.insert("x-amzn-errortype", long.parse().unwrap());
        let body = format!(r#"{{"message":"{message}"}}"#);
        let fault = read(status, &headers, body.as_bytes());
        assert_eq!((fault.kind, fault.message.as_str()), (kind, message), "{name}");
        assert_eq!(fault.error_type.as_deref(), Some(name));
        let body =
            format!(r#"{{"__type":"com.amazon.coral.service#{name}","Message":"{message}"}}"#);
        assert_eq!(read(status, &HeaderMap::new(), body.as_bytes()).kind, kind, "{name}");
        // Within a stream the name begins small, and there is no status but its own.
        let mut small = name.to_owned();
        small[..1].make_ascii_lowercase();
        let body = format!(r#"{{"message":"{message}"}}"#);
        let fault = named(&small, body.as_bytes());
        assert_eq!(fault.error_type.as_deref(), Some(name));
    }
    assert_eq!(named("modelStreamErrorException", b"{}").kind, K::Server);
    assert_eq!(named("", b"").kind, K::Server);
}

/// <https://ai.google.dev/gemini-api/docs/troubleshooting>
#[test]
fn googles_envelope_says_when_to_come_back_and_what_was_wrong() {
    let quota = br#"{"error":{"code":429,"message":"You exceeded your current quota.","status":
        "RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure"},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}]}}"#;
    let fault = read(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), quota);
    assert_eq!(fault.kind, FaultKind::RateLimit);
    assert_eq!(fault.retry_after_ms, Some(34_075));
    assert_eq!(fault.error_type.as_deref(), Some("RESOURCE_EXHAUSTED"));
    let field =
        br#"{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"x\"",
        "status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations":[{"field":"generation_config","description":"Unknown name"}]}]}}"#;
    let fault = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), field);
    assert_eq!(fault.kind, FaultKind::BadRequest);
    assert_eq!(fault.param.as_deref(), Some("generation_config"));
    let key = br#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",
        "status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
        "reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
    let fault = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), key);
    assert_eq!(fault.kind, FaultKind::Credential);
    assert_eq!(fault.code.as_deref(), Some("API_KEY_INVALID"));
    let long =
        br#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum
        number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#;
    let long = String::from_utf8_lossy(long).replace('\n', "").replace("        ", " ");
    let fault = read(StatusCode::BAD_REQUEST, &HeaderMap::new(), long.as_bytes());
    assert_eq!(fault.kind, FaultKind::ContextWindow);
    let overloaded = br#"{"error":{"message":"Overloaded","status":"UNAVAILABLE"}}"#;
    assert_eq!(inside(overloaded).kind, FaultKind::Unavailable);
}
