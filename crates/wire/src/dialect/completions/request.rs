//! A client's request, into the hub.

use serde_json::value::RawValue;

use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        openai::{include_usage, stop},
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed, Payload},
    matrix::Dialect,
    op::chat::{
        Block, Extra, Form, MAX_MESSAGES, MaxTokens, Message, Part, Reasoning, Request, Role,
        Sampling,
    },
    target::Target,
};

/// The name under which `echo` stays until the answer is written.
const ECHO: &str = "echo";

pub(super) fn read(payload: &Payload) -> Result<Request, Malformed> {
    let mut fields = Fields::of_body(&payload.body)?;
    fields.leave_out(&payload.body, &payload.peek.ours);
    let at = At::Field(&At::Body, "prompt");
    let prompt = match fields.take("prompt") {
        Some(raw) => prompt(raw, &at)?,
        None => return Err(at.wrong("a string")),
    };
    let stream = fields.get("stream", "true or false")?.unwrap_or(false);
    let include_usage = include_usage(&mut fields)? && stream;
    let number = "a number";
    // How many alternatives are to be told for each token; 0: none but the token itself.
    let logprobs: Option<serde_json::Number> = fields.get("logprobs", number)?;
    let some = logprobs.clone().filter(|count| count.as_u64() != Some(0));
    Ok(Request {
        surface: Dialect::Completions,
        model: fields.model(payload)?,
        messages: vec![Message {
            role: Role::User,
            blocks: vec![Block::from(Part::Text(prompt))],
            form: Form::Bare,
            extra: Extra::new(),
        }],
        stream,
        include_usage,
        max_tokens: fields.get("max_tokens", "a number of tokens")?.map(MaxTokens::Plain),
        sampling: Sampling {
            temperature: fields.get("temperature", number)?,
            top_p: fields.get("top_p", number)?,
            top_k: None,
            seed: fields.get("seed", number)?,
            n: fields.get("n", number)?,
            frequency_penalty: fields.get("frequency_penalty", number)?,
            presence_penalty: fields.get("presence_penalty", number)?,
            logprobs: logprobs.is_some().then_some(true),
            top_logprobs: some,
            logit_bias: fields.raw("logit_bias"),
        },
        stop: stop(&mut fields)?,
        tools: Vec::new(),
        tool_choice: None,
        parallel_tools: None,
        format: None,
        reasoning: Reasoning::default(),
        user: fields.text("user")?,
        metadata: Extra::new(),
        service_tier: None,
        output_extra: Extra::new(),
        extra: fields.rest(),
    })
}

/// One text. A list of one is the same; what else a list may hold, a chat model cannot be asked.
fn prompt(raw: &RawValue, at: &At<'_>) -> Result<String, Malformed> {
    if is_string(raw) {
        return string(raw, at);
    }
    let items = list(raw, at, MAX_MESSAGES).map_err(|_| at.wrong("a string"))?;
    match items.as_slice() {
        [one] if is_string(one) => string(one, at),
        [first, ..] if is_string(first) => {
            Err(at.wrong("one text: a chat model answers one prompt a request"))
        }
        _ => Err(at.wrong("text, not tokens: which text they stand for, only their model knows")),
    }
}

/// The prompt, if the answer is to begin with it.
pub(super) fn echo(ask: &Request) -> Option<String> {
    let echo = ask.extra.iter().any(|(name, raw)| **name == *ECHO && raw.get() == "true");
    let block = ask.messages.first().filter(|_| echo)?.blocks.first()?;
    if let Part::Text(text) = &block.part { Some(text.clone()) } else { None }
}

/// What chat has no word for.
pub(super) fn settle(
    ask: &mut Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<(), CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    let n = ask.sampling.n.as_ref().and_then(serde_json::Number::as_u64).unwrap_or(1);
    for (name, raw) in std::mem::take(&mut ask.extra) {
        match (&*name, raw.get()) {
            // The answer's own text does that.
            (ECHO, _) | ("suffix", "\"\"") | ("best_of", "1") => {}
            ("suffix", _) => sieve.refuse("suffix", "a chat model does not fill gaps")?,
            ("best_of", most) if most.parse() == Ok(n) => {}
            ("best_of", _) => sieve.refuse("best_of", "a chat model answers what it answers")?,
            _ => ask.extra.push((name, raw)),
        }
    }
    Ok(())
}
