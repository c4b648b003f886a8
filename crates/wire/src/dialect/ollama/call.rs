//! The hub's request as a call of Ollama.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Number, value::RawValue};

use super::message;
use crate::{
    dialect::{
        anthropic::SAVINGS,
        body::Body,
        fields::{At, Fields},
        foreign, functions, json,
        sieve::Sieve,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Format, Function, Request, Stop, Thinking, ToolChoice},
    target::Target,
};

/// What stands in `options`.
/// <https://docs.ollama.com/modelfile#valid-parameters-and-values>
const OPTIONS: &[&str] = &[
    "draft_num_predict",
    "frequency_penalty",
    "low_vram",
    "main_gpu",
    "min_p",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_predict",
    "num_thread",
    "penalize_newline",
    "presence_penalty",
    "repeat_last_n",
    "repeat_penalty",
    "seed",
    "stop",
    "temperature",
    "tfs_z",
    "top_k",
    "top_p",
    "typical_p",
    "use_mlock",
    "use_mmap",
];
/// Ollama's own fields beside them, which pass from any client that knows them.
const OWN: &[&str] = &["keep_alive", "shift", "think", "truncate"];

/// Members of `options`, each with its JSON text.
#[derive(Default)]
struct Options(Vec<(Cow<'static, str>, Bytes)>);

impl Options {
    /// The first to say something wins: the client, then its `options`, then the configuration.
    fn put(&mut self, name: impl Into<Cow<'static, str>>, value: Bytes) {
        let name = name.into();
        if !self.0.iter().any(|(other, _)| *other == name) {
            self.0.push((name, value));
        }
    }

    fn number(&mut self, name: &'static str, value: Option<&Number>) {
        if let Some(value) = value {
            self.put(name, value.to_string().into());
        }
    }
}

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    let mut body = Body::default();
    body.text("model", &to.model);
    let mut messages = BytesMut::new();
    message::write_all(ask, &mut sieve, &mut messages)?;
    body.put("messages", |out| *out = messages);
    // Ollama streams unless it is told not to.
    body.flag("stream", ask.stream);
    let mut options = sampling(ask, &mut sieve, &mut body)?;
    tools(ask, &mut sieve, &mut body)?;
    format(ask, &mut sieve, &mut body)?;
    think(ask, &mut sieve, &mut body)?;
    rest(ask, &mut sieve, &mut options, &mut body)?;
    defaults(to, &mut options, &mut body);
    if !options.0.is_empty() {
        body.put("options", |out| {
            json::object(out, |o| {
                for (name, value) in &options.0 {
                    o.key(name).put_slice(value);
                }
            });
        });
    }
    Ok(body.patched(to))
}

/// Defaults of the configuration speak OpenAI, or name Ollama's own options.
fn defaults(to: &Target, options: &mut Options, body: &mut Body) {
    for (name, value) in &to.defaults {
        match name.as_str() {
            "max_tokens" | "max_completion_tokens" => options.put("num_predict", value.clone()),
            "stop" if value.starts_with(b"\"") => {
                options.put("stop", [b"[", value.as_ref(), b"]"].concat().into());
            }
            "options" => {
                if let Ok(fields) = Fields::of_body(value) {
                    for (name, raw) in fields.rest() {
                        options.put(String::from(name), raw.get().to_owned().into());
                    }
                }
            }
            name if OPTIONS.contains(&name) => options.put(name.to_owned(), value.clone()),
            name => body.fill(name, value.clone()),
        }
    }
}

fn sampling(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<Options, CannotAsk> {
    let sampling = &ask.sampling;
    let mut options = Options::default();
    if let Some(limit) = ask.max_tokens {
        options.put("num_predict", limit.get().to_string().into());
    }
    options.number("temperature", sampling.temperature.as_ref());
    options.number("top_p", sampling.top_p.as_ref());
    options.number("top_k", sampling.top_k.as_ref());
    options.number("seed", sampling.seed.as_ref());
    options.number("frequency_penalty", sampling.frequency_penalty.as_ref());
    options.number("presence_penalty", sampling.presence_penalty.as_ref());
    if let Some(stop) = &ask.stop {
        options.put("stop", texts(stop));
    }
    if let Some(logprobs) = sampling.logprobs {
        body.flag("logprobs", logprobs);
    }
    body.number("top_logprobs", sampling.top_logprobs.as_ref());
    if sampling.n.as_ref().is_some_and(|n| n.as_u64() != Some(1)) {
        sieve.refuse("n", "ollama gives one answer")?;
    }
    if sampling.logit_bias.is_some() {
        sieve.refuse("logit_bias", "ollama has no such parameter")?;
    }
    Ok(options)
}

fn texts(stop: &Stop) -> Bytes {
    let mut out = BytesMut::new();
    json::list(&mut out, |list| {
        for text in &stop.texts {
            json::string(list.item(), text);
        }
    });
    out.freeze()
}

fn tools(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let mut functions = Vec::new();
    functions::each(ask, "ollama", sieve, |function, _| {
        functions.push(function);
        Ok(())
    })?;
    if ask.parallel_tools == Some(false) && !functions.is_empty() {
        sieve.refuse("parallel_tool_calls", "ollama may call several tools at once")?;
    }
    match &ask.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        // A tool that is not shown is not called.
        Some(ToolChoice::None) => return Ok(()),
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Other { .. }) => {
            sieve.refuse("tool_choice", "ollama leaves it to the model whether to call tools")?;
        }
    }
    if !functions.is_empty() {
        body.put("tools", |out| {
            json::list(out, |list| functions.iter().for_each(|f| write_tool(list, f)));
        });
    }
    Ok(())
}

fn write_tool(list: &mut json::List<'_>, function: &Function) {
    list.object(|o| {
        o.text("type", "function");
        o.object("function", |o| {
            o.text("name", &function.name);
            o.some_text("description", function.description.as_deref());
            match &function.parameters {
                Some(schema) => o.raw("parameters", schema.get()),
                None => o.raw("parameters", r#"{"type":"object","properties":{}}"#),
            }
        });
    });
}

/// <https://docs.ollama.com/capabilities/structured-outputs>
fn format(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    match &ask.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonObject) => body.text("format", "json"),
        Some(Format::JsonSchema(schema)) => {
            if schema.name.is_some() || schema.description.is_some() {
                sieve.hint("response_format.json_schema.name");
            }
            match &schema.schema {
                Some(raw) => body.raw("format", raw),
                None => body.text("format", "json"),
            }
        }
        Some(Format::Other { .. }) => {
            sieve.refuse("response_format", "ollama has no such format")?;
        }
    }
    Ok(())
}

/// `true`, `false`, or a word. <https://docs.ollama.com/capabilities/thinking>
fn think(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let reasoning = &ask.reasoning;
    match (reasoning.thinking, reasoning.effort.as_deref()) {
        (None, None) => {}
        (Some(Thinking::Disabled), _) | (None, Some("none")) => body.flag("think", false),
        (_, Some("minimal" | "low")) => body.text("think", "low"),
        (_, Some(effort @ ("medium" | "high"))) => body.text("think", effort),
        (_, Some("xhigh" | "max")) => body.text("think", "max"),
        (_, Some(_)) => sieve.refuse("reasoning_effort", "ollama has no such effort")?,
        (Some(Thinking::Enabled { .. }), None) => {
            sieve.hint("thinking.budget_tokens");
            body.flag("think", true);
        }
        (Some(Thinking::Adaptive), None) => body.flag("think", true),
    }
    for (name, _) in reasoning.extra.iter().filter(|_| ask.surface != Dialect::Gemini) {
        sieve.hint(&format!("thinking.{name}"));
    }
    Ok(())
}

fn rest(
    ask: &Request,
    sieve: &mut Sieve<'_>,
    options: &mut Options,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    if ask.user.is_some() {
        sieve.hint("user");
    }
    if !ask.metadata.is_empty() {
        sieve.hint("metadata");
    }
    match ask.service_tier.as_deref() {
        None => {}
        Some("auto" | "default" | "standard_only") => sieve.hint("service_tier"),
        Some(_) => sieve.refuse("service_tier", "ollama has no tiers")?,
    }
    foreign::output(ask, sieve)?;
    for (name, raw) in &ask.extra {
        let text = || Bytes::copy_from_slice(raw.get().as_bytes());
        if foreign::HINTS.contains(&&**name) || SAVINGS.contains(&&**name) {
            sieve.hint(name);
        } else if **name == *"options" {
            own_options(raw, options)?;
        } else if OPTIONS.contains(&&**name) {
            options.put(name.to_string(), text());
        } else if **name == *"repetition_penalty" {
            // What others call it.
            options.put("repeat_penalty", text());
        } else if **name == *"thinking" && !body.has("think") {
            // Anthropic's, as LiteLLM's clients send it beside OpenAI's fields.
            body.flag("think", !raw.get().contains("\"disabled\""));
        } else if OWN.contains(&&**name) && !body.has(name) {
            body.raw(name, raw);
        } else {
            sieve.refuse(name, "ollama has no such parameter")?;
        }
    }
    Ok(())
}

fn own_options(raw: &RawValue, options: &mut Options) -> Result<(), CannotAsk> {
    for (name, value) in Fields::of(raw, At::Field(&At::Body, "options"))?.rest() {
        options.put(String::from(name), value.get().to_owned().into());
    }
    Ok(())
}
