//! The hub's request as a prediction's input.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::Number;

use crate::{
    dialect::{
        body::Body,
        foreign, json, preset,
        sieve::Sieve,
        text::{self, Turn},
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Format, Part, Reasoning, Request, Role, Source, Thinking},
    provider::Inputs,
    target::Target,
};

/// Why a parameter is refused.
const NO_SUCH: &str = "this model has no such parameter";
/// Settings of LiteLLM's that say what is done here anyway.
const SETTINGS: &[&str] = &["supports_system_prompt"];

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let mut ask = preset::with_defaults(ask, to)?.into_owned();
    let mut sieve = Sieve::new(to, dropped);
    let inputs = to.provider.inputs.as_ref();
    let mut input = Input { body: Body::default(), takes: inputs.and_then(|it| it.takes.as_ref()) };
    pictures(&mut ask, &mut sieve, &mut input)?;
    conversation(&ask, inputs, &mut sieve, &mut input)?;
    sampling(&ask, &mut sieve, &mut input)?;
    reasoning(std::mem::take(&mut ask.reasoning), &mut sieve, &mut input)?;
    match &ask.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonObject | Format::JsonSchema(_) | Format::Other { .. }) => {
            sieve.refuse("response_format", "this model has no formats")?;
        }
    }
    text::refused(&ask, &[], &mut sieve)?;
    rest(&ask, &mut sieve, &mut input)?;
    let input = input.body.patched(to);
    let mut body = Body::default();
    if let Some(version) = super::version(&to.model) {
        body.text("version", version);
    }
    body.put("input", |out| out.put_slice(&input));
    Ok(body.written())
}

/// The input, in the model's own names.
struct Input<'a> {
    body: Body,
    takes: Option<&'a BTreeMap<String, String>>,
}

impl Input<'_> {
    /// What the model calls a parameter, if it has it.
    fn name<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        match self.takes {
            None => Some(name),
            Some(takes) => takes.get(name).map(String::as_str),
        }
    }

    /// The same for what not even Replicate's own models have.
    fn listed(&self, name: &str) -> Option<&str> {
        self.takes?.get(name).map(String::as_str)
    }

    fn put(&mut self, name: &str, fill: impl FnOnce(&mut BytesMut)) {
        let mut value = BytesMut::new();
        fill(&mut value);
        self.body.fill(name, value.freeze());
    }

    fn text(&mut self, name: &str, text: &str) {
        self.put(name, |out| json::string(out, text));
    }
}

/// Takes the pictures out of the last message, where the model sees any. Those of other messages
/// are refused with all that is no text.
fn pictures(
    ask: &mut Request,
    sieve: &mut Sieve<'_>,
    input: &mut Input<'_>,
) -> Result<(), CannotAsk> {
    let one = input.listed("image").map(str::to_owned);
    let Some(name) = one.clone().or_else(|| input.listed("images").map(str::to_owned)) else {
        return Ok(());
    };
    let Some(last) = ask.messages.last_mut().filter(|last| last.role == Role::User) else {
        return Ok(());
    };
    let mut urls = Vec::new();
    last.blocks.retain(|block| {
        let Part::Image { source, detail } = &block.part else { return true };
        match source {
            Source::Url(url) => urls.push(url.clone()),
            Source::Base64 { media_type, data } => {
                urls.push(format!("data:{media_type};base64,{data}"));
            }
            Source::FileId(_) | Source::Text(_) => return true,
        }
        if detail.is_some() {
            sieve.hint("messages[].content[].detail");
        }
        if block.cache.is_some() {
            sieve.hint("cache_control");
        }
        block
            .extra
            .iter()
            .for_each(|(name, _)| sieve.hint(&format!("messages[].content[].{name}")));
        false
    });
    match (urls.as_slice(), one) {
        ([], _) => {}
        ([url], Some(_)) => input.text(&name, url),
        (_, Some(_)) => sieve.refuse("messages[].content[]", "this model sees one picture")?,
        (urls, None) => input.put(&name, |out| {
            json::list(out, |list| urls.iter().for_each(|url| json::string(list.item(), url)));
        }),
    }
    Ok(())
}

fn conversation(
    ask: &Request,
    inputs: Option<&Inputs>,
    sieve: &mut Sieve<'_>,
    input: &mut Input<'_>,
) -> Result<(), CannotAsk> {
    let turns = text::turns(ask, sieve)?;
    let form = inputs.and_then(|inputs| inputs.turns.as_deref());
    // A client that speaks of prompts means what it says.
    if ask.surface == Dialect::Completions {
        let text: String = turns.into_iter().map(|turn| turn.text).collect();
        input.text("prompt", &text);
        as_it_is(form, input);
        return Ok(());
    }
    let is_system = |turn: &Turn| matches!(turn.role, Role::System | Role::Developer);
    let lead = turns.iter().take_while(|turn| is_system(turn)).count();
    let (system, said) = turns.split_at_checked(lead).unwrap_or((&turns, &[]));
    let single = matches!(said, [] | [Turn { role: Role::User, .. }]);
    if !single && form == Some("messages") {
        if !input.body.is_empty() {
            let why = "this model sees pictures with a single message only";
            return Err(sieve.unsupported("messages[].content[]", why).into());
        }
        input.put("messages", |out| messages(&turns, out));
        return Ok(());
    }
    let own = input.name("system_prompt").filter(|_| !said.is_empty()).map(str::to_owned);
    let system: Vec<&str> = system.iter().map(|turn| turn.text.as_str()).collect();
    let system = system.join("\n\n");
    if single || form.is_none() || form == Some("messages") {
        if !single {
            sieve.refuse("messages[].role", text::UNKNOWN_FORM)?;
        }
        let said = said.iter().map(|turn| turn.text.as_str());
        let apart = own.is_some();
        let before = Some(system.as_str()).filter(|text| !apart && !text.is_empty());
        let prompt: Vec<&str> = before.into_iter().chain(said).collect();
        input.text("prompt", &prompt.join("\n\n"));
    } else {
        let form = form.unwrap_or_default();
        // Told in words, a conversation is still one message to the model.
        let words = form == "words";
        let told = if words && own.is_some() { said } else { &turns };
        let prompt = text::formed(form, told, sieve)?;
        let prompt =
            prompt.ok_or_else(|| sieve.unsupported("messages[].role", text::UNKNOWN_FORM))?;
        input.text("prompt", &prompt);
        if !words {
            as_it_is(Some(form), input);
            return Ok(());
        }
    }
    if let Some(name) = own.filter(|_| !system.is_empty()) {
        input.text(&name, &system);
    }
    Ok(())
}

/// The prompt has its form already: the model is not to put it into another.
fn as_it_is(form: Option<&str>, input: &mut Input<'_>) {
    const NAME: &str = "prompt_template";
    let of_a_llama = form.is_some_and(|form| form != "words" && form != "messages");
    let name = if of_a_llama { input.name(NAME) } else { input.listed(NAME) };
    if let Some(name) = name.map(str::to_owned) {
        input.text(&name, "{prompt}");
    }
}

fn messages(turns: &[Turn], out: &mut BytesMut) {
    json::list(out, |list| {
        for turn in turns {
            list.object(|o| {
                o.text(
                    "role",
                    match turn.role {
                        Role::System | Role::Developer => "system",
                        Role::User | Role::Tool => "user",
                        Role::Assistant => "assistant",
                    },
                );
                o.text("content", &turn.text);
            });
        }
    });
}

fn sampling(ask: &Request, sieve: &mut Sieve<'_>, input: &mut Input<'_>) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    let limit = ask.max_tokens.map(|limit| Number::from(limit.get()));
    for (name, number) in [
        ("max_tokens", &limit),
        ("temperature", &sampling.temperature),
        ("top_p", &sampling.top_p),
        ("top_k", &sampling.top_k),
        ("seed", &sampling.seed),
        ("presence_penalty", &sampling.presence_penalty),
        ("frequency_penalty", &sampling.frequency_penalty),
    ] {
        let Some(number) = number else { continue };
        match input.name(name).map(str::to_owned) {
            Some(own) => input.put(&own, |out| out.put_slice(number.to_string().as_bytes())),
            None => sieve.refuse(name, NO_SUCH)?,
        }
    }
    let Some(stop) = ask.stop.as_ref().filter(|stop| !stop.texts.is_empty()) else {
        return Ok(());
    };
    match input.name("stop_sequences").map(str::to_owned) {
        None => sieve.refuse("stop", NO_SUCH),
        Some(_) if stop.texts.iter().any(|text| text.contains(',')) => {
            sieve.refuse("stop", "replicate's models part such texts at commas")
        }
        Some(own) => {
            input.text(&own, &stop.texts.join(","));
            Ok(())
        }
    }
}

/// Whether and how much to think: OpenAI's models take a word, Claude a switch and a number,
/// Gemini a number alone.
fn reasoning(
    wish: Reasoning,
    sieve: &mut Sieve<'_>,
    input: &mut Input<'_>,
) -> Result<(), CannotAsk> {
    let budget = input.listed("thinking_budget").map(str::to_owned);
    let switch = input.listed("thinking").map(str::to_owned);
    match (wish.thinking, switch, budget) {
        (None, ..) => {}
        (Some(Thinking::Enabled { budget: tokens }), switch, Some(budget)) => {
            if let Some(switch) = switch {
                input.put(&switch, |out| out.put_slice(b"true"));
            }
            input.put(&budget, |out| json::integer(out, tokens));
        }
        (Some(Thinking::Disabled), Some(switch), _) => {
            input.put(&switch, |out| out.put_slice(b"false"));
        }
        (Some(Thinking::Disabled), None, Some(budget)) => {
            input.put(&budget, |out| out.put_slice(b"0"));
        }
        (Some(Thinking::Disabled), None, None) => {}
        (Some(Thinking::Enabled { .. } | Thinking::Adaptive), ..) => {
            sieve.refuse("thinking", NO_SUCH)?;
        }
    }
    for (name, _) in &wish.extra {
        sieve.hint(&format!("thinking.{name}"));
    }
    let Some(effort) = wish.effort else { return Ok(()) };
    match input.listed("reasoning_effort").map(str::to_owned) {
        Some(own) => input.text(&own, &effort),
        None if effort == "none" => {}
        None => sieve.refuse("reasoning_effort", NO_SUCH)?,
    }
    Ok(())
}

/// What the hub has no name for: inputs of the model's own, by its own names.
fn rest(ask: &Request, sieve: &mut Sieve<'_>, input: &mut Input<'_>) -> Result<(), CannotAsk> {
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
    foreign::output(ask, sieve)?;
    let is_own = |name: &str| input.takes.is_some_and(|it| it.values().any(|own| own == name));
    let own: Vec<&str> =
        ask.extra.iter().map(|(name, _)| &**name).filter(|name| is_own(name)).collect();
    let left = foreign::fields(ask, &own, sieve)?;
    let of_model = ask.extra.iter().filter(|(name, _)| own.contains(&&**name));
    for (name, raw) in of_model.chain(left) {
        if SETTINGS.contains(&&**name) {
            continue;
        }
        let fits = input.takes.is_none() || own.contains(&&**name);
        if text::HINTS.contains(&&**name) {
            sieve.hint(name);
        } else if fits && !input.body.has(name) {
            input.put(name, |out| out.put_slice(raw.get().as_bytes()));
        } else {
            sieve.refuse(name, NO_SUCH)?;
        }
    }
    Ok(())
}
