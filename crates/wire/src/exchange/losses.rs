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
        side: Side::Reply,
        path: "usage.server_tool_use",
        why: "usage is counted in tokens; searches are no tokens",
    },
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Reply,
        path: "usage.service_tier",
        why: "usage is counted in tokens",
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
        dialect: Dialect::Anthropic,
        side: Side::Stream,
        path: "usage.server_tool_use",
        why: "usage is counted in tokens; searches are no tokens",
    },
    Loss {
        dialect: Dialect::Anthropic,
        side: Side::Stream,
        path: "usage.service_tier",
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
        dialect: Dialect::Openai,
        side: Side::Reply,
        path: "choices.*.finish_reason",
        why: "the hub has few reasons: one that OpenAI does not have becomes one that it has",
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
];
