//! Pictures of an answer, whole and in pieces.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html>
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlockDelta.html>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::decode::garbled;
use crate::{
    fault::Fault,
    frame::sse::MAX_PICTURE_BYTES,
    op::chat::{Delta, Extra, Opening, Part, Source},
};

/// A piece of a picture, or why there is none.
#[derive(Deserialize)]
pub(super) struct PictureIn {
    #[serde(default)]
    source: Option<SourceIn>,
    #[serde(default)]
    error: Option<ErrorIn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceIn {
    #[serde(default)]
    bytes: Option<String>,
    #[serde(default)]
    s3_location: Option<LocationIn>,
}

#[derive(Deserialize)]
struct LocationIn {
    uri: String,
}

#[derive(Deserialize)]
struct ErrorIn {
    #[serde(default)]
    message: Option<String>,
}

/// A picture that comes in pieces.
pub(super) struct Picture {
    media_type: String,
    bytes: Vec<u8>,
    address: Option<String>,
    /// What the provider says instead.
    error: Option<String>,
}

impl Picture {
    pub(super) fn new(format: &str) -> Self {
        let media_type = format!("image/{format}");
        Picture { media_type, bytes: Vec::new(), address: None, error: None }
    }

    /// Each piece is base64 of its own bytes.
    pub(super) fn add(&mut self, piece: PictureIn) -> Result<(), Fault> {
        self.error = self.error.take().or(piece.error.map(said));
        let Some(source) = piece.source else { return Ok(()) };
        self.address = self.address.take().or(source.s3_location.map(|location| location.uri));
        let bytes = STANDARD.decode(source.bytes.unwrap_or_default());
        self.bytes.extend(bytes.map_err(|_| garbled("a picture that is not base64"))?);
        if self.bytes.len() > MAX_PICTURE_BYTES {
            return Err(garbled(&format!("a picture of over {MAX_PICTURE_BYTES} bytes")));
        }
        Ok(())
    }

    /// The picture, and what the provider says of one that failed: a refusal in its words.
    pub(super) fn finish(self) -> Vec<(Opening, Option<Delta>)> {
        let Picture { media_type, bytes, address, error } = self;
        let mut parts = Vec::new();
        let source = match address {
            Some(address) => Some(Source::Url(address)),
            None if bytes.is_empty() => None,
            None => Some(Source::Base64 { media_type, data: STANDARD.encode(bytes) }),
        };
        parts.extend(source.map(|source| (Opening::Image { source, extra: Extra::new() }, None)));
        parts.extend(error.map(|error| (Opening::Refusal, Some(Delta::Text(error)))));
        parts
    }
}

/// The parts of a whole picture.
pub(super) fn parts(format: &str, whole: PictureIn) -> Vec<Part> {
    let PictureIn { source, error } = whole;
    let source = source.and_then(|source| match (source.bytes, source.s3_location) {
        (Some(data), _) => Some(Source::Base64 { media_type: format!("image/{format}"), data }),
        (None, Some(location)) => Some(Source::Url(location.uri)),
        (None, None) => None,
    });
    let picture = source.map(|source| Part::Image { source, detail: None });
    picture.into_iter().chain(error.map(said).map(Part::Refusal)).collect()
}

fn said(error: ErrorIn) -> String {
    error.message.unwrap_or_else(|| "the picture could not be made".to_owned())
}
