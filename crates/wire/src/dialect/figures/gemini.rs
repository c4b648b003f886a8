//! Google's figures.

use super::Figures;
use crate::{
    json::{Flaw, Scan},
    usage::Tier,
};

impl Figures {
    /// <https://ai.google.dev/api/generate-content#UsageMetadata>
    pub(super) fn gemini(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"promptTokenCount" => figures.count(scan, text, |f| &mut f.input),
            b"candidatesTokenCount" => figures.count(scan, text, |f| &mut f.output),
            b"cachedContentTokenCount" => figures.count(scan, text, |f| &mut f.cache_read),
            b"thoughtsTokenCount" => figures.count(scan, text, |f| &mut f.reasoning),
            b"toolUsePromptTokenCount" => figures.count(scan, text, |f| &mut f.input_beside),
            b"promptTokensDetails" => {
                figures.gemini_modalities(scan, text, |f, modality| match modality {
                    Modality::Audio => Some(&mut f.input_audio),
                    Modality::Image => Some(&mut f.input_image),
                    Modality::Video => Some(&mut f.input_video),
                })
            }
            b"candidatesTokensDetails" => {
                figures.gemini_modalities(scan, text, |f, modality| match modality {
                    Modality::Audio => Some(&mut f.output_audio),
                    Modality::Image => Some(&mut f.output_image),
                    Modality::Video => Some(&mut f.output_video),
                })
            }
            b"cacheTokensDetails" => {
                figures.gemini_modalities(scan, text, |f, modality| match modality {
                    Modality::Audio => Some(&mut f.cache_read_audio),
                    Modality::Image | Modality::Video => None,
                })
            }
            b"serviceTier" | b"trafficType" => {
                let word = scan.value()?;
                let word = text.get(word).unwrap_or_default().trim_ascii();
                let word = std::str::from_utf8(word).unwrap_or_default().trim_matches('"');
                let word = word.to_ascii_lowercase();
                let tier = Tier::read(word.strip_prefix("on_demand_").unwrap_or(&word));
                figures.tier = tier.or(figures.tier);
                Ok(())
            }
            _ => scan.skip(),
        })
    }

    /// `[{"modality": "AUDIO", "tokenCount": 9}]`
    fn gemini_modalities(
        &mut self,
        scan: &mut Scan<'_>,
        text: &[u8],
        place: impl Fn(&mut Self, Modality) -> Option<&mut Option<u64>>,
    ) -> Result<(), Flaw> {
        if scan.look() != Some(b'[') {
            return scan.skip();
        }
        scan.open_array()?;
        let mut first = true;
        while scan.next_item(&mut first)? {
            let (mut count, mut modality) = (None, None);
            self.members(scan, text, |figures, key, scan| match key.raw {
                b"modality" => {
                    let word = scan.value()?;
                    modality = Modality::read(text.get(word).unwrap_or_default());
                    Ok(())
                }
                b"tokenCount" => {
                    count = figures.number(scan, text)?;
                    Ok(())
                }
                _ => scan.skip(),
            })?;
            let place = modality.and_then(|modality| place(self, modality));
            if let (Some(place), Some(_)) = (place, count) {
                *place = count;
            }
        }
        Ok(())
    }
}

/// Google's kinds of tokens beside text.
#[derive(Debug, Clone, Copy)]
enum Modality {
    Audio,
    Image,
    Video,
}

impl Modality {
    /// Of a word with its quotes.
    fn read(word: &[u8]) -> Option<Modality> {
        Some(match word {
            b"\"AUDIO\"" => Modality::Audio,
            b"\"IMAGE\"" => Modality::Image,
            b"\"VIDEO\"" => Modality::Video,
            _ => return None,
        })
    }
}
