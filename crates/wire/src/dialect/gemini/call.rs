//! The hub's request as a call of a provider that speaks Google's dialect.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{config, contents, thinking::Family};
use crate::{
    dialect::{
        anthropic::SAVINGS,
        body::Body,
        fields::{At, Fields},
        json::{self, List, Object},
        openai, preset,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    matrix::Dialect,
    op::chat::{Extra, Function, Raw, Request, Thinking, Tool, ToolChoice},
    provider::Auth,
    target::Target,
};

/// Fields of OpenAI's that the answer does not depend on.
const OPENAI_HINTS: &[&str] =
    &["prompt_cache_key", "prompt_cache_retention", "prediction", "safety_identifier", "store"];

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let ask = with_defaults(ask, to)?;
    Ok(written(&ask, to, dropped)?.patched(to))
}

/// The members of which a count is made.
const COUNTED: &[&str] = &["contents", "systemInstruction", "tools", "toolConfig"];

/// The same request as far as its tokens are concerned. Where a key is taken the members stand within
/// a whole request; Vertex AI, where a token is, has them at the top.
/// <https://ai.google.dev/api/tokens#method:-models.counttokens>
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens>
pub(super) fn write_count(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let mut body = written(ask, to, dropped)?;
    body.keep(COUNTED);
    if to.provider.auth != Auth::XGoogApiKey {
        return Ok(body.patched(to));
    }
    let collection = ["models/", "tunedModels/"].iter().any(|own| to.model.starts_with(own));
    body.text("model", &[if collection { "" } else { "models/" }, &*to.model].concat());
    let request = body.patched(to);
    let mut out = BytesMut::new();
    json::object(&mut out, |o| o.key("generateContentRequest").put_slice(&request));
    Ok(out.freeze())
}

fn written(ask: &Request, to: &Target, dropped: &mut Vec<String>) -> Result<Body, CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    let ask = Cow::Borrowed(ask);
    let ask = &*with_thinking(ask);
    let family = Family::of(&to.model);
    let mut body = Body::default();
    let turns = contents::turns(ask, family, &mut sieve)?;
    body.put("contents", |out| turns.write(out));
    if !turns.system.is_empty() {
        body.put("systemInstruction", |out| {
            json::object(out, |o| {
                o.list("parts", |list| contents::write_all(list, turns.system.iter()));
            });
        });
    }
    let own = Own::of(ask, &mut sieve)?;
    tools(ask, &own, &mut sieve, &mut body)?;
    config::check(ask, family, &mut sieve)?;
    body.put("generationConfig", |out| {
        json::object(out, |o| config::write(o, ask, family, &own.config));
    });
    body.drop_empty("generationConfig");
    rest(ask, &own, &mut sieve, &mut body)?;
    Ok(body)
}

/// What the configuration sets where the client does not. Its names are OpenAI's, or Google's own
/// in snake_case, as with LiteLLM; neither has a place at the top of this body.
fn with_defaults<'a>(ask: &'a Request, to: &Target) -> Result<Cow<'a, Request>, Malformed> {
    if to.defaults.is_empty() {
        return Ok(Cow::Borrowed(ask));
    }
    let mut defaults = openai::read_defaults(&to.defaults)?;
    if ask.surface == Dialect::Gemini {
        defaults.reasoning = config::own_reasoning(&defaults.reasoning, Family::of(&to.model));
    }
    for (name, _) in &mut defaults.extra {
        if let Some(own) = top_name(name) {
            *name = own.into();
        }
    }
    let mut ask = ask.clone();
    preset::fill(&mut ask, defaults);
    Ok(Cow::Owned(ask))
}

/// Google's name for a member of the body that LiteLLM's clients say in snake_case.
fn top_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "safety_settings" | "safetySettings" => "safetySettings",
        "cached_content" | "cachedContent" => "cachedContent",
        "labels" => "labels",
        _ => return None,
    })
}

/// LiteLLM's clients say Anthropic's `thinking` beside OpenAI's fields.
fn with_thinking(mut ask: Cow<'_, Request>) -> Cow<'_, Request> {
    let said = ask.extra.iter().find(|(name, _)| **name == *"thinking");
    let said = said.and_then(|(_, raw)| thinking(raw)).filter(|_| ask.surface != Dialect::Gemini);
    if said.is_some() && ask.reasoning.thinking.is_none() {
        let own = ask.to_mut();
        own.reasoning.thinking = said;
        own.extra.retain(|(name, _)| **name != *"thinking");
    }
    ask
}

/// What is Google's alone: a Gemini client's own members, or those that LiteLLM's clients put beside
/// OpenAI's.
#[derive(Default)]
struct Own {
    /// Members of the body.
    top: Extra,
    /// Members of `generationConfig`.
    config: Extra,
    tools: Vec<Raw>,
    tool_config: Option<Raw>,
}

impl Own {
    fn of(ask: &Request, sieve: &mut Sieve<'_>) -> Result<Own, CannotAsk> {
        let mut own = Own::default();
        let native = ask.surface == Dialect::Gemini;
        if native {
            own.config.clone_from(&ask.output_extra);
        }
        for (name, raw) in &ask.extra {
            own.take(name, raw, ask, sieve)?;
        }
        Ok(own)
    }

    fn take(
        &mut self,
        name: &str,
        raw: &Raw,
        ask: &Request,
        sieve: &mut Sieve<'_>,
    ) -> Result<(), CannotAsk> {
        match name {
            "toolConfig" if ask.surface == Dialect::Gemini => {
                self.tool_config = Some(raw.clone());
            }
            _ if ask.surface == Dialect::Gemini => self.top.push((name.into(), raw.clone())),
            "safety_settings" | "safetySettings" | "cached_content" | "cachedContent"
            | "labels" => {
                let name = top_name(name).unwrap_or(name);
                self.top.push((name.into(), raw.clone()));
            }
            "media_resolution" | "mediaResolution" => {
                self.config.push(("mediaResolution".into(), raw.clone()));
            }
            "speech_config" | "speechConfig" => {
                self.config.push(("speechConfig".into(), raw.clone()));
            }
            "image_config" | "imageConfig" => {
                self.config.push(("imageConfig".into(), raw.clone()));
            }
            "modalities" => match modalities(raw) {
                Some(raw) => self.config.push(("responseModalities".into(), raw)),
                None => sieve.refuse(name, "expected a list of words such as `text`, `image`")?,
            },
            "audio" => match speech(raw) {
                Some(raw) => self.config.push(("speechConfig".into(), raw)),
                None => {
                    sieve.refuse(name, "gemini wants a `voice` and answers in `pcm16` alone")?
                }
            },
            "web_search_options" => {
                self.tools.extend(RawValue::from_string(r#"{"googleSearch":{}}"#.to_owned()).ok());
                if raw.get().len() > 2 {
                    sieve.hint(name);
                }
            }
            _ if OPENAI_HINTS.contains(&name) || SAVINGS.contains(&name) => sieve.hint(name),
            _ => sieve.refuse(name, "gemini has no such parameter")?,
        }
        Ok(())
    }
}

/// `["text", "image"]` as `["TEXT", "IMAGE"]`
fn modalities(raw: &RawValue) -> Option<Raw> {
    let words: Vec<String> = serde_json::from_str(raw.get()).ok()?;
    let words: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    serde_json::value::to_raw_value(&words).ok()
}

/// `{"voice": "Kore", "format": "pcm16"}` as Google's `speechConfig`.
/// <https://ai.google.dev/gemini-api/docs/speech-generation>
fn speech(raw: &RawValue) -> Option<Raw> {
    #[derive(serde::Deserialize)]
    struct Audio {
        voice: String,
        #[serde(default)]
        format: Option<String>,
    }
    let audio: Audio = serde_json::from_str(raw.get()).ok()?;
    if audio.format.is_some_and(|format| format != "pcm16") {
        return None;
    }
    let config = serde_json::json!({
        "voiceConfig": { "prebuiltVoiceConfig": { "voiceName": audio.voice } }
    });
    serde_json::value::to_raw_value(&config).ok()
}

/// Anthropic's `thinking` as LiteLLM's clients put it into OpenAI's body.
fn thinking(raw: &RawValue) -> Option<Thinking> {
    let mut fields = Fields::of(raw, At::Body).ok()?;
    match fields.text("type").ok()??.as_str() {
        "enabled" => Some(Thinking::Enabled { budget: fields.get("budget_tokens", "").ok()?? }),
        "disabled" => Some(Thinking::Disabled),
        "adaptive" => Some(Thinking::Adaptive),
        _ => None,
    }
}

fn tools(
    ask: &Request,
    own: &Own,
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Gemini;
    let (mut functions, mut others) = (Vec::new(), Vec::new());
    for (index, tool) in ask.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                if !native {
                    check_function(function, sieve);
                }
                functions.push(function);
            }
            Tool::Other { dialect: Dialect::Gemini, raw, .. } => others.push(raw),
            Tool::Other { kind, .. } => {
                let why = format!("gemini has no tools of type `{kind}`");
                sieve.refuse(&format!("tools[{index}]"), &why)?;
            }
        }
    }
    others.extend(&own.tools);
    let any = !functions.is_empty() || !others.is_empty();
    if any {
        body.put("tools", |out| {
            json::list(out, |list| {
                if !functions.is_empty() {
                    list.object(|o| {
                        o.list("functionDeclarations", |list| {
                            functions.iter().for_each(|it| write_function(list, it, native));
                        });
                    });
                }
                others.iter().for_each(|raw| list.raw(raw.get()));
            });
        });
    }
    if ask.parallel_tools == Some(false) {
        sieve.refuse("parallel_tool_calls", "gemini may always call several tools at once")?;
    }
    // Without functions there is nothing to choose.
    let choice = ask.tool_choice.as_ref().filter(|_| native || !functions.is_empty());
    tool_choice(choice, own, sieve, body)
}

fn check_function(function: &Function, sieve: &mut Sieve<'_>) {
    if function.cache.is_some() {
        sieve.hint("cache_control");
    }
    if function.strict == Some(true) {
        sieve.hint("tools[].strict");
    }
    for (name, _) in function.extra.iter().filter(|(name, _)| **name != *"type") {
        sieve.hint(&format!("tools[].{name}"));
    }
}

/// JSON Schema has a field of its own, beside the one that takes Google's subset alone.
/// <https://ai.google.dev/api/caching#FunctionDeclaration>
fn write_function(list: &mut List<'_>, function: &Function, native: bool) {
    list.object(|o| {
        o.text("name", &function.name);
        o.some_text("description", function.description.as_deref());
        if let Some(schema) = function.parameters.as_ref().filter(|raw| raw.get().len() > 2) {
            o.raw("parametersJsonSchema", schema.get());
        }
        if native {
            o.extra(&function.extra);
        }
    });
}

fn tool_choice(
    choice: Option<&ToolChoice>,
    own: &Own,
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    let allowed;
    let (mode, names) = match choice {
        None => ("", [].as_slice()),
        Some(ToolChoice::Auto) => ("AUTO", [].as_slice()),
        Some(ToolChoice::None) => ("NONE", [].as_slice()),
        Some(ToolChoice::Required) => ("ANY", [].as_slice()),
        Some(ToolChoice::Named(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Other { dialect: Dialect::Gemini, .. }) => ("", [].as_slice()),
        Some(ToolChoice::Other { raw, .. }) => {
            allowed = allowed_tools(raw);
            match &allowed {
                Some((mode, names)) => (*mode, names.as_slice()),
                None => return sieve.refuse("tool_choice", "gemini has no such choice"),
            }
        }
    };
    let raw = match choice {
        Some(ToolChoice::Other { dialect: Dialect::Gemini, raw }) => Some(raw),
        _ => None,
    };
    if mode.is_empty() && raw.is_none() && own.tool_config.is_none() {
        return Ok(());
    }
    let write = |o: &mut Object<'_>| {
        if let Some(raw) = raw {
            o.raw("functionCallingConfig", raw.get());
        } else if !mode.is_empty() {
            o.object("functionCallingConfig", |o| {
                o.text("mode", mode);
                if !names.is_empty() {
                    o.list("allowedFunctionNames", |list| {
                        names.iter().for_each(|name| json::string(list.item(), name));
                    });
                }
            });
        }
        let rest = own.tool_config.as_ref().and_then(|raw| Fields::of(raw, At::Body).ok());
        if let Some(rest) = rest {
            o.extra(&rest.rest());
        }
    };
    body.put("toolConfig", |out| json::object(out, write));
    Ok(())
}

/// OpenAI's `{"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": […]}}`. In
/// Google's mode VALIDATED the model may also say something.
/// <https://platform.openai.com/docs/guides/function-calling#allowed-tools>
fn allowed_tools(raw: &RawValue) -> Option<(&'static str, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Choice {
        allowed_tools: Allowed,
    }
    #[derive(serde::Deserialize)]
    struct Allowed {
        mode: String,
        tools: Vec<Named>,
    }
    #[derive(serde::Deserialize)]
    struct Named {
        function: Name,
    }
    #[derive(serde::Deserialize)]
    struct Name {
        name: String,
    }
    let choice: Choice = serde_json::from_str(raw.get()).ok()?;
    let mode = match choice.allowed_tools.mode.as_str() {
        "required" => "ANY",
        "auto" => "VALIDATED",
        _ => return None,
    };
    let names = choice.allowed_tools.tools.into_iter().map(|tool| tool.function.name);
    Some((mode, names.collect()))
}

fn rest(ask: &Request, own: &Own, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    if ask.user.is_some() {
        sieve.hint("user");
    }
    if !ask.metadata.is_empty() {
        sieve.hint("metadata");
    }
    // <https://ai.google.dev/gemini-api/docs/optimization>
    match (ask.surface, ask.service_tier.as_deref()) {
        (_, None) => {}
        (Dialect::Gemini, Some(tier)) => body.text("serviceTier", tier),
        (_, Some("auto")) => {}
        (_, Some("default" | "standard_only" | "standard")) => body.text("serviceTier", "standard"),
        (_, Some(tier @ ("flex" | "priority"))) => body.text("serviceTier", tier),
        (_, Some(_)) => sieve.refuse("service_tier", "gemini has no such tier")?,
    }
    for (name, raw) in &own.top {
        if !body.has(name) {
            body.raw(name, raw);
        }
    }
    Ok(())
}
