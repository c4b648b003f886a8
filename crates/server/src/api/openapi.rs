//! `/openapi.json`, made from one table, so that it says what [`super::router`] serves. A test
//! compares the two.

use axum::Json;
use serde_json::{Map, Value, json};

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Auth {
    /// Anybody.
    None,
    /// Any key that is neither blocked nor expired.
    Key,
    /// The master key.
    Admin,
}

/// A path with a method.
struct Operation {
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    auth: Auth,
    /// Query parameters: name and meaning.
    query: &'static [(&'static str, &'static str)],
    /// The name of the body's schema; empty for none.
    body: &'static str,
}

const fn op(
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    auth: Auth,
) -> Operation {
    Operation { method, path, tag, summary, auth, query: &[], body: "" }
}

impl Operation {
    const fn body(mut self, schema: &'static str) -> Self {
        self.body = schema;
        self
    }

    const fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }
}

const LOGS: &[(&str, &str)] = &[
    ("start_date", "from this moment on: 2026-11-22 or 2026-11-22T10:00:00Z (UTC)"),
    ("end_date", "until this moment; a bare date means the whole day"),
    ("api_key", "a key or its hash; the master key only"),
    ("key_alias", "a key's alias"),
    ("user_id", "a user"),
    ("team_id", "a team"),
    ("end_user", "an end user"),
    ("request_id", "one request: the answer's x-litellm-call-id"),
    ("status_filter", "success or failure"),
    ("model", "the public name or the provider's"),
    ("min_spend", "least cost in USD"),
    ("max_spend", "most cost in USD"),
    ("sort_by", "startTime, spend or total_tokens"),
    ("sort_order", "asc or desc"),
    ("page", "from 1"),
    ("page_size", "at most 1,000; 50 if not said"),
];

const LIST: &[(&str, &str)] = &[
    ("page", "from 1"),
    ("size", "at most 100; 10 if not said"),
    ("user_id", "only this user's keys"),
    ("team_id", "only this team's keys"),
    ("key_hash", "only this key"),
    ("key_alias", "only the key of this alias"),
    ("return_full_object", "true gives whole objects instead of hashes"),
];

const DETAILS: (&str, &str) =
    ("details", "true adds OpenRouter's fields: pricing, context_length, supported_parameters, …");

const MODELS: &[(&str, &str)] = &[
    DETAILS,
    ("return_wildcard_routes", "true lists wildcards such as openai/* too"),
    ("include_metadata", "true adds metadata.fallbacks"),
    ("fallback_type", "general, context_window or content_policy"),
    ("search", "only names that have this in them"),
    ("limit", "at most 1,000 rows; 20 in Anthropic's form if not said"),
    ("after_id", "only what comes after this model"),
    ("before_id", "only what comes before this model"),
];

const OPERATIONS: &[Operation] = &[
    op(
        "post",
        "/v1/chat/completions",
        "chat",
        "Chat in OpenAI's spelling, streamed or not",
        Auth::Key,
    )
    .body("Chat"),
    op("post", "/v1/messages", "chat", "Chat in Anthropic's spelling, streamed or not", Auth::Key)
        .body("Messages"),
    op(
        "post",
        "/v1/messages/count_tokens",
        "chat",
        "How many tokens messages in Anthropic's spelling are; free",
        Auth::Key,
    )
    .body("Count"),
    op("post", "/v2/chat", "chat", "Chat in Cohere's spelling, streamed or not", Auth::Key)
        .body("CohereChat"),
    op("post", "/v1/responses", "chat", "OpenAI's responses, streamed or not", Auth::Key)
        .body("Responses"),
    op("get", "/v1/responses/{id}", "chat", "An answer that its provider keeps", Auth::Key).query(
        &[
            ("stream", "true for the events of one in the background"),
            ("starting_after", "events from behind this sequence_number on"),
        ],
    ),
    op("delete", "/v1/responses/{id}", "chat", "The same, deleted", Auth::Key),
    op("get", "/v1/responses/{id}/input_items", "chat", "What it was asked with", Auth::Key),
    op(
        "post",
        "/v1/responses/{id}/cancel",
        "chat",
        "An answer in the background, ended",
        Auth::Key,
    ),
    op("post", "/v1/completions", "chat", "A prompt completed, streamed or not", Auth::Key)
        .body("Completions"),
    op("post", "/v1/embeddings", "embeddings", "Texts into vectors", Auth::Key).body("Embeddings"),
    op("post", "/v2/embed", "embeddings", "The same in Cohere's spelling", Auth::Key)
        .body("CohereEmbed"),
    op(
        "post",
        "/v1beta/models/{id}:generateContent",
        "chat",
        "Chat in Google's spelling; the model is in the path",
        Auth::Key,
    )
    .body("Generate"),
    op(
        "post",
        "/v1beta/models/{id}:streamGenerateContent",
        "chat",
        "The same, streamed: as events with `alt=sse`, else as a JSON list",
        Auth::Key,
    )
    .query(&[("alt", "sse for events")])
    .body("Generate"),
    op(
        "post",
        "/v1beta/models/{id}:countTokens",
        "chat",
        "How many tokens contents in Google's spelling are; free",
        Auth::Key,
    )
    .body("Generate"),
    op("get", "/v1beta/models", "models", "The same models in Google's spelling", Auth::Key)
        .query(&[("pageSize", "most models; 50 if not said"), ("pageToken", "from the last page")]),
    op("get", "/v1beta/models/{id}", "models", "One model in Google's spelling", Auth::Key),
    op(
        "get",
        "/v1/models",
        "models",
        "The models that the key may use; Anthropic's form where `anthropic-version` is sent",
        Auth::Key,
    )
    .query(MODELS),
    op("get", "/v1/models/{id}", "models", "One model", Auth::Key).query(&[DETAILS]),
    op(
        "get",
        "/model/info",
        "models",
        "Each entry of model_list with limits and prices, without secrets",
        Auth::Key,
    )
    .query(&[("litellm_model_id", "only this entry")]),
    op(
        "get",
        "/model_group/info",
        "models",
        "Each public name with what its targets have in common",
        Auth::Key,
    )
    .query(&[("model_group", "only this name")]),
    op(
        "post",
        "/utils/token_counter",
        "models",
        "How many tokens a prompt is; tokenizer_type says who counted",
        Auth::Key,
    )
    .query(&[("call_endpoint", "true asks the provider where it can count")])
    .body("TokenCounter"),
    op(
        "post",
        "/utils/transform_request",
        "models",
        "What would be sent for a request: URL, headers with secrets masked, body",
        Auth::Admin,
    )
    .body("TransformRequest"),
    op(
        "get",
        "/utils/supported_openai_params",
        "models",
        "Which of OpenAI's parameters reach a model",
        Auth::Key,
    )
    .query(&[("model", "a public name, or provider/model")]),
    op(
        "get",
        "/utils/model_info",
        "models",
        "Limits, prices and parameters of a model, configured or not",
        Auth::Key,
    )
    .query(&[("model", "a public name, or provider/model")]),
    op("post", "/key/generate", "keys", "Make a key; it is shown this once", Auth::Admin)
        .body("Key"),
    op("post", "/key/update", "keys", "Change the fields that are sent", Auth::Admin)
        .body("KeyUpdate"),
    op("post", "/key/delete", "keys", "Delete keys", Auth::Admin).body("KeyDelete"),
    op("post", "/key/block", "keys", "Block a key", Auth::Admin).body("KeyName"),
    op("post", "/key/unblock", "keys", "Unblock a key", Auth::Admin).body("KeyName"),
    op(
        "post",
        "/key/regenerate",
        "keys",
        "A new key with the same settings; the old one ends",
        Auth::Admin,
    )
    .body("KeyUpdate"),
    op("post", "/key/{key}/regenerate", "keys", "The same, the key in the path", Auth::Admin)
        .body("Key"),
    op(
        "get",
        "/key/info",
        "keys",
        "A key's settings and spend; the caller's own if none is named",
        Auth::Key,
    )
    .query(&[("key", "a key or its hash; the master key may name any")]),
    op("get", "/key/list", "keys", "Keys, page by page", Auth::Admin).query(LIST),
    op("get", "/spend/logs/v2", "spend", "Usage rows; a virtual key sees its own", Auth::Key)
        .query(LOGS),
    op("get", "/spend/logs", "spend", "The same as a bare list", Auth::Key).query(LOGS),
    op("get", "/spend/summary", "spend", "Sums by key, model or day", Auth::Key).query(LOGS),
    op(
        "get",
        "/health",
        "health",
        "Each target's state as the traffic showed it; makes no call",
        Auth::Admin,
    ),
    op("get", "/health/liveliness", "health", "Whether the process is there", Auth::None),
    op("get", "/health/readiness", "health", "Whether it serves, and its database", Auth::None),
    op("get", "/metrics", "health", "Counters for Prometheus", Auth::Admin),
    op("get", "/openapi.json", "docs", "This document", Auth::None),
];

/// `GET /openapi.json`
pub(super) async fn json() -> Json<Value> {
    Json(document())
}

fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(operation.method.to_owned(), described(operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every model of every provider through one API, one key and one bill.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas(),
        },
    })
}

fn described(operation: &Operation) -> Value {
    let who = match operation.auth {
        Auth::None => "No key needed.",
        Auth::Key => "Any key.",
        Auth::Admin => "The master key only.",
    };
    let in_path = operation.path.split('/').filter_map(|piece| {
        let name = piece.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let in_query = operation.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } })
    });
    let error = json!({ "$ref": "#/components/schemas/Error" });
    let mut shown = json!({
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": who,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {
            "200": { "description": "done" },
            "default": {
                "description": "refused; `error.code` says why",
                "content": { "application/json": { "schema": error } },
            },
        },
    });
    if let Some(fields) = shown.as_object_mut() {
        if operation.auth != Auth::None {
            fields.insert("security".to_owned(), json!([{ "key": [] }]));
        }
        if !operation.body.is_empty() {
            let schema = format!("#/components/schemas/{}", operation.body);
            let content = json!({ "application/json": { "schema": { "$ref": schema } } });
            fields
                .insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
        }
    }
    shown
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    let number = json!({ "type": ["number", "null"] });
    let whole = json!({ "type": ["integer", "null"], "minimum": 0 });
    let key_fields = json!({
        "key_alias": { "type": ["string", "null"], "description": "a name of your own; unique" },
        "models": { "type": "array", "items": text, "description": "names or patterns such as apertis/*; empty means all" },
        "duration": { "type": ["string", "null"], "description": "how long the key lives: 30s, 15m, 24h, 30d, 1mo; null for ever" },
        "max_budget": { "type": ["number", "null"], "description": "USD" },
        "soft_budget": number,
        "budget_duration": { "type": ["string", "null"], "description": "after which the budget starts anew: 24h, 7d, 30d" },
        "rpm_limit": whole,
        "tpm_limit": whole,
        "max_parallel_requests": whole,
        "metadata": { "type": "object" },
        "tags": texts,
        "user_id": { "type": ["string", "null"] },
        "team_id": { "type": ["string", "null"] },
        "blocked": { "type": "boolean" },
    });
    let mut with_key = key_fields.clone();
    let mut named = key_fields.clone();
    if let (Some(own), Some(named)) = (with_key.as_object_mut(), named.as_object_mut()) {
        own.insert("key".to_owned(), json!({ "type": "string", "description": "a key of your own: sk- and 16 characters at least" }));
        named.insert(
            "key".to_owned(),
            json!({ "type": "string", "description": "the key or its hash" }),
        );
    }
    let message = json!({ "type": "object", "required": ["role"], "properties": { "role": text, "content": {} } });
    let messages = json!({ "type": "array", "items": message });
    let open = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": true });
    json!({
        "Chat": open(&["model", "messages"], json!({
            "model": text, "messages": messages, "stream": { "type": "boolean" },
            "temperature": number, "top_p": number, "max_tokens": whole,
            "frequency_penalty": number, "presence_penalty": number, "stop": {},
            "tools": { "type": "array", "items": {} }, "tool_choice": {},
        })),
        "Messages": open(&["model", "messages", "max_tokens"], json!({
            "model": text, "messages": messages, "max_tokens": { "type": "integer" },
            "system": {}, "stream": { "type": "boolean" }, "tools": { "type": "array", "items": {} },
        })),
        "Generate": open(&["contents"], json!({
            "contents": { "type": "array", "items": {} }, "systemInstruction": {},
            "generationConfig": {}, "safetySettings": { "type": "array", "items": {} },
            "tools": { "type": "array", "items": {} }, "toolConfig": {},
        })),
        "Count": open(&["model", "messages"], json!({
            "model": text, "messages": messages, "system": {},
            "tools": { "type": "array", "items": {} },
        })),
        "TokenCounter": open(&["model"], json!({
            "model": text, "prompt": text, "messages": messages,
            "contents": { "type": "array", "items": {} }, "system": {},
            "tools": { "type": "array", "items": {} },
        })),
        "TransformRequest": { "type": "object", "required": ["call_type", "request_body"], "properties": {
            "call_type": { "type": "string", "description": "completion, embedding, anthropic_messages, responses, text_completion, or a path" },
            "request_body": { "type": "object" },
        }},
        "Responses": open(&["model"], json!({
            "model": text, "input": {}, "instructions": text, "stream": { "type": "boolean" },
            "background": { "type": "boolean" },
            "tools": { "type": "array", "items": {} }, "previous_response_id": text,
        })),
        "Completions": open(&["model", "prompt"], json!({
            "model": text, "prompt": {}, "stream": { "type": "boolean" },
        })),
        "Embeddings": open(&["model", "input"], json!({ "model": text, "input": {} })),
        "CohereChat": open(&["model", "messages"], json!({
            "model": text, "messages": messages, "max_tokens": { "type": "integer" },
            "stream": { "type": "boolean" }, "tools": { "type": "array", "items": {} },
        })),
        "CohereEmbed": open(&["model", "texts", "input_type"], json!({
            "model": text, "texts": texts, "input_type": text,
        })),
        "Key": { "type": "object", "properties": with_key },
        "KeyUpdate": { "type": "object", "required": ["key"], "properties": named },
        "KeyName": { "type": "object", "required": ["key"], "properties": { "key": text } },
        "KeyDelete": { "type": "object", "properties": { "keys": texts, "key_aliases": texts } },
        "Error": { "type": "object", "required": ["error"], "properties": { "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": { "message": text, "type": text, "param": { "type": ["string", "null"] }, "code": text },
        }}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the router's source says it serves, so that a route without a description fails here.
    #[test]
    fn every_route_is_described() {
        let aliases = [
            "/models",
            "/models/{*id}",
            "/v1/model/info",
            "/gemini/v1beta/models",
            "/gemini/v1beta/models/{*id}",
            "/health/liveness",
            "/docs",
            "/docs/docs.js",
            "/docs/docs.css",
            "/",
        ];
        let source = include_str!("mod.rs");
        let served = source.lines().filter_map(|line| {
            let rest = line.trim().strip_prefix(".route(\"")?;
            let (path, handler) = rest.split_once("\", ")?;
            Some((path, handler.split('(').next().unwrap()))
        });
        let mut count = 0;
        for (path, method) in served {
            count += 1;
            if aliases.contains(&path) {
                continue;
            }
            let path = path.replace("{*id}", "{id}");
            assert!(
                OPERATIONS.iter().any(|op| op.path == path && op.method == method),
                "{method} {path} is not in the table"
            );
        }
        assert!(count > 20, "the routes were not found in the source");
    }

    #[test]
    fn every_described_path_is_served() {
        let source = include_str!("mod.rs");
        for operation in OPERATIONS {
            let method = operation.method.to_uppercase().parse().unwrap();
            let uri = operation.path.replace(['{', '}'], "").parse().unwrap();
            let kept = tollgate_gateway::stored::wanted(&method, &uri, &http::HeaderMap::new());
            let hot = tollgate_gateway::surface(operation.path).is_some() || kept.is_some();
            let path = operation.path.replace("{id}", "{*id}");
            let cold = source.contains(&format!(".route(\"{path}\", {}(", operation.method));
            assert!(hot || cold, "{} {} is not served", operation.method, operation.path);
        }
    }

    #[test]
    fn the_document_is_as_reviewed() {
        insta::assert_json_snapshot!(document());
    }
}
