//! `usage` as an Anthropic client wants it: cached tokens are counted beside `input_tokens`, not in
//! it. [`crate::dialect::figures`] reads it.
//! <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>

use crate::{dialect::json::Object, usage::Usage};

/// Writes the members of `usage`.
pub(super) fn write(o: &mut Object<'_>, usage: &Usage) {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let cached = usage.cache_read.saturating_add(written);
    o.integer("input_tokens", usage.input.saturating_sub(cached));
    o.integer("cache_creation_input_tokens", written);
    o.integer("cache_read_input_tokens", usage.cache_read);
    o.integer("output_tokens", usage.output);
}

/// The same, and for how long tokens were cached: what a whole answer and the start of a stream
/// have.
pub(super) fn write_whole(o: &mut Object<'_>, usage: &Usage) {
    write(o, usage);
    o.object("cache_creation", |o| {
        o.integer("ephemeral_5m_input_tokens", usage.cache_write);
        o.integer("ephemeral_1h_input_tokens", usage.cache_write_1h);
    });
}
