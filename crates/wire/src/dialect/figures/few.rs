//! Figures that are few: Cohere's, Ollama's, OCI's and those of text generation.

use super::Figures;
use crate::json::{Flaw, Scan};

impl Figures {
    /// What is billed, where that is said: `tokens` counts Cohere's own preamble, too. <https://docs.cohere.com/docs/how-does-cohere-pricing-work>
    pub(super) fn cohere(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let mut all = Figures::default();
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"billed_units" => figures.cohere_tokens(scan, text),
            b"tokens" => all.cohere_tokens(scan, text),
            b"cached_tokens" => figures.count(scan, text, |f| &mut f.cache_read),
            _ => scan.skip(),
        })?;
        self.input = self.input.or(all.input);
        self.output = self.output.or(all.output);
        self.flawed |= all.flawed;
        // More than what is billed: it was counted with the preamble.
        self.cache_read = self.cache_read.filter(|read| Some(*read) <= self.input);
        Ok(())
    }

    fn cohere_tokens(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"input_tokens" => figures.count(scan, text, |f| &mut f.input),
            b"output_tokens" => figures.count(scan, text, |f| &mut f.output),
            _ => scan.skip(),
        })
    }

    /// Of the whole answer. <https://docs.ollama.com/api/usage>
    pub(super) fn ollama(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"prompt_eval_count" => figures.count(scan, text, |f| &mut f.input),
            b"eval_count" => figures.count(scan, text, |f| &mut f.output),
            _ => scan.skip(),
        })
    }

    /// Hugging Face's and watsonx's. Those of a stream are cumulative, and later ones leave out what
    /// was said of the prompt.
    pub(super) fn text(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"input_length" | b"input_token_count" => figures.larger(scan, text, |f| &mut f.input),
            b"generated_tokens" if scan.look() == Some(b'[') => scan.skip(),
            b"generated_tokens" | b"generated_token_count" | b"output_token_count" => {
                figures.larger(scan, text, |f| &mut f.output)
            }
            _ => scan.skip(),
        })
    }

    /// OpenAI's, in camelCase.
    /// <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/Usage>
    pub(super) fn oci(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"promptTokens" => figures.count(scan, text, |f| &mut f.input),
            b"completionTokens" => figures.count(scan, text, |f| &mut f.output),
            b"totalTokens" => figures.count(scan, text, |f| &mut f.total),
            b"promptTokensDetails" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"cachedTokens" => figures.count(scan, text, |f| &mut f.cache_read),
                    _ => scan.skip(),
                })
            }
            b"completionTokensDetails" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"reasoningTokens" => figures.count(scan, text, |f| &mut f.reasoning),
                    _ => scan.skip(),
                })
            }
            _ => scan.skip(),
        })
    }
}
