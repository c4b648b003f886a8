//! `toolConfig`.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html>

use super::{
    block::Writer,
    call::Additional,
    family::Family,
    format::{ANSWER_TOOL, Shape},
    message::{Turns, check_mark},
};
use crate::{
    dialect::{body::Body, json, sieve::Sieve},
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Function, Request, Schema, Tool, ToolChoice},
};

/// Most characters of a tool's name.
const MAX_NAME: usize = 64;
/// Tools of Anthropic's own that Claude also knows at Bedrock, by the beginning of their types.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/computer-use.html>
const CLAUDE_TOOLS: &[&str] = &["computer_", "bash_", "text_editor_", "memory_"];
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// What of the tools is written.
struct Tools<'a> {
    functions: Vec<&'a Function>,
    /// Called before, but no longer offered: Bedrock wants to know them all the same.
    past: Vec<&'a str>,
    answer: Option<&'a Schema>,
    /// Nova's own.
    grounding: bool,
}

/// Whether tools must be called, as Bedrock says it.
enum Choice<'a> {
    Any,
    Tool(&'a str),
}

#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) ask: &'a Request,
    pub(super) turns: &'a Turns<'a>,
    pub(super) shape: &'a Shape<'a>,
    /// Whether the model may search the web.
    pub(super) grounding: bool,
}

/// Writes `toolConfig`, and what of tools has no place in it.
pub(super) fn write(
    asked: Asked<'_>,
    writer: &mut Writer,
    sieve: &mut Sieve<'_>,
    body: &mut Body,
    additional: &mut Additional,
) -> Result<(), CannotAsk> {
    let Asked { ask, turns, shape, grounding } = asked;
    let family = writer.family;
    let functions = functions(ask, family, sieve, additional)?;
    let answer = if let Shape::Tool(schema) = shape { Some(*schema) } else { None };
    let mut tools = Tools { functions, past: Vec::new(), answer, grounding };
    let forbidden = matches!(ask.tool_choice, Some(ToolChoice::None));
    if forbidden {
        // What is not offered cannot be called.
        tools.functions.clear();
    }
    let offered = !tools.functions.is_empty();
    if turns.has_tools() && !offered {
        tools.past = turns.called();
        if tools.past.is_empty() {
            sieve
                .refuse("messages", "there are tool results without the calls that they answer")?;
        } else if family.is_claude() && answer.is_none() {
            additional.put("tool_choice", |out| json::object(out, |o| o.text("type", "none")));
        } else if forbidden {
            let why = "this model cannot be forbidden to call the tools that `messages` speak of";
            sieve.refuse("tool_choice", why)?;
        }
    }
    if tools.is_empty() {
        return Ok(());
    }
    let choice = match (answer, offered) {
        (Some(_), false) => Some(Choice::Tool(ANSWER_TOOL)),
        (Some(_), true) => Some(Choice::Any),
        (None, true) => choice(ask, sieve)?,
        (None, false) => None,
    };
    if offered && ask.parallel_tools == Some(false) {
        one_at_a_time(family, choice.is_some(), sieve, additional)?;
    }
    body.put("toolConfig", |out| {
        json::object(out, |o| {
            o.list("tools", |list| tools.write(list, writer));
            if let Some(choice) = &choice {
                o.object("toolChoice", |o| match choice {
                    Choice::Any => o.object("any", |_| {}),
                    Choice::Tool(name) => o.object("tool", |o| o.text("name", name)),
                });
            }
        });
    });
    Ok(())
}

impl Tools<'_> {
    fn is_empty(&self) -> bool {
        self.functions.is_empty()
            && self.past.is_empty()
            && self.answer.is_none()
            && !self.grounding
    }

    fn write(&self, list: &mut json::List<'_>, writer: &mut Writer) {
        for function in &self.functions {
            write_function(list, function, writer.family);
            writer.forget_mark();
            if writer.family.is_claude() {
                writer.write_mark(list, function.cache.as_ref());
            }
        }
        for name in &self.past {
            write_spec(list, name, None, NO_PARAMETERS, false);
        }
        if let Some(schema) = self.answer {
            let description = schema.description.as_deref().unwrap_or("Gives the answer.");
            let raw = schema.schema.as_ref().map_or(NO_PARAMETERS, |raw| raw.get());
            write_spec(list, ANSWER_TOOL, Some(description), raw, false);
        }
        if self.grounding {
            list.object(|o| o.object("systemTool", |o| o.text("name", "nova_grounding")));
        }
    }
}

/// The functions; tools of other kinds go elsewhere or are refused.
fn functions<'a>(
    ask: &'a Request,
    family: Family,
    sieve: &mut Sieve<'_>,
    additional: &mut Additional,
) -> Result<Vec<&'a Function>, CannotAsk> {
    let mut functions = Vec::new();
    let mut own = Vec::new();
    for (index, tool) in ask.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                if check(function, index, family, sieve)? {
                    functions.push(function);
                }
            }
            Tool::Other { dialect: Dialect::Anthropic, kind, raw }
                if family.is_claude()
                    && CLAUDE_TOOLS.iter().any(|start| kind.starts_with(start)) =>
            {
                own.push(raw.get());
            }
            Tool::Other { kind, .. } => {
                let why = format!("bedrock has no tools of type `{kind}`");
                sieve.refuse(&format!("tools[{index}]"), &why)?;
            }
        }
    }
    if !own.is_empty() {
        additional.put("tools", |out| {
            json::list(out, |list| own.iter().for_each(|raw| list.raw(raw)));
        });
    }
    Ok(functions)
}

/// Whether a function can be offered.
fn check(
    function: &Function,
    index: usize,
    family: Family,
    sieve: &mut Sieve<'_>,
) -> Result<bool, CannotAsk> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = &function.name;
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        let why = "bedrock wants a name of at most 64 letters, digits, `_` and `-`";
        sieve.refuse(&format!("tools[{index}].name"), why)?;
        return Ok(false);
    }
    if name == ANSWER_TOOL {
        let why = "this name is taken by the tool that structured answers come by";
        sieve.refuse(&format!("tools[{index}].name"), why)?;
        return Ok(false);
    }
    for (name, _) in function.extra.iter().filter(|(name, _)| **name != *"type") {
        sieve.hint(&format!("tools[].{name}"));
    }
    if function.strict == Some(true) && !family.formats() {
        sieve.hint("tools[].strict");
    }
    if let Some(mark) = &function.cache {
        if family.is_claude() {
            check_mark(mark, family, sieve);
        } else {
            sieve.hint("tools[].cache_control");
        }
    }
    Ok(true)
}

fn write_function(list: &mut json::List<'_>, function: &Function, family: Family) {
    let parameters = match &function.parameters {
        Some(schema) if schema.get().len() > 2 => schema.get(),
        // OpenAI's way to say "no parameters".
        Some(_) | None => NO_PARAMETERS,
    };
    let strict = function.strict == Some(true) && family.formats();
    write_spec(list, &function.name, function.description.as_deref(), parameters, strict);
}

fn write_spec(
    list: &mut json::List<'_>,
    name: &str,
    description: Option<&str>,
    schema: &str,
    strict: bool,
) {
    list.object(|o| {
        o.object("toolSpec", |o| {
            o.text("name", name);
            o.some_text("description", description.filter(|text| !text.trim().is_empty()));
            o.object("inputSchema", |o| o.raw("json", schema));
            if strict {
                o.flag("strict", true);
            }
        });
    });
}

fn choice<'a>(ask: &'a Request, sieve: &mut Sieve<'_>) -> Result<Option<Choice<'a>>, CannotAsk> {
    Ok(match &ask.tool_choice {
        // What a model does anyway; not all models can be told.
        None | Some(ToolChoice::Auto | ToolChoice::None) => None,
        Some(ToolChoice::Required) => Some(Choice::Any),
        Some(ToolChoice::Named(name)) => Some(Choice::Tool(name)),
        Some(ToolChoice::Other { .. }) => {
            sieve.refuse("tool_choice", "bedrock has no such choice")?;
            None
        }
    })
}

/// Converse has no word for it, Claude has. The type of the choice is said once only.
fn one_at_a_time(
    family: Family,
    chosen: bool,
    sieve: &mut Sieve<'_>,
    additional: &mut Additional,
) -> Result<(), CannotAsk> {
    if !family.is_claude() {
        let why = "only claude can be held to one call at a time at bedrock";
        return sieve.refuse("parallel_tool_calls", why);
    }
    additional.put("tool_choice", |out| {
        json::object(out, |o| {
            if !chosen {
                o.text("type", "auto");
            }
            o.flag("disable_parallel_tool_use", true);
        });
    });
    Ok(())
}
