//! Searching the web, where client and provider call it differently: a tool of Anthropic's, of
//! responses or of Google's, a parameter of chat completions. What comes back are annotations.
//!
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool>
//! <https://platform.openai.com/docs/guides/tools-web-search>
//! <https://ai.google.dev/gemini-api/docs/google-search>

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::{
    bedrock,
    fields::{At, Fields},
    json::{self, Object},
    sieve::Sieve,
};
use crate::{
    card::Ability,
    exchange::{CannotAsk, Malformed},
    matrix::Dialect,
    op::chat::{Extra, Raw, Request, Tool, ToolChoice},
    provider::Auth,
    target::Target,
};

/// The parameter of chat completions.
pub(super) const OPTIONS: &str = "web_search_options";
/// What Anthropic calls its tool.
const NAME: &str = "web_search";
const ANTHROPIC: &str = "web_search_20250305";

/// What is said about a search.
#[derive(Default)]
struct Search {
    /// How it was said, for those who are told what could not be.
    at: String,
    allowed: Option<Vec<String>>,
    blocked: Option<Vec<String>>,
    /// `city`, `region`, `country`, `timezone`
    near: Extra,
    size: Option<String>,
    most: Option<u64>,
    /// What no other provider has.
    rest: Vec<Box<str>>,
}

/// Says a client's wish for searches as the target wants to hear it; where the target has none, it
/// stays what it is, for the target to refuse.
pub(super) fn settle(
    ask: &mut Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<(), CannotAsk> {
    if !can(to) {
        return Ok(());
    }
    let Some((index, search)) = asked(ask, to.dialect)? else { return Ok(()) };
    let mut sieve = Sieve::new(to, dropped);
    let functions = ask.tools.iter().any(|tool| matches!(tool, Tool::Function(_)));
    if to.dialect == Dialect::Gemini && functions {
        let why = "gemini does not search and call functions in one request";
        sieve.refuse(&search.at, why)?;
        take(ask, index);
        return Ok(());
    }
    choice(ask, to, &mut sieve)?;
    let raw = search.said(to, &mut sieve)?;
    let dialect = to.dialect;
    if matches!(dialect, Dialect::Openai | Dialect::Bedrock) {
        take(ask, index);
        ask.extra.push((OPTIONS.into(), raw));
        return Ok(());
    }
    let tool = Tool::Other { dialect, kind: NAME.to_owned(), raw };
    match index.and_then(|index| ask.tools.get_mut(index)) {
        Some(place) => *place = tool,
        None => {
            take(ask, None);
            ask.tools.push(tool);
        }
    }
    Ok(())
}

/// Whether a target can be asked to search: of chat completions and of Bedrock's models, few.
fn can(to: &Target) -> bool {
    match to.dialect {
        Dialect::Anthropic | Dialect::Responses | Dialect::Gemini => true,
        // Lists of abilities mean any API, and most models that search do so by responses alone.
        Dialect::Openai => {
            let can = to.card.as_ref().is_none_or(|card| card.can(Ability::WebSearch));
            can && to.model.contains("-search-")
        }
        Dialect::Bedrock => bedrock::searches(&to.model),
        _ => false,
    }
}

/// Where the wish stands, `None` for the parameter, and what it says.
fn asked(ask: &Request, to: Dialect) -> Result<Option<(Option<usize>, Search)>, Malformed> {
    for (index, tool) in ask.tools.iter().enumerate() {
        if let Tool::Other { dialect, kind, raw } = tool
            && *dialect != to
            && let Some(search) = of_tool(*dialect, kind, raw, index)?
        {
            return Ok(Some((Some(index), search)));
        }
    }
    // The others take the parameter as it is.
    let takes = !matches!(to, Dialect::Anthropic | Dialect::Responses);
    let options = ask.extra.iter().find(|(name, _)| **name == *OPTIONS).filter(|_| !takes);
    options.map(|(_, raw)| Ok((None, of_options(raw)?))).transpose()
}

fn take(ask: &mut Request, index: Option<usize>) {
    match index {
        Some(index) => drop(ask.tools.remove(index)),
        None => ask.extra.retain(|(name, _)| **name != *OPTIONS),
    }
}

fn of_tool(
    dialect: Dialect,
    kind: &str,
    raw: &RawValue,
    index: usize,
) -> Result<Option<Search>, Malformed> {
    let tools = At::Field(&At::Body, "tools");
    let at = At::Item(&tools, index);
    let mut search = Search { at: format!("tools[{index}]"), ..Search::default() };
    match dialect {
        Dialect::Anthropic if kind.starts_with("web_search_20") => {
            let mut fields = Fields::of(raw, at)?;
            for own in ["type", "name", "cache_control"] {
                fields.take(own);
            }
            search.most = fields.get("max_uses", "a number")?;
            search.domains(&mut fields)?;
            search.near = near(fields.take("user_location"), at)?;
            search.rest(fields);
        }
        Dialect::Responses if kind == NAME || kind.starts_with("web_search_") => {
            let mut fields = Fields::of(raw, at)?;
            fields.take("type");
            // Whether to look things up anew, or where they were kept.
            fields.take("external_web_access");
            search.size = fields.text("search_context_size")?;
            search.near = near(fields.take("user_location"), at)?;
            if let Some(raw) = fields.take("filters") {
                let mut filters = Fields::of(raw, At::Field(&at, "filters"))?;
                search.domains(&mut filters)?;
                search.rest(filters);
            }
            search.rest(fields);
        }
        Dialect::Gemini if matches!(kind, "googleSearch" | "googleSearchRetrieval") => {
            let mut tool = Fields::of(raw, at)?;
            let Some(raw) = tool.take(kind) else { return Ok(None) };
            let mut fields = Fields::of(raw, at)?.camel()?;
            search.at = format!("{}.{kind}", search.at);
            search.blocked = fields.get("excludeDomains", "a list of domains")?;
            search.rest(fields);
        }
        _ => return Ok(None),
    }
    Ok(Some(search))
}

fn of_options(raw: &RawValue) -> Result<Search, Malformed> {
    let at = At::Field(&At::Body, OPTIONS);
    let mut fields = Fields::of(raw, at)?;
    let mut search = Search { at: OPTIONS.to_owned(), ..Search::default() };
    search.size = fields.text("search_context_size")?;
    if let Some(raw) = fields.take("user_location") {
        let inner = Fields::of(raw, At::Field(&at, "user_location"))?.take("approximate");
        search.near = near(inner, at)?;
    }
    search.rest(fields);
    Ok(search)
}

/// The members of a place.
fn near(raw: Option<&RawValue>, at: At<'_>) -> Result<Extra, Malformed> {
    let Some(raw) = raw else { return Ok(Extra::new()) };
    let mut fields = Fields::of(raw, At::Field(&at, "user_location"))?;
    fields.take("type");
    Ok(fields.rest())
}

/// A choice of the tool itself.
fn choice(ask: &mut Request, to: &Target, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let named = match &ask.tool_choice {
        Some(ToolChoice::Named(name)) => ask.surface == Dialect::Anthropic && name == NAME,
        Some(ToolChoice::Other { dialect: Dialect::Responses, raw }) => {
            let kind = Fields::of(raw, At::Body).and_then(|mut fields| fields.text("type"));
            kind.is_ok_and(|kind| kind.is_some_and(|kind| kind.starts_with(NAME)))
        }
        _ => false,
    };
    if !named {
        return Ok(());
    }
    ask.tool_choice = match to.dialect {
        Dialect::Anthropic => Some(ToolChoice::Named(NAME.to_owned())),
        Dialect::Responses => {
            let raw = RawValue::from_string(format!(r#"{{"type":"{NAME}"}}"#)).ok();
            raw.map(|raw| ToolChoice::Other { dialect: Dialect::Responses, raw })
        }
        _ => {
            sieve.refuse("tool_choice", "this model searches as it likes")?;
            None
        }
    };
    Ok(())
}

impl Search {
    fn domains(&mut self, fields: &mut Fields<'_, '_>) -> Result<(), Malformed> {
        self.allowed = fields.get("allowed_domains", "a list of domains")?;
        self.blocked = fields.get("blocked_domains", "a list of domains")?;
        Ok(())
    }

    fn rest(&mut self, fields: Fields<'_, '_>) {
        self.rest.extend(fields.rest().into_iter().map(|(name, _)| name));
    }

    /// In the target's words. Where to search decides what is found, so it is refused where it cannot
    /// be said; how much and from where are wishes.
    fn said(&self, to: &Target, sieve: &mut Sieve<'_>) -> Result<Raw, CannotAsk> {
        let dialect = to.dialect;
        let vertex = dialect == Dialect::Gemini && to.provider.auth != Auth::XGoogApiKey;
        let allows = matches!(dialect, Dialect::Anthropic | Dialect::Responses);
        let blocks = dialect == Dialect::Anthropic || vertex;
        let sizes = matches!(dialect, Dialect::Openai | Dialect::Responses);
        let places = !matches!(dialect, Dialect::Gemini | Dialect::Bedrock);
        let full = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
        for (name, there, can) in [
            ("allowed_domains", full(&self.allowed), allows),
            ("blocked_domains", full(&self.blocked), blocks),
        ] {
            if there && !can {
                let why = format!("{} cannot be told so", dialect.name());
                sieve.refuse(&format!("{}.{name}", self.at), &why)?;
            }
        }
        for name in &self.rest {
            let why = format!("{} has no such parameter", dialect.name());
            sieve.refuse(&format!("{}.{name}", self.at), &why)?;
        }
        for (name, there, can) in [
            ("user_location", !self.near.is_empty(), places),
            ("search_context_size", self.size.is_some(), sizes),
            ("max_uses", self.most.is_some(), dialect == Dialect::Anthropic),
        ] {
            if there && !can {
                sieve.hint(&format!("{}.{name}", self.at));
            }
        }
        let mut out = BytesMut::new();
        json::object(&mut out, |o| match dialect {
            Dialect::Gemini => o.object("googleSearch", |o| {
                domains(o, "excludeDomains", self.blocked.as_deref().filter(|_| vertex));
            }),
            Dialect::Anthropic => {
                o.text("type", ANTHROPIC);
                o.text("name", NAME);
                domains(o, "allowed_domains", self.allowed.as_deref());
                domains(o, "blocked_domains", self.blocked.as_deref());
                if let Some(most) = self.most {
                    o.integer("max_uses", most);
                }
                self.write_near(o);
            }
            Dialect::Responses => {
                o.text("type", NAME);
                if full(&self.allowed) {
                    let allowed = self.allowed.as_deref();
                    o.object("filters", |o| domains(o, "allowed_domains", allowed));
                }
                o.some_text("search_context_size", self.size.as_deref());
                self.write_near(o);
            }
            Dialect::Openai => {
                o.some_text("search_context_size", self.size.as_deref());
                if !self.near.is_empty() {
                    o.object("user_location", |o| {
                        o.text("type", "approximate");
                        o.object("approximate", |o| o.extra(&self.near));
                    });
                }
            }
            _ => {}
        });
        let said = serde_json::from_slice(&out);
        said.map_err(|_| sieve.unsupported(&self.at, "it cannot be said").into())
    }

    fn write_near(&self, o: &mut Object<'_>) {
        if !self.near.is_empty() {
            o.object("user_location", |o| {
                o.text("type", "approximate");
                o.extra(&self.near);
            });
        }
    }
}

fn domains(o: &mut Object<'_>, name: &str, domains: Option<&[String]>) {
    if let Some(domains) = domains.filter(|domains| !domains.is_empty()) {
        o.list(name, |list| domains.iter().for_each(|it| json::string(list.item(), it)));
    }
}
