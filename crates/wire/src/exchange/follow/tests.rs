use std::sync::Arc;

use http::header::AUTHORIZATION;

use super::*;
use crate::{Dialect, Provider, Secret};

fn target(base: &str) -> Target {
    let provider = Provider {
        follows: vec!["stream.example.com".into(), "*.c.example.net".into()],
        ..Provider::default()
    };
    Target {
        id: "t".into(),
        provider: Arc::new(provider),
        model: "m".into(),
        dialect: Dialect::Replicate,
        base: base.into(),
        credential: Some(Secret::new("sk-secret")),
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: vec![(HeaderName::from_static("x-team"), HeaderValue::from_static("a"))],
        drop_params: false,
    }
}

#[test]
fn only_the_base_and_listed_hosts_are_asked() {
    let to = target("https://api.example.com/v1");
    for (url, expect) in [
        ("https://stream.example.com/v1/files/x", Some("https://stream.example.com")),
        (
            "https://stream-b.svc.rno2.c.example.net/v1/x",
            Some("https://stream-b.svc.rno2.c.example.net"),
        ),
        ("https://api.example.com/v1/streams/x?y=1", Some("https://api.example.com")),
        ("http://stream.example.com/x", None),
        ("http://api.example.com/x", None),
        ("https://stream.example.com:8443/x", None),
        ("https://api.example.com:444/x", None),
        ("https://stream.example.com.evil.test/x", None),
        ("https://evil.test/stream.example.com/x", None),
        ("https://c.example.net/x", None),
        ("https://.c.example.net/x", None),
        ("https://evilc.example.net/x", None),
        ("https://stream.example.com@evil.test/x", None),
        ("https://user:pw@stream.example.com/x", None),
        ("https://evil.test\\@stream.example.com/x", None),
        ("https://evil.test#.c.example.net/x", None),
        ("https://evil.test?.c.example.net/x", None),
        ("https://STREAM.example.com/x", None),
        ("https://127.0.0.1/x", None),
        ("https://[::1]/x", None),
        ("https://localhost/x", None),
        ("https://stream.example.com", None),
        ("//stream.example.com/x", None),
        ("stream.example.com/x", None),
        ("file:///etc/passwd", None),
        ("https://stream.example.com/a b", None),
        ("https://stream.example.com/\r\nx: y", None),
        ("https://stream.example.com/é", None),
        ("", None),
    ] {
        assert_eq!(place(&to, url).map(|(base, _)| base), expect, "{url}");
    }
    let long = format!("https://stream.example.com/{}", "x".repeat(MAX_URL));
    assert_eq!(place(&to, &long), None);
    let own = target("http://127.0.0.1:8080");
    assert_eq!(place(&own, "http://127.0.0.1:8080/s"), Some(("http://127.0.0.1:8080", "/s")));
    assert_eq!(place(&own, "http://127.0.0.1:8081/s"), None);
}

#[test]
fn the_credential_stays_at_the_base() {
    let to = target("https://api.example.com/v1");
    let shown = |call: &Call| call.headers.iter().any(|(name, _)| name == AUTHORIZATION);
    let own = |call: &Call| call.headers.iter().any(|(name, _)| name == "x-team");
    let (_, call) = stream_at(&to, "https://stream.example.com/v1/files/x").unwrap();
    assert!(!shown(&call) && !own(&call), "{call:?}");
    let (_, call) = stream_at(&to, "https://api.example.com/v1/files/x").unwrap();
    assert!(shown(&call) && own(&call), "{call:?}");
    let call = at_base(&to, "/predictions/x");
    assert!(shown(&call) && own(&call), "{call:?}");
    assert_eq!(call.path, "/v1/predictions/x");
}

#[test]
fn names_of_jobs_stand_in_paths() {
    for (id, fits) in [
        ("gm3qorzdhgbfurvjtvhg6dckhu", true),
        ("a-b_C9", true),
        ("", false),
        ("../account", false),
        ("a/b", false),
        ("a?b", false),
        ("a b", false),
        ("é", false),
    ] {
        assert_eq!(is_id(id), fits, "{id}");
    }
    assert!(!is_id(&"x".repeat(MAX_ID + 1)));
}
