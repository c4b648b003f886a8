//! What a bridge between equals loses, where a relay loses nothing. In service such a bridge is
//! never used; it shows what the hub cannot say.

use crate::Dialect;

/// Something that a bridge between equals says otherwise than a relay.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// The dialect, on both sides.
    pub dialect: Dialect,
    /// What of it.
    pub side: Side,
    /// Where it stands: names of members joined by dots, items of lists as `*`.
    pub path: &'static str,
    /// Why that is right.
    pub why: &'static str,
}

/// What a bridge writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A request for the upstream.
    Request,
    /// A whole answer for the client.
    Reply,
    /// A stream for the client, added up.
    Stream,
}

/// What `Bridge(d, d)` loses. All else survives it, also what the hub does not know.
pub const LOSSES: &[Loss] = &[
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Reply,
        path: "stop_reason",
        why: "the hub has few reasons: `pause_turn` becomes `max_tokens`, as with LiteLLM",
    },
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Stream,
        path: "blocks.1.input.a",
        why: "what a block already has when it opens is sent as its first delta",
    },
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Stream,
        path: "blocks.1.partial_json",
        why: "what a block already has when it opens is sent as its first delta",
    },
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Stream,
        path: "container",
        why: "where code ran is said at the end of a stream, and only clients of messages can go on there",
    },
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Stream,
        path: "usage.cache_creation",
        why: "a count that the upstream leaves out is 0",
    },
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Stream,
        path: "usage.cache_creation_input_tokens",
        why: "a count that the upstream leaves out is 0",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "candidates.*.content.parts.*.functionCall.id",
        why: "a call without an id gets one, by which its result finds it",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "usageMetadata.cacheTokensDetails",
        why: "nothing is priced by it",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "usageMetadata.candidatesTokenCount",
        why: "a count that the upstream leaves out is 0",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "usageMetadata.candidatesTokensDetails",
        why: "of the kinds of tokens text is what is left",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "usageMetadata.promptTokenCount",
        why: "what tools brought in is part of the prompt",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "usageMetadata.promptTokensDetails",
        why: "of the kinds of tokens text is what is left",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "usageMetadata.toolUsePromptTokenCount",
        why: "what tools brought in is part of the prompt",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Reply,
        path: "usageMetadata.trafficType",
        why: "usage is counted in tokens",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Reply,
        path: "finish_reason",
        why: "the hub has few reasons: `TIMEOUT` becomes `MAX_TOKENS`",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Reply,
        path: "logprobs.*.token_ids",
        why: "OpenAI's form has no numbers of tokens",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Reply,
        path: "usage.cached_tokens",
        why: "what is billed is what the hub counts",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Reply,
        path: "usage.tokens.input_tokens",
        why: "what is billed is what the hub counts",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Reply,
        path: "usage.tokens.output_tokens",
        why: "what is billed is what the hub counts",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "citations.0.sources.*.document.id",
        why: "citations of a stream have OpenAI's form between: a title and an address",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "citations.0.sources.*.document.text",
        why: "citations of a stream have OpenAI's form between: a title and an address",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "citations.0.sources.*.document.url",
        why: "citations of a stream have OpenAI's form between: a title and an address",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "citations.0.sources.*.id",
        why: "citations of a stream have OpenAI's form between: a title and an address",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "citations.1",
        why: "a citation without a source cites nothing",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "content",
        why: "a stream's text comes before it is known to be a plan",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "content.0.type",
        why: "a first delta opens its block, and what is not said has its usual value",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "end.finish_reason",
        why: "which of the stop texts it was is not said, so that none is",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "end.usage.billed_units",
        why: "what is billed is what the hub counts",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "end.usage.billed_units.input_tokens",
        why: "figures are whole numbers",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "end.usage.billed_units.output_tokens",
        why: "figures are whole numbers",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "end.usage.cached_tokens",
        why: "what is billed is what the hub counts",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "end.usage.tokens.input_tokens",
        why: "what is billed is what the hub counts",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "end.usage.tokens.output_tokens",
        why: "what is billed is what the hub counts",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "logprobs.token_ids",
        why: "OpenAI's form has no numbers of tokens",
    },
    Loss {
        dialect: Dialect::Cohere,
        side: Side::Stream,
        path: "tool_plan",
        why: "a stream's text comes before it is known to be a plan",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Request,
        path: "contents.*.parts",
        why: "what another provider signed is not for Google",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Request,
        path: "generationConfig.responseJsonSchema",
        why: "Google's own schemas become JSON Schemas, which it takes too",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Request,
        path: "generationConfig.responseSchema",
        why: "Google's own schemas become JSON Schemas, which it takes too",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Request,
        path: "tools.*.functionDeclarations.*.parameters",
        why: "Google's own schemas become JSON Schemas, which it takes too",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Request,
        path: "tools.*.functionDeclarations.*.parametersJsonSchema",
        why: "Google's own schemas become JSON Schemas, which it takes too",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates",
        why: "a prompt that is refused is answered by a candidate that says so",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.citationMetadata",
        why: "passages that have an address become citations; licences have no other word",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.finishReason",
        why: "the hub has few reasons: the others become one of them",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.groundingMetadata",
        why: "what is known by heart and where from becomes citations, which are grounding here",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.groundingMetadata.groundingSupports",
        why: "each source of a passage is a citation of its own",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.groundingMetadata.searchEntryPoint",
        why: "what stands beside a candidate passes where OpenAI has a word for it",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.groundingMetadata.webSearchQueries",
        why: "what stands beside a candidate passes where OpenAI has a word for it",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.parts.*.functionCall.id",
        why: "a call without an id gets one, by which its result finds it",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "candidates.0.parts.*.text",
        why: "nothing follows the reason why a candidate ended",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "modelVersion",
        why: "each event says which model answers, also where the upstream's do not",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "promptFeedback",
        why: "a prompt that is refused is answered by a candidate that says so",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "responseId",
        why: "each event has it, also where the upstream's do not",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "usageMetadata.candidatesTokenCount",
        why: "a count that the upstream leaves out is 0",
    },
    Loss {
        dialect: Dialect::Gemini,
        side: Side::Stream,
        path: "usageMetadata.totalTokenCount",
        why: "a count that the upstream leaves out is the sum of the others",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Reply,
        path: "choices.*.finish_reason",
        why: "the hub has few reasons: one that OpenAI does not have becomes one that it has",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Reply,
        path: "choices.*.message.annotations",
        why: "what Perplexity found stands where OpenAI says what a text cites, too",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Reply,
        path: "choices.*.message.content",
        why: "what is said aloud is text, too, for clients whose dialect has no sound",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Reply,
        path: "usage.completion_tokens_details.accepted_prediction_tokens",
        why: "part of the total; nothing is priced by it",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Reply,
        path: "usage.completion_tokens_details.rejected_prediction_tokens",
        why: "part of the total; nothing is priced by it",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Reply,
        path: "usage.cost",
        why: "another gateway's idea of the price",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "choices.0.delta.annotations",
        why: "what Perplexity found stands where OpenAI says what a text cites, too",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "choices.0.delta.content",
        why: "parts in a delta become the text and the thoughts that they are",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "choices.0.delta.reasoning",
        why: "spelled `reasoning_content`, as more clients know it",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "choices.0.delta.reasoning_content",
        why: "spelled `reasoning_content`, as more clients know it",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "choices.0.delta.tool_calls",
        why: "calls are numbered in their order, and one without an id gets one",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "error",
        why: "an empty error is none",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "usage",
        why: "figures within the last chunk are hidden from a client that did not ask for any",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "usage.completion_tokens_details.accepted_prediction_tokens",
        why: "part of the total; nothing is priced by it",
    },
    Loss {
        dialect: Dialect::Openai,
        side: Side::Stream,
        path: "usage.completion_tokens_details.rejected_prediction_tokens",
        why: "part of the total; nothing is priced by it",
    },
    Loss {
        dialect: Dialect::Responses,
        side: Side::Request,
        path: "input.*.content",
        why: "what was said beside thoughts and calls is written as parts",
    },
    Loss {
        dialect: Dialect::Responses,
        side: Side::Stream,
        path: "deltas",
        why: "what a provider says only at an item's end is sent as its delta, too",
    },
    Loss {
        dialect: Dialect::Responses,
        side: Side::Stream,
        path: "deltas.response_code_interpreter_call_code_delta",
        why: "an item that only its provider knows comes whole",
    },
    Loss {
        dialect: Dialect::Responses,
        side: Side::Stream,
        path: "deltas.response_reasoning_summary_text_delta.0_null",
        why: "a thought is one text: the parts of a summary are joined",
    },
    Loss {
        dialect: Dialect::Responses,
        side: Side::Stream,
        path: "response.output.*.content.*.logprobs",
        why: "an empty list where the provider leaves it out",
    },
    Loss {
        dialect: Dialect::Responses,
        side: Side::Stream,
        path: "response.output.*.id",
        why: "an item of a stream is known by its place; its id is made anew",
    },
    Loss {
        dialect: Dialect::Responses,
        side: Side::Stream,
        path: "response.output.*.summary",
        why: "a thought is one text: the parts of a summary are joined",
    },
];
