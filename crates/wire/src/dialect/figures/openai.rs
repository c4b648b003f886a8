//! OpenAI's figures, chat's and those of responses, and what its many relatives add to them.

use super::Figures;
use crate::{
    json::{Flaw, Scan},
    usage::SearchSize,
};

impl Figures {
    /// <https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage>, and what
    /// others add to it: DeepSeek `prompt_cache_hit_tokens`, Moonshot `cached_tokens`, OpenRouter
    /// `cache_write_tokens`, LiteLLM `cache_read_input_tokens`, `cache_creation_input_tokens`,
    /// Perplexity `num_search_queries`, xAI `server_side_tool_usage_details`.
    pub(super) fn openai(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"prompt_tokens" | b"input_tokens" => figures.count(scan, text, |f| &mut f.input),
            b"completion_tokens" | b"output_tokens" => figures.count(scan, text, |f| &mut f.output),
            b"total_tokens" => figures.count(scan, text, |f| &mut f.total),
            b"prompt_cache_hit_tokens" | b"cached_tokens" | b"cache_read_input_tokens" => {
                figures.larger(scan, text, |f| &mut f.cache_read)
            }
            b"cache_creation_input_tokens" => figures.larger(scan, text, |f| &mut f.cache_write),
            b"prompt_tokens_details" | b"input_tokens_details" => figures.openai_input(scan, text),
            b"completion_tokens_details" | b"output_tokens_details" => {
                figures.openai_output(scan, text)
            }
            b"num_search_queries" => figures.count(scan, text, |f| &mut f.searches),
            b"server_side_tool_usage_details" | b"server_tool_use" => figures.searched(scan, text),
            b"search_context_size" => {
                figures.search_size = match figures.said(scan, text)? {
                    Some("low") => SearchSize::Low,
                    Some("high") => SearchSize::High,
                    Some(_) | None => SearchSize::Medium,
                };
                Ok(())
            }
            b"service_tier" => figures.served(scan, text),
            _ => scan.skip(),
        })
    }

    fn openai_input(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"cached_tokens" => figures.larger(scan, text, |f| &mut f.cache_read),
            b"cache_creation_tokens" | b"cache_write_tokens" => {
                figures.larger(scan, text, |f| &mut f.cache_write)
            }
            b"cache_creation_token_details" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"ephemeral_1h_input_tokens" => {
                        figures.count(scan, text, |f| &mut f.cache_write_1h)
                    }
                    b"ephemeral_12h_input_tokens" => {
                        figures.count(scan, text, |f| &mut f.cache_write_12h)
                    }
                    _ => scan.skip(),
                })
            }
            b"cached_tokens_details" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"audio_tokens" => figures.count(scan, text, |f| &mut f.cache_read_audio),
                    _ => scan.skip(),
                })
            }
            b"audio_tokens" => figures.count(scan, text, |f| &mut f.input_audio),
            b"image_tokens" => figures.count(scan, text, |f| &mut f.input_image),
            b"video_tokens" => figures.count(scan, text, |f| &mut f.input_video),
            b"web_search_requests" => figures.larger(scan, text, |f| &mut f.searches),
            _ => scan.skip(),
        })
    }

    fn openai_output(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"reasoning_tokens" => figures.count(scan, text, |f| &mut f.reasoning),
            b"audio_tokens" => figures.count(scan, text, |f| &mut f.output_audio),
            b"image_tokens" => figures.count(scan, text, |f| &mut f.output_image),
            b"video_tokens" => figures.count(scan, text, |f| &mut f.output_video),
            _ => scan.skip(),
        })
    }
}
