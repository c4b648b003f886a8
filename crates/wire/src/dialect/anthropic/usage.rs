//! `usage` as an Anthropic client wants it: cached tokens are counted beside `input_tokens`, not in
//! it. [`crate::dialect::figures`] reads it.
//! <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>

use crate::{
    dialect::json::Object,
    usage::{Tier, Usage},
};

/// Writes the members of `usage`.
pub(super) fn write(o: &mut Object<'_>, usage: &Usage) {
    let written = usage.cache_written();
    let cached = usage.cache_read.saturating_add(written);
    o.integer("input_tokens", usage.input.saturating_sub(cached));
    o.integer("cache_creation_input_tokens", written);
    o.integer("cache_read_input_tokens", usage.cache_read);
    o.integer("output_tokens", usage.output);
    if usage.searches > 0 {
        o.object("server_tool_use", |o| {
            o.integer("web_search_requests", usage.searches.into());
        });
    }
}

/// The same, for how long tokens were cached, and how the answer was served: what a whole answer
/// and the start of a stream have.
pub(super) fn write_whole(o: &mut Object<'_>, usage: &Usage) {
    write(o, usage);
    o.object("cache_creation", |o| {
        o.integer("ephemeral_5m_input_tokens", usage.cache_write);
        o.integer("ephemeral_1h_input_tokens", usage.cache_write_1h);
    });
    match usage.tier {
        Some(Tier::Standard | Tier::Fast) => o.text("service_tier", "standard"),
        Some(Tier::Priority) => o.text("service_tier", "priority"),
        Some(Tier::Batch) => o.text("service_tier", "batch"),
        // Not said, or nothing that Anthropic has a word for.
        Some(Tier::Flex | Tier::Balanced | Tier::Ultrafast) | None => {}
    }
    if usage.tier == Some(Tier::Fast) {
        o.text("speed", "fast");
    }
    if usage.us_only {
        o.text("inference_geo", "us");
    }
}
