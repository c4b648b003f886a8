//! What of a request only a provider that speaks responses can do, where the target does not: done
//! in other words, refused, or left out and named.

use serde_json::value::RawValue;

use super::{
    call::members_of,
    item::{self, ITEM},
    namespace::{self, NAMESPACE},
    tool::{self, Kind},
};
use crate::{
    dialect::{
        fields::{At, Fields},
        foreign,
        search::OPTIONS,
        sieve::Sieve,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Extra, Function, Message, Part, Request, Role, Tool, ToolChoice},
    target::Target,
};

/// Members of an item that say nothing about what is to be answered.
const ITEM_MARKS: &[&str] = &[
    "type", "id", "status", "phase",
    // Of which the hub has the text, or all there is.
    "summary", "content", "output", "call_id", // A call is named by it.
    NAMESPACE,
];
/// What chat completions have too, under the same name.
const COMMON: &[&str] =
    &["verbosity", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"];
/// What an answer does not depend on.
const HINTS: &[&str] = &[
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "max_tool_calls",
    "client_metadata",
];
/// What is settled one by one.
const OWN: &[&str] =
    &["store", "background", "truncation", "include", "reasoning", "verbosity", "text"];
/// What the provider would have to have kept.
const KEPT: &[&str] = &["previous_response_id", "conversation", "prompt"];

pub(super) fn settle(
    ask: &mut Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<(), CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    for (name, raw) in std::mem::take(&mut ask.extra) {
        let search = *name == *OPTIONS && matches!(to.dialect, Dialect::Openai | Dialect::Bedrock);
        let common = to.dialect == Dialect::Openai && COMMON.contains(&&*name);
        if search || common || is_nobodys(&name) {
            ask.extra.push((name, raw));
        } else {
            member(&name, &raw, to, &mut sieve)?;
        }
    }
    if !ask.metadata.is_empty() {
        // It is for answers that are stored; ours repeats it all the same.
        ask.metadata.clear();
        sieve.hint("metadata");
    }
    if ask.sampling.logprobs.is_none() && ask.sampling.top_logprobs.take().is_some() {
        sieve.hint("top_logprobs");
    }
    messages(ask, &mut sieve)?;
    allow(ask);
    tools(ask, &mut sieve)
}

/// Leaves the functions. Who has none to choose from must not be told how.
fn tools(ask: &mut Request, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let mut kept = Vec::with_capacity(ask.tools.len());
    for (index, mut tool) in std::mem::take(&mut ask.tools).into_iter().enumerate() {
        match &mut tool {
            Tool::Function(function) => plain(function),
            Tool::Other { kind, raw, .. } if kind == NAMESPACE => {
                let at = At::Field(&At::Body, "tools");
                for mut member in namespace::members(raw, At::Item(&at, index))? {
                    plain(&mut member.function);
                    kept.push(Tool::Function(member.function));
                }
                continue;
            }
            // What was said in the target's words already.
            Tool::Other { dialect, .. } if *dialect != Dialect::Responses => {}
            Tool::Other { kind, .. } => {
                let why = format!("only a provider that speaks responses runs `{kind}`");
                sieve.refuse(&format!("tools[{index}]"), &why)?;
                continue;
            }
        }
        kept.push(tool);
    }
    ask.tools = kept;
    if ask.tools.is_empty() {
        ask.parallel_tools = None;
        if matches!(ask.tool_choice, Some(ToolChoice::Auto | ToolChoice::None)) {
            ask.tool_choice = None;
        }
    }
    Ok(())
}

fn member(name: &str, raw: &RawValue, to: &Target, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let speaks = to.dialect.name();
    match (name, raw.get()) {
        // That is how it is anyway.
        ("store" | "background", "false") | ("truncation", "\"disabled\"") => Ok(()),
        ("store", _) => {
            sieve.hint("store");
            Ok(())
        }
        ("background", _) => sieve.refuse(
            name,
            "this target answers at once or in a stream, and keeps nothing that goes on by itself",
        ),
        ("truncation", _) => {
            let why = format!("a target that speaks {speaks} does not shorten conversations");
            sieve.refuse(name, &why)
        }
        ("include", _) => {
            include(raw, sieve);
            Ok(())
        }
        ("reasoning", _) => {
            for (name, _) in members_of(raw).unwrap_or_default() {
                // Thoughts are shown as summaries, as far as there are any.
                if !matches!(&*name, "summary" | "generate_summary") {
                    sieve.hint(&format!("reasoning.{name}"));
                }
            }
            Ok(())
        }
        _ if KEPT.contains(&name) => {
            let why = format!("a target that speaks {speaks} keeps no answers and no prompts");
            Err(sieve.unsupported(name, &why).into())
        }
        _ if HINTS.contains(&name) => {
            sieve.hint(name);
            Ok(())
        }
        // How wordy an answer is, is a wish: what it must be is not.
        ("verbosity", _) => {
            sieve.hint("text.verbosity");
            Ok(())
        }
        _ => sieve.refuse(name, &no_such(speaks)),
    }
}

/// Whether a field is none of responses: what becomes of it is the target's to say.
fn is_nobodys(name: &str) -> bool {
    let own =
        KEPT.contains(&name) || HINTS.contains(&name) || foreign::is_own(Dialect::Responses, name);
    !own && !OWN.contains(&name)
}

fn no_such(speaks: &str) -> String {
    format!("a target that speaks {speaks} has no such parameter")
}

/// Thoughts come with what their provider wants back, and logprobs are asked for otherwise. The
/// rest is about tools that only providers of responses run.
fn include(raw: &RawValue, sieve: &mut Sieve<'_>) {
    let names: Vec<String> = serde_json::from_str(raw.get()).unwrap_or_default();
    for name in names {
        match name.as_str() {
            "reasoning.encrypted_content" | "message.output_text.logprobs" => {}
            _ => sieve.hint("include"),
        }
    }
}

/// Leaves in the conversation what every dialect knows.
fn messages(ask: &mut Request, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let mut messages = Vec::with_capacity(ask.messages.len());
    for mut message in std::mem::take(&mut ask.messages) {
        let empty = message.blocks.is_empty();
        message.extra.retain(|(name, _)| !ITEM_MARKS.contains(&&**name));
        let mut kept = Vec::with_capacity(message.blocks.len());
        for mut block in std::mem::take(&mut message.blocks) {
            if let Part::Other { dialect: Dialect::Responses, raw } = &block.part {
                match tool::added(raw)? {
                    Some(more) => ask.tools.extend(more),
                    None => other(raw, sieve)?,
                }
                continue;
            }
            if block.extra.iter().any(|(name, _)| **name == *ITEM) {
                let rest = item::rest_of(&block);
                if let Part::ToolCall(call) = &mut block.part
                    && let Some(space) = namespace::of_call(&rest)
                {
                    call.name = namespace::joined(&space, &call.name);
                }
                for (name, _) in rest {
                    if !ITEM_MARKS.contains(&&*name) {
                        sieve.hint(&format!("input[].{name}"));
                    }
                }
                block.extra.retain(|(name, _)| **name != *ITEM);
            }
            // What an earlier answer cited is of no use to the next one.
            block.extra.retain(|(name, _)| !matches!(&**name, "annotations" | "logprobs"));
            if let Part::ToolResult(result) = &mut block.part {
                for block in &result.blocks {
                    if let Part::Other { dialect: Dialect::Responses, raw } = &block.part {
                        other(raw, sieve)?;
                    }
                }
                result.blocks.retain(|b| {
                    !matches!(&b.part, Part::Other { dialect: Dialect::Responses, .. })
                });
            }
            kept.push(block);
        }
        message.blocks = kept;
        if says_something(&message) && (empty || !message.blocks.is_empty()) {
            messages.push(message);
        }
    }
    ask.messages = messages;
    Ok(())
}

/// A thought that nothing came of is no turn of its own.
fn says_something(message: &Message) -> bool {
    let thought = |part: &Part| matches!(part, Part::Thinking { .. } | Part::RedactedThinking(_));
    message.role != Role::Assistant || !message.blocks.iter().all(|block| thought(&block.part))
}

fn other(raw: &RawValue, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let kind = Fields::of(raw, At::Body).ok().and_then(|mut fields| fields.text("type").ok());
    let kind = kind.flatten().unwrap_or_else(|| "item_reference".to_owned());
    let why = match kind.as_str() {
        "item_reference" => "the item is at the provider that stored it".to_owned(),
        _ => format!("`{kind}` is an item of responses alone"),
    };
    sieve.refuse("input", &why)
}

/// `allowed_tools`: the others are not shown.
pub(in crate::dialect) fn allow(ask: &mut Request) {
    let Some(ToolChoice::Other { dialect: Dialect::Responses, raw }) = &ask.tool_choice else {
        return;
    };
    let Some((mode, names)) = allowed(raw) else { return };
    ask.tools.retain(|tool| match tool {
        Tool::Function(function) => names.contains(&function.name),
        Tool::Other { kind, .. } => names.contains(kind),
    });
    ask.tool_choice = Some(mode);
}

/// `{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}`
fn allowed(raw: &RawValue) -> Option<(ToolChoice, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Allowed {
        r#type: String,
        mode: String,
        tools: Vec<Named>,
    }
    #[derive(serde::Deserialize)]
    struct Named {
        r#type: String,
        #[serde(default)]
        name: Option<String>,
    }
    let allowed: Allowed = serde_json::from_str(raw.get()).ok()?;
    if allowed.r#type != "allowed_tools" {
        return None;
    }
    let mode = match allowed.mode.as_str() {
        "auto" => ToolChoice::Auto,
        "required" => ToolChoice::Required,
        _ => return None,
    };
    let name = |tool: Named| tool.name.unwrap_or(tool.r#type);
    Some((mode, allowed.tools.into_iter().map(name).collect()))
}

/// A tool of the client's as a function of any dialect: what its input must look like is told in
/// words.
fn plain(function: &mut Function) {
    if Kind::of_function(function).is_none() {
        return;
    }
    let extra = std::mem::take(&mut function.extra);
    if let Some(grammar) = grammar(&extra) {
        let description = function.description.take().unwrap_or_default();
        function.description = Some(match description.is_empty() {
            true => grammar,
            false => format!("{description}\n\n{grammar}"),
        });
    }
    let told = |name: &str| matches!(name, "type" | "format");
    function.extra = extra.into_iter().filter(|(name, _)| !told(name)).collect();
}

/// `{"type":"grammar","syntax":"lark","definition":"start: …"}`
fn grammar(extra: &Extra) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Format {
        syntax: String,
        definition: String,
    }
    let (_, raw) = extra.iter().find(|(name, _)| **name == *"format")?;
    let Format { syntax, definition } = serde_json::from_str(raw.get()).ok()?;
    let what = if syntax == "regex" { "regular expression" } else { "grammar (Lark)" };
    Some(format!("`input` must match this {what}:\n{definition}"))
}

/// What every function of a request is, by its name.
pub(super) fn kinds(ask: &Request) -> Vec<(Box<str>, Kind)> {
    let tools = tool::offered(ask);
    let functions = tools.iter().filter_map(|tool| match tool {
        Tool::Function(function) => Some(function),
        Tool::Other { .. } => None,
    });
    let kind = |of: &Function| Some((of.name.as_str().into(), Kind::of_function(of)?));
    let spaces = namespace::members_of(&tools);
    functions.chain(spaces.iter().map(|member| &member.function)).filter_map(kind).collect()
}
