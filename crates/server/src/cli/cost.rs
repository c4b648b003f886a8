//! `tollgate cost`: what usage would cost at list prices, for scripts and spreadsheets.

use std::io::{BufRead, Write};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value};
use tollgate_ledger::price;
use tollgate_wire::{Usage, catalogue::Catalogue};

use super::terminal::Readers;

/// What usage costs at the catalogue's prices: one JSON object a line in, one a line out.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "In:  {\"model\":\"openai/gpt-4o\",\"input\":1000,\"cache_read\":400,\"output\":200}\n\
                  Out: {\"usd\":\"0.004\"}\n\n\
                  Counts are tokens: input, cache_read, cache_read_audio, cache_write, \
                  cache_write_1h, cache_write_12h, input_audio, input_image, input_video, output, \
                  reasoning, output_audio, output_image, output_video; beside them: searches, \
                  search_size (low, medium, high), tier (standard, priority, flex, batch, …), \
                  us_only, at (seconds since 1970, for prices by the hour)."
)]
pub(crate) struct CostArgs {}

/// A line of the input.
#[derive(Debug, Deserialize)]
struct Question {
    /// `provider/model`, or a name that means one model alone.
    model: String,
    /// When, for prices that depend on it.
    #[serde(default)]
    at: Option<i64>,
    #[serde(flatten)]
    usage: Map<String, Value>,
}

/// Longest line that is read.
const MAX_LINE: usize = 64 * 1024;

/// Answers every line of standard input.
pub(crate) fn run(_: CostArgs) -> anyhow::Result<()> {
    let out = Readers(std::io::stdout().lock());
    answer(std::io::stdin().lock(), out, Catalogue::builtin())
}

fn answer(input: impl BufRead, output: impl Write, catalogue: &Catalogue) -> anyhow::Result<()> {
    let mut output = std::io::BufWriter::new(output);
    for line in input.lines() {
        let line = line.context("cannot read standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let told = match cost(&line, catalogue) {
            Ok(usd) => serde_json::json!({ "usd": usd }),
            Err(why) => serde_json::json!({ "error": why }),
        };
        writeln!(output, "{told}").context("cannot write")?;
    }
    output.flush().context("cannot write")
}

fn cost(line: &str, catalogue: &Catalogue) -> Result<String, String> {
    if line.len() > MAX_LINE {
        return Err(format!("expected at most {MAX_LINE} bytes"));
    }
    let asked: Question = serde_json::from_str(line).map_err(|why| why.to_string())?;
    let named = asked.model.split_once('/').and_then(|(p, model)| catalogue.card(p, model));
    let card = named.or_else(|| {
        let cards = catalogue.cards_named(&asked.model);
        cards.first().filter(|first| first.bare || cards.len() == 1).cloned()
    });
    let card = card.ok_or_else(|| format!("`{}` is no model that we know", asked.model))?;
    let rates = card.rates.as_ref();
    let rates = rates.ok_or_else(|| format!("no price of tokens is known of `{}`", asked.model))?;
    let usage = usage(asked.usage)?;
    let cost = price::cost(&usage, rates, asked.at).map_err(|why| why.to_string())?;
    Ok(cost.total.usd_text())
}

/// What is counted, and nothing else: a count by a name that nobody knows would cost nothing.
fn usage(counts: Map<String, Value>) -> Result<Usage, String> {
    let known = serde_json::to_value(Usage::default()).unwrap_or_default();
    if let Some(unknown) = counts.keys().find(|name| known.get(name.as_str()).is_none()) {
        return Err(format!("`{unknown}` is nothing that is counted"));
    }
    serde_json::from_value(Value::Object(counts)).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered() {
        let models = r#"{"provider":"p","name":"a/m","mode":"chat","input":"1e-06","output":"2e-06","variants":[{"tier":"flex","rates":{"input":"5e-07"}}]}
{"provider":"p","name":"v","mode":"video","units":{"second_out":"0.1"}}"#;
        let catalogue = Catalogue::default().overlay_models(models).unwrap();
        let asked = r#"{"model":"p/a/m","input":1000,"output":10}
{"model":"a/m","input":1000,"tier":"flex"}

{"model":"p/v","input":1}
{"model":"x","input":1}
{"model":"a/m","inptu":1}
nonsense
"#;
        let mut told = Vec::new();
        answer(asked.as_bytes(), &mut told, &catalogue).unwrap();
        let told = String::from_utf8(told).unwrap();
        let (known, nonsense) = told.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(
            known,
            r#"{"usd":"0.00102"}
{"usd":"0.0005"}
{"error":"no price of tokens is known of `p/v`"}
{"error":"`x` is no model that we know"}
{"error":"`inptu` is nothing that is counted"}"#
        );
        assert!(nonsense.starts_with(r#"{"error":"expected"#), "{nonsense}");
    }
}
