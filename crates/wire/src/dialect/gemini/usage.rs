//! `usageMetadata` as a Gemini client wants it: thoughts are counted beside the candidates.
//! [`crate::dialect::figures`] reads it.
//! <https://ai.google.dev/api/generate-content#UsageMetadata>

use crate::{dialect::json::Object, usage::Usage};

/// Writes the members of `usageMetadata`.
pub(super) fn write(o: &mut Object<'_>, usage: &Usage) {
    o.integer("promptTokenCount", usage.input);
    o.integer("candidatesTokenCount", usage.output.saturating_sub(usage.reasoning));
    o.integer("totalTokenCount", usage.total());
    if usage.cache_read > 0 {
        o.integer("cachedContentTokenCount", usage.cache_read);
    }
    if usage.reasoning > 0 {
        o.integer("thoughtsTokenCount", usage.reasoning);
    }
    by_modality(o, "promptTokensDetails", usage.input, usage.input_audio);
    let said = usage.output.saturating_sub(usage.reasoning);
    by_modality(o, "candidatesTokensDetails", said, usage.output_audio);
}

fn by_modality(o: &mut Object<'_>, name: &str, all: u64, audio: u64) {
    if audio == 0 {
        return;
    }
    o.list(name, |list| {
        for (modality, count) in [("TEXT", all.saturating_sub(audio)), ("AUDIO", audio)] {
            if count > 0 {
                list.object(|o| {
                    o.text("modality", modality);
                    o.integer("tokenCount", count);
                });
            }
        }
    });
}
