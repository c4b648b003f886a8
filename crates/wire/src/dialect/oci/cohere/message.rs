//! The hub's messages as a message, what went before it, and the results of tools.

use bytes::BytesMut;

use crate::{
    dialect::{
        body::Body,
        json::{self, List, Object, object_of},
        oci::check_block,
        sieve::Sieve,
        text::text_of,
    },
    exchange::CannotAsk,
    op::chat::{Block, Message, Part, Request, Role, Source, ToolCall, ToolResult},
};

/// A conversation as Cohere's first API has it.
pub(super) struct Conversation<'a> {
    /// What the model is to be. It takes the place of Cohere's own preamble.
    preamble: Option<String>,
    history: Vec<Turn<'a>>,
    message: String,
    results: Vec<Answered<'a>>,
}

enum Turn<'a> {
    System(String),
    User(String),
    Chatbot { text: String, calls: Vec<&'a ToolCall> },
    Tool(Vec<Answered<'a>>),
}

/// A call, which has no id here, and what it brought.
struct Answered<'a> {
    call: &'a ToolCall,
    output: String,
}

impl<'a> Conversation<'a> {
    pub(super) fn of(ask: &'a Request, sieve: &mut Sieve<'_>) -> Result<Self, CannotAsk> {
        let apart = ask.before_the_clients();
        let mut turns: Vec<Turn<'_>> = Vec::new();
        let mut preamble: Option<String> = None;
        for (index, message) in ask.messages.iter().enumerate() {
            check(message, index.saturating_sub(apart), sieve)?;
            let text = text_of(&message.blocks);
            match message.role {
                Role::System | Role::Developer if turns.is_empty() => {
                    preamble = Some(match preamble {
                        Some(before) => format!("{before}\n\n{text}"),
                        None => text,
                    });
                }
                Role::System | Role::Developer => turns.push(Turn::System(text)),
                Role::Assistant => {
                    let calls = message.blocks.iter().filter_map(call_of).collect();
                    turns.push(Turn::Chatbot { text, calls });
                }
                Role::User | Role::Tool => {
                    let before = ask.messages.get(..index).unwrap_or_default();
                    let found = answered(message, before, index - apart.min(index), sieve)?;
                    let had = !found.is_empty();
                    match turns.last_mut() {
                        _ if !had => {}
                        Some(Turn::Tool(results)) => results.extend(found),
                        _ => turns.push(Turn::Tool(found)),
                    }
                    if message.role == Role::User && !(had && text.is_empty()) {
                        turns.push(Turn::User(text));
                    }
                }
            }
        }
        Conversation { preamble, history: Vec::new(), message: String::new(), results: Vec::new() }
            .with(turns, sieve)
    }

    /// The last turn is what is asked now: a message or results, not both.
    fn with(mut self, mut turns: Vec<Turn<'a>>, sieve: &mut Sieve<'_>) -> Result<Self, CannotAsk> {
        match turns.pop() {
            Some(Turn::User(text)) => self.message = text,
            Some(Turn::Tool(results)) => self.results = results,
            Some(last @ (Turn::System(_) | Turn::Chatbot { .. })) => {
                let why = "cohere's models at oci answer a message of the user";
                sieve.refuse("messages", why)?;
                turns.push(last);
            }
            None => {}
        }
        let mut turns = turns.into_iter().peekable();
        while let Some(turn) = turns.next() {
            // Results in the past must have been answered by the model: where they were not, it is
            // made to repeat them.
            // https://github.com/oracle/langchain-oracle/blob/main/libs/oci/langchain_oci/chat_models/providers/cohere.py
            let repeated = match (&turn, turns.peek()) {
                (_, Some(Turn::Chatbot { .. })) => None,
                (Turn::Tool(results), _) => {
                    let outputs: Vec<&str> = results.iter().map(|it| &*it.output).collect();
                    Some(Turn::Chatbot { text: outputs.join("\n\n"), calls: Vec::new() })
                }
                (Turn::System(_) | Turn::User(_) | Turn::Chatbot { .. }, _) => None,
            };
            self.history.push(turn);
            self.history.extend(repeated);
        }
        Ok(self)
    }

    /// Whether tools have brought results that the model is to answer.
    pub(super) fn has_results(&self) -> bool {
        !self.results.is_empty()
    }

    pub(super) fn write(&self, body: &mut Body) {
        body.text("message", &self.message);
        if !self.history.is_empty() {
            body.put("chatHistory", |out: &mut BytesMut| {
                json::list(out, |list| {
                    self.history.iter().for_each(|turn| list.object(|o| turn.write(o)));
                });
            });
        }
        if let Some(preamble) = &self.preamble {
            body.text("preambleOverride", preamble);
        }
        if self.has_results() {
            body.put("toolResults", |out| {
                json::list(out, |list| write_results(list, &self.results))
            });
        }
    }
}

impl Turn<'_> {
    fn write(&self, o: &mut Object<'_>) {
        match self {
            Turn::System(text) => {
                o.text("role", "SYSTEM");
                o.text("message", text);
            }
            Turn::User(text) => {
                o.text("role", "USER");
                o.text("message", text);
            }
            Turn::Chatbot { text, calls } => {
                o.text("role", "CHATBOT");
                // It must not be empty.
                o.text("message", if text.is_empty() { " " } else { text });
                if !calls.is_empty() {
                    o.list("toolCalls", |list| {
                        calls.iter().for_each(|call| list.object(|o| write_call(o, call)));
                    });
                }
            }
            Turn::Tool(results) => {
                o.text("role", "TOOL");
                o.list("toolResults", |list| write_results(list, results));
            }
        }
    }
}

fn write_results(list: &mut List<'_>, results: &[Answered<'_>]) {
    for result in results {
        list.object(|o| {
            o.object("call", |o| write_call(o, result.call));
            o.list("outputs", |list| list.object(|o| o.text("output", &result.output)));
        });
    }
}

fn write_call(o: &mut Object<'_>, call: &ToolCall) {
    o.text("name", &call.name);
    // Refused or named before, where it is no object.
    o.raw("parameters", object_of(&call.arguments).unwrap_or("{}"));
}

fn call_of(block: &Block) -> Option<&ToolCall> {
    if let Part::ToolCall(call) = &block.part { Some(call) } else { None }
}

/// The results in a message, with the calls that they answer.
fn answered<'a>(
    message: &'a Message,
    before: &'a [Message],
    index: usize,
    sieve: &mut Sieve<'_>,
) -> Result<Vec<Answered<'a>>, CannotAsk> {
    let mut found = Vec::new();
    for block in &message.blocks {
        let Part::ToolResult(ToolResult { id, blocks, .. }) = &block.part else { continue };
        let calls = before.iter().rev().flat_map(|message| &message.blocks);
        match calls.filter_map(call_of).find(|call| call.id == *id) {
            Some(call) => found.push(Answered { call, output: text_of(blocks) }),
            None => {
                let why = "cohere's models at oci want to see the call that this is the result of";
                sieve.refuse(&format!("messages[{index}]"), why)?;
            }
        }
    }
    Ok(found)
}

/// Refuses or names what there is no place for.
fn check(message: &Message, index: usize, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    for (name, _) in &message.extra {
        sieve.hint(&format!("messages[].{name}"));
    }
    for (place, block) in message.blocks.iter().enumerate() {
        let at = format!("messages[{index}].content[{place}]");
        check_part(block, &at, sieve)?;
        let Part::ToolResult(result) = &block.part else { continue };
        if result.is_error == Some(true) {
            sieve.hint("is_error");
        }
        for (place, block) in result.blocks.iter().enumerate() {
            check_part(block, &format!("{at}.content[{place}]"), sieve)?;
        }
    }
    Ok(())
}

fn check_part(block: &Block, at: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    check_block(block, at, sieve)?;
    match &block.part {
        Part::Image { .. } | Part::Audio { .. } => {
            sieve.refuse(at, "cohere's models at oci take text only in this format")?;
        }
        Part::File { source: Source::Text(_), .. } => {}
        Part::File { .. } => {
            sieve.refuse(at, "cohere's models at oci take documents as text only")?;
        }
        Part::Thinking { .. } | Part::RedactedThinking(_) => sieve.hint("thinking"),
        Part::ToolCall(call) if object_of(&call.arguments).is_none() => {
            sieve.refuse(at, "the arguments of this tool call are not a JSON object")?;
        }
        Part::Text(_) | Part::Refusal(_) | Part::ToolCall(_) | Part::ToolResult(_) => {}
        Part::Other { .. } | Part::OtherCall { .. } => {}
    }
    Ok(())
}
