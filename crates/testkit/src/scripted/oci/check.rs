//! Checks a request as the service does: what it does not know is refused.

use serde_json::{Value, json};

use super::{
    super::{
        embeddings,
        refuse::{Fields, Refuse},
        said::{Prompt, count_words},
    },
    Ask, COMPARTMENT, Format,
};

const GENERIC: &[&str] = &[
    "apiFormat",
    "frequencyPenalty",
    "isEcho",
    "isParallelToolCalls",
    "isStream",
    "logProbs",
    "logitBias",
    "maxCompletionTokens",
    "maxTokens",
    "messages",
    "metadata",
    "numGenerations",
    "prediction",
    "presencePenalty",
    "reasoningEffort",
    "responseFormat",
    "seed",
    "serviceTier",
    "stop",
    "streamOptions",
    "temperature",
    "toolChoice",
    "tools",
    "topK",
    "topP",
    "verbosity",
    "webSearchOptions",
];
const COHERE: &[&str] = &[
    "apiFormat",
    "chatHistory",
    "citationQuality",
    "documents",
    "frequencyPenalty",
    "isEcho",
    "isForceSingleStep",
    "isRawPrompting",
    "isSearchQueriesOnly",
    "isStream",
    "maxInputTokens",
    "maxTokens",
    "message",
    "preambleOverride",
    "presencePenalty",
    "promptTruncation",
    "responseFormat",
    "safetyMode",
    "seed",
    "stopSequences",
    "streamOptions",
    "temperature",
    "toolResults",
    "tools",
    "topK",
    "topP",
];

/// Checks a request for embeddings and gives the model and the answer.
/// <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/EmbedTextResult/EmbedText>
pub(in super::super) fn embed(body: &Value) -> Result<(String, Value), Refuse> {
    let top = Fields::new(body, "")?;
    let own = ["inputs", "inputType", "outputDimensions", "truncate", "isEcho", "embeddingTypes"];
    only(&top, &[&own[..], &["compartmentId", "servingMode"]].concat())?;
    let model = place(&top)?;
    top.one_of("inputType", &["SEARCH_DOCUMENT", "SEARCH_QUERY", "CLASSIFICATION", "CLUSTERING"])?;
    top.one_of("truncate", &["NONE", "START", "END"])?;
    let dimensions = top.count("outputDimensions", 1)?.unwrap_or(embeddings::DIMENSIONS);
    let inputs = top.required("inputs")?.as_array().filter(|list| (1..=96).contains(&list.len()));
    let inputs = inputs.ok_or_else(|| wrong("inputs size must be between 1 and 96"))?;
    let texts: Option<Vec<&str>> = inputs.iter().map(Value::as_str).collect();
    let texts = texts.ok_or_else(|| wrong("inputs must be texts"))?;
    let vectors: Vec<_> = texts.iter().map(|text| embeddings::vector(text, dimensions)).collect();
    let counts: Vec<_> = texts.iter().map(|text| count_words(text).max(1)).collect();
    let answer = json!({
        "id": "scripted", "inputs": null, "embeddings": vectors, "modelId": model,
        "modelVersion": "1.0", "inputTextTokenCounts": counts,
    });
    Ok((model, answer))
}

/// The model, of who pays and where it is served.
fn place(top: &Fields<'_>) -> Result<String, Refuse> {
    if top.text("compartmentId")? != COMPARTMENT {
        return Err(Refuse::new(404, "Authorization failed or requested resource not found."));
    }
    let mode = Fields::new(top.required("servingMode")?, "servingMode")?;
    let serving = mode.one_of("servingType", &["ON_DEMAND", "DEDICATED"])?.unwrap_or_default();
    let name = if serving == "DEDICATED" { "endpointId" } else { "modelId" };
    only(&mode, &["servingType", name])?;
    let model = mode.text(name)?.to_owned();
    if model.starts_with("ocid1.generativeaiendpoint.") != (serving == "DEDICATED") {
        return Err(wrong("servingMode does not fit the model"));
    }
    Ok(model)
}

pub(in super::super) fn check(body: &Value) -> Result<Ask, Refuse> {
    let top = Fields::new(body, "")?;
    only(&top, &["chatRequest", "compartmentId", "servingMode"])?;
    let model = place(&top)?;
    let request = Fields::new(top.required("chatRequest")?, "chatRequest")?;
    request.required("apiFormat")?;
    let format = match request.one_of("apiFormat", &["GENERIC", "COHERE"])? {
        Some("COHERE") => Format::Cohere,
        _ => Format::Generic,
    };
    if model.starts_with("cohere.") != (format == Format::Cohere) {
        return Err(wrong("Chat request type does not match serving model."));
    }
    let mut prompt = Prompt::default();
    match format {
        Format::Generic => generic(&request, &model, &mut prompt)?,
        Format::Cohere => cohere(&request, &mut prompt)?,
    }
    common(&request)?;
    let options = request.object("streamOptions")?;
    let counted = match &options {
        Some(options) => {
            only(options, &["isIncludeUsage"])?;
            options.flag("isIncludeUsage")?
        }
        None => false,
    };
    Ok(Ask { model, prompt, stream: request.flag("isStream")?, format, counted })
}

fn wrong(why: impl Into<String>) -> Refuse {
    Refuse::new(400, why)
}

fn only(fields: &Fields<'_>, known: &[&str]) -> Result<(), Refuse> {
    match fields.of.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let path = fields.path(name);
            Err(wrong(format!("Please pass in correct format of request. ({path})")))
        }
        None => Ok(()),
    }
}

fn common(request: &Fields<'_>) -> Result<(), Refuse> {
    request.number("temperature", 0.0, 2.0)?;
    request.number("topP", 0.0, 1.0)?;
    request.number("frequencyPenalty", -2.0, 2.0)?;
    request.number("presencePenalty", -2.0, 2.0)?;
    request.count("seed", 0)?;
    request.flag("isEcho")?;
    Ok(())
}

fn generic(request: &Fields<'_>, model: &str, prompt: &mut Prompt) -> Result<(), Refuse> {
    only(request, GENERIC)?;
    let list = request.list("messages")?;
    if list.is_empty() {
        return Err(wrong("messages must not be empty"));
    }
    for (i, message) in list.iter().enumerate() {
        let message = Fields::new(message, &format!("chatRequest.messages[{i}]"))?;
        generic_message(&message, prompt)?;
    }
    for (i, tool) in request.list("tools")?.iter().enumerate() {
        let tool = Fields::new(tool, &format!("chatRequest.tools[{i}]"))?;
        only(&tool, &["type", "name", "description", "parameters"])?;
        tool.one_of("type", &["FUNCTION"])?;
        tool.maybe_text("description")?;
        let schema = tool.get("parameters").cloned().unwrap_or_else(|| json!({}));
        prompt.tools.push((tool.text("name")?.to_owned(), schema));
    }
    if let Some(choice) = request.object("toolChoice")? {
        only(&choice, &["type", "name"])?;
        let kind = choice.one_of("type", &["AUTO", "NONE", "REQUIRED", "FUNCTION"])?;
        if kind == Some("FUNCTION") {
            prompt.forced = Some(choice.text("name")?.to_owned());
        }
        prompt.tools_off = kind == Some("NONE");
    }
    request.flag("isParallelToolCalls")?;
    request.one_of("reasoningEffort", &["NONE", "MINIMAL", "LOW", "MEDIUM", "HIGH"])?;
    request.one_of("verbosity", &["LOW", "MEDIUM", "HIGH"])?;
    request.one_of("serviceTier", &["AUTO", "DEFAULT", "PRIORITY"])?;
    if let Some(format) = request.object("responseFormat")? {
        only(&format, &["type", "jsonSchema"])?;
        if format.one_of("type", &["TEXT", "JSON_OBJECT", "JSON_SCHEMA"])? == Some("JSON_SCHEMA") {
            let schema = Fields::new(format.required("jsonSchema")?, "jsonSchema")?;
            only(&schema, &["name", "description", "schema", "isStrict"])?;
            schema.text("name")?;
        }
    }
    request.count("logProbs", 0)?;
    request.count("numGenerations", 1)?;
    let completion = request.count("maxCompletionTokens", 1)?;
    let plain = request.count("maxTokens", 1)?;
    // OpenAI's reasoning models take the one, the others the other.
    let (limit, other) =
        if model.starts_with("openai.") { (completion, plain) } else { (plain, completion) };
    if other.is_some() {
        return Err(wrong("Unsupported parameter: the limit has another name for this model"));
    }
    prompt.max_tokens = limit;
    prompt.stop = texts(request.list("stop")?);
    Ok(())
}

fn texts(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn generic_message(message: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    message.required("role")?;
    let roles = ["SYSTEM", "DEVELOPER", "USER", "ASSISTANT", "TOOL"];
    let role = message.one_of("role", &roles)?.unwrap_or_default();
    let known: &[&str] = match role {
        "TOOL" => &["role", "content", "toolCallId"],
        "ASSISTANT" => {
            &["role", "content", "name", "refusal", "toolCalls", "annotations", "reasoningContent"]
        }
        _ => &["role", "content", "name"],
    };
    only(message, known)?;
    let mut said = Vec::new();
    for (i, part) in message.list("content")?.iter().enumerate() {
        let part = Fields::new(part, &format!("{}[{i}]", message.path("content")))?;
        let kinds = ["TEXT", "IMAGE", "AUDIO", "DOCUMENT", "VIDEO"];
        let member = match part.one_of("type", &kinds)?.unwrap_or_default() {
            "TEXT" => {
                only(&part, &["type", "text"])?;
                said.push(part.text("text")?);
                continue;
            }
            "IMAGE" => "imageUrl",
            "AUDIO" => "audioUrl",
            "VIDEO" => "videoUrl",
            _ => "documentUrl",
        };
        only(&part, &["type", member])?;
        let media = Fields::new(part.required(member)?, &part.path(member))?;
        only(&media, &["url", "detail"])?;
        media.text("url")?;
        media.one_of("detail", &["AUTO", "LOW", "HIGH"])?;
        prompt.images += usize::from(member == "imageUrl");
    }
    for (i, call) in message.list("toolCalls")?.iter().enumerate() {
        let call = Fields::new(call, &format!("{}[{i}]", message.path("toolCalls")))?;
        only(&call, &["id", "type", "name", "arguments"])?;
        call.text("id")?;
        call.text("name")?;
        call.text("arguments")?;
    }
    let said = said.join(" ");
    prompt.words += count_words(&said);
    prompt.user_spoke_last = role == "USER";
    match role {
        "TOOL" => {
            message.text("toolCallId")?;
            prompt.results.push(said);
        }
        "USER" => {
            prompt.results.clear();
            prompt.text = said;
        }
        _ => prompt.results.clear(),
    }
    Ok(())
}

fn cohere(request: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    only(request, COHERE)?;
    let message = request.text("message")?;
    prompt.text = message.to_owned();
    prompt.words = count_words(message);
    prompt.words += count_words(request.maybe_text("preambleOverride")?.unwrap_or_default());
    let history = request.list("chatHistory")?;
    for (i, turn) in history.iter().enumerate() {
        let turn = Fields::new(turn, &format!("chatRequest.chatHistory[{i}]"))?;
        let roles = ["SYSTEM", "USER", "CHATBOT", "TOOL"];
        let role = turn.one_of("role", &roles)?.unwrap_or_default();
        let known: &[&str] = match role {
            "TOOL" => &["role", "toolResults"],
            "CHATBOT" => &["role", "message", "toolCalls"],
            _ => &["role", "message"],
        };
        only(&turn, known)?;
        if role == "TOOL" {
            let next = history.get(i + 1).and_then(|turn| turn.get("role"));
            if next.and_then(Value::as_str) != Some("CHATBOT") {
                return Err(wrong("a TOOL message must be followed by a CHATBOT message"));
            }
            results(&turn)?;
            continue;
        }
        let said = turn.text("message")?;
        if said.is_empty() {
            return Err(wrong("a message must not be empty"));
        }
        prompt.words += count_words(said);
        for (i, call) in turn.list("toolCalls")?.iter().enumerate() {
            cohere_call(&Fields::new(call, &format!("toolCalls[{i}]"))?)?;
        }
    }
    prompt.results = results(request)?;
    prompt.user_spoke_last = prompt.results.is_empty();
    for (i, tool) in request.list("tools")?.iter().enumerate() {
        let tool = Fields::new(tool, &format!("chatRequest.tools[{i}]"))?;
        prompt.tools.push((tool.text("name")?.to_owned(), cohere_tool(&tool)?));
    }
    match (message.is_empty(), prompt.results.is_empty()) {
        (true, true) => {
            return Err(wrong(
                "message must be at least 1 token long or tool results must be specified",
            ));
        }
        (false, false) => {
            return Err(wrong("cannot specify both message and tool_results in multistep mode"));
        }
        (true, false) if prompt.tools.is_empty() => {
            return Err(wrong("tool results need their tools"));
        }
        _ => {}
    }
    if let Some(format) = request.object("responseFormat")? {
        only(&format, &["type", "schema"])?;
        format.one_of("type", &["TEXT", "JSON_OBJECT"])?;
    }
    request.one_of("safetyMode", &["CONTEXTUAL", "STRICT", "OFF"])?;
    prompt.max_tokens = request.count("maxTokens", 1)?;
    prompt.stop = texts(request.list("stopSequences")?);
    Ok(())
}

fn results(of: &Fields<'_>) -> Result<Vec<String>, Refuse> {
    let mut found = Vec::new();
    for (i, result) in of.list("toolResults")?.iter().enumerate() {
        let result = Fields::new(result, &format!("{}[{i}]", of.path("toolResults")))?;
        only(&result, &["call", "outputs"])?;
        cohere_call(&Fields::new(result.required("call")?, &result.path("call"))?)?;
        for output in result.list("outputs")? {
            let output = Fields::new(output, &result.path("outputs"))?;
            found.extend(output.of.values().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    Ok(found)
}

fn cohere_call(call: &Fields<'_>) -> Result<(), Refuse> {
    only(call, &["name", "parameters"])?;
    call.text("name")?;
    Fields::new(call.required("parameters")?, &call.path("parameters")).map(|_| ())
}

/// The schema that a tool's definitions stand for.
fn cohere_tool(tool: &Fields<'_>) -> Result<Value, Refuse> {
    only(tool, &["name", "description", "parameterDefinitions"])?;
    tool.text("description")?;
    let mut properties = serde_json::Map::new();
    let definitions = tool.object("parameterDefinitions")?;
    for (name, definition) in definitions.iter().flat_map(|definitions| definitions.of) {
        let definition = Fields::new(definition, name)?;
        only(&definition, &["description", "type", "isRequired"])?;
        definition.flag("isRequired")?;
        let kind = match definition.text("type")? {
            "str" => "string",
            "int" => "integer",
            "float" => "number",
            "bool" => "boolean",
            "list" => "array",
            "dict" | "object" => "object",
            other => return Err(wrong(format!("`{other}` is no type of Python's"))),
        };
        properties.insert(name.clone(), json!({"type": kind}));
    }
    Ok(json!({"type": "object", "properties": properties}))
}
