//! A chunk of a stream as it stands on the wire, borrowed where it can be: this is read once for
//! every few words of an answer.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<ChoiceIn<'a>>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) service_tier: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    /// What Perplexity found.
    #[serde(borrow, default)]
    pub(super) search_results: Option<&'a RawValue>,
    /// The same, addresses alone; xAI's, too.
    #[serde(borrow, default)]
    pub(super) citations: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
pub(in crate::dialect) struct ChoiceIn<'a> {
    #[serde(default)]
    pub(in crate::dialect) index: Option<u32>,
    #[serde(borrow, default)]
    pub(in crate::dialect) delta: Option<DeltaIn<'a>>,
    #[serde(default)]
    pub(in crate::dialect) finish_reason: Option<String>,
    #[serde(borrow, default)]
    pub(in crate::dialect) logprobs: Option<&'a RawValue>,
}

/// <https://platform.openai.com/docs/guides/audio>
#[derive(Default, Deserialize)]
pub(in crate::dialect) struct Sound {
    /// Base64, in a stream always of 24,000 samples of 16 bits a second.
    #[serde(default)]
    pub(in crate::dialect) data: String,
    #[serde(default)]
    pub(in crate::dialect) transcript: String,
}

impl Sound {
    /// By how the base64 of a file begins: the answer does not say.
    pub(super) fn format(&self) -> &'static str {
        match self.data.as_bytes() {
            [b'U', b'k', b'l', b'G', b'R', ..] => "wav",
            [b'S', b'U', b'Q', b'z', ..] | [b'/', b'/', ..] => "mp3",
            [b'T', b'2', b'd', b'n', b'U', ..] => "ogg",
            [b'Z', b'k', b'x', b'h', b'Q', ..] => "flac",
            _ => "pcm16",
        }
    }
}

#[derive(Default, Deserialize)]
pub(in crate::dialect) struct DeltaIn<'a> {
    #[serde(default)]
    pub(in crate::dialect) content: Option<Prose>,
    /// DeepSeek's name for thoughts, and LiteLLM's.
    #[serde(default)]
    pub(in crate::dialect) reasoning_content: Option<Prose>,
    /// OpenRouter's name for thoughts, and Groq's.
    #[serde(default)]
    pub(in crate::dialect) reasoning: Option<Prose>,
    /// LiteLLM's thoughts with signatures.
    #[serde(borrow, default)]
    pub(in crate::dialect) thinking_blocks: Option<&'a RawValue>,
    #[serde(default)]
    pub(in crate::dialect) refusal: Option<Prose>,
    #[serde(borrow, default)]
    pub(in crate::dialect) tool_calls: Option<Vec<ToolIn<'a>>>,
    #[serde(borrow, default)]
    pub(in crate::dialect) annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(in crate::dialect) audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(in crate::dialect) images: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
pub(in crate::dialect) struct ToolIn<'a> {
    #[serde(default)]
    pub(in crate::dialect) index: Option<u32>,
    #[serde(default)]
    pub(in crate::dialect) id: Option<String>,
    #[serde(borrow, default)]
    pub(in crate::dialect) function: Option<FunctionIn<'a>>,
}

#[derive(Default, Deserialize)]
pub(in crate::dialect) struct FunctionIn<'a> {
    #[serde(default)]
    pub(in crate::dialect) name: Option<String>,
    #[serde(borrow, default)]
    pub(in crate::dialect) arguments: Option<&'a RawValue>,
}

/// Arguments are text; a few providers send the object itself.
pub(super) fn arguments(raw: Option<&RawValue>) -> Result<String, serde_json::Error> {
    match raw.map(RawValue::get) {
        None => Ok(String::new()),
        Some(text) if text.starts_with('"') => serde_json::from_str(text),
        Some(json) => Ok(json.to_owned()),
    }
}

/// What is said: a string; or a list of parts, in which Mistral's models think.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::dialect) struct Prose {
    pub(in crate::dialect) text: String,
    pub(in crate::dialect) thought: String,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<Prose>,
}

impl<'de> Deserialize<'de> for Prose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProseVisitor)
    }
}

struct ProseVisitor;

impl<'de> Visitor<'de> for ProseVisitor {
    type Value = Prose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of parts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Prose, E> {
        Ok(Prose { text: text.to_owned(), thought: String::new() })
    }

    fn visit_unit<E>(self) -> Result<Prose, E> {
        Ok(Prose::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<Prose, A::Error> {
        let mut prose = Prose::default();
        while let Some(Piece { text, thinking }) = pieces.next_element()? {
            prose.text.push_str(&text.unwrap_or_default());
            prose.thought.push_str(&thinking.unwrap_or_default().text);
        }
        Ok(prose)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prose, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Prose::default())
    }
}

/// Tells when JSON text that comes in pieces is a whole object.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Balance {
    depth: u32,
    in_string: bool,
    escaped: bool,
    complete: bool,
}

impl Balance {
    pub(super) fn complete(self) -> bool {
        self.complete
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    self.complete = false;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.complete = self.depth == 0;
                }
                _ => {}
            }
        }
    }
}
