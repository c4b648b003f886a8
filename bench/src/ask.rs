//! The requests of the load generator: as the official SDK would send them.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Dialect;

/// What to ask for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The API's spelling.
    pub dialect: Dialect,
    /// `host:port`, for the `host` header.
    pub host: String,
    /// The path, with the base in front of it.
    pub path: String,
    /// The model's name.
    pub model: String,
    /// `stream: true`
    pub stream: bool,
    /// Ask for a stream's usage event, where the dialect leaves that to the client.
    pub usage: bool,
    /// About how many bytes the body shall have.
    pub body_bytes: usize,
}

impl Ask {
    /// The head of a request with this key: what the official SDK sends.
    pub fn head(&self, key: &str, length: usize) -> Vec<u8> {
        let Ask { path, host, .. } = self;
        let (sdk, key) = match self.dialect {
            Dialect::Openai => ("OpenAI/Python 2.8.1", format!("authorization: Bearer {key}")),
            _ => (
                "Anthropic/Python 0.76.0",
                format!("x-api-key: {key}\r\nanthropic-version: 2023-06-01"),
            ),
        };
        format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n\
             accept-encoding: gzip, deflate\r\nconnection: keep-alive\r\nuser-agent: {sdk}\r\n\
             content-type: application/json\r\nx-stainless-lang: python\r\n\
             x-stainless-package-version: 2.8.1\r\nx-stainless-os: Linux\r\n\
             x-stainless-arch: x64\r\nx-stainless-runtime: CPython\r\n\
             x-stainless-runtime-version: 3.13.7\r\nx-stainless-async: false\r\n\
             x-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\n{key}\r\n\
             content-length: {length}\r\n\r\n"
        )
        .into_bytes()
    }

    /// The body: one system prompt and one user prompt, as long as asked for.
    pub fn body(&self) -> Bytes {
        const LINE: &str = "Say in \"one\" sentence what follows from this line of the minutes:\n\
            the committee met again, costs rose by 3.2 %, and nobody asked why. ";
        let empty = self.with_prompt("").to_string().len();
        let escaped = Value::from(LINE).to_string().len().saturating_sub(2).max(1);
        let want = self.body_bytes.saturating_sub(empty);
        let mut prompt = LINE.repeat(want / escaped);
        prompt.extend(std::iter::repeat_n('.', want % escaped));
        Bytes::from(self.with_prompt(&prompt).to_string())
    }

    fn with_prompt(&self, prompt: &str) -> Value {
        const SYSTEM: &str = "You answer briefly and in plain words.";
        let user = json!({"role": "user", "content": prompt});
        let mut body = match self.dialect {
            Dialect::Openai => json!({
                "messages": [{"role": "system", "content": SYSTEM}, user],
                "model": self.model, "max_tokens": 256, "temperature": 0.7
            }),
            _ => json!({
                "max_tokens": 256, "messages": [user], "model": self.model,
                "system": SYSTEM, "temperature": 0.7
            }),
        };
        if let (true, Some(object)) = (self.stream, body.as_object_mut()) {
            object.insert("stream".to_owned(), true.into());
            if self.usage && self.dialect == Dialect::Openai {
                object.insert("stream_options".to_owned(), json!({"include_usage": true}));
            }
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_as_long_as_asked_for() {
        for body_bytes in [1024, 102_400] {
            let ask = Ask {
                dialect: Dialect::Openai,
                host: "localhost".to_owned(),
                path: "/v1/chat/completions".to_owned(),
                model: "bench".to_owned(),
                stream: true,
                usage: true,
                body_bytes,
            };
            let body = ask.body();
            assert_eq!(body.len(), body_bytes);
            serde_json::from_slice::<Value>(&body).unwrap();
        }
    }
}
