//! Tools and the choice of them, both ways.
//!
//! Functions are flat here. Beside them there are tools that the client runs too, each with items
//! of its own: custom tools (free text in), shells, patches. Providers of other dialects know only
//! functions, so the hub has these as functions as well, marked by their `type`, and their calls
//! and results are read and written as what they are:
//!
//! ```text
//! {"type":"custom_tool_call","call_id":"c","name":"apply_patch","input":"*** Begin Patch"}
//! ⇄ a call of the function apply_patch with {"input":"*** Begin Patch"}
//! ```

use bytes::BytesMut;
use serde_json::value::RawValue;

use crate::{
    dialect::{
        fields::{At, Fields, is_string, string},
        json::{self, List, Object},
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Extra, Function, MAX_TOOLS, Part, Raw, Request, Tool, ToolChoice},
};

/// A tool that the client runs and that is no function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Free text in, perhaps of a grammar.
    Custom,
    /// <https://platform.openai.com/docs/guides/tools-local-shell>
    LocalShell,
    /// <https://platform.openai.com/docs/guides/tools-shell>
    Shell,
    /// <https://platform.openai.com/docs/guides/tools-apply-patch>
    ApplyPatch,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Custom, Kind::LocalShell, Kind::Shell, Kind::ApplyPatch];

    /// Of a tool's type.
    pub(super) fn of_tool(kind: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.tool() == kind)
    }

    /// Of the type of a call's item.
    pub(super) fn of_call(kind: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.call() == kind)
    }

    /// Of the type of a result's item.
    pub(super) fn of_result(kind: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| kind.strip_suffix("_output") == Some(it.call()))
    }

    /// Of the function that the hub has in its place.
    pub(super) fn of_function(function: &Function) -> Option<Kind> {
        let (_, raw) = function.extra.iter().find(|(name, _)| **name == *"type")?;
        Kind::of_tool(raw.get().trim_matches('"'))
    }

    const fn tool(self) -> &'static str {
        match self {
            Kind::Custom => "custom",
            Kind::LocalShell => "local_shell",
            Kind::Shell => "shell",
            Kind::ApplyPatch => "apply_patch",
        }
    }

    pub(super) const fn call(self) -> &'static str {
        match self {
            Kind::Custom => "custom_tool_call",
            Kind::LocalShell => "local_shell_call",
            Kind::Shell => "shell_call",
            Kind::ApplyPatch => "apply_patch_call",
        }
    }

    /// The function's name, where the tool has none of its own.
    pub(super) const fn name(self) -> &'static str {
        self.tool()
    }

    /// The member of a call's item that is the function's arguments; a custom tool's is text, and
    /// the only argument.
    pub(super) const fn payload(self) -> &'static str {
        match self {
            Kind::Custom => "input",
            Kind::LocalShell | Kind::Shell => "action",
            Kind::ApplyPatch => "operation",
        }
    }

    const fn description(self) -> Option<&'static str> {
        match self {
            Kind::Custom => None,
            Kind::LocalShell => Some("Runs a command on the user's machine."),
            Kind::Shell => Some("Runs shell commands, each in turn, and returns what they print."),
            Kind::ApplyPatch => Some("Creates, updates or deletes a file by a diff (V4A format)."),
        }
    }

    const fn schema(self) -> &'static str {
        match self {
            Kind::Custom => {
                r#"{"type":"object","properties":{"input":{"type":"string","description":"The tool's whole input, as plain text."}},"required":["input"],"additionalProperties":false}"#
            }
            Kind::LocalShell => {
                r#"{"type":"object","properties":{"type":{"type":"string","enum":["exec"]},"command":{"type":"array","items":{"type":"string"},"description":"The program and its arguments."},"env":{"type":"object","additionalProperties":{"type":"string"}},"working_directory":{"type":"string"},"timeout_ms":{"type":"integer"}},"required":["command"]}"#
            }
            Kind::Shell => {
                r#"{"type":"object","properties":{"commands":{"type":"array","items":{"type":"string"}},"timeout_ms":{"type":"integer"},"max_output_length":{"type":"integer"}},"required":["commands"]}"#
            }
            Kind::ApplyPatch => {
                r#"{"type":"object","properties":{"type":{"type":"string","enum":["create_file","update_file","delete_file"]},"path":{"type":"string"},"diff":{"type":"string","description":"The file's lines, or the changes to them; none to delete it."}},"required":["type","path"]}"#
            }
        }
    }
}

/// Whether an item of this type, quotes included, is a call of a tool that the client runs.
pub(crate) fn is_call(kind: &[u8]) -> bool {
    let kind = std::str::from_utf8(kind).unwrap_or_default().trim_matches('"');
    kind == "function_call" || Kind::of_call(kind).is_some()
}

/// JSON text of ours.
pub(super) fn raw(text: String) -> Option<Raw> {
    RawValue::from_string(text).ok()
}

/// Members as one object; `None` if there are none.
pub(super) fn object_of(extra: Extra) -> Option<Raw> {
    if extra.is_empty() {
        return None;
    }
    let mut out = BytesMut::new();
    json::object(&mut out, |o| o.extra(&extra));
    raw(String::from_utf8(out.to_vec()).ok()?)
}

/// `tools`
pub(super) fn read_all(fields: &mut Fields<'_, '_>) -> Result<Vec<Tool>, Malformed> {
    let at = At::Field(&At::Body, "tools");
    let tools = fields.list("tools", MAX_TOOLS)?.unwrap_or_default();
    tools.into_iter().enumerate().map(|(i, raw)| read(raw, At::Item(&at, i))).collect()
}

/// Tools that an item of the conversation adds: `{"type":"additional_tools","tools":[…]}`; `None`
/// for another item.
pub(super) fn added(raw: &RawValue) -> Result<Option<Vec<Tool>>, Malformed> {
    let mut fields = Fields::of(raw, At::Body)?;
    if fields.text("type")?.as_deref() != Some("additional_tools") {
        return Ok(None);
    }
    read_all(&mut fields).map(Some)
}

/// The tools of a request, with those that its items add.
pub(super) fn offered(ask: &Request) -> Vec<Tool> {
    let blocks = ask.messages.iter().flat_map(|message| &message.blocks);
    let added = blocks.filter_map(|block| match &block.part {
        Part::Other { dialect: Dialect::Responses, raw } => added(raw).ok().flatten(),
        _ => None,
    });
    ask.tools.iter().cloned().chain(added.flatten()).collect()
}

/// One of them.
pub(super) fn read(raw: &RawValue, at: At<'_>) -> Result<Tool, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let kind = fields.need_text("type")?;
    if kind == "function" {
        return Ok(Tool::Function(Function {
            name: fields.need_text("name")?,
            description: fields.text("description")?,
            parameters: fields.raw("parameters"),
            strict: fields.get("strict", "true or false")?,
            cache: None,
            extra: fields.rest(),
        }));
    }
    let Some(known) = Kind::of_tool(&kind) else {
        return Ok(Tool::Other { dialect: Dialect::Responses, kind, raw: raw.to_owned() });
    };
    let name = match known {
        Kind::Custom => fields.need_text("name")?,
        Kind::LocalShell | Kind::Shell | Kind::ApplyPatch => known.name().to_owned(),
    };
    let description = fields.text("description")?.or(known.description().map(str::to_owned));
    let mut extra = Extra::new();
    extra.extend(self::raw(format!("\"{kind}\"")).map(|raw| ("type".into(), raw)));
    extra.extend(fields.rest());
    let parameters = self::raw(known.schema().to_owned());
    Ok(Tool::Function(Function { name, description, parameters, strict: None, cache: None, extra }))
}

/// `tool_choice`
pub(super) fn read_choice(fields: &mut Fields<'_, '_>) -> Result<Option<ToolChoice>, Malformed> {
    let Some(raw) = fields.take("tool_choice") else { return Ok(None) };
    let at = At::Field(&At::Body, "tool_choice");
    if is_string(raw) {
        return Ok(Some(match string(raw, &at)?.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(at.wrong("`auto`, `none`, `required` or a tool")),
        }));
    }
    let mut choice = Fields::of(raw, at)?;
    let kind = choice.need_text("type")?;
    Ok(Some(match (kind.as_str(), Kind::of_tool(&kind)) {
        ("function", _) | (_, Some(Kind::Custom)) => ToolChoice::Named(choice.need_text("name")?),
        (_, Some(kind)) => ToolChoice::Named(kind.name().to_owned()),
        (_, None) => ToolChoice::Other { dialect: Dialect::Responses, raw: raw.to_owned() },
    }))
}

/// Writes a tool of a client that speaks responses too.
pub(super) fn write_own(list: &mut List<'_>, tool: &Tool) {
    match tool {
        Tool::Other { raw, .. } => list.raw(raw.get()),
        Tool::Function(function) => list.object(|o| match Kind::of_function(function) {
            Some(kind) => {
                if kind == Kind::Custom {
                    o.text("name", &function.name);
                }
                let own = |text: &&str| Some(*text) != kind.description();
                o.some_text("description", function.description.as_deref().filter(own));
                o.extra(&function.extra);
            }
            None => {
                write_function(o, function);
                if let Some(strict) = function.strict {
                    o.flag("strict", strict);
                }
                o.extra(&function.extra);
            }
        }),
    }
}

/// Writes the members of a function, but for `strict`.
pub(super) fn write_function(o: &mut Object<'_>, function: &Function) {
    o.text("type", "function");
    o.text("name", &function.name);
    o.some_text("description", function.description.as_deref());
    if let Some(parameters) = &function.parameters {
        o.raw("parameters", parameters.get());
    }
}

/// Writes `tool_choice`; `kind` is that of the tool it names.
pub(super) fn write_choice(
    out: &mut BytesMut,
    choice: &ToolChoice,
    kind: impl Fn(&str) -> Option<Kind>,
) {
    match choice {
        ToolChoice::Auto => json::string(out, "auto"),
        ToolChoice::None => json::string(out, "none"),
        ToolChoice::Required => json::string(out, "required"),
        ToolChoice::Named(name) => json::object(out, |o| match kind(name) {
            Some(Kind::Custom) => {
                o.text("type", "custom");
                o.text("name", name);
            }
            Some(kind) => o.text("type", kind.tool()),
            None => {
                o.text("type", "function");
                o.text("name", name);
            }
        }),
        ToolChoice::Other { raw, .. } => out.extend_from_slice(raw.get().as_bytes()),
    }
}

/// The arguments of a custom tool's call.
pub(super) fn arguments_of(input: &str) -> String {
    let mut out = BytesMut::new();
    json::object(&mut out, |o| o.text("input", input));
    String::from_utf8(out.to_vec()).unwrap_or_default()
}

/// The input of a custom tool's call; a model that forgot about the object meant all of it.
pub(super) fn input_of(arguments: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Arguments {
        input: String,
    }
    match serde_json::from_str::<Arguments>(arguments) {
        Ok(Arguments { input }) => input,
        Err(_) => arguments.to_owned(),
    }
}

/// Writes the member of a call's item that is its arguments.
pub(super) fn write_payload(o: &mut Object<'_>, kind: Kind, arguments: &str) {
    if kind == Kind::Custom {
        return o.text(kind.payload(), &input_of(arguments));
    }
    let object = serde_json::from_str::<&RawValue>(arguments)
        .ok()
        .filter(|raw| raw.get().starts_with('{'))
        .and_then(|raw| Fields::of(raw, At::Body).ok());
    let Some(mut fields) = object else {
        // What a model wrote badly is still shown to whoever is to run the tool.
        return o.object(kind.payload(), |o| o.text("invalid_json", arguments));
    };
    o.object(kind.payload(), |o| {
        if kind == Kind::LocalShell {
            fields.take("type");
            o.text("type", "exec");
            match fields.take("env") {
                Some(env) => o.raw("env", env.get()),
                None => o.object("env", |_| {}),
            }
        }
        o.extra(&fields.rest());
    });
}
