//! What the configuration sets where the client does not, for dialects in which OpenAI's names are
//! no fields of the body.

use std::borrow::Cow;

use super::openai;
use crate::{exchange::Malformed, op::chat::Request, target::Target};

/// The request with the target's defaults.
pub(super) fn with_defaults<'a>(
    ask: &'a Request,
    to: &Target,
) -> Result<Cow<'a, Request>, Malformed> {
    if to.defaults.is_empty() {
        return Ok(Cow::Borrowed(ask));
    }
    let mut ask = ask.clone();
    fill(&mut ask, openai::read_defaults(&to.defaults)?);
    Ok(Cow::Owned(ask))
}

/// Fills what `ask` leaves open.
pub(super) fn fill(ask: &mut Request, defaults: Request) {
    let own = &mut ask.sampling;
    let set = defaults.sampling;
    own.temperature = own.temperature.take().or(set.temperature);
    own.top_p = own.top_p.take().or(set.top_p);
    own.top_k = own.top_k.take().or(set.top_k);
    own.seed = own.seed.take().or(set.seed);
    own.n = own.n.take().or(set.n);
    own.frequency_penalty = own.frequency_penalty.take().or(set.frequency_penalty);
    own.presence_penalty = own.presence_penalty.take().or(set.presence_penalty);
    own.logprobs = own.logprobs.or(set.logprobs);
    own.top_logprobs = own.top_logprobs.take().or(set.top_logprobs);
    own.logit_bias = own.logit_bias.take().or(set.logit_bias);
    ask.max_tokens = ask.max_tokens.or(defaults.max_tokens);
    ask.stop = ask.stop.take().or(defaults.stop);
    ask.format = ask.format.take().or(defaults.format);
    if ask.reasoning.effort.is_none() && ask.reasoning.thinking.is_none() {
        ask.reasoning = defaults.reasoning;
    }
    if ask.tools.is_empty() {
        ask.tools = defaults.tools;
        ask.tool_choice = ask.tool_choice.take().or(defaults.tool_choice);
    }
    ask.service_tier = ask.service_tier.take().or(defaults.service_tier);
    for (name, raw) in defaults.extra {
        if !ask.extra.iter().any(|(other, _)| *other == name) {
            ask.extra.push((name, raw));
        }
    }
}
