//! `usage` as an OpenAI client wants it; [`crate::dialect::figures`] reads it.

use crate::{
    dialect::json::Object,
    usage::{Tier, Usage},
};

/// Writes the members of `usage`. What only Anthropic counts goes by LiteLLM's names.
pub(in crate::dialect) fn write(o: &mut Object<'_>, usage: &Usage) {
    o.integer("prompt_tokens", usage.input);
    o.integer("completion_tokens", usage.output);
    o.integer("total_tokens", usage.total());
    let cache_write = usage.cache_written();
    o.object("prompt_tokens_details", |o| {
        o.integer("cached_tokens", usage.cache_read);
        o.integer("audio_tokens", usage.input_audio);
        if cache_write > 0 {
            o.integer("cache_creation_tokens", cache_write);
        }
        if usage.cache_write_1h > 0 {
            o.object("cache_creation_token_details", |o| {
                o.integer("ephemeral_5m_input_tokens", usage.cache_write);
                o.integer("ephemeral_1h_input_tokens", usage.cache_write_1h);
            });
        }
        for (name, count) in
            [("image_tokens", usage.input_image), ("video_tokens", usage.input_video)]
        {
            if count > 0 {
                o.integer(name, count);
            }
        }
    });
    o.object("completion_tokens_details", |o| {
        o.integer("reasoning_tokens", usage.reasoning);
        o.integer("audio_tokens", usage.output_audio);
        for (name, count) in
            [("image_tokens", usage.output_image), ("video_tokens", usage.output_video)]
        {
            if count > 0 {
                o.integer(name, count);
            }
        }
    });
    if usage.searches > 0 {
        o.object("server_tool_use", |o| {
            o.integer("web_search_requests", usage.searches.into());
        });
    }
    if cache_write > 0 {
        o.integer("cache_creation_input_tokens", cache_write);
        o.integer("cache_read_input_tokens", usage.cache_read);
    }
}

/// The `service_tier` that stands beside `usage`; `None` where OpenAI has no word for it.
pub(super) fn tier(usage: &Usage) -> Option<&'static str> {
    match usage.tier? {
        Tier::Standard => Some("default"),
        Tier::Priority | Tier::Fast => Some("priority"),
        Tier::Flex => Some("flex"),
        Tier::Batch | Tier::Balanced | Tier::Ultrafast => None,
    }
}
