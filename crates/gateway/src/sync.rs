//! Model cards that come while the binary runs: a price map or a provider's list of models is read
//! from a URL or a file, compared with what was known, and kept in the data folder as the last good
//! copy. Nothing is fetched that the operator did not ask for.
//!
//! A copy that is kept is laid over the built-in catalogue at every start and reload, so a source
//! that is down, or sends nonsense, changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use tollgate_router::{Client, fetch};
use tollgate_wire::{
    Card, Secret,
    catalogue::{Catalogue, listing, litellm},
    provider,
};

/// Largest document that is read.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Longest wait for one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Fewer models than this are no table that could be halved.
const SMALL: usize = 20;

/// Where models are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A URL or a file.
    pub from: String,
    /// Whose list of models it is; not for price maps, which name the providers themselves.
    pub provider: Option<String>,
    /// How often it is read.
    pub every: Duration,
}

/// What reading a source came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Models in the source.
    pub models: usize,
    /// Models that were not known before, as `provider/model`.
    pub new: Vec<String>,
    /// Models that the last copy had and this one has not.
    pub retired: Vec<String>,
    /// Models whose price is another one: prompt and answer, in USD for a million tokens.
    pub repriced: Vec<Repriced>,
    /// Entries that make no sense, and why.
    pub skipped: Vec<(String, String)>,
}

/// A price that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repriced {
    /// `provider/model`
    pub model: String,
    /// Prompt and answer before, in femto-USD a token.
    pub before: (i64, i64),
    /// The same now.
    pub after: (i64, i64),
}

/// Why a source was not taken over. What was known stays.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// It cannot be had.
    #[error("cannot read {from}: {why}")]
    Unreadable {
        /// The source.
        from: String,
        /// What happened.
        why: String,
    },
    /// It is neither a price map nor a list of models.
    #[error("{from}: {why}")]
    Malformed {
        /// The source.
        from: String,
        /// What was expected.
        why: String,
    },
    /// It has less than half of the models.
    #[error(
        "{from} has {found} models where {known} were known: a file that halves the table is not \
         taken over; `--force` does so all the same"
    )]
    Halved {
        /// The source.
        from: String,
        /// Models in it.
        found: usize,
        /// Models in the copy before, or in the built-in catalogue of the providers that it has.
        known: usize,
    },
    /// The copy cannot be written.
    #[error("the copy of {from} cannot be kept: {why}")]
    Unwritable {
        /// The source.
        from: String,
        /// Why.
        why: io::Error,
    },
}

/// Whether a source with less than half of the models is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halving {
    /// It is refused.
    Refused,
    /// The operator said so.
    Allowed,
}

/// Reads a source, compares it with what is known, and keeps it in `folder`.
pub async fn sync(
    source: &Source,
    folder: &Path,
    client: &Client,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
    halving: Halving,
) -> Result<Changes, SyncError> {
    let text = text(source, client, env).await?;
    let base = Catalogue::builtin();
    let (cards, skipped, provider) = cards(source, &text, base)?;
    let file = file(folder, provider.as_deref());
    let before = kept(&file);
    let known = match (&before, &provider) {
        (Some(copy), _) => copy.cards().count(),
        (None, Some(name)) => base.cards_of(name).count(),
        (None, None) => {
            // A price map has no say about the providers that it does not have.
            let has: BTreeSet<&str> = cards.iter().map(|card| &*card.provider).collect();
            base.cards().filter(|card| has.contains(&*card.provider)).count()
        }
    };
    if halving == Halving::Refused && known >= SMALL && cards.len() * 2 < known {
        let from = source.from.clone();
        return Err(SyncError::Halved { from, found: cards.len(), known });
    }
    if cards.is_empty() {
        let why = "there is no model in it that can be read".to_owned();
        return Err(SyncError::Malformed { from: source.from.clone(), why });
    }
    let changes = changes(&cards, skipped, before.as_ref(), base);
    let copy = Catalogue::default().overlay_cards(&cards).models_jsonl();
    keep(&file, &copy).map_err(|why| SyncError::Unwritable { from: source.from.clone(), why })?;
    Ok(changes)
}

async fn text(
    source: &Source,
    client: &Client,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<String, SyncError> {
    let unreadable = |why: String| SyncError::Unreadable { from: source.from.clone(), why };
    let from = source.from.as_str();
    if !from.starts_with("https://") && !from.starts_with("http://") {
        let path = PathBuf::from(from.strip_prefix("file://").unwrap_or(from));
        let size = std::fs::metadata(&path).map_err(|why| unreadable(why.to_string()))?.len();
        if size > MAX_BYTES as u64 {
            return Err(unreadable(format!("it is larger than {MAX_BYTES} bytes")));
        }
        return std::fs::read_to_string(&path).map_err(|why| unreadable(why.to_string()));
    }
    let headers = credential(source, env).into_iter().collect();
    let body = fetch(client, from, headers, MAX_BYTES, PATIENCE).await;
    let body = body.map_err(|fault| unreadable(fault.message))?;
    String::from_utf8(body.to_vec()).map_err(|_| unreadable("it is not UTF-8".to_owned()))
}

/// The provider's key, for the provider's own list alone: it goes nowhere else.
fn credential(
    source: &Source,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Option<(HeaderName, HeaderValue)> {
    let provider = Catalogue::builtin().provider(&provider_of(source)?)?;
    let first = |names: &[String]| {
        names.iter().find_map(|name| env(name).filter(|value| !value.trim().is_empty()))
    };
    let base = first(&provider.url_env).unwrap_or_else(|| provider.url.clone());
    if origin(&base)? != origin(&source.from)? {
        return None;
    }
    let key = Secret::new(first(&provider.key_env)?.trim());
    provider::auth_headers(provider.auth, &key)
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<(String, String)> {
    let uri: http::Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
}

/// Whose list it is: as said, else whose address it has.
fn provider_of(source: &Source) -> Option<String> {
    if source.provider.is_some() {
        return source.provider.clone();
    }
    let wanted = origin(&source.from)?;
    let mut all = Catalogue::builtin().providers();
    let found = all.find(|provider| origin(&provider.url).is_some_and(|own| own == wanted));
    found.map(|provider| provider.name.to_string())
}

type Read = (Vec<Card>, Vec<(String, String)>, Option<String>);

fn cards(source: &Source, text: &str, base: &Catalogue) -> Result<Read, SyncError> {
    let malformed = |why: String| SyncError::Malformed { from: source.from.clone(), why };
    if !listing::is_listing(text) {
        let map = litellm::read(text).map_err(malformed)?;
        return Ok((map.cards, map.skipped, None));
    }
    let provider = provider_of(source)
        .ok_or_else(|| malformed("whose list of models is it? give `provider`".to_owned()))?;
    let known = |name: &str| base.card(&provider, name).map(Arc::unwrap_or_clone);
    let list = listing::read(text, &provider, known).map_err(malformed)?;
    Ok((list.cards, list.skipped, Some(provider)))
}

fn changes(
    cards: &[Card],
    skipped: Vec<(String, String)>,
    before: Option<&Catalogue>,
    base: &Catalogue,
) -> Changes {
    let mut changes = Changes { models: cards.len(), skipped, ..Changes::default() };
    let name = |card: &Card| format!("{}/{}", card.provider, card.name);
    for card in cards {
        let copy = before.and_then(|copy| copy.card(&card.provider, &card.name));
        match copy.or_else(|| base.card(&card.provider, &card.name)) {
            None => changes.new.push(name(card)),
            Some(old) => {
                let price = |card: &Card| card.rates.as_ref().map(|r| (r.input, r.output));
                if let (Some(before), Some(after)) = (price(&old), price(card))
                    && before != after
                {
                    changes.repriced.push(Repriced { model: name(card), before, after });
                }
            }
        }
    }
    let there: std::collections::HashSet<(&str, &str)> =
        cards.iter().map(|card| (card.provider.as_str(), card.name.as_str())).collect();
    let gone = before.into_iter().flat_map(Catalogue::cards);
    let gone = gone.filter(|card| !there.contains(&(card.provider.as_str(), card.name.as_str())));
    changes.retired = gone.map(|card| name(&card)).collect();
    changes
}

/// The copy of a price map, or of a provider's list. A list lies over a map.
fn file(folder: &Path, provider: Option<&str>) -> PathBuf {
    match provider {
        None => folder.join("0-prices.jsonl"),
        Some(name) => {
            let safe: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            folder.join(format!("1-{safe}.jsonl"))
        }
    }
}

fn kept(file: &Path) -> Option<Catalogue> {
    Catalogue::default().overlay_models(&std::fs::read_to_string(file).ok()?).ok()
}

/// Written beside and moved, so that nobody reads half of it.
fn keep(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = file.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, file)
}

/// The folder of the copies.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("models")
}

/// The built-in catalogue with all copies of `folder` laid over it; `None` where there are none. A
/// copy that cannot be read is named and left out.
pub fn overlaid(folder: &Path) -> (Option<Catalogue>, Vec<String>) {
    let mut files: BTreeMap<PathBuf, ()> = BTreeMap::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.insert(path, ());
        }
    }
    let (mut out, mut wrong): (Option<Catalogue>, Vec<String>) = (None, Vec::new());
    for path in files.into_keys() {
        let base = out.as_ref().unwrap_or_else(|| Catalogue::builtin());
        let read = std::fs::read_to_string(&path).map_err(|why| why.to_string());
        match read.and_then(|text| base.overlay_models(&text).map_err(|why| why.to_string())) {
            Ok(catalogue) => out = Some(catalogue),
            Err(why) => wrong.push(format!("{}: {why}", path.display())),
        }
    }
    (out, wrong)
}

/// How old the copy of a source is; `None` where there is none.
pub fn age(source: &Source, folder: &Path, now: std::time::SystemTime) -> Option<Duration> {
    let lists = [file(folder, provider_of(source).as_deref()), file(folder, None)];
    let modified = lists.iter().find_map(|file| std::fs::metadata(file).ok()?.modified().ok())?;
    Some(now.duration_since(modified).unwrap_or_default())
}

impl Changes {
    /// In words, at most `most` lines of a kind.
    pub fn report(&self, most: usize) -> String {
        let mut out = format!(
            "{} models: {} new, {} retired, {} with another price, {} skipped\n",
            self.models,
            self.new.len(),
            self.retired.len(),
            self.repriced.len(),
            self.skipped.len()
        );
        let mut list = |what: &str, lines: Vec<String>| {
            for line in lines.iter().take(most) {
                let _ = writeln!(out, "  {what} {line}");
            }
            if lines.len() > most {
                let _ = writeln!(out, "  {what} … and {} more", lines.len() - most);
            }
        };
        list("new    ", self.new.clone());
        list("retired", self.retired.clone());
        let usd =
            |femto: i64| crate::admin::models::show::usd_text(femto.saturating_mul(1_000_000));
        let repriced = self.repriced.iter().map(|one| {
            format!(
                "{}: ${} in, ${} out → ${} in, ${} out a million tokens",
                one.model,
                usd(one.before.0),
                usd(one.before.1),
                usd(one.after.0),
                usd(one.after.1)
            )
        });
        list("price  ", repriced.collect());
        list("skipped", self.skipped.iter().map(|(key, why)| format!("{key}: {why}")).collect());
        out
    }
}
