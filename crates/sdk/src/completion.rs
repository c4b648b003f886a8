//! A chat, while it is being put together. See [`completion`](crate::completion()).

use std::{collections::BTreeMap, future::Future, pin::Pin};

use serde::Serialize;
use serde_json::json;

use crate::{
    Error, Tollgate, call,
    message::Message,
    mock,
    options::{Fields, Options, call_options},
    response::ChatCompletion,
    stream::CompletionStream,
    tool::{Function, ResponseFormat, Tool, ToolChoice},
};

/// A chat, while it is being put together: set what you need, then `.await` it for a whole answer
/// or [`stream`](Completion::stream) it for pieces. Nothing is sent before that.
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until this is awaited or streamed"]
pub struct Completion {
    pub(crate) client: Tollgate,
    pub(crate) model: String,
    pub(crate) fields: Fields,
    pub(crate) options: Options,
    mock: Option<String>,
}

impl Completion {
    pub(crate) fn new(
        client: Tollgate,
        model: String,
        messages: impl IntoIterator<Item = Message>,
    ) -> Self {
        let mut fields = Fields::default();
        fields.set("model", &model);
        fields.set("messages", messages.into_iter().collect::<Vec<_>>());
        Completion { client, model, fields, options: Options::default(), mock: None }
    }

    /// How freely words are chosen: 0 for the likeliest, up to 2.
    pub fn temperature(self, value: f64) -> Self {
        self.number("temperature", value)
    }

    /// Choose among the likeliest words that together have this probability.
    pub fn top_p(self, value: f64) -> Self {
        self.number("top_p", value)
    }

    /// Most tokens of the answer.
    pub fn max_tokens(self, value: u64) -> Self {
        self.set("max_tokens", value)
    }

    /// Most tokens of the answer, reasoning included.
    pub fn max_completion_tokens(self, value: u64) -> Self {
        self.set("max_completion_tokens", value)
    }

    /// Texts that end the answer.
    pub fn stop<S: Into<String>>(self, texts: impl IntoIterator<Item = S>) -> Self {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        self.set("stop", texts)
    }

    /// Tools that the model may call.
    pub fn tools(self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.set("tools", tools.into_iter().collect::<Vec<_>>())
    }

    /// Whether the model calls tools.
    pub fn tool_choice(self, choice: ToolChoice) -> Self {
        self.set("tool_choice", choice)
    }

    /// Whether it may call several tools at once.
    pub fn parallel_tool_calls(self, allowed: bool) -> Self {
        self.set("parallel_tool_calls", allowed)
    }

    /// The shape that the answer must have.
    pub fn response_format(self, format: ResponseFormat) -> Self {
        self.set("response_format", format)
    }

    /// Against repeating what was said often: −2 to 2.
    pub fn frequency_penalty(self, value: f64) -> Self {
        self.number("frequency_penalty", value)
    }

    /// Against repeating what was said at all: −2 to 2.
    pub fn presence_penalty(self, value: f64) -> Self {
        self.number("presence_penalty", value)
    }

    /// For answers that can be had again.
    pub fn seed(self, value: i64) -> Self {
        self.set("seed", value)
    }

    /// How many answers.
    pub fn n(self, value: u32) -> Self {
        self.set("n", value)
    }

    /// Your own user, for the provider's abuse control.
    pub fn user(self, id: impl Into<String>) -> Self {
        self.set("user", id.into())
    }

    /// How much to think: `minimal`, `low`, `medium`, `high`.
    pub fn reasoning_effort(self, effort: impl Into<String>) -> Self {
        self.set("reasoning_effort", effort.into())
    }

    /// How much to say: `low`, `medium`, `high`.
    pub fn verbosity(self, value: impl Into<String>) -> Self {
        self.set("verbosity", value.into())
    }

    /// Whether to return probabilities.
    pub fn logprobs(self, wanted: bool) -> Self {
        self.set("logprobs", wanted)
    }

    /// For how many of the likeliest words to return probabilities.
    pub fn top_logprobs(self, count: u32) -> Self {
        self.set("top_logprobs", count)
    }

    /// Tokens to prefer or avoid: −100 to 100.
    pub fn logit_bias(self, bias: BTreeMap<String, i32>) -> Self {
        self.set("logit_bias", bias)
    }

    /// What a stream brings beside its pieces. The cost of a stream is known without this.
    pub fn stream_options(self, options: impl Serialize) -> Self {
        self.set("stream_options", options)
    }

    /// What the answer may consist of: `text`, `audio`.
    pub fn modalities<S: Into<String>>(self, kinds: impl IntoIterator<Item = S>) -> Self {
        let kinds: Vec<String> = kinds.into_iter().map(Into::into).collect();
        self.set("modalities", kinds)
    }

    /// How the spoken part of the answer is to sound.
    pub fn audio(self, settings: impl Serialize) -> Self {
        self.set("audio", settings)
    }

    /// What most of the answer will be, to have it sooner.
    pub fn prediction(self, text: impl Serialize) -> Self {
        self.set("prediction", text)
    }

    /// Whether and how to search the web.
    pub fn web_search_options(self, options: impl Serialize) -> Self {
        self.set("web_search_options", options)
    }

    /// Functions, in OpenAI's older spelling; newer models want [`tools`](Self::tools).
    pub fn functions(self, functions: impl IntoIterator<Item = Function>) -> Self {
        self.set("functions", functions.into_iter().collect::<Vec<_>>())
    }

    /// `auto`, `none`, or `{"name": …}`, in OpenAI's older spelling.
    pub fn function_call(self, choice: impl Serialize) -> Self {
        self.set("function_call", choice)
    }

    /// Your own user, hashed, for the provider's abuse control.
    pub fn safety_identifier(self, id: impl Into<String>) -> Self {
        self.set("safety_identifier", id.into())
    }

    /// Prompts with the same key share the provider's cache.
    pub fn prompt_cache_key(self, key: impl Into<String>) -> Self {
        self.set("prompt_cache_key", key.into())
    }

    /// How long the provider may cache the prompt: `in_memory`, `24h`.
    pub fn prompt_cache_retention(self, time: impl Into<String>) -> Self {
        self.set("prompt_cache_retention", time.into())
    }

    /// The provider's tier of service.
    pub fn service_tier(self, tier: impl Into<String>) -> Self {
        self.set("service_tier", tier.into())
    }

    /// Whether the provider may keep the answer.
    pub fn store(self, keep: bool) -> Self {
        self.set("store", keep)
    }

    /// Labels that the provider (or the gateway) keeps with the request.
    pub fn metadata(self, labels: impl Serialize) -> Self {
        self.set("metadata", labels)
    }

    /// Anthropic's thinking budget, for models that have one.
    pub fn thinking(self, budget_tokens: u64) -> Self {
        self.set("thinking", json!({"type": "enabled", "budget_tokens": budget_tokens}))
    }

    /// Answer with this text and ask nobody: for tests.
    pub fn mock_response(mut self, text: impl Into<String>) -> Self {
        self.mock = Some(text.into());
        self
    }

    call_options!();

    /// The answer in pieces, as they come.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), tollgate::Error> {
    /// let mut stream = tollgate::completion("apertis/model-name", [tollgate::user("Hello")])
    ///     .stream()
    ///     .await?;
    /// while let Some(chunk) = stream.next().await {
    ///     print!("{}", chunk?.text());
    /// }
    /// println!("cost: {:?}", stream.cost());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stream(mut self) -> Result<CompletionStream, Error> {
        if let Some(text) = self.mock.take() {
            return Ok(mock::stream(&self.model, &text));
        }
        self.fields.set("stream", true);
        // Boxed: a call is large, and a caller's own future should not be.
        Box::pin(call::stream(self)).await
    }

    async fn whole(mut self) -> Result<ChatCompletion, Error> {
        if let Some(text) = self.mock.take() {
            return Ok(mock::whole(&self.model, &text));
        }
        self.fields.map.remove("stream");
        self.fields.map.remove("stream_options");
        call::whole(self).await
    }

    fn set(mut self, name: &str, value: impl Serialize) -> Self {
        self.fields.set(name, value);
        self
    }

    fn number(mut self, name: &str, value: f64) -> Self {
        self.fields.set_number(name, value);
        self
    }
}

impl IntoFuture for Completion {
    type Output = Result<ChatCompletion, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.whole())
    }
}
