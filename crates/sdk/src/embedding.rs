//! Embeddings: texts in, vectors out. See [`embedding`](crate::embedding()).

use std::{future::Future, pin::Pin};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_ledger::Nano;

use crate::{
    Error, Tollgate, call,
    message::null_is_default,
    options::{Fields, Options, call_options},
    response::{Route, Usage},
};

/// Texts on their way to become vectors, while the call is being put together.
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until this is awaited"]
pub struct Embedding {
    pub(crate) client: Tollgate,
    pub(crate) model: String,
    pub(crate) fields: Fields,
    pub(crate) options: Options,
}

/// The vectors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Embeddings {
    /// `list`.
    #[serde(default)]
    pub object: String,
    /// One for each text, in their order.
    #[serde(default)]
    pub data: Vec<Vector>,
    /// The model that answered, as the provider calls it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub model: String,
    /// What it consumed, if the provider says so.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
    /// Which way the request went. No part of the JSON.
    #[serde(skip)]
    pub route: Route,
}

/// One text's vector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    /// `embedding`.
    #[serde(default)]
    pub object: String,
    /// Which of the texts.
    #[serde(default)]
    pub index: u32,
    /// The vector.
    pub embedding: Numbers,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A vector's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Numbers {
    /// As numbers.
    Floats(Vec<f32>),
    /// As little-endian 32-bit floats in base64, where `encoding_format` asked for it.
    Base64(String),
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers::Floats(Vec::new())
    }
}

impl Numbers {
    /// The numbers, unless they are in base64.
    pub fn floats(&self) -> Option<&[f32]> {
        match self {
            Numbers::Floats(floats) => Some(floats),
            Numbers::Base64(_) => None,
        }
    }
}

impl Embeddings {
    /// What this answer cost; `None` where no price is known.
    pub fn cost(&self) -> Option<Nano> {
        self.route.cost
    }
}

impl Embedding {
    pub(crate) fn new(client: Tollgate, model: String, input: impl Into<Input>) -> Self {
        let mut fields = Fields::default();
        fields.set("model", &model);
        fields.set("input", input.into());
        Embedding { client, model, fields, options: Options::default() }
    }

    /// How many numbers a vector has, for models that can shorten them.
    pub fn dimensions(mut self, count: u32) -> Self {
        self.fields.set("dimensions", count);
        self
    }

    /// `float` or `base64`.
    pub fn encoding_format(mut self, format: impl Into<String>) -> Self {
        self.fields.set("encoding_format", format.into());
        self
    }

    /// Your own user, for the provider's abuse control.
    pub fn user(mut self, id: impl Into<String>) -> Self {
        self.fields.set("user", id.into());
        self
    }

    call_options!();
}

impl IntoFuture for Embedding {
    type Output = Result<Embeddings, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(call::embeddings(self))
    }
}

/// What is to become vectors.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Input {
    /// One text.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Input::One(text.to_owned())
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Input::One(text)
    }
}

impl From<Vec<String>> for Input {
    fn from(texts: Vec<String>) -> Self {
        Input::Many(texts)
    }
}

impl<const N: usize> From<[&str; N]> for Input {
    fn from(texts: [&str; N]) -> Self {
        Input::Many(texts.map(str::to_owned).into())
    }
}

impl From<&[&str]> for Input {
    fn from(texts: &[&str]) -> Self {
        Input::Many(texts.iter().map(|text| (*text).to_owned()).collect())
    }
}
