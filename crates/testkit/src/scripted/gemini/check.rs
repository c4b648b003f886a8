//! What Google's API refuses.

use serde_json::{Value, json};

use super::{
    super::{
        refuse::Refuse,
        said::{Prompt, count_words},
    },
    Ask, Stream,
    fields::{COUNT, REQUEST, invalid, read},
    is_third, signature,
};

/// What Google takes for a call that no model of its own has made.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// Checks a request as the API does.
pub(in super::super) fn check(model: &str, body: &Value, stream: Stream) -> Result<Ask, Refuse> {
    let body = read(body, REQUEST, "")?;
    request(model, &body, stream)
}

/// The words of a prompt that is to be counted.
pub(in super::super) fn count(model: &str, body: &Value) -> Result<u64, Refuse> {
    let body = read(body, COUNT, "")?;
    let inner = body.get("generateContentRequest").unwrap_or(&body);
    let named = inner.get("model").and_then(Value::as_str);
    if body.get("generateContentRequest").is_some() && named != Some(&format!("models/{model}")) {
        return Err(invalid(
            "generate_content_request.model",
            "The model in the request does not match the model in the URL.",
        ));
    }
    Ok(request(model, inner, Stream::No)?.prompt.words.max(1))
}

fn request(model: &str, body: &Value, stream: Stream) -> Result<Ask, Refuse> {
    let mut prompt = Prompt::default();
    if let Some(system) = body.get("systemInstruction") {
        prompt.words += count_words(&text_of(system));
    }
    let contents = items(body, "contents");
    if contents.is_empty() {
        return Err(invalid(
            "contents",
            "* GenerateContentRequest.contents: contents is not specified\n",
        ));
    }
    for (index, content) in contents.iter().enumerate() {
        turn(index, content, contents, model, &mut prompt)?;
    }
    tools(body, &mut prompt)?;
    let none = json!({});
    let config = body.get("generationConfig").unwrap_or(&none);
    check_config(config, model)?;
    prompt.max_tokens = config.get("maxOutputTokens").and_then(Value::as_u64);
    let stops = items(config, "stopSequences").iter().filter_map(Value::as_str);
    prompt.stop = stops.map(str::to_owned).collect();
    let thinking = config.get("thinkingConfig").unwrap_or(&none);
    let shows_thoughts = thinking.get("includeThoughts") == Some(&json!(true));
    prompt.thinking = shows_thoughts;
    Ok(Ask { model: model.to_owned(), prompt, stream, shows_thoughts })
}

fn items<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text_of(content: &Value) -> String {
    let texts = items(content, "parts").iter().filter_map(|part| part.get("text")?.as_str());
    texts.collect::<Vec<_>>().join(" ")
}

fn parts_with(content: Option<&Value>, name: &str) -> usize {
    let parts = content.map(|content| items(content, "parts")).unwrap_or_default();
    parts.iter().filter(|part| part.get(name).is_some()).count()
}

fn turn(
    index: usize,
    content: &Value,
    contents: &[Value],
    model: &str,
    prompt: &mut Prompt,
) -> Result<(), Refuse> {
    let role = content.get("role").and_then(Value::as_str).unwrap_or("user");
    if !matches!(role, "user" | "model" | "function") {
        return Err(invalid("contents.role", "Please use a valid role: user, model."));
    }
    let parts = items(content, "parts");
    if parts.is_empty() {
        let at = format!("contents[{index}].parts");
        let message = format!("* GenerateContentRequest.{at}: contents.parts must not be empty.\n");
        return Err(invalid(&at, message));
    }
    for (place, one) in parts.iter().enumerate() {
        part(one, &format!("contents[{index}].parts[{place}]"))?;
    }
    let calls = parts_with(Some(content), "functionCall");
    let results = parts_with(Some(content), "functionResponse");
    let before = index.checked_sub(1).and_then(|before| contents.get(before));
    if calls > 0
        && (role != "model" || before.is_none_or(|it| it.get("role") == Some(&json!("model"))))
    {
        return Err(invalid(
            "",
            "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
        ));
    }
    let waiting = parts_with(before, "functionCall");
    if results != waiting && (results > 0 || waiting > 0) {
        return Err(invalid(
            "",
            "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
        ));
    }
    if calls > 0 && is_third(model) {
        signed(parts, index)?;
    }
    let text = text_of(content);
    prompt.words += count_words(&text);
    prompt.images +=
        parts_with(Some(content), "inlineData") + parts_with(Some(content), "fileData");
    prompt.user_spoke_last = role != "model" && results == 0;
    let responses = parts.iter().filter_map(|part| part.get("functionResponse"));
    prompt.results = responses.map(|it| said(it.get("response"))).collect();
    if role != "model" {
        prompt.text = text;
    }
    Ok(())
}

/// What a function's response says: `output` and `error` are Google's words.
fn said(response: Option<&Value>) -> String {
    let Some(response) = response else { return String::new() };
    let word = ["output", "error", "result"].iter().find_map(|name| response.get(*name)?.as_str());
    word.map_or_else(|| response.to_string(), str::to_owned)
}

fn part(part: &Value, at: &str) -> Result<(), Refuse> {
    const DATA: [&str; 7] = [
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
    ];
    let data: Vec<&&str> = DATA.iter().filter(|name| part.get(**name).is_some()).collect();
    let [data] = data.as_slice() else {
        let message = format!(
            "* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field\n"
        );
        return Err(invalid(&format!("{at}.data"), message));
    };
    let need = |of: &str, name: &str| match part.get(of).and_then(|it| it.get(name)) {
        Some(Value::String(text)) if !text.is_empty() => Ok(()),
        _ => Err(invalid(&format!("{at}.{of}.{name}"), format!("{at}.{of}: `{name}` is required"))),
    };
    match **data {
        "inlineData" => {
            need("inlineData", "mimeType")?;
            need("inlineData", "data")
        }
        "fileData" => need("fileData", "fileUri"),
        "functionCall" => {
            need("functionCall", "name")?;
            match part.get("functionCall").and_then(|call| call.get("args")) {
                None | Some(Value::Object(_)) => Ok(()),
                Some(_) => Err(invalid(&format!("{at}.function_call.args"), "Invalid value")),
            }
        }
        "functionResponse" => {
            need("functionResponse", "name")?;
            match part.get("functionResponse").and_then(|call| call.get("response")) {
                Some(Value::Object(_)) => Ok(()),
                _ => Err(invalid(&format!("{at}.function_response.response"), "Invalid value")),
            }
        }
        _ => Ok(()),
    }
}

/// The first call of a turn must have the signature that it came with.
fn signed(parts: &[Value], index: usize) -> Result<(), Refuse> {
    let Some((place, part)) =
        parts.iter().enumerate().find(|(_, part)| part.get("functionCall").is_some())
    else {
        return Ok(());
    };
    let call = part.get("functionCall").unwrap_or(&Value::Null);
    let name = call.get("name").and_then(Value::as_str).unwrap_or_default();
    let none = json!({});
    let wanted = signature(name, call.get("args").unwrap_or(&none));
    match part.get("thoughtSignature").and_then(Value::as_str) {
        Some(text) if text == wanted || text == UNSIGNED => Ok(()),
        Some(_) => Err(invalid("", "Thought signature is not valid.")),
        None => Err(invalid(
            "",
            format!(
                "Function call is missing a thought_signature in functionCall parts. This is \
                 required for tools to work correctly. Additional data, function call `{name}`, \
                 position {index}.{place}."
            ),
        )),
    }
}

fn tools(body: &Value, prompt: &mut Prompt) -> Result<(), Refuse> {
    for (index, tool) in items(body, "tools").iter().enumerate() {
        for (place, function) in items(tool, "functionDeclarations").iter().enumerate() {
            let at = format!("tools[{index}].function_declarations[{place}]");
            let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
            let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
                return Err(invalid(&format!("{at}.name"), "Invalid function name."));
            }
            let (own, json) = (function.get("parameters"), function.get("parametersJsonSchema"));
            if own.is_some() && json.is_some() {
                return Err(invalid(&at, "parameters and parameters_json_schema are exclusive."));
            }
            let schema = json.or(own).cloned().unwrap_or_else(|| json!({"type": "object"}));
            prompt.tools.push((name.to_owned(), lower(schema)));
        }
    }
    let calling = body.get("toolConfig").and_then(|config| config.get("functionCallingConfig"));
    let Some(calling) = calling else { return Ok(()) };
    let mode = calling.get("mode").and_then(Value::as_str).unwrap_or("AUTO");
    let names = items(calling, "allowedFunctionNames");
    let at = "tool_config.function_calling_config.allowed_function_names";
    if !names.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(invalid(at, "Allowed function names should be set only when mode is ANY."));
    }
    let known = |name: &str| prompt.tools.iter().any(|(tool, _)| tool == name);
    if names.iter().filter_map(Value::as_str).any(|name| !known(name)) {
        return Err(invalid(at, "An allowed function name is not among the declarations."));
    }
    prompt.tools_off = mode == "NONE";
    prompt.forced = names.first().and_then(Value::as_str).map(str::to_owned);
    Ok(())
}

/// Google's words for types are in capitals.
fn lower(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| match value {
                    Value::String(word) if name == "type" => (name, json!(word.to_lowercase())),
                    value => (name, lower(value)),
                })
                .collect(),
        ),
        other => other,
    }
}

fn check_config(config: &Value, model: &str) -> Result<(), Refuse> {
    for (name, least, most) in [
        ("temperature", 0.0, 2.0),
        ("topP", 0.0, 1.0),
        ("candidateCount", 1.0, 8.0),
        ("maxOutputTokens", 1.0, f64::MAX),
        ("topK", 1.0, f64::MAX),
    ] {
        let Some(number) = config.get(name).and_then(Value::as_f64) else { continue };
        if number < least || number > most {
            let at = format!("generation_config.{name}");
            return Err(invalid(&at, format!("* {name} must be in the range [{least}, {most}]\n")));
        }
    }
    if items(config, "stopSequences").len() > 5 {
        return Err(invalid("generation_config.stop_sequences", "At most 5 stop sequences."));
    }
    let kind = config.get("responseMimeType").and_then(Value::as_str);
    let schema = config.get("responseSchema").or(config.get("responseJsonSchema"));
    if schema.is_some() && !matches!(kind, Some("application/json" | "text/x.enum")) {
        return Err(invalid(
            "generation_config.response_schema",
            "Schema is supported only if the response mime type is application/json.",
        ));
    }
    if config.get("logprobs").is_some() && config.get("responseLogprobs") != Some(&json!(true)) {
        return Err(invalid(
            "generation_config.logprobs",
            "Set response_logprobs to use logprobs.",
        ));
    }
    let Some(thinking) = config.get("thinkingConfig") else { return Ok(()) };
    let at = "generation_config.thinking_config";
    match (thinking.get("thinkingLevel"), thinking.get("thinkingBudget")) {
        (Some(_), Some(_)) => {
            Err(invalid(at, "You can only set one of thinking budget and thinking level."))
        }
        (Some(_), None) if !is_third(model) => {
            Err(invalid(at, "Thinking level is not supported for this model."))
        }
        (None, Some(budget)) if !(-1..=32_768).contains(&budget.as_i64().unwrap_or(-2)) => {
            Err(invalid(at, "The thinking budget is invalid."))
        }
        _ => Ok(()),
    }
}
