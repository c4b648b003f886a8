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
    let Usage { input_audio, input_image, input_video, .. } = *usage;
    by_modality(o, "promptTokensDetails", usage.input, [input_audio, input_image, input_video]);
    let Usage { output_audio, output_image, output_video, .. } = *usage;
    let said = usage.output.saturating_sub(usage.reasoning);
    by_modality(o, "candidatesTokensDetails", said, [output_audio, output_image, output_video]);
    if usage.cache_read_audio > 0 {
        by_modality(o, "cacheTokensDetails", usage.cache_read, [usage.cache_read_audio, 0, 0]);
    }
}

/// Writes how many of all tokens are sound, pictures and video, if any are.
fn by_modality(o: &mut Object<'_>, name: &str, all: u64, [audio, image, video]: [u64; 3]) {
    let others = audio.saturating_add(image).saturating_add(video);
    if others == 0 {
        return;
    }
    let text = all.saturating_sub(others);
    o.list(name, |list| {
        for (modality, count) in
            [("TEXT", text), ("IMAGE", image), ("VIDEO", video), ("AUDIO", audio)]
        {
            if count > 0 {
                list.object(|o| {
                    o.text("modality", modality);
                    o.integer("tokenCount", count);
                });
            }
        }
    });
}
