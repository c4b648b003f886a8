//! What may stand in a request, by the schemas that the models publish
//! (`https://replicate.com/<owner>/<name>/api/schema`). Replicate passes over inputs that a model does
//! not have; here they are refused.

use serde_json::Value;

use crate::scripted::{
    refuse::{Fields, Refuse},
    said::{Prompt, count_words},
};

/// A checked request.
pub(super) struct Checked {
    pub(super) model: String,
    /// The words of a script after the model's name.
    pub(super) words: String,
    pub(super) prompt: Prompt,
}

/// What a version is called that exists.
const VERSION: &str = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3";

const LLAMA3: &[&str] = &[
    "frequency_penalty",
    "max_tokens",
    "min_tokens",
    "presence_penalty",
    "prompt",
    "prompt_template",
    "stop_sequences",
    "system_prompt",
    "temperature",
    "top_k",
    "top_p",
];

/// The inputs of a model, and the least limit that it takes.
fn schema(model: &str) -> Option<(&'static [&'static str], u64)> {
    Some(match model {
        "meta/meta-llama-3-8b-instruct" | "acme/batch" | "acme/bot" | "acme/flaky" => (LLAMA3, 1),
        "meta/llama-2-70b-chat" => (
            &[
                "length_penalty",
                "max_new_tokens",
                "min_new_tokens",
                "presence_penalty",
                "prompt",
                "prompt_template",
                "seed",
                "stop_sequences",
                "system_prompt",
                "temperature",
                "top_k",
                "top_p",
            ],
            1,
        ),
        "openai/gpt-4.1-mini" => (
            &[
                "frequency_penalty",
                "image_input",
                "max_completion_tokens",
                "messages",
                "presence_penalty",
                "prompt",
                "system_prompt",
                "temperature",
                "top_p",
            ],
            1,
        ),
        "openai/gpt-5" => (
            &[
                "image_input",
                "max_completion_tokens",
                "messages",
                "prompt",
                "reasoning_effort",
                "system_prompt",
                "verbosity",
            ],
            1,
        ),
        "anthropic/claude-4-sonnet" => (
            &[
                "extended_thinking",
                "image",
                "max_image_resolution",
                "max_tokens",
                "prompt",
                "system_prompt",
                "thinking_budget_tokens",
            ],
            1_024,
        ),
        "google/gemini-2.5-flash" => (
            &[
                "dynamic_thinking",
                "images",
                "max_output_tokens",
                "prompt",
                "system_instruction",
                "temperature",
                "thinking_budget",
                "top_p",
                "videos",
            ],
            1,
        ),
        _ => return None,
    })
}

pub(super) fn check((kind, name): (&str, &str), body: &Value) -> Result<Checked, Refuse> {
    let top = Fields::new(body, "")?;
    // https://replicate.com/docs/reference/http#predictions.create
    only(&top, &["input", "stream", "version", "webhook", "webhook_events_filter"])?;
    let version = top.maybe_text("version")?;
    let name = name.replace("%2B", "+");
    let (base, words) = name.split_once('+').unwrap_or((&name, ""));
    let missing = || Refuse::new(404, "The requested resource could not be found.");
    let model = match (kind, version) {
        ("version", Some(VERSION)) => "meta/llama-2-70b-chat",
        ("version", Some(_)) => {
            return Err(Refuse::new(422, "- version: the version does not exist\n"));
        }
        ("version", None) => return Err(Refuse::new(422, "- version: version is required\n")),
        (_, Some(_)) => return Err(Refuse::new(422, "- version: it has no place here\n")),
        ("deployments", None) if base == "acme/bot" => base,
        ("models", None) if base != "acme/bot" => base,
        _ => return Err(missing()),
    };
    let (known, least) = schema(model).ok_or_else(missing)?;
    let input = Fields::new(top.required("input")?, "input")?;
    only(&input, known)?;
    let prompt = prompt(&input, least)?;
    Ok(Checked { model: model.to_owned(), words: words.to_owned(), prompt })
}

fn only(fields: &Fields<'_>, known: &[&str]) -> Result<(), Refuse> {
    match fields.of.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let path = fields.path(name);
            Err(Refuse::new(422, format!("- {path}: Additional property {name} is not allowed\n")))
        }
        None => Ok(()),
    }
}

fn prompt(input: &Fields<'_>, least: u64) -> Result<Prompt, Refuse> {
    let mut prompt = Prompt { user_spoke_last: true, ..Prompt::default() };
    let messages = input.list("messages")?;
    for (i, message) in messages.iter().enumerate() {
        let message = Fields::new(message, &format!("input.messages[{i}]"))?;
        only(&message, &["role", "content"])?;
        let role = message.one_of("role", &["system", "user", "assistant"])?;
        let text = message.text("content")?;
        prompt.words += count_words(text);
        if role == Some("user") {
            prompt.text = text.to_owned();
        }
    }
    if messages.is_empty() {
        prompt.text = input.text("prompt")?.to_owned();
        prompt.words = count_words(&prompt.text);
        for name in ["system_prompt", "system_instruction"] {
            prompt.words += count_words(input.maybe_text(name)?.unwrap_or_default());
        }
    }
    for name in ["max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens"] {
        prompt.max_tokens = input.count(name, least)?.or(prompt.max_tokens);
    }
    for (name, most) in [("temperature", 5.0), ("top_p", 1.0)] {
        input.number(name, 0.0, most)?;
    }
    for name in ["presence_penalty", "frequency_penalty"] {
        input.number(name, -2.0, 2.0)?;
    }
    for name in ["top_k", "seed", "min_tokens", "min_new_tokens", "thinking_budget"] {
        input.count(name, 0)?;
    }
    input.count("thinking_budget_tokens", 1_024)?;
    for name in ["extended_thinking", "dynamic_thinking"] {
        input.flag(name)?;
    }
    input.one_of("reasoning_effort", &["none", "minimal", "low", "medium", "high"])?;
    input.one_of("verbosity", &["low", "medium", "high"])?;
    if input.maybe_text("prompt_template")?.is_some_and(|form| !form.contains("{prompt}")) {
        return Err(Refuse::new(422, "E1003 BadPromptTemplate"));
    }
    let stop = input.maybe_text("stop_sequences")?.unwrap_or_default();
    prompt.stop = stop.split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    for name in ["image_input", "images"] {
        prompt.images += pictures(input.list(name)?, name)?;
    }
    if let Some(url) = input.get("image") {
        prompt.images += pictures(std::slice::from_ref(url), "image")?;
    }
    Ok(prompt)
}

/// Files are URLs, or data URLs of at most 256 kB.
fn pictures(urls: &[Value], name: &str) -> Result<usize, Refuse> {
    let fits = |url: &Value| {
        url.as_str().is_some_and(|url| {
            url.starts_with("https://") || (url.starts_with("data:") && url.len() <= 256 * 1024)
        })
    };
    match urls.iter().all(fits) {
        true => Ok(urls.len()),
        false => Err(Refuse::new(422, format!("- input.{name}: Does not match format 'uri'\n"))),
    }
}
