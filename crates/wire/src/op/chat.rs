//! The chat operation's hub: neutral request, response and events.
//!
//! A conversation is messages of blocks; an answer is choices of blocks; a stream is events that
//! open, fill and close blocks. What the hub does not name it keeps as JSON text ([`Extra`]), which
//! survives towards a dialect of the same family; what cannot survive is named by the dialect that
//! drops it, never lost in silence.

use serde_json::{Number, value::RawValue};

use crate::{matrix::Dialect, usage::Usage};

/// Most messages of one request.
pub const MAX_MESSAGES: usize = 100_000;
/// Most content blocks of one message, and most parts of one streamed answer.
pub const MAX_BLOCKS: usize = 10_000;
/// Most tool calls of one message.
pub const MAX_TOOL_CALLS: usize = 128;
/// Most tools of one request.
pub const MAX_TOOLS: usize = 4_096;
/// Most choices of one answer.
pub const MAX_CHOICES: usize = 128;
/// Most members of one object that is read member by member.
pub const MAX_FIELDS: usize = 512;

/// A piece of JSON text that is kept as it is.
pub type Raw = Box<RawValue>;

/// Members that the hub has no name for, in their order.
pub type Extra = Vec<(Box<str>, Raw)>;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The dialect it was read from. It decides spelling and who may see `extra`, nothing else.
    pub surface: Dialect,
    /// The model the client asked for.
    pub model: String,
    /// The conversation, system messages included where they stood.
    pub messages: Vec<Message>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether a streamed answer is to end with its usage; dialects that always do ignore it.
    pub include_usage: bool,
    /// Most tokens of the answer, reasoning included.
    pub max_tokens: Option<MaxTokens>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts that end the answer.
    pub stop: Option<Stop>,
    /// Tools that may be called.
    pub tools: Vec<Tool>,
    /// Whether they must be.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several may be called at once; `None`: as the model likes.
    pub parallel_tools: Option<bool>,
    /// What the answer's text must be.
    pub format: Option<Format>,
    /// Whether and how much to think first.
    pub reasoning: Reasoning,
    /// The end user, as an opaque name.
    pub user: Option<String>,
    /// Members of `metadata`, but for the end user.
    pub metadata: Extra,
    /// The class of service, in the surface's words.
    pub service_tier: Option<String>,
    /// Members of Anthropic's `output_config`, or of Google's `generationConfig`, that have no place
    /// above.
    pub output_extra: Extra,
    /// Top-level fields that have no place above.
    pub extra: Extra,
}

/// A limit, and which of OpenAI's two names it came under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxTokens {
    /// `max_tokens`
    Plain(u64),
    /// `max_completion_tokens`
    Completion(u64),
}

impl Request {
    /// How many of the messages stand before the client's own: Anthropic's `system` is the hub's first
    /// message and none of the client's.
    pub(crate) fn before_the_clients(&self) -> usize {
        let first = self.messages.first().map(|message| message.role);
        usize::from(self.surface == Dialect::Anthropic && first == Some(Role::System))
    }
}

impl MaxTokens {
    /// The limit itself.
    pub const fn get(self) -> u64 {
        match self {
            MaxTokens::Plain(tokens) | MaxTokens::Completion(tokens) => tokens,
        }
    }
}

/// How tokens are drawn, and what is told about it. Numbers keep their spelling.
#[derive(Debug, Clone, Default)]
pub struct Sampling {
    /// `temperature`
    pub temperature: Option<Number>,
    /// `top_p`
    pub top_p: Option<Number>,
    /// `top_k`
    pub top_k: Option<Number>,
    /// `seed`
    pub seed: Option<Number>,
    /// `n`: how many answers.
    pub n: Option<Number>,
    /// `frequency_penalty`
    pub frequency_penalty: Option<Number>,
    /// `presence_penalty`
    pub presence_penalty: Option<Number>,
    /// `logprobs`
    pub logprobs: Option<bool>,
    /// `top_logprobs`
    pub top_logprobs: Option<Number>,
    /// `logit_bias`
    pub logit_bias: Option<Raw>,
}

/// Texts that end the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The texts.
    pub texts: Vec<String>,
    /// How the client wrote them.
    pub form: Form,
}

/// How something was written that may be a bare string or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One string.
    Bare,
    /// A list.
    List,
}

/// One message of the conversation.
#[derive(Debug, Clone)]
pub struct Message {
    /// Whose it is.
    pub role: Role,
    /// What it says.
    pub blocks: Vec<Block>,
    /// How its content was written.
    pub form: Form,
    /// Members that have no place above.
    pub extra: Extra,
}

/// Whose a message is. Tool results may also stand in a user's message, as Anthropic has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Instructions.
    System,
    /// Instructions, in the word that OpenAI's reasoning models want.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool: exactly one [`Part::ToolResult`].
    Tool,
}

/// A part with its marks.
#[derive(Debug, Clone)]
pub struct Block {
    /// What it is.
    pub part: Part,
    /// Set if the prompt up to here is to be cached.
    pub cache: Option<CacheMark>,
    /// Members that have no place above.
    pub extra: Extra,
}

impl From<Part> for Block {
    fn from(part: Part) -> Self {
        Block { part, cache: None, extra: Extra::new() }
    }
}

/// `cache_control: {"type": "ephemeral"}`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMark {
    /// How long: `5m` or `1h`; `None`: as long as the provider likes.
    pub ttl: Option<String>,
}

/// A part of a message.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// OpenAI's `detail`.
        detail: Option<String>,
    },
    /// Sound: base64 and its format (`wav`, `mp3`).
    Audio {
        /// Base64.
        data: String,
        /// `wav`, `mp3`, …
        format: String,
    },
    /// A document.
    File {
        /// Where it is.
        source: Source,
        /// Its name or title.
        name: Option<String>,
    },
    /// What the model thought.
    Thinking {
        /// The thought.
        text: String,
        /// What its provider wants to see when it comes back.
        signature: Option<String>,
    },
    /// A thought that only its provider can read.
    RedactedThinking(String),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// A tool answers.
    ToolResult(ToolResult),
    /// The model says no.
    Refusal(String),
    /// A part of one dialect that the hub does not know.
    Other {
        /// Whose it is.
        dialect: Dialect,
        /// The whole part.
        raw: Raw,
    },
    /// A tool call of one dialect that the hub does not know (OpenAI's custom tools).
    OtherCall {
        /// Whose it is.
        dialect: Dialect,
        /// The whole call.
        raw: Raw,
    },
}

/// Where an image or a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In place.
    Base64 {
        /// Such as `image/png`.
        media_type: String,
        /// Base64, as it came.
        data: String,
    },
    /// Elsewhere; the provider fetches it.
    Url(String),
    /// Uploaded to the provider before.
    FileId(String),
    /// In place, as plain text.
    Text(String),
}

/// The model calls a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The call's name, to which the result refers.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// JSON text, as the model wrote it: not always valid.
    pub arguments: String,
}

/// A tool answers.
#[derive(Debug, Clone)]
pub struct ToolResult {
    /// Which call it answers.
    pub id: String,
    /// What it says.
    pub blocks: Vec<Block>,
    /// How that was written; `None`: not at all.
    pub form: Option<Form>,
    /// Whether the tool failed, if that was said.
    pub is_error: Option<bool>,
}

/// A tool that may be called.
#[derive(Debug, Clone)]
pub enum Tool {
    /// A function of the client's.
    Function(Function),
    /// A tool of one dialect (web search, code execution, …).
    Other {
        /// Whose it is.
        dialect: Dialect,
        /// Its type, to name it by.
        kind: String,
        /// The whole tool.
        raw: Raw,
    },
}

/// A function that the model may call.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON Schema of its arguments.
    pub parameters: Option<Raw>,
    /// Whether arguments must fit the schema.
    pub strict: Option<bool>,
    /// Set if the prompt up to here is to be cached.
    pub cache: Option<CacheMark>,
    /// Members that have no place above.
    pub extra: Extra,
}

/// Whether tools must be called.
#[derive(Debug, Clone)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// Not at all.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
    /// A choice of one dialect that the hub does not know.
    Other {
        /// Whose it is.
        dialect: Dialect,
        /// The whole choice.
        raw: Raw,
    },
}

/// What the answer's text must be.
#[derive(Debug, Clone)]
pub enum Format {
    /// Any text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema(Schema),
    /// A format of one dialect that the hub does not know.
    Other {
        /// Whose it is.
        dialect: Dialect,
        /// The whole format.
        raw: Raw,
    },
}

/// A JSON Schema for the answer.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// Its name, where the dialect gives it one.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The schema.
    pub schema: Option<Raw>,
    /// Whether the answer must fit it exactly.
    pub strict: Option<bool>,
}

/// Whether and how much to think first: a word, a mode, both or neither.
#[derive(Debug, Clone, Default)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`
    pub effort: Option<String>,
    /// Anthropic's `thinking`.
    pub thinking: Option<Thinking>,
    /// Members of `thinking` that have no place above (`display`).
    pub extra: Extra,
}

/// A mode of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// Do not.
    Disabled,
    /// Up to so many tokens.
    Enabled {
        /// How many.
        budget: u64,
    },
    /// As much as the model likes.
    Adaptive,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The dialect it was read from.
    pub upstream: Dialect,
    /// The provider's name for it.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// When, in seconds since 1970, if the provider says.
    pub created: Option<u64>,
    /// The answers; dialects that have one always have exactly one.
    pub choices: Vec<Choice>,
    /// What it consumed, if the provider says.
    pub usage: Option<Usage>,
    /// Top-level members that have no place above.
    pub extra: Extra,
}

/// One answer of several.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// What it says.
    pub blocks: Vec<Block>,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// Members of the message that have no place above.
    pub message_extra: Extra,
    /// Members of the choice that have no place above (`logprobs`).
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// The reason.
    pub reason: Reason,
    /// Which of the stop texts it was, if that is why.
    pub stop_sequence: Option<String>,
}

/// Why an answer ended, in few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was complete, or came to a stop text.
    Stop,
    /// It came to its limit.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// The provider would not go on.
    ContentFilter,
}

impl Reason {
    /// Of a provider's word, whatever its dialect; what nobody knows is `stop` (LiteLLM's table).
    pub fn read(word: &str) -> Reason {
        match word {
            "length"
            | "max_tokens"
            | "MAX_TOKENS"
            | "model_length"
            | "pause_turn"
            | "compaction"
            | "model_context_window_exceeded" => Reason::Length,
            "tool_calls" | "function_call" | "tool_use" | "TOOL_CALL" => Reason::ToolCalls,
            "content_filter"
            | "content_filtered"
            | "refusal"
            | "SAFETY"
            | "RECITATION"
            | "sensitive"
            | "guardrail_intervened"
            | "LANGUAGE"
            | "OTHER"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "IMAGE_OTHER"
            | "NO_IMAGE" => Reason::ContentFilter,
            _ => Reason::Stop,
        }
    }

    /// In OpenAI's words.
    pub const fn openai(self) -> &'static str {
        match self {
            Reason::Stop => "stop",
            Reason::Length => "length",
            Reason::ToolCalls => "tool_calls",
            Reason::ContentFilter => "content_filter",
        }
    }
}

/// A piece of a streamed answer.
///
/// A stream is one `Start`; then, for each part of each choice, one `Open`, any number of `Delta`
/// and one `Close`, where parts may overlap; one `Finish` a choice; and `Usage` whenever it is
/// known better. Parts are numbered from 0 within their choice, in the order of their opening.
#[derive(Debug, Clone)]
pub enum Event {
    /// The answer begins.
    Start(Start),
    /// A part begins.
    Open {
        /// Of which choice.
        choice: u32,
        /// Its number.
        part: u32,
        /// What it is.
        kind: Opening,
    },
    /// A part goes on.
    Delta {
        /// Of which choice.
        choice: u32,
        /// Its number.
        part: u32,
        /// By what.
        delta: Delta,
    },
    /// A part is complete.
    Close {
        /// Of which choice.
        choice: u32,
        /// Its number.
        part: u32,
    },
    /// Something beside the parts that the hub does not know.
    Aside {
        /// Of which choice.
        choice: u32,
        /// Where it stood.
        place: Place,
        /// Its name.
        name: &'static str,
        /// Its value.
        value: Raw,
    },
    /// A choice is complete.
    Finish {
        /// Which.
        choice: u32,
        /// Why.
        finish: Finish,
    },
    /// All that the answer consumed so far: replaces what was said before.
    Usage(Usage),
}

/// How a stream begins.
#[derive(Debug, Clone)]
pub struct Start {
    /// The dialect it was read from.
    pub upstream: Dialect,
    /// The provider's name for the answer.
    pub id: String,
    /// The model that answers.
    pub model: String,
    /// When, in seconds since 1970, if the provider says.
    pub created: Option<u64>,
    /// What the prompt consumed, if the provider says it at once.
    pub usage: Option<Usage>,
    /// Members that have no place above.
    pub extra: Extra,
}

/// What a part of a stream is.
#[derive(Debug, Clone)]
pub enum Opening {
    /// Text.
    Text,
    /// The model says no.
    Refusal,
    /// What the model thinks.
    Thinking {
        /// Whether it comes as blocks that may be signed, not as bare text.
        signed: bool,
    },
    /// A thought that only its provider can read.
    RedactedThinking(String),
    /// The model calls a tool.
    ToolCall {
        /// The call's name.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A picture. It comes whole: no delta follows.
    Image {
        /// Where it is.
        source: Source,
        /// Members of its part or item that have no place above, for its own dialect.
        extra: Extra,
    },
    /// A part of one dialect that the hub does not know: how it opens.
    Other {
        /// Whose it is.
        dialect: Dialect,
        /// The whole part, as far as it is there.
        raw: Raw,
    },
}

/// What a part of a stream goes on by.
#[derive(Debug, Clone)]
pub enum Delta {
    /// Text, of text, a refusal or a thought.
    Text(String),
    /// The signature of a thought.
    Signature(String),
    /// JSON text of a tool call's arguments, cut anywhere.
    Arguments(String),
    /// A delta of one dialect that the hub does not know.
    Other {
        /// Whose it is.
        dialect: Dialect,
        /// The whole delta.
        raw: Raw,
    },
}

/// Where an [`Event::Aside`] stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the choice, beside the delta.
    Choice,
    /// In the delta.
    Delta,
    /// Within the part that opens next (the signature of a call).
    Part,
}
