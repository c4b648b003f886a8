//! The keys that are known to this process, by the SHA-256 of the whole key.
//!
//! All keys are loaded in the background after start; one that is not here yet is looked up in the
//! database once, and one that nobody has is remembered for a few seconds, so that a guesser costs
//! one look-up for each guess at most.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use papaya::{HashMap, ResizeMode};
use tokio::sync::{RwLock, RwLockWriteGuard, Semaphore};
use tollgate_ledger::Nano;
use tollgate_store::{KeyHash, KeyRow, Replay, Store, StoreError};

use crate::{budget::Duration, limits::Meters, now::Now};

/// Keys that nobody has are remembered this long, and so is a key's absence at another node.
const UNKNOWN_FOR_US: i64 = 5_000_000;
const UNKNOWN_AT_MOST: usize = 10_000;
const LOOKUPS_AT_ONCE: usize = 32;
/// Longest wait for a look-up and for its turn: a database that is stopped or unplugged does not
/// say so.
const LOOKUP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// A key as requests need it, and what it has used: some two hundred bytes with all that it alone
/// has, for there may be very many. A new version replaces the old one whole; the meters stay.
#[derive(Debug)]
pub struct Key {
    /// SHA-256 of the key.
    pub hash: KeyHash,
    /// How it is shown.
    pub name: Name,
    /// Nobody may use it.
    pub blocked: bool,
    /// When it ends, in µs since the epoch.
    pub expires_us: Option<i64>,
    /// What it may do.
    pub terms: Arc<Terms>,
    /// What it has used.
    pub meters: Arc<Meters>,
    /// The name in usage rows, shared.
    pub alias: Option<Arc<str>>,
    /// The user in usage rows, shared.
    pub user_id: Option<Arc<str>>,
}

/// What a key may do. Most keys share a few of these: one copy is less memory, and stays in the
/// processor's cache.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Most it may spend in a period.
    pub max_budget: Option<Nano>,
    /// How long a period is.
    pub budget_duration: Option<Duration>,
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Requests at a time.
    pub max_parallel: Option<u64>,
    /// Which models it may use.
    pub access: Access,
    /// The team in usage rows, shared.
    pub team_id: Option<Arc<str>>,
}

/// How a key is shown: `sk-...` and its last four characters, or what it was imported with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The last four characters.
    Usual([u8; 4]),
    /// Another.
    Other(Box<str>),
}

/// What usual names begin with.
const USUAL: &str = "sk-...";

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        match name.strip_prefix(USUAL).map(|end| end.as_bytes().try_into()) {
            Some(Ok(end)) => Name::Usual(end),
            _ => Name::Other(name.into()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Usual(end) => write!(f, "{USUAL}{}", String::from_utf8_lossy(end)),
            Name::Other(name) => f.write_str(name),
        }
    }
}

/// Which models a key may use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Access {
    /// All of them.
    All,
    /// None: `no-default-models`.
    None,
    /// These names, or names that match one of these patterns.
    Only(Box<[String]>),
}

/// The terms that keys have, one copy of each.
#[derive(Debug, Default)]
struct AllTerms(Mutex<HashSet<Arc<Terms>>>);

impl AllTerms {
    /// Terms that are looked over for those that no key has any more.
    const MANY: usize = 1_024;

    fn shared(&self, terms: Terms) -> Arc<Terms> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&terms) {
            return Arc::clone(known);
        }
        if all.len() >= Self::MANY {
            all.retain(|terms| Arc::strong_count(terms) > 1);
        }
        let terms = Arc::new(terms);
        if all.len() < Self::MANY {
            all.insert(Arc::clone(&terms));
        }
        terms
    }
}

impl Access {
    /// Reads LiteLLM's `models` list. An empty list means all, and so do `all-proxy-models` and
    /// `all-team-models` (a key's team has no list of its own here).
    pub fn read(models: &[String]) -> Self {
        let is = |name: &str| models.iter().any(|model| model == name);
        if models.is_empty() || is("all-proxy-models") || is("all-team-models") || is("*") {
            Access::All
        } else if is("no-default-models") {
            Access::None
        } else {
            Access::Only(models.into())
        }
    }

    /// The names and patterns, for a message.
    pub fn names(&self) -> &[String] {
        if let Access::Only(names) = self { names } else { &[] }
    }

    /// Whether `model` may be used.
    pub fn allows(&self, model: &str) -> bool {
        match self {
            Access::All => true,
            Access::None => false,
            Access::Only(names) => {
                names.iter().any(|name| name == model)
                    || names.iter().any(|name| matches(name, model))
            }
        }
    }
}

/// `name` is `pattern`, where each `*` of the pattern stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let mut pieces = tail.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = rest.split_at(at + piece.len()).1,
            None => return false,
        }
    }
    true
}

impl Key {
    /// The key of a stored row, with the meters of an earlier version if there is one.
    fn new(row: &KeyRow, meters: Option<Arc<Meters>>, terms: &AllTerms) -> Self {
        let fresh = || Arc::new(Meters::new(row.spend, row.budget_reset_us));
        Key {
            hash: row.hash,
            name: row.name.as_str().into(),
            blocked: row.blocked,
            expires_us: row.expires_us,
            terms: terms.shared(Terms {
                max_budget: row.max_budget,
                budget_duration: row.budget_duration.as_deref().and_then(|text| text.parse().ok()),
                rpm: row.rpm,
                tpm: row.tpm,
                max_parallel: row.max_parallel,
                access: Access::read(&row.models),
                team_id: row.team_id.as_deref().map(Arc::from),
            }),
            meters: meters.unwrap_or_else(fresh),
            alias: row.alias.as_deref().map(Arc::from),
            user_id: row.user_id.as_deref().map(Arc::from),
        }
    }
}

/// Why a key is not known.
#[derive(Debug)]
pub enum Missing {
    /// Nobody has it.
    Unknown,
    /// The database cannot be asked.
    Unavailable,
}

/// All keys of this process.
pub struct KeyBook {
    known: HashMap<[u8; 32], Arc<Key>, foldhash::fast::RandomState>,
    unknown: quick_cache::sync::Cache<[u8; 32], i64>,
    lookups: Semaphore,
    /// Held for reading from before a key is read until it is known here; see [`Replay`].
    replay: Arc<RwLock<()>>,
    warm: AtomicBool,
    terms: AllTerms,
}

impl Default for KeyBook {
    fn default() -> Self {
        KeyBook {
            // A resize that goes on bit by bit never ends once the warm-up is over and nobody
            // writes: every look-up then searches two tables, at ten times the price.
            known: HashMap::builder()
                .hasher(foldhash::fast::RandomState::default())
                .resize_mode(ResizeMode::Blocking)
                .build(),
            unknown: quick_cache::sync::Cache::new(UNKNOWN_AT_MOST),
            lookups: Semaphore::new(LOOKUPS_AT_ONCE),
            replay: Arc::default(),
            warm: AtomicBool::new(false),
            terms: AllTerms::default(),
        }
    }
}

impl KeyBook {
    /// The key with this hash, if it is here.
    pub fn get(&self, hash: &KeyHash) -> Option<Arc<Key>> {
        self.known.pin().get(&hash.0).cloned()
    }

    /// How many keys are here.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True if no key is here.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// True once all stored keys have been loaded.
    pub fn is_warm(&self) -> bool {
        self.warm.load(Relaxed)
    }

    /// Puts a stored row in, keeping the meters of the version that is here.
    pub fn put(&self, row: &KeyRow) -> Arc<Key> {
        let pin = self.known.pin();
        self.unknown.remove(&row.hash.0);
        let meters = pin.get(&row.hash.0).map(|key| Arc::clone(&key.meters));
        if let Some(meters) = &meters {
            meters.budget_reset_us.store(row.budget_reset_us.unwrap_or(0), Relaxed);
        }
        let hash = row.hash.0;
        let key = Arc::new(Key::new(row, meters, &self.terms));
        pin.insert(hash, Arc::clone(&key));
        key
    }

    /// Puts a stored row in unless a version is here already: what a look-up or the warm-up read
    /// may be older than what an administrator changed meanwhile.
    fn put_if_absent(&self, row: &KeyRow) -> Arc<Key> {
        let pin = self.known.pin();
        let hash = row.hash.0;
        Arc::clone(pin.get_or_insert_with(hash, || Arc::new(Key::new(row, None, &self.terms))))
    }

    /// Puts a regenerated key in and forgets the old one; the meters go on.
    pub fn rename(&self, old: &KeyHash, row: &KeyRow) {
        let pin = self.known.pin();
        let meters = pin.get(&old.0).map(|key| Arc::clone(&key.meters));
        self.unknown.remove(&row.hash.0);
        pin.insert(row.hash.0, Arc::new(Key::new(row, meters, &self.terms)));
        pin.remove(&old.0);
    }

    /// Forgets a key.
    pub fn remove(&self, hash: &KeyHash) {
        self.known.pin().remove(&hash.0);
    }

    /// Looks a key up in the database, because it is not here.
    pub async fn look_up(
        &self,
        store: &Store,
        hash: &KeyHash,
        now: Now,
    ) -> Result<Arc<Key>, Missing> {
        if self.unknown.get(&hash.0).is_some_and(|until| now.unix_us < until) {
            return Err(Missing::Unknown);
        }
        let asked = tokio::time::timeout(LOOKUP_TIMEOUT, self.ask(store, hash, now)).await;
        asked.unwrap_or_else(|_| {
            tracing::warn!("a key could not be looked up: the database does not answer");
            Err(Missing::Unavailable)
        })
    }

    async fn ask(&self, store: &Store, hash: &KeyHash, now: Now) -> Result<Arc<Key>, Missing> {
        let _place = self.lookups.acquire().await.map_err(|_| Missing::Unavailable)?;
        let _turn = self.replay.read().await;
        if let Some(key) = self.get(hash) {
            return Ok(key);
        }
        match store.key(hash).await {
            Ok(Some(row)) => Ok(self.put_if_absent(&row)),
            Ok(None) => {
                self.unknown.insert(hash.0, now.unix_us.saturating_add(UNKNOWN_FOR_US));
                Err(Missing::Unknown)
            }
            Err(error) => {
                tracing::warn!(%error, "a key could not be looked up");
                Err(Missing::Unavailable)
            }
        }
    }

    /// Loads all stored keys.
    pub async fn warm_up(&self, store: &Store) -> Result<u64, StoreError> {
        let mut chunks = store.key_chunks().await?;
        let mut count = 0;
        loop {
            let _turn = self.replay.read().await;
            let rows = chunks.next().await?;
            if rows.is_empty() {
                break;
            }
            count += rows.len() as u64;
            rows.iter().for_each(|row| drop(self.put_if_absent(row)));
        }
        self.warm.store(true, Relaxed);
        Ok(count)
    }

    /// Held while something that a key has spent is written down elsewhere than in the journal, and
    /// until its meters have it: whoever reads a key meanwhile waits, and has it in what it reads.
    pub(crate) async fn turn(&self) -> RwLockWriteGuard<'_, ()> {
        self.replay.write().await
    }

    /// What tells these keys of what an earlier process wrote down and did not record.
    pub(crate) fn replay(self: &Arc<Self>) -> Replay {
        let book = Arc::clone(self);
        let told = Box::new(move |hash: &KeyHash, spent| {
            if let Some(key) = book.get(hash) {
                key.meters.spent_before(spent);
            }
        });
        Replay { turn: Arc::clone(&self.replay), told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_as_it_was_stored() {
        for name in ["sk-...9f3a", "sk-...", "sk-...é9", "imported", "sk-...12345", ""] {
            assert_eq!(Name::from(name).to_string(), name);
        }
    }

    #[test]
    fn a_key_is_small() {
        assert!(size_of::<Key>() <= 128, "{}", size_of::<Key>());
    }

    #[test]
    fn access_reads_litellms_lists() {
        let only = |names: &[&str]| {
            Access::read(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        };
        assert!(only(&[]).allows("gpt-4o"));
        assert!(only(&["all-proxy-models"]).allows("gpt-4o"));
        assert!(!only(&["no-default-models"]).allows("gpt-4o"));
        assert!(only(&["gpt-4o"]).allows("gpt-4o"));
        assert!(!only(&["gpt-4o"]).allows("gpt-4o-mini"));
        assert!(only(&["apertis/*"]).allows("apertis/m"));
        assert!(!only(&["apertis/*"]).allows("openai/m"));
        assert!(only(&["*-mini"]).allows("gpt-4o-mini"));
        assert!(only(&["a*b*c"]).allows("a-b-c"));
        assert!(!only(&["a*b*c"]).allows("a-c"));
    }
}
