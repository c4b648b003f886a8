//! Reads providers in the schema of LiteLLM's `providers.json`.
//! <https://docs.litellm.ai/docs/provider_registration/>

use std::collections::BTreeMap;

use serde::Deserialize;

use super::CatalogueError;
use crate::{
    matrix::{Dialect, Operation},
    provider::{Patch, Provider},
};

/// One provider as LiteLLM writes it. What concerns its models' abilities and its messages'
/// spelling is known and does nothing here: requests are sent as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    base_url: String,
    api_key_env: String,
    api_base_env: Option<String>,
    #[serde(default)]
    param_mappings: BTreeMap<String, String>,
    #[serde(default)]
    constraints: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    supported_endpoints: Vec<String>,
    #[serde(rename = "base_class")]
    _base_class: Option<String>,
    #[serde(rename = "special_handling")]
    _special_handling: Option<serde_json::Value>,
    #[serde(rename = "model_supported_endpoints")]
    _model_supported_endpoints: Option<serde_json::Value>,
    #[serde(rename = "provider_info")]
    _provider_info: Option<serde_json::Value>,
}

/// The providers of a text, by name.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Provider>, CatalogueError> {
    let tables: BTreeMap<String, Table> =
        serde_json::from_str(text).map_err(|why| CatalogueError::Providers(why.to_string()))?;
    tables
        .into_iter()
        .map(|(name, table)| {
            let wrong = |why| CatalogueError::Provider { provider: name.clone(), why };
            let provider = table.provider().map_err(wrong)?;
            Ok((name, provider))
        })
        .collect()
}

impl Table {
    fn provider(self) -> Result<Provider, String> {
        let mut patch: Vec<Patch> =
            self.param_mappings.into_iter().map(|(from, to)| Patch::Rename(from, to)).collect();
        let bound = |name: &str| self.constraints.get(name).and_then(serde_json::Value::as_f64);
        let (least, most) = (bound("temperature_min"), bound("temperature_max"));
        if least.is_some() || most.is_some() {
            let name = "temperature".to_owned();
            patch.push(Patch::Clamp(name, least.unwrap_or(0.0), most.unwrap_or(2.0)));
        }
        // A header made of the key would show it; the key travels as a bearer.
        let filled = self.headers.iter().find(|(_, value)| value.contains('{'));
        if let Some((header, _)) = filled {
            return Err(format!(
                "`headers`: `{header}` would hold the key, which is sent as a bearer"
            ));
        }
        let has = |path: &str| self.supported_endpoints.iter().any(|known| known == path);
        let mut speaks = BTreeMap::from([(Dialect::Openai, String::new())]);
        if has("/v1/responses") {
            speaks.insert(Dialect::Responses, String::new());
        }
        if has("/v1/messages") {
            speaks.insert(Dialect::Anthropic, String::new());
        }
        let mut ops = vec![Operation::Chat];
        if has("/v1/embeddings") {
            ops.push(Operation::Embeddings);
        }
        Ok(Provider {
            url: self.base_url.trim_end_matches('/').to_owned(),
            key_env: vec![self.api_key_env],
            url_env: self.api_base_env.into_iter().collect(),
            speaks,
            ops,
            headers: self.headers,
            patch,
            ..Provider::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litellms_schema() {
        let text = r#"{"mine": {"base_url": "https://a.test/v1/", "api_key_env": "MINE_KEY",
            "api_base_env": "MINE_BASE", "base_class": "openai_gpt",
            "param_mappings": {"max_completion_tokens": "max_tokens"},
            "constraints": {"temperature_max": 1.5}, "headers": {"x-a": "b"},
            "special_handling": {"force_store_false": true},
            "provider_info": {"supports_function_calling": true},
            "supported_endpoints": ["/v1/chat/completions", "/v1/messages", "/v1/embeddings"]}}"#;
        let read = read(text).unwrap();
        let mine = &read["mine"];
        assert_eq!(mine.url, "https://a.test/v1");
        assert_eq!(mine.key_env, ["MINE_KEY"]);
        assert_eq!(mine.url_env, ["MINE_BASE"]);
        assert_eq!(
            mine.speaks.keys().copied().collect::<Vec<_>>(),
            [Dialect::Openai, Dialect::Anthropic]
        );
        assert_eq!(mine.ops, [Operation::Chat, Operation::Embeddings]);
        assert_eq!(mine.patch.len(), 2);
        assert_eq!(mine.headers["x-a"], "b");
    }

    #[test]
    fn what_cannot_be_is_named() {
        let wrong = |text: &str| read(text).unwrap_err().to_string();
        assert!(wrong("{").starts_with("providers: "));
        assert!(wrong(r#"{"a": {"base_url": "x"}}"#).contains("missing field `api_key_env`"));
        let header = r#"{"a": {"base_url": "https://a.b", "api_key_env": "K",
            "headers": {"x-key": "{api_key}"}}}"#;
        assert_eq!(
            wrong(header),
            "provider `a`: `headers`: `x-key` would hold the key, which is sent as a bearer"
        );
    }
}
