//! The hub's request as a text to go on from, and the parameters of that.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Number;

use super::prompt;
use crate::{
    dialect::{body::Body, json, preset, sieve::Sieve},
    exchange::CannotAsk,
    op::chat::{Format, Request, Thinking, ToolChoice},
    target::Target,
};

/// Parameters of Hugging Face's own, which pass from any client that knows them.
const TGI: &[&str] = &[
    "adapter_id",
    "best_of",
    "do_sample",
    "repetition_penalty",
    "top_n_tokens",
    "truncate",
    "typical_p",
    "watermark",
];
/// Parameters of watsonx's own.
const WATSONX: &[&str] = &[
    "decoding_method",
    "length_penalty",
    "min_new_tokens",
    MODERATIONS,
    "repetition_penalty",
    "time_limit",
    "truncate_input_tokens",
];
/// The one of them that stands beside the parameters.
const MODERATIONS: &str = "moderations";
/// Fields of others that the answer does not depend on.
pub(in crate::dialect) const HINTS: &[&str] =
    &["cache_control", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store"];

pub(super) fn tgi(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let ask = preset::with_defaults(ask, to)?;
    let mut sieve = Sieve::new(to, dropped);
    let mut set = Body::default();
    let sampling = &ask.sampling;
    let greedy = is(sampling.temperature.as_ref(), 0.0);
    limit(&ask, &mut set);
    if !greedy {
        // It must be above 0.
        set.number("temperature", sampling.temperature.as_ref());
    }
    // It must be below 1, where it does nothing.
    if !is(sampling.top_p.as_ref(), 1.0) {
        set.number("top_p", sampling.top_p.as_ref());
    }
    set.number("top_k", sampling.top_k.as_ref());
    set.number("seed", sampling.seed.as_ref());
    set.number("frequency_penalty", sampling.frequency_penalty.as_ref());
    if greedy {
        set.flag("do_sample", false);
    } else if sampling.temperature.is_some() || sampling.top_p.is_some() {
        set.flag("do_sample", true);
    }
    if let Some(stop) = &ask.stop {
        set.put("stop", |out| texts(&stop.texts, out));
    }
    match &ask.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonSchema(schema)) if schema.schema.is_some() => {
            let schema = schema.schema.as_ref().map_or("{}", |raw| raw.get());
            set.put("grammar", |out| {
                json::object(out, |o| {
                    o.text("type", "json");
                    o.raw("value", schema);
                });
            });
        }
        Some(Format::JsonObject | Format::JsonSchema(_) | Format::Other { .. }) => {
            sieve.refuse("response_format", "this model has no such format without a schema")?;
        }
    }
    refused(&ask, &[("presence_penalty", sampling.presence_penalty.is_some())], &mut sieve)?;
    rest(&ask, TGI, &mut sieve, &mut set)?;
    // What was consumed, and why it ended.
    set.flag("details", true);
    set.flag("return_full_text", false);
    let mut body = Body::default();
    if ask.stream {
        body.flag("stream", true);
    }
    finished(&ask, body, set, "inputs", to, &mut sieve)
}

pub(super) fn watsonx(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let ask = preset::with_defaults(ask, to)?;
    let mut sieve = Sieve::new(to, dropped);
    let mut set = Body::default();
    let sampling = &ask.sampling;
    let greedy = is(sampling.temperature.as_ref(), 0.0);
    limit(&ask, &mut set);
    if !greedy {
        set.number("temperature", sampling.temperature.as_ref());
    }
    set.number("top_p", sampling.top_p.as_ref());
    set.number("top_k", sampling.top_k.as_ref());
    set.number("random_seed", sampling.seed.as_ref());
    if let Some(stop) = &ask.stop {
        set.put("stop_sequences", |out| texts(&stop.texts, out));
        set.flag("include_stop_sequence", false);
    }
    match &ask.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonObject | Format::JsonSchema(_) | Format::Other { .. }) => {
            sieve.refuse("response_format", "this model has no formats")?;
        }
    }
    let penalties = [
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
    ];
    refused(&ask, &penalties, &mut sieve)?;
    rest(&ask, WATSONX, &mut sieve, &mut set)?;
    let sampled =
        sampling.temperature.is_some() || sampling.top_p.is_some() || sampling.top_k.is_some();
    if (greedy || sampled) && !set.has("decoding_method") {
        set.text("decoding_method", if greedy { "greedy" } else { "sample" });
    }
    let mut body = Body::default();
    body.text("model_id", &to.model);
    if let Some(moderations) = set.take(MODERATIONS) {
        body.put(MODERATIONS, |out| out.put_slice(&moderations));
    }
    finished(&ask, body, set, "input", to, &mut sieve)
}

/// The body with its parameters and the text, which the provider's patches know the form of.
fn finished(
    ask: &Request,
    mut body: Body,
    set: Body,
    name: &'static str,
    to: &Target,
    sieve: &mut Sieve<'_>,
) -> Result<Bytes, CannotAsk> {
    body.put("parameters", |out| out.put_slice(&set.written()));
    body.drop_empty("parameters");
    body.apply_patches(to);
    let template = body.take("chat_template");
    let template = template.and_then(|name| serde_json::from_slice::<String>(&name).ok());
    let text = prompt::write(ask, template.as_deref(), sieve)?;
    body.text(name, &text);
    Ok(body.written())
}

fn is(number: Option<&Number>, value: f64) -> bool {
    number.and_then(Number::as_f64) == Some(value)
}

fn limit(ask: &Request, set: &mut Body) {
    if let Some(limit) = ask.max_tokens {
        // 0 is refused.
        set.integer("max_new_tokens", limit.get().max(1));
    }
}

fn texts(texts: &[String], out: &mut BytesMut) {
    json::list(out, |list| {
        for text in texts {
            json::string(list.item(), text);
        }
    });
}

/// Refuses what no such model has.
pub(in crate::dialect) fn refused(
    ask: &Request,
    penalties: &[(&str, bool)],
    sieve: &mut Sieve<'_>,
) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    let several = sampling.n.as_ref().is_some_and(|n| n.as_u64() != Some(1));
    let chosen = !matches!(&ask.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None));
    let tools = !ask.tools.is_empty() && !matches!(ask.tool_choice, Some(ToolChoice::None));
    let thinks = !matches!(ask.reasoning.thinking, None | Some(Thinking::Disabled));
    let effort = ask.reasoning.effort.as_deref().is_some_and(|effort| effort != "none");
    let tier = ask.service_tier.as_deref();
    let all = [
        ("n", several),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("tools", tools),
        ("tool_choice", chosen),
        ("thinking", thinks),
        ("reasoning_effort", effort),
        ("service_tier", !matches!(tier, None | Some("auto" | "default" | "standard_only"))),
    ];
    for (name, there) in all.iter().chain(penalties) {
        if *there {
            sieve.refuse(name, "a model that only goes on from a text has no such parameter")?;
        }
    }
    Ok(())
}

fn rest(
    ask: &Request,
    own: &[&str],
    sieve: &mut Sieve<'_>,
    set: &mut Body,
) -> Result<(), CannotAsk> {
    for (name, there) in [
        ("user", ask.user.is_some()),
        ("metadata", !ask.metadata.is_empty()),
        ("service_tier", ask.service_tier.is_some()),
        ("parallel_tool_calls", ask.parallel_tools.is_some()),
    ] {
        if there {
            sieve.hint(name);
        }
    }
    for (name, _) in &ask.output_extra {
        sieve.refuse(&format!("output_config.{name}"), "only anthropic has this parameter")?;
    }
    for (name, raw) in &ask.extra {
        if HINTS.contains(&&**name) {
            sieve.hint(name);
        } else if own.contains(&&**name) && !set.has(name) {
            set.raw(name, raw);
        } else {
            sieve.refuse(name, "a model that only goes on from a text has no such parameter")?;
        }
    }
    Ok(())
}
