//! `usage` as an OpenAI client wants it; [`crate::dialect::figures`] reads it.

use crate::{dialect::json::Object, usage::Usage};

/// Writes the members of `usage`. What only Anthropic counts goes by LiteLLM's names.
pub(in crate::dialect) fn write(o: &mut Object<'_>, usage: &Usage) {
    o.integer("prompt_tokens", usage.input);
    o.integer("completion_tokens", usage.output);
    o.integer("total_tokens", usage.total());
    let cache_write = usage.cache_write.saturating_add(usage.cache_write_1h);
    o.object("prompt_tokens_details", |o| {
        o.integer("cached_tokens", usage.cache_read);
        o.integer("audio_tokens", usage.input_audio);
        if cache_write > 0 {
            o.integer("cache_creation_tokens", cache_write);
        }
    });
    o.object("completion_tokens_details", |o| {
        o.integer("reasoning_tokens", usage.reasoning);
        o.integer("audio_tokens", usage.output_audio);
    });
    if cache_write > 0 {
        o.integer("cache_creation_input_tokens", cache_write);
        o.integer("cache_read_input_tokens", usage.cache_read);
    }
}
