use axum::{
    Json, Router,
    routing::{get, post},
};
use http::HeaderMap;

use super::*;
use crate::{cli::terminal::Paint, demo};

/// A gateway that is only as much of one as the demo asks for: the provider itself, with a key
/// that is always the same and a usage row that is always the same.
async fn serve(_wanted: Wanted) -> anyhow::Result<Running> {
    let key = post(async |headers: HeaderMap| {
        assert_eq!(headers.get("authorization").unwrap(), "Bearer sk-master");
        Json(json!({"key": "sk-demo"}))
    });
    let logs = get(async || {
        Json(json!({"data": [
        {"prompt_tokens": 10, "completion_tokens": 1234, "spend": 0.0000125}]}))
    });
    let app = Router::new()
        .route("/key/generate", key)
        .route("/spend/logs/v2", logs)
        .merge(demo::provider::router(Duration::from_millis(1)))
        .layer(axum::middleware::from_fn(rename));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let task = tokio::spawn(async move { axum::serve(listener, app).await });
    let stop = Box::pin(async move {
        task.abort();
        Ok(())
    });
    Ok(Running { url, master_key: "sk-master".into(), stop })
}

/// What the real gateway does between its clients and the provider: the public model name becomes
/// the provider's, and the answer has a call id.
async fn rename(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap().replace("demo/chat", "demo-chat");
    let mut request = axum::extract::Request::from_parts(parts, body.into());
    request.headers_mut().remove("content-length");
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-litellm-call-id", http::HeaderValue::from_static("id-1"));
    response
}

#[tokio::test]
async fn one_answer_its_figures_and_what_to_paste_next() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal =
        Terminal { out: &mut out, err: &mut err, out_paint: Paint::Plain, err_paint: Paint::Plain };
    let args = DemoArgs { once: true, port: Some(0), prompt: Some("hello".into()) };
    show(args, serve, &mut terminal).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("Tollgate demo\n"), "{out}");
    assert!(out.contains("> hello\n"), "{out}");
    assert!(out.contains("(scripted: the demo provider answered"), "{out}");
    assert!(out.contains("demo/chat · 10 + 1,234 tokens · $0.0000125 · first word "), "{out}");
    assert!(out.contains("Authorization: Bearer sk-demo"), "{out}");
    assert!(out.contains("api_key=\"sk-demo\""), "{out}");
    assert!(out.ends_with("without --once it goes on serving.\n"), "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
}

#[test]
fn the_configuration_names_every_model_and_its_price() {
    let text = config("http://127.0.0.1:1/v1", "sk-master");
    for name in super::super::provider::MODELS {
        assert!(text.contains(&format!("model: demo/{name}\n")), "{text}");
    }
    assert_eq!(text.matches("url: http://127.0.0.1:1/v1\n").count(), 1);
}
