//! Anthropic's figures.

use super::Figures;
use crate::json::{Flaw, Scan};

impl Figures {
    /// <https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance>
    pub(super) fn anthropic(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let mut written = None;
        let mut by_age = false;
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"input_tokens" => figures.count(scan, text, |f| &mut f.input),
            b"output_tokens" => figures.count(scan, text, |f| &mut f.output),
            b"cache_read_input_tokens" => figures.count(scan, text, |f| &mut f.cache_read),
            b"cache_creation_input_tokens" => {
                written = figures.number(scan, text)?;
                Ok(())
            }
            b"cache_creation" => {
                by_age = scan.look() == Some(b'{');
                figures.anthropic_by_age(scan, text)
            }
            b"server_tool_use" => figures.searched(scan, text),
            b"service_tier" => figures.served(scan, text),
            // https://platform.claude.com/docs/en/build-with-claude/data-residency
            b"inference_geo" => {
                figures.us_only = figures.said(scan, text)? == Some("us");
                Ok(())
            }
            // https://platform.claude.com/docs/en/build-with-claude/fast-mode
            b"speed" => {
                figures.fast = figures.said(scan, text)? == Some("fast");
                Ok(())
            }
            _ => scan.skip(),
        })?;
        if let Some(written) = written {
            // What is not known to be kept for an hour is kept for five minutes.
            let hour = if by_age { self.cache_write_1h.unwrap_or(0) } else { 0 };
            if !by_age {
                self.cache_write_1h = None;
            }
            self.cache_write = Some(written.saturating_sub(hour));
        }
        Ok(())
    }

    fn anthropic_by_age(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"ephemeral_5m_input_tokens" => figures.count(scan, text, |f| &mut f.cache_write),
            b"ephemeral_1h_input_tokens" => figures.count(scan, text, |f| &mut f.cache_write_1h),
            _ => scan.skip(),
        })
    }
}
