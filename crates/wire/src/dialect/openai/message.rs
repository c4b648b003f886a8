//! The hub's messages in OpenAI's spelling.

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::part;
use crate::{
    dialect::{
        json::{self, List, Object},
        sieve::Sieve,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Block, Form, Message, Part, Request, Role, Source, ToolCall, ToolResult},
};

/// What a tool's message says in place of a picture, which only a user's message may carry.
const PICTURE_BELOW: &str = "(see the picture in the next message)";

pub(super) fn write_all(
    ask: &Request,
    sieve: &mut Sieve<'_>,
    out: &mut BytesMut,
) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Openai;
    // Anthropic's `system` is the hub's first message and none of the client's.
    let first = ask.messages.first().map(|message| message.role);
    let apart = usize::from(!native && first == Some(Role::System));
    let mut done = Ok(());
    json::list(out, |list| {
        let mut writer = Writer { native, index: 0, sieve, list, shown: Vec::new() };
        done = ask.messages.iter().enumerate().try_for_each(|(index, message)| {
            writer.index = index.saturating_sub(apart);
            writer.message(message)
        });
        writer.show();
    });
    done
}

struct Writer<'w, 'l, 's> {
    /// Whether the client spoke OpenAI too: then everything is spelled as it was.
    native: bool,
    index: usize,
    sieve: &'w mut Sieve<'s>,
    list: &'w mut List<'l>,
    /// Pictures of results, which no message may carry before all results are there.
    shown: Vec<&'w Block>,
}

impl<'w> Writer<'w, '_, '_> {
    fn message(&mut self, message: &'w Message) -> Result<(), CannotAsk> {
        self.check(message)?;
        if message.role != Role::Tool {
            self.show();
        }
        match message.role {
            Role::System => self.plain("system", message),
            Role::Developer => self.plain("developer", message),
            Role::User | Role::Tool => self.user(message)?,
            Role::Assistant => self.assistant(message),
        }
        Ok(())
    }

    /// Refuses or names what OpenAI has no place for.
    fn check(&mut self, message: &Message) -> Result<(), CannotAsk> {
        if self.native {
            return Ok(());
        }
        for (name, _) in &message.extra {
            self.sieve.hint(&format!("messages[].{name}"));
        }
        for (place, block) in message.blocks.iter().enumerate() {
            self.check_block(block, &format!("messages[{}].content[{place}]", self.index))?;
        }
        Ok(())
    }

    fn check_block(&mut self, block: &Block, at: &str) -> Result<(), CannotAsk> {
        if block.cache.is_some() {
            self.sieve.hint("cache_control");
        }
        for (name, value) in &block.extra {
            if **name == *"citations" && cites(value) {
                self.sieve.refuse(&format!("{at}.citations"), "openai does not cite documents")?;
            }
            self.sieve.hint(&format!("messages[].content[].{name}"));
        }
        match &block.part {
            // Only its own provider can check or read a signed thought. One without a signature
            // came from an OpenAI-shaped provider and goes back as it came.
            Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking(_) => {
                self.sieve.hint("thinking");
            }
            Part::Image { source, .. } if part::url_of(source).is_none() => {
                self.sieve.refuse(at, "openai takes images in place or by address")?;
            }
            Part::File { source: Source::Url(_), .. } => {
                self.sieve.refuse(at, "openai takes documents in place, not by address")?;
            }
            Part::Other { dialect, .. } | Part::OtherCall { dialect, .. } => {
                let why = format!("only {} has this kind of content", dialect.name());
                self.sieve.refuse(at, &why)?;
            }
            Part::ToolResult(result) => {
                if result.is_error == Some(true) {
                    self.sieve.hint("is_error");
                }
                for (place, block) in result.blocks.iter().enumerate() {
                    self.check_block(block, &format!("{at}.content[{place}]"))?;
                }
            }
            Part::Text(_) | Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => {}
            Part::Thinking { .. } | Part::ToolCall(_) | Part::Refusal(_) => {}
        }
        Ok(())
    }

    fn plain(&mut self, role: &str, message: &Message) {
        let native = self.native;
        self.list.object(|o| {
            o.text("role", role);
            let blocks: Vec<&Block> = message.blocks.iter().collect();
            content(o, &blocks, Spelling { form: message.form, native, between: Some("\n\n") });
            if native {
                message_cache(o, message);
                o.extra(&message.extra);
            }
        });
    }

    /// Tool results become messages of their own, which OpenAI wants first; what else the user
    /// said follows, with the pictures that a tool returned.
    fn user(&mut self, message: &'w Message) -> Result<(), CannotAsk> {
        let mut said = Vec::new();
        for block in &message.blocks {
            if let Part::ToolResult(result) = &block.part {
                self.tool(result, message);
                if !self.native {
                    let pictures = result.blocks.iter();
                    self.shown.extend(pictures.filter(|block| is_picture(block)));
                }
            } else {
                said.push(block);
            }
        }
        if message.role == Role::Tool {
            return Ok(());
        }
        let mut shown = std::mem::take(&mut self.shown);
        let native = self.native;
        let form = if shown.is_empty() { message.form } else { Form::List };
        shown.extend(said);
        if shown.is_empty() && !message.blocks.is_empty() {
            return Ok(());
        }
        self.list.object(|o| {
            o.text("role", "user");
            let between = (shown.len() == 1).then_some("");
            content(o, &shown, Spelling { form, native, between });
            if native {
                message_cache(o, message);
                o.extra(&message.extra);
            }
        });
        Ok(())
    }

    /// The pictures of the results before, as a user's message.
    fn show(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        if shown.is_empty() {
            return;
        }
        let native = self.native;
        self.list.object(|o| {
            o.text("role", "user");
            content(o, &shown, Spelling { form: Form::List, native, between: None });
        });
    }

    fn tool(&mut self, result: &ToolResult, message: &Message) {
        let native = self.native;
        self.list.object(|o| {
            o.text("role", "tool");
            o.text("tool_call_id", &result.id);
            let form = result.form.unwrap_or(Form::Bare);
            if native {
                let blocks: Vec<&Block> = result.blocks.iter().collect();
                content(o, &blocks, Spelling { form, native, between: None });
                message_cache(o, message);
                o.extra(&message.extra);
                return;
            }
            let texts = result.blocks.iter().filter_map(|block| {
                text_of(block).or_else(|| is_picture(block).then_some(PICTURE_BELOW))
            });
            o.text("content", &texts.collect::<Vec<_>>().join("\n\n"));
        });
    }

    fn assistant(&mut self, message: &Message) {
        let native = self.native;
        self.list.object(|o| {
            o.text("role", "assistant");
            let form = message.form;
            let said: Vec<&Block> = message.blocks.iter().filter(|b| is_said(b, form)).collect();
            if said.is_empty() {
                o.null("content");
            } else {
                content(o, &said, Spelling { form, native, between: Some("") });
            }
            if native {
                part::write_thoughts(o, &message.blocks);
                message_cache(o, message);
            } else {
                unsigned_thoughts(o, &message.blocks);
            }
            if message.form == Form::Bare
                && let Some(text) = message.blocks.iter().find_map(refusal_of)
            {
                o.text("refusal", text);
            }
            tool_calls(o, &message.blocks, native, &[]);
            if native {
                o.extra(&message.extra);
            }
        });
    }
}

/// `{"enabled": true}`
pub(in crate::dialect) fn cites(citations: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Citations {
        enabled: bool,
    }
    serde_json::from_str(citations.get()).is_ok_and(|Citations { enabled }| enabled)
}

/// What a tool may return that only a user's message may carry.
fn is_picture(block: &Block) -> bool {
    match &block.part {
        Part::Image { source, .. } => part::url_of(source).is_some(),
        Part::File { source, .. } => !matches!(source, Source::Url(_)),
        Part::Audio { .. } => true,
        Part::Text(_) | Part::Thinking { .. } | Part::RedactedThinking(_) => false,
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Refusal(_) => false,
        Part::Other { .. } | Part::OtherCall { .. } => false,
    }
}

/// What stands in an assistant's `content`. A refusal does so only in a list of parts.
fn is_said(block: &Block, form: Form) -> bool {
    match &block.part {
        Part::Text(_) | Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => true,
        Part::Other { dialect, .. } => *dialect == Dialect::Openai,
        Part::Refusal(_) => form == Form::List,
        Part::Thinking { .. } | Part::RedactedThinking(_) => false,
        Part::ToolCall(_) | Part::ToolResult(_) | Part::OtherCall { .. } => false,
    }
}

pub(super) fn refusal_of(block: &Block) -> Option<&str> {
    if let Part::Refusal(text) = &block.part { Some(text) } else { None }
}

fn unsigned_thoughts(o: &mut Object<'_>, blocks: &[Block]) {
    let mut thoughts = String::new();
    for block in blocks {
        if let Part::Thinking { text, signature: None } = &block.part {
            thoughts.push_str(text);
        }
    }
    if !thoughts.is_empty() {
        o.text("reasoning_content", &thoughts);
    }
}

/// LiteLLM's mark beside a bare string.
fn message_cache(o: &mut Object<'_>, message: &Message) {
    if message.form == Form::Bare {
        part::write_cache(o, message.blocks.first().and_then(|block| block.cache.as_ref()));
    }
}

/// How a `content` is to be spelled.
#[derive(Clone, Copy)]
struct Spelling {
    form: Form,
    /// Whether the client spoke OpenAI too.
    native: bool,
    /// What stands between the texts where a foreign list of nothing but texts becomes one string,
    /// which many providers want; `None`: it stays a list.
    between: Option<&'static str>,
}

fn content(o: &mut Object<'_>, blocks: &[&Block], spelling: Spelling) {
    let between = match (spelling.form, spelling.native) {
        (Form::Bare, _) => Some(spelling.between.unwrap_or_default()),
        (Form::List, false) => spelling.between,
        (Form::List, true) => None,
    };
    let texts: Option<Vec<&str>> = blocks.iter().map(|block| text_of(block)).collect();
    if let (Some(between), Some(texts)) = (between, texts) {
        o.text("content", &texts.join(between));
        return;
    }
    o.list("content", |list| {
        for block in blocks {
            write_part(list, block, spelling.native);
        }
    });
}

fn text_of(block: &Block) -> Option<&str> {
    if let Part::Text(text) = &block.part { Some(text) } else { None }
}

fn write_part(list: &mut List<'_>, block: &Block, native: bool) {
    let marks = |o: &mut Object<'_>| {
        if native {
            part::write_cache(o, block.cache.as_ref());
            o.extra(&block.extra);
        }
    };
    match &block.part {
        Part::Text(text) => list.object(|o| {
            o.text("type", "text");
            o.text("text", text);
            marks(o);
        }),
        Part::Refusal(text) => list.object(|o| {
            o.text("type", "refusal");
            o.text("refusal", text);
            marks(o);
        }),
        Part::Image { source, detail } => {
            let Some(url) = part::url_of(source) else { return };
            list.object(|o| {
                o.text("type", "image_url");
                o.object("image_url", |o| {
                    o.text("url", &url);
                    o.some_text("detail", detail.as_deref());
                });
                marks(o);
            });
        }
        Part::Audio { data, format } => list.object(|o| {
            o.text("type", "input_audio");
            o.object("input_audio", |o| {
                o.text("data", data);
                o.text("format", format);
            });
            marks(o);
        }),
        Part::File { source: Source::Text(text), name } => list.object(|o| {
            o.text("type", "text");
            match name {
                Some(name) => o.text("text", &format!("{name}\n\n{text}")),
                None => o.text("text", text),
            }
        }),
        // Refused before, unless the client itself spells it so.
        Part::File { source: Source::Url(_), .. } if !native => {}
        Part::File { source, name } => list.object(|o| {
            o.text("type", "file");
            o.object("file", |o| write_file(o, source, name.as_deref()));
            marks(o);
        }),
        Part::Other { dialect: Dialect::Openai, raw } => list.raw(raw.get()),
        Part::Other { .. } | Part::OtherCall { .. } => {}
        Part::Thinking { .. } | Part::RedactedThinking(_) => {}
        Part::ToolCall(_) | Part::ToolResult(_) => {}
    }
}

fn write_file(o: &mut Object<'_>, source: &Source, name: Option<&str>) {
    if let Source::FileId(id) = source {
        o.text("file_id", id);
    } else if let Some(url) = part::url_of(source) {
        o.text("file_data", &url);
    }
    o.some_text("filename", name);
}

/// Writes `tool_calls`. `shown` are extra members of a call that others say in OpenAI's spelling.
pub(super) fn tool_calls(o: &mut Object<'_>, blocks: &[Block], native: bool, shown: &[&str]) {
    if !blocks.iter().any(|b| matches!(b.part, Part::ToolCall(_) | Part::OtherCall { .. })) {
        return;
    }
    o.list("tool_calls", |list| {
        for block in blocks {
            if let Part::ToolCall(call) = &block.part {
                list.object(|o| {
                    write_call(o, call);
                    if native {
                        part::write_cache(o, block.cache.as_ref());
                        o.extra(&block.extra);
                        return;
                    }
                    for (name, raw) in
                        block.extra.iter().filter(|(name, _)| shown.contains(&&**name))
                    {
                        o.raw(name, raw.get());
                    }
                });
            } else if let Part::OtherCall { dialect: Dialect::Openai, raw } = &block.part {
                list.raw(raw.get());
            }
        }
    });
}

fn write_call(o: &mut Object<'_>, call: &ToolCall) {
    o.text("id", &call.id);
    o.text("type", "function");
    o.object("function", |o| {
        o.text("name", &call.name);
        o.text("arguments", &call.arguments);
    });
}
