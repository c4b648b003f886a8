//! `/v1/models` as OpenAI, OpenRouter and Anthropic spell it, and `/v1beta/models` as Google does.
//!
//! A wildcard such as `openai/*` is spelled out into the models that the catalogue has of it, in
//! rows of a hundred bytes; what a model can do and costs is told on request (`details=true`), and
//! an answer has at most a thousand rows.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tollgate_wire::Refusal;

use super::{
    CREATED, CREATED_AT, allowed, mode,
    names::{Listed, Wildcards, listed, of_group},
    no_such_model, show, supported_params, target,
};
use crate::{
    auth::Caller,
    core::{Gateway, Snapshot},
};

/// Most rows of an answer.
const MAX_ROWS: usize = 1_000;
/// Rows of an answer in Anthropic's spelling whose request names no number.
const ANTHROPIC_ROWS: usize = 20;

/// The same in Google's.
const GEMINI_ROWS: usize = 50;

/// What a list is asked for with.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Whether wildcards are listed too; `general_settings.return_wildcard_routes` if not said.
    pub return_wildcard_routes: Option<bool>,
    /// OpenRouter's fields: prices, abilities, limits.
    pub details: bool,
    /// `metadata.fallbacks` of each model.
    pub include_metadata: bool,
    /// Which fallbacks: `general`, `context_window`, `content_policy`.
    pub fallback_type: Option<String>,
    /// Only models whose name has this in it.
    pub search: Option<String>,
    /// Most rows.
    pub limit: Option<usize>,
    /// Only what comes after this model.
    pub after: Option<String>,
    /// Only what comes before this model.
    pub before: Option<String>,
}

/// The spelling of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `{"object": "list", "data": […]}`
    Openai,
    /// Anthropic's pages. <https://platform.claude.com/docs/en/api/models/list>
    Anthropic,
    /// Google's pages. <https://ai.google.dev/api/models#method:-models.list>
    Gemini,
}

/// `GET /v1/models`: the names that the caller may use.
pub fn list(gw: &Gateway, caller: &Caller, query: &ListQuery, form: Form) -> Value {
    let snapshot = gw.snapshot.load();
    let both = query.return_wildcard_routes.unwrap_or(snapshot.general.return_wildcard_routes);
    let how = if both { Wildcards::BothWays } else { Wildcards::SpelledOut };
    let mut names = listed(&snapshot, caller, how);
    if let Some(search) = query.search.as_deref().map(str::to_ascii_lowercase) {
        names.retain(|listed| listed.id.to_ascii_lowercase().contains(&search));
    }
    let (page, has_more) = page(&names, query, form);
    let mut rows = Rows { snapshot: &snapshot, query, params: HashMap::new() };
    match form {
        Form::Openai => {
            let data: Vec<Value> = page.iter().map(|listed| rows.openai(listed)).collect();
            json!({ "object": "list", "data": data, "has_more": has_more })
        }
        Form::Anthropic => {
            let data: Vec<Value> = page.iter().map(anthropic).collect();
            json!({
                "data": data,
                "has_more": has_more,
                "first_id": page.first().map(|listed| &listed.id),
                "last_id": page.last().map(|listed| &listed.id),
            })
        }
        Form::Gemini => {
            let models: Vec<Value> = page.iter().map(gemini).collect();
            let next = page.last().filter(|_| has_more).map(|listed| &listed.id);
            let mut answer = json!({ "models": models });
            if let (Some(next), Some(fields)) = (next, answer.as_object_mut()) {
                fields.insert("nextPageToken".to_owned(), json!(next));
            }
            answer
        }
    }
}

/// `GET /v1/models/{id}`
pub fn one(
    gw: &Gateway,
    caller: &Caller,
    id: &str,
    query: &ListQuery,
    form: Form,
) -> Result<Value, Refusal> {
    let snapshot = gw.snapshot.load();
    let found = of_group(&snapshot.table, id).filter(|_| allowed(caller, id));
    let Some(found) = found else { return Err(no_such_model(id)) };
    Ok(match form {
        Form::Openai => Rows { snapshot: &snapshot, query, params: HashMap::new() }.openai(&found),
        Form::Anthropic => anthropic(&found),
        Form::Gemini => gemini(&found),
    })
}

/// The rows that are asked for, and whether there are more in that direction.
fn page<'a>(names: &'a [Listed], query: &ListQuery, form: Form) -> (&'a [Listed], bool) {
    let usual = match form {
        Form::Openai => MAX_ROWS,
        Form::Anthropic => ANTHROPIC_ROWS,
        Form::Gemini => GEMINI_ROWS,
    };
    let limit = query.limit.unwrap_or(usual).clamp(1, MAX_ROWS);
    let place = |id: &String| names.iter().position(|listed| listed.id == *id);
    if let Some(before) = query.before.as_ref().and_then(place) {
        let start = before.saturating_sub(limit);
        return (names.get(start..before).unwrap_or_default(), start > 0);
    }
    let start = query.after.as_ref().and_then(place).map_or(0, |at| at + 1);
    let rest = names.get(start..).unwrap_or_default();
    (rest.get(..limit).unwrap_or(rest), rest.len() > limit)
}

/// Rows of one answer.
struct Rows<'a> {
    snapshot: &'a Snapshot,
    query: &'a ListQuery,
    /// Supported parameters by provider, for what a wildcard stands for: they differ by provider,
    /// hardly by model, and finding them out takes a while.
    params: HashMap<String, Vec<&'static str>>,
}

impl Rows<'_> {
    fn openai(&mut self, listed: &Listed) -> Value {
        let card = listed.card.as_deref();
        let mut row = Map::new();
        let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
        put("id", json!(listed.id));
        put("object", json!("model"));
        put("created", json!(CREATED));
        put("owned_by", json!(listed.owner));
        if !listed.expanded
            && let Some(card) = card
        {
            put("mode", json!(mode(Some(card))));
            for (name, tokens) in
                [("max_input_tokens", card.max_input), ("max_output_tokens", card.max_output)]
            {
                if let Some(tokens) = tokens {
                    put(name, json!(tokens));
                }
            }
        }
        if self.query.include_metadata {
            put("metadata", json!({ "fallbacks": self.fallbacks(&listed.id) }));
        }
        if self.query.details && !listed.id.contains('*') {
            let params = self.params_of(listed);
            row.extend(show::openrouter(&listed.id, card, &params));
        }
        Value::Object(row)
    }

    fn params_of(&mut self, listed: &Listed) -> Vec<&'static str> {
        let find = || target(self.snapshot, &listed.id).map(|target| supported_params(&target));
        if !listed.expanded {
            return find().unwrap_or_default();
        }
        let key = format!("{} {}", listed.owner, mode(listed.card.as_deref()));
        if let Some(known) = self.params.get(&key) {
            return known.clone();
        }
        let found = find().unwrap_or_default();
        self.params.insert(key, found.clone());
        found
    }

    fn fallbacks(&self, model: &str) -> Vec<String> {
        let table = &self.snapshot.table;
        let lists = match self.query.fallback_type.as_deref() {
            Some("context_window") => &table.context_window_fallbacks,
            Some("content_policy") => &table.content_policy_fallbacks,
            Some(_) | None => &table.fallbacks,
        };
        let list = lists.get(model).or_else(|| lists.get("*"));
        list.into_iter().flatten().map(ToString::to_string).collect()
    }
}

/// What Google's clients may ask of any model here.
const METHODS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];

fn gemini(listed: &Listed) -> Value {
    let card = listed.card.as_deref();
    let mut row = json!({
        "name": format!("models/{}", listed.id),
        "displayName": listed.id,
        "supportedGenerationMethods": METHODS,
    });
    let limits = [
        ("inputTokenLimit", card.and_then(|card| card.max_input)),
        ("outputTokenLimit", card.and_then(|card| card.max_output)),
    ];
    for (name, tokens) in limits {
        if let (Some(tokens), Some(fields)) = (tokens, row.as_object_mut()) {
            fields.insert(name.to_owned(), json!(tokens));
        }
    }
    row
}

fn anthropic(listed: &Listed) -> Value {
    json!({
        "type": "model",
        "id": listed.id,
        "display_name": listed.id,
        "created_at": CREATED_AT,
    })
}
