//! The embeddings operation's hub: texts in, vectors out.

use super::chat::{Extra, Form, Raw};
use crate::{matrix::Dialect, usage::Usage};

/// Most texts of one request: what OpenAI takes.
pub const MAX_INPUTS: usize = 2_048;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The dialect it was read from.
    pub surface: Dialect,
    /// The model the client asked for.
    pub model: String,
    /// What is to be embedded.
    pub input: Input,
    /// Numbers in a vector.
    pub dimensions: Option<u64>,
    /// How the client wants its vectors; `None`: as numbers.
    pub encoding: Option<Encoding>,
    /// What the vectors are for.
    pub task: Option<Task>,
    /// The end user, as an opaque name.
    pub user: Option<String>,
    /// Top-level fields that have no place above.
    pub extra: Extra,
}

/// What is to be embedded.
#[derive(Debug, Clone)]
pub enum Input {
    /// Texts.
    Texts {
        /// The texts.
        texts: Vec<String>,
        /// How they were written.
        form: Form,
    },
    /// Tokens of the model's own tokenizer: one list, or a list of lists.
    Tokens {
        /// As it was written.
        raw: Raw,
        /// How many lists.
        count: usize,
    },
}

impl Request {
    /// The request in parts of so many texts; none where there are tokens.
    pub(crate) fn parts(&self, most: usize) -> Vec<Request> {
        let Input::Texts { texts, form } = &self.input else { return Vec::new() };
        let with = |texts| Input::Texts { texts, form: *form };
        let empty = Request { input: with(Vec::new()), ..self.clone() };
        let of = |texts: &[String]| Request { input: with(texts.to_vec()), ..empty.clone() };
        texts.chunks(most.max(1)).map(of).collect()
    }
}

impl Input {
    /// How many vectors are wanted.
    pub fn count(&self) -> usize {
        match self {
            Input::Texts { texts, .. } => texts.len(),
            Input::Tokens { count, .. } => *count,
        }
    }
}

/// How a vector is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A list of numbers.
    Float,
    /// The numbers as 32-bit floats, low byte first, in base64.
    Base64,
}

/// What vectors are for: several models embed a question otherwise than its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// To be found.
    Document,
    /// To find.
    Query,
    /// To be sorted into classes.
    Classification,
    /// To be sorted into heaps.
    Clustering,
    /// A word of one provider's own.
    Other(String),
}

impl Task {
    /// Of a provider's word, whatever its dialect.
    pub fn read(word: &str) -> Task {
        match word.to_ascii_lowercase().as_str() {
            "search_document" | "document" | "passage" | "retrieval_document"
            | "retrieval.passage" => Task::Document,
            "search_query" | "query" | "retrieval_query" | "retrieval.query" => Task::Query,
            "classification" => Task::Classification,
            "clustering" => Task::Clustering,
            _ => Task::Other(word.to_owned()),
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The model that answered.
    pub model: String,
    /// One for each text, in their order.
    pub vectors: Vec<Vector>,
    /// What it consumed, if the provider says.
    pub usage: Option<Usage>,
}

/// A vector as its provider wrote it.
#[derive(Debug, Clone)]
pub enum Vector {
    /// A JSON list of numbers.
    Floats(Raw),
    /// 32-bit floats, low byte first, in base64.
    Base64(String),
    /// Signed bytes in base64.
    Bytes(String),
}
