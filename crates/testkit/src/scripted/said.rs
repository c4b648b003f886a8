//! What is asked and what is answered, without the spelling of either dialect.

use serde_json::{Map, Value, json};

use super::reply::{Reply, What};

/// The picture of an answer that has one: one pixel, a PNG in base64.
pub(super) const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// The page that an answer is from which cites.
pub(super) const SOURCE_URL: &str = "https://example.com/source";
/// Its title.
pub(super) const SOURCE_TITLE: &str = "The source";

/// What a request asks for.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// The user's last words.
    pub(super) text: String,
    /// Words in the whole prompt: our tokens.
    pub(super) words: u64,
    /// Images in the prompt.
    pub(super) images: usize,
    /// Tools on offer: name and JSON schema of the arguments.
    pub(super) tools: Vec<(String, Value)>,
    /// The tool that the request forces.
    pub(super) forced: Option<String>,
    /// `tool_choice` forbids tools.
    pub(super) tools_off: bool,
    /// The last message is the user's own and no tool result.
    pub(super) user_spoke_last: bool,
    /// Tool results in the last turn, joined.
    pub(super) results: Vec<String>,
    /// Most words of the answer.
    pub(super) max_tokens: Option<u64>,
    /// Where the answer stops.
    pub(super) stop: Vec<String>,
    /// The request asks for thinking.
    pub(super) thinking: bool,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    StopSequence(String),
    Length,
    Calls,
}

/// A tool call.
#[derive(Debug, Clone)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// The answer.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) reasoning: Option<String>,
    pub(super) text: Option<String>,
    pub(super) calls: Vec<Called>,
    /// Whether [`PICTURE`] follows the text.
    pub(super) picture: bool,
    /// Whether the text is cited.
    pub(super) cites: bool,
    pub(super) finish: Finish,
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) reasoning_tokens: u64,
    pub(super) cached: u64,
    pub(super) cache_write: u64,
}

/// The deterministic text for a prompt.
pub(super) fn echo(prompt: &str) -> String {
    format!("You said: {prompt}")
}

/// Words in a text: what this upstream counts as tokens.
pub(super) fn count_words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// A text cut into the pieces that it is streamed in: each word with the white space before it.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in text.chars() {
        let starts = c.is_whitespace() && in_word;
        in_word = !c.is_whitespace();
        match out.last_mut() {
            Some(last) if !starts => last.push(c),
            _ => out.push(c.to_string()),
        }
    }
    out
}

/// The answer of this reply to this prompt.
pub(super) fn say(prompt: &Prompt, reply: &Reply) -> Said {
    let calls = calls_for(prompt, reply);
    let (text, finish) = if calls.is_empty() {
        let (text, finish) = cut(text_for(prompt, reply), prompt);
        (Some(text), finish)
    } else {
        (None, Finish::Calls)
    };
    let thought = prompt.thinking.then(|| "Let me think about that.".to_owned());
    let reasoning = reply.reasoning.clone().or(thought);
    let reasoning_tokens = reasoning.as_deref().map_or(0, count_words);
    let spoken = text.as_deref().map_or(0, count_words);
    let called: u64 = calls.iter().map(|c| 2 + count_words(&c.arguments.to_string())).sum();
    Said {
        reasoning,
        picture: reply.picture && calls.is_empty(),
        cites: reply.cites && calls.is_empty(),
        text,
        calls,
        finish,
        input: (prompt.words + 85 * prompt.images as u64).max(1),
        output: spoken + called + reasoning_tokens,
        reasoning_tokens,
        cached: reply.cached,
        cache_write: reply.cache_write,
    }
}

fn text_for(prompt: &Prompt, reply: &Reply) -> String {
    if let Some(words) = reply.words {
        return (1..=words).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    }
    if let What::Text(text) = &reply.what {
        return text.clone();
    }
    if !prompt.results.is_empty() {
        return format!("The tool said: {}", prompt.results.join(" and "));
    }
    match prompt.images {
        0 => echo(&prompt.text),
        n => format!("{} (with {n} image{})", echo(&prompt.text), if n == 1 { "" } else { "s" }),
    }
}

fn cut(text: String, prompt: &Prompt) -> (String, Finish) {
    let stopped = prompt.stop.iter().filter_map(|s| Some((text.find(s.as_str())?, s))).min();
    if let Some((at, sequence)) = stopped {
        let kept = text.get(..at).unwrap_or_default().to_owned();
        return (kept, Finish::StopSequence(sequence.clone()));
    }
    match prompt.max_tokens.and_then(|max| usize::try_from(max).ok()) {
        Some(max) if pieces(&text).len() > max => {
            (pieces(&text).into_iter().take(max).collect(), Finish::Length)
        }
        _ => (text, Finish::Stop),
    }
}

fn calls_for(prompt: &Prompt, reply: &Reply) -> Vec<Called> {
    match &reply.what {
        What::Calls(calls) => calls
            .iter()
            .map(|(name, arguments)| Called { name: name.clone(), arguments: arguments.clone() })
            .collect(),
        What::Auto if !reply.no_tools && !prompt.tools_off && prompt.user_spoke_last => {
            let wanted = reply.parallel_calls.max(1);
            let forced = |name: &str| prompt.forced.as_deref().is_none_or(|f| f == name);
            prompt
                .tools
                .iter()
                .filter(|(name, _)| forced(name))
                .cycle()
                .take(if prompt.tools.is_empty() { 0 } else { wanted })
                .map(|(name, schema)| Called {
                    name: name.clone(),
                    arguments: fill(schema, &prompt.text),
                })
                .collect()
        }
        What::Auto
        | What::Text(_)
        | What::Error { .. }
        | What::Raw { .. }
        | What::Hang
        | What::Drop => Vec::new(),
    }
}

/// Arguments that fit a JSON schema: a string is the last word of the prompt, a number is 1.
fn fill(schema: &Value, prompt: &str) -> Value {
    if let Some(first) = schema.get("enum").and_then(|e| e.get(0)) {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => {
            let word = prompt.split_whitespace().next_back().unwrap_or("nothing");
            json!(word.trim_matches(|c: char| !c.is_alphanumeric()))
        }
        Some("integer") => json!(1),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        _ => {
            let mut object = Map::new();
            for (name, part) in
                schema.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                object.insert(name.clone(), fill(part, prompt));
            }
            Value::Object(object)
        }
    }
}
