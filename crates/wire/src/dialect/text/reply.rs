//! Whole answers, and what a piece of a stream says.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    dialect::{fault_inside, figures::Figures},
    exchange::Malformed,
    fault::Fault,
    matrix::Dialect,
    op::chat::{Choice, Extra, Finish, Part, Reason, Response},
    usage::Usage,
};

/// A piece of a stream.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) finish: Option<Finish>,
}

/// What a dialect makes of a stream's events.
pub(super) trait Pieces: Default + Send {
    const DIALECT: Dialect;
    /// Reads one event, and the figures in it.
    fn piece(data: &[u8], figures: &mut Figures) -> Result<Piece, Fault>;
}

#[derive(Deserialize)]
struct Generated {
    /// Amazon's containers for Llama 2 say `generation`.
    #[serde(default, alias = "generation")]
    generated_text: Option<String>,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    finish_reason: Option<String>,
}

/// Where the figures stand.
#[derive(Deserialize)]
struct Counted<'a> {
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
}

/// An event of Hugging Face's: `{"token": {"text": "Hi", "special": false}, "details": null}`.
#[derive(Default, Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    token: Option<Spoken>,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    special: Option<bool>,
}

/// What watsonx answers, whole and in pieces.
#[derive(Default, Deserialize)]
pub(super) struct Results {
    #[serde(default)]
    model_id: Option<String>,
    #[serde(default)]
    results: Option<Vec<ResultIn>>,
}

#[derive(Deserialize)]
struct ResultIn {
    #[serde(default)]
    generated_text: Option<String>,
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Where the figures stand.
#[derive(Deserialize)]
struct CountedResults<'a> {
    #[serde(borrow, default)]
    results: Option<Vec<&'a RawValue>>,
}

/// An error in the place of an answer.
#[derive(Deserialize)]
struct Failed<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

/// Whether an object is an error.
fn failed(body: &[u8]) -> bool {
    let failed = serde_json::from_slice::<Failed<'_>>(body);
    failed.is_ok_and(|failed| failed.error.is_some() || failed.errors.is_some())
}

pub(super) fn tgi(body: &[u8]) -> Result<Response, Malformed> {
    // Some servers answer with a list of one.
    let body = match body.trim_ascii() {
        [b'[', inner @ .., b']'] => inner,
        body => body,
    };
    if failed(body) {
        return Err(error(body));
    }
    let said: Generated = serde_json::from_slice(body).map_err(|why| bad(Dialect::Tgi, &why))?;
    let Some(text) = said.generated_text else {
        return Err(Malformed::at("generated_text", "`generated_text`: expected a string"));
    };
    let word = said.details.and_then(|details| details.finish_reason);
    let counted: Option<Counted<'_>> = serde_json::from_slice(body).ok();
    let figures = counted.and_then(|counted| counted.details);
    let usage = figures.map(|raw| Figures::whole(Dialect::Tgi, raw.get(), None));
    Ok(response(Dialect::Tgi, text, finish_of(word.as_deref().unwrap_or("stop")), usage))
}

pub(super) fn watsonx(body: &[u8]) -> Result<Response, Malformed> {
    if failed(body) {
        return Err(error(body));
    }
    let dialect = Dialect::WatsonxText;
    let said: Results = serde_json::from_slice(body).map_err(|why| bad(dialect, &why))?;
    let Some(result) = said.results.into_iter().flatten().next() else {
        return Err(Malformed::at("results", "`results`: expected a list of one"));
    };
    let word = result.stop_reason.unwrap_or_default();
    if let Some(why) = broken(&word) {
        return Err(Malformed::new(format!("the upstream answered an error: {why}")));
    }
    let counted: Option<CountedResults<'_>> = serde_json::from_slice(body).ok();
    let figures = counted.and_then(|counted| counted.results?.into_iter().next());
    let usage = figures.map(|raw| Figures::whole(dialect, raw.get(), None));
    let text = result.generated_text.unwrap_or_default();
    let reply = response(dialect, text, finish_of(&word), usage);
    Ok(Response { model: said.model_id.unwrap_or_default(), ..reply })
}

fn response(upstream: Dialect, text: String, finish: Finish, usage: Option<Usage>) -> Response {
    Response {
        upstream,
        id: String::new(),
        model: String::new(),
        created: None,
        choices: vec![Choice {
            blocks: vec![Part::Text(text).into()],
            finish: Some(finish),
            ..Choice::default()
        }],
        usage,
        extra: Extra::new(),
    }
}

/// What went wrong, where watsonx' word is not one for the end of an answer.
fn broken(word: &str) -> Option<&'static str> {
    if word.eq_ignore_ascii_case("error") {
        Some("the generation failed")
    } else if word.eq_ignore_ascii_case("cancelled") {
        Some("the generation was cancelled")
    } else {
        None
    }
}

fn finish_of(word: &str) -> Finish {
    let reason = match word.to_ascii_lowercase().as_str() {
        "token_limit" | "time_limit" => Reason::Length,
        word => Reason::read(word),
    };
    Finish { reason, stop_sequence: None }
}

fn error(body: &[u8]) -> Malformed {
    let fault = fault_inside(body);
    Malformed::new(format!("the upstream answered an error: {}", fault.message))
}

fn bad(dialect: Dialect, why: &serde_json::Error) -> Malformed {
    Malformed::new(format!("the answer is not what {} sends: {why}", dialect.name()))
}

fn bad_piece(dialect: Dialect, why: &serde_json::Error) -> Fault {
    let why = format!("the upstream's stream is not what {} sends: {why}", dialect.name());
    Fault::new(crate::fault::FaultKind::BadResponse, why)
}

impl Pieces for Token {
    const DIALECT: Dialect = Dialect::Tgi;

    fn piece(data: &[u8], figures: &mut Figures) -> Result<Piece, Fault> {
        if failed(data) {
            return Err(fault_inside(data));
        }
        let said: Token =
            serde_json::from_slice(data).map_err(|why| bad_piece(Self::DIALECT, &why))?;
        let counted: Option<Counted<'_>> = serde_json::from_slice(data).ok();
        if let Some(raw) = counted.and_then(|counted| counted.details) {
            figures.read(Self::DIALECT, raw.get().as_bytes(), &(0..raw.get().len()));
        }
        // Special tokens are marks of the model's own form.
        let spoken = said.token.filter(|token| token.special != Some(true));
        let word = said.details.map(|details| details.finish_reason.unwrap_or_default());
        Ok(Piece {
            text: spoken.and_then(|token| token.text).unwrap_or_default(),
            finish: word.map(|word| finish_of(&word)),
        })
    }
}

impl Pieces for Results {
    const DIALECT: Dialect = Dialect::WatsonxText;

    fn piece(data: &[u8], figures: &mut Figures) -> Result<Piece, Fault> {
        if failed(data) {
            return Err(fault_inside(data));
        }
        let said: Results =
            serde_json::from_slice(data).map_err(|why| bad_piece(Self::DIALECT, &why))?;
        let counted: Option<CountedResults<'_>> = serde_json::from_slice(data).ok();
        for raw in counted.and_then(|counted| counted.results).into_iter().flatten() {
            figures.read(Self::DIALECT, raw.get().as_bytes(), &(0..raw.get().len()));
        }
        let Some(result) = said.results.into_iter().flatten().next() else {
            return Ok(Piece::default());
        };
        let word = result.stop_reason.unwrap_or_default().to_ascii_lowercase();
        if let Some(why) = broken(&word) {
            return Err(Fault::new(crate::fault::FaultKind::Server, why));
        }
        let goes_on = word.is_empty() || word == "not_finished";
        Ok(Piece {
            text: result.generated_text.unwrap_or_default(),
            finish: (!goes_on).then(|| finish_of(&word)),
        })
    }
}
