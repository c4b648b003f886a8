//! `usage` as a client of responses wants it; [`crate::dialect::figures`] reads it.

use crate::{dialect::json::Object, usage::Usage};

/// Writes the members of `usage`.
pub(super) fn write(o: &mut Object<'_>, usage: &Usage) {
    o.integer("input_tokens", usage.input);
    o.object("input_tokens_details", |o| {
        o.integer("cached_tokens", usage.cache_read);
        let written = usage.cache_write.saturating_add(usage.cache_write_1h);
        o.integer("cache_write_tokens", written);
    });
    o.integer("output_tokens", usage.output);
    o.object("output_tokens_details", |o| o.integer("reasoning_tokens", usage.reasoning));
    o.integer("total_tokens", usage.total());
}
