use super::*;

/// 2026-11-22T16:05:09Z
const NOW_S: u64 = 1_795_363_509;

fn keys(token: Option<&str>) -> Keys {
    Keys {
        access: "AKIDEXAMPLE".to_owned(),
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        token: token.map(Secret::new),
    }
}

struct Vector {
    method: &'static str,
    host: &'static str,
    path: &'static str,
    kind: Option<&'static str>,
    body: &'static str,
    token: Option<&'static str>,
    scope: Scope<'static>,
    names: &'static str,
    signature: &'static str,
}

#[track_caller]
fn check(vector: &Vector) {
    let headers: Vec<_> = vector
        .kind
        .map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)))
        .into_iter()
        .collect();
    // The body comes in pieces.
    let (a, b) = vector.body.as_bytes().split_at(vector.body.len() / 2);
    let body = [Bytes::from_static(a), Bytes::from_static(b)];
    let request = Unsigned {
        method: vector.method,
        path: vector.path,
        host: vector.host,
        headers: &headers,
        body: &body,
    };
    let signed = sign(&keys(vector.token), vector.scope, request).unwrap();
    let (name, value) = signed.last().unwrap();
    assert_eq!(name, AUTHORIZATION);
    assert!(value.is_sensitive());
    let text = value.to_str().unwrap();
    let (Scope { region, service, now_s }, date) = (vector.scope, &timestamp(vector.scope.now_s));
    assert_eq!(
        text,
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}/{region}/{service}/aws4_request, \
             SignedHeaders={}, Signature={}",
            &date[..8],
            vector.names,
            vector.signature
        ),
        "{} at {now_s}",
        vector.path
    );
    let sent = |name: HeaderName| {
        signed.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_str().unwrap())
    };
    assert_eq!(sent(DATE), Some(date.as_str()));
    assert_eq!(sent(TOKEN), vector.token);
}

/// Amazon's own: <https://docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html>
#[test]
fn the_test_suite() {
    // 2015-08-30T12:36:00Z
    let scope = Scope { region: "us-east-1", service: "service", now_s: 1_440_938_160 };
    let plain = Vector {
        method: "GET",
        host: "example.amazonaws.com",
        path: "/",
        kind: None,
        body: "",
        token: None,
        scope,
        names: "host;x-amz-date",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    };
    check(&plain);
    check(&Vector {
        method: "POST",
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ..plain
    });
    check(&Vector {
        method: "POST",
        kind: Some("application/x-www-form-urlencoded"),
        body: "Param1=value1",
        names: "content-type;host;x-amz-date",
        signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ..plain
    });
    check(&Vector {
        path: "/?Param2=value2&Param1=value1",
        signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ..plain
    });
}

/// What botocore signs, byte by byte.
#[test]
fn calls_of_bedrock_and_the_token_service() {
    let bedrock = |region| Scope { region, service: "bedrock", now_s: NOW_S };
    check(&Vector {
        method: "POST",
        host: "bedrock-runtime.us-east-1.amazonaws.com",
        path: "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        kind: Some("application/json"),
        body: r#"{"messages":[]}"#,
        token: None,
        scope: bedrock("us-east-1"),
        names: "content-type;host;x-amz-date",
        signature: "7f85cf97d6d4b7e430fdc8715cb8ebd039f970500e5630234d05130e97976330",
    });
    check(&Vector {
        method: "POST",
        host: "bedrock-runtime.eu-west-1.amazonaws.com",
        path: "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3A\
               application-inference-profile%2Fa1b2c3/converse-stream",
        kind: Some("application/json"),
        body: "{}",
        token: Some("IQoJb3JpZ2luX2Vj//example=="),
        scope: bedrock("eu-west-1"),
        names: "content-type;host;x-amz-date;x-amz-security-token",
        signature: "a3b1c155cd42c4a733209fffb81d9731c5ade32237277c6d75ba0df61d310e17",
    });
    check(&Vector {
        method: "POST",
        host: "127.0.0.1:8080",
        path: "/x/model/m/converse?b=2&a=%20%2F1",
        kind: None,
        body: "",
        token: None,
        scope: bedrock("eu-west-1"),
        names: "host;x-amz-date",
        signature: "dce3ed6f2730e00fe8b14c197dd73811e42b1d165353b30f5186acc81833b297",
    });
    check(&Vector {
        method: "POST",
        host: "sts.us-east-1.amazonaws.com",
        path: "/",
        kind: Some("application/x-www-form-urlencoded"),
        body: "Action=AssumeRole&RoleSessionName=a+b",
        token: None,
        scope: Scope { region: "us-east-1", service: "sts", now_s: NOW_S },
        names: "content-type;host;x-amz-date",
        signature: "32e84a49f00836770096b7c4e0bd00c4e04a6e4e4a14502529500bc91303a795",
    });
}

#[test]
fn times_both_ways() {
    for (s, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_440_938_160, "2015-08-30T12:36:00Z"),
        (NOW_S, "2026-11-22T16:05:09Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(seconds(text), Some(s), "{text}");
        assert_eq!(timestamp(s), text.replace(['-', ':'], ""));
    }
    for day in (0..80_000).step_by(7) {
        let text = timestamp(day * 86_400);
        let text = format!("{}-{}-{}T00:00:00.123Z", &text[..4], &text[4..6], &text[6..8]);
        assert_eq!(seconds(&text), Some(day * 86_400), "{text}");
    }
    for text in ["", "2026-11-22", "2026-13-22T16:05:09Z", "2026-11-22T16:05:09+01:00", "x"] {
        assert_eq!(seconds(text), None, "{text}");
    }
}

#[test]
fn keys_that_no_header_can_carry_are_a_fault() {
    let bad = Keys { token: Some(Secret::new("a\nb")), ..keys(None) };
    let scope = Scope { region: "us-east-1", service: "bedrock", now_s: NOW_S };
    let request = Unsigned { method: "POST", path: "/", host: "h", headers: &[], body: &[] };
    let fault = sign(&bad, scope, request).unwrap_err();
    assert_eq!(fault.kind, tollgate_wire::FaultKind::Credential);
    assert!(!fault.message.contains("a\nb"));
}
