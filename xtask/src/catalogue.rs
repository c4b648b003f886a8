//! `cargo xtask catalogue FILE`: makes `catalog/models.jsonl` from a price map in LiteLLM's format
//! (`model_prices_and_context_window.json`), and says what that changes. With `--beside`, providers
//! that the map has no prices of are taken from the list of `genai-prices`; with `--models-dev`,
//! those that neither has from the list of models.dev.

mod doubt;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use tollgate_wire::{
    Card,
    catalogue::{
        Catalogue,
        genai::{self, PriceList},
        line, litellm, models_dev,
    },
};

/// Make the catalogue of models from a price map in LiteLLM's format, and say what changes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The price map: `model_prices_and_context_window.json`.
    file: PathBuf,
    /// A list in the format of `genai-prices`, for providers that the map has no prices of; see
    /// xtask/price_list.py
    #[arg(long, requires = "day", value_name = "FILE")]
    beside: Option<PathBuf>,
    /// The day whose prices of that list count, such as 2026-11-22
    #[arg(long, requires = "beside")]
    day: Option<String>,
    /// The list of models.dev (`api.json`), for providers that neither of them has prices of; see
    /// xtask/models_dev.py
    #[arg(long, value_name = "FILE")]
    models_dev: Option<PathBuf>,
    /// Change nothing; fail if something would change.
    #[arg(long)]
    check: bool,
    /// Name every model that is added, removed or changed, not only the first ones.
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.parent().context("xtask lies in the repository")?.join("catalog/models.jsonl");
    let old = fs::read_to_string(&path).with_context(|| format!("cannot read {path:?}"))?;
    let map =
        fs::read_to_string(&args.file).with_context(|| format!("cannot read {:?}", args.file))?;
    let beside = match (&args.beside, &args.day) {
        (Some(file), Some(day)) => {
            let list = fs::read_to_string(file).with_context(|| format!("cannot read {file:?}"))?;
            genai::read(&list, day).map_err(anyhow::Error::msg)?
        }
        _ => PriceList::default(),
    };
    let last = match &args.models_dev {
        Some(file) => {
            let list = fs::read_to_string(file).with_context(|| format!("cannot read {file:?}"))?;
            let known = |name: &str| Catalogue::builtin().provider(name).is_some();
            models_dev::read(&list, known).map_err(anyhow::Error::msg)?
        }
        None => PriceList::default(),
    };
    let made = make(&old, &map, beside, last)?;
    let mut out = std::io::stdout();
    out.write_all(made.report(if args.all { usize::MAX } else { 20 }).as_bytes())?;
    if made.text == old {
        writeln!(out, "{} is up to date", path.display())?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.check {
        writeln!(out, "{} would change", path.display())?;
        return Ok(ExitCode::FAILURE);
    }
    fs::write(&path, &made.text).with_context(|| format!("cannot write {path:?}"))?;
    writeln!(out, "{} is written", path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// A new catalogue, and what is new about it.
#[derive(Debug)]
struct Made {
    text: String,
    models: usize,
    priced: usize,
    providers: usize,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
    apart: Vec<String>,
    skipped: Vec<(String, String)>,
    unread: BTreeMap<String, usize>,
}

type Cards = BTreeMap<(String, String), Card>;

/// The cards of the map, those of the list beside it of providers that the map has no prices of,
/// those of the last list of providers that neither prices, and those of the old catalogue whose
/// providers none has. The last list is doubted: see [`doubt`].
fn make(old: &str, map: &str, beside: PriceList, last: PriceList) -> anyhow::Result<Made> {
    let old = cards(old)?;
    let mut map = litellm::read(map).map_err(anyhow::Error::msg)?;
    let beside = unpriced(&map.cards, beside);
    map.cards.extend(beside.cards);
    map.skipped.extend(beside.skipped);
    let apart = doubt::apart(&map.cards, &last.cards);
    let mut last = unpriced(&map.cards, last);
    doubt::unlikely(&map.cards, &mut last);
    map.cards.extend(last.cards);
    map.skipped.extend(last.skipped);
    let new = map.cards.iter();
    let providers: BTreeSet<&str> = new.clone().map(|card| card.provider.as_str()).collect();
    let kept = old.values().filter(|card| !providers.contains(card.provider.as_str()));
    let all: Vec<Card> = kept.chain(new).cloned().collect();
    let text = Catalogue::default().overlay_cards(&all).models_jsonl();
    let new = cards(&text)?;
    let count = |cards: &Cards| cards.values().filter(|card| card.is_priced()).count();
    let (before, after) = (count(&old), count(&new));
    if after * 2 < before || new.len() * 2 < old.len() {
        bail!(
            "this would leave {} models, {after} of them with a price, of {} and {before}: less \
             than half; is it a whole price map?",
            new.len(),
            old.len()
        );
    }
    let name = |(provider, name): &(String, String)| format!("{provider}/{name}");
    let added = new.keys().filter(|key| !old.contains_key(*key)).map(name).collect();
    let removed = old.keys().filter(|key| !new.contains_key(*key)).map(name).collect();
    let changed = new.iter().filter_map(|(key, card)| {
        let before = old.get(key).filter(|before| *before != card)?;
        Some(format!("{}: {}", name(key), difference(before, card)))
    });
    Ok(Made {
        models: new.len(),
        priced: after,
        providers: new.keys().map(|(provider, _)| provider).collect::<BTreeSet<_>>().len(),
        added,
        removed,
        changed: changed.collect(),
        apart,
        skipped: map.skipped,
        unread: map.unread,
        text,
    })
}

/// What a list says of providers of which no card has a price yet.
fn unpriced(cards: &[Card], mut list: PriceList) -> PriceList {
    let priced: BTreeSet<&str> =
        cards.iter().filter(|card| card.is_priced()).map(|card| &*card.provider).collect();
    list.cards.retain(|card| !priced.contains(&*card.provider));
    list.skipped.retain(|(name, _)| !name.split('/').next().is_some_and(|p| priced.contains(p)));
    list
}

fn cards(text: &str) -> anyhow::Result<Cards> {
    let read = |(i, text): (usize, &str)| {
        let card = line::read(text).map_err(|why| anyhow::anyhow!("line {}: {why}", i + 1))?;
        Ok(((card.provider.clone(), card.name.clone()), card))
    };
    text.lines().enumerate().map(read).collect()
}

/// The fields that differ, as the lines say them.
fn difference(before: &Card, after: &Card) -> String {
    let fields = |card: &Card| -> BTreeMap<String, serde_json::Value> {
        serde_json::from_str(&line::write(card)).unwrap_or_default()
    };
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let shown = |value: Option<&serde_json::Value>| match value {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "none".to_owned(),
    };
    let differ = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    let said: Vec<String> = differ
        .map(|name| format!("{name} {} → {}", shown(before.get(name)), shown(after.get(name))))
        .collect();
    said.join(", ")
}

impl Made {
    /// What is new, at most so many of each.
    fn report(&self, most: usize) -> String {
        let mut out = String::new();
        let mut list = |what: &str, lines: &[String]| {
            if lines.is_empty() {
                return;
            }
            let _ = writeln!(out, "{what}: {}", lines.len());
            for line in lines.iter().take(most) {
                let _ = writeln!(out, "  {line}");
            }
            if lines.len() > most {
                let _ = writeln!(out, "  … and {} more (--all)", lines.len() - most);
            }
        };
        let skipped: Vec<String> =
            self.skipped.iter().map(|(key, why)| format!("{key}: {why}")).collect();
        let unread: Vec<String> =
            self.unread.iter().map(|(field, count)| format!("{field} ({count})")).collect();
        list("added", &self.added);
        list("removed", &self.removed);
        list("changed", &self.changed);
        list("it is the map's that counts, and another is far from it", &self.apart);
        list("not usable", &skipped);
        list("fields without a place", &unread);
        let _ = writeln!(
            out,
            "{} models of {} providers, {} with a price",
            self.models, self.providers, self.priced
        );
        out
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may")]
mod tests {
    use super::*;

    const OLD: &str = r#"{"provider":"demo","name":"d","mode":"chat","input":"0","output":"0"}
{"provider":"openai","name":"gone","mode":"chat","input":"1e-06","output":"2e-06"}
{"provider":"openai","name":"stays","bare":true,"mode":"chat","input":"1e-06","output":"2e-06"}
"#;
    const MAP: &str = r#"{
        "stays": {"litellm_provider": "openai", "mode": "chat",
            "input_cost_per_token": 1.5e-06, "output_cost_per_token": 2e-06, "colour": "red"},
        "new": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 1e-08},
        "half": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-08}}"#;

    fn made(old: &str, map: &str) -> anyhow::Result<Made> {
        make(old, map, PriceList::default(), PriceList::default())
    }

    #[test]
    fn what_changes_is_said() {
        let made = made(OLD, MAP).unwrap();
        assert_eq!(
            made.text,
            r#"{"provider":"demo","name":"d","mode":"chat","input":"0","output":"0"}
{"provider":"openai","name":"half","bare":true,"mode":"chat"}
{"provider":"openai","name":"new","bare":true,"mode":"embeddings","input":"1e-08"}
{"provider":"openai","name":"stays","bare":true,"mode":"chat","input":"1.5e-06","output":"2e-06"}
"#
        );
        assert_eq!(
            made.report(1),
            "added: 2\n  openai/half\n  … and 1 more (--all)\nremoved: 1\n  openai/gone\n\
             changed: 1\n  openai/stays: input 1e-06 → 1.5e-06\n\
             not usable: 1\n  half: no price of the answer: left without prices\n\
             fields without a place: 1\n  colour (1)\n\
             4 models of 2 providers, 3 with a price\n"
        );
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let once = made(OLD, MAP).unwrap().text;
        let again = made(&once, MAP).unwrap();
        assert_eq!(again.text, once);
        assert!(again.added.is_empty() && again.removed.is_empty() && again.changed.is_empty());
    }

    #[test]
    fn a_list_beside_the_map_fills_what_it_does_not_price() {
        let list = r#"[
            {"id":"openrouter","models":[{"id":"a/b","prices":{"input_mtok":"1","output_mtok":"2"}}]},
            {"id":"avian","models":[{"id":"m","prices":{"input_mtok":"1","output_mtok":"2"}}]},
            {"id":"arcee","models":[{"id":"half","prices":{"input_mtok":"1"}}]}]"#;
        let map = r#"{"avian/own": {"litellm_provider": "avian", "mode": "chat",
            "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}"#;
        let list = genai::read(list, "2026-11-22").unwrap();
        let both = make(OLD, map, list, PriceList::default()).unwrap();
        let names: Vec<&str> = both.added.iter().map(String::as_str).collect();
        assert_eq!(names, ["avian/own", "openrouter/a/b"], "the map counts more");
        assert_eq!(both.skipped.len(), 1, "{:?}", both.skipped);
        // Without the list, what it gave stays.
        let again = made(&both.text, map).unwrap();
        assert_eq!(again.text, both.text);
    }

    #[test]
    fn the_last_list_fills_what_neither_prices() {
        let listed = |models: &str| {
            format!(
                r#"{models}:{{"modalities":{{"input":["text"],"output":["text"]}},
                    "limit":{{"context":9,"output":9}},"cost":{{"input":1,"output":2}}}}"#
            )
        };
        let list = format!(
            r#"{{"openai":{{"models":{{{}}}}},"poe":{{"models":{{{}}}}},"nobody":{{"models":{{}}}}}}"#,
            listed(r#""gpt""#),
            listed(r#""m""#)
        );
        let known = |name: &str| ["openai", "poe"].contains(&name);
        let list = models_dev::read(&list, known).unwrap();
        let map = r#"{"gpt": {"litellm_provider": "openai", "mode": "chat",
                "input_cost_per_token": 4e-06, "output_cost_per_token": 5e-06},
            "stays": {"litellm_provider": "openai"}}"#;
        let made = make(OLD, map, PriceList::default(), list).unwrap();
        assert_eq!(made.added, ["openai/gpt", "poe/m"]);
        assert_eq!(made.apart, ["openai/gpt: the prompt 4e-06, not 1e-06"]);
        assert!(
            made.report(9).contains("it is the map's that counts, and another is far from it: 1")
        );
    }

    #[test]
    fn a_file_that_halves_the_catalogue_is_refused() {
        let map = r#"{"x": {"litellm_provider": "openai"}}"#;
        let why = made(OLD, map).unwrap_err().to_string();
        assert!(why.starts_with("this would leave 2 models, 1 of them with a price, of 3 and 3"));
        assert!(made(OLD, "{}").is_ok(), "providers that the map does not have are kept");
        assert!(made(OLD, "nonsense").is_err());
    }
}
