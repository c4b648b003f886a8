//! What is fetched for a login is kept until shortly before it expires. Many requests that need
//! it at once cause one fetch.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tollgate_wire::Fault;

/// Keys that are kept; beyond it all are forgotten.
const MAX_KEPT: usize = 4_096;
/// It is renewed this long before it expires, or in the last tenth of its life if that is shorter.
const EARLY: Duration = Duration::from_secs(300);
/// After an early renewal that failed, the next try waits this long: what we have is still good.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest that anything is kept.
const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that was fetched, and for how long it is good.
#[derive(Debug, Clone)]
pub(crate) struct Fetched<T> {
    pub(crate) value: T,
    pub(crate) life: Duration,
}

/// Values by key, each fetched by one request at a time.
#[derive(Debug)]
pub(crate) struct Cache<K, T> {
    slots: Mutex<HashMap<K, Arc<Slot<T>>, foldhash::fast::RandomState>>,
}

#[derive(Debug)]
struct Slot<T> {
    state: Mutex<State<T>>,
    /// Held by the request that fetches.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State<T> {
    kept: Option<Kept<T>>,
    /// Fetches that have ended, well or not.
    ended: u64,
    /// How the last fetch failed, if it did.
    failed: Option<Fault>,
}

#[derive(Debug, Clone)]
struct Kept<T> {
    value: T,
    since: Instant,
    renew: Instant,
    expires: Instant,
}

impl<K, T> Default for Cache<K, T> {
    fn default() -> Self {
        Cache { slots: Mutex::default() }
    }
}

impl<T: Clone> Slot<T> {
    fn new() -> Self {
        let state = State { kept: None, ended: 0, failed: None };
        Slot { state: Mutex::new(state), turn: tokio::sync::Mutex::new(()) }
    }

    fn with<R>(&self, read: impl FnOnce(&mut State<T>) -> R) -> R {
        read(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Clone + Eq + Hash, T: Clone> Cache<K, T> {
    /// The value of `key`: the one that is kept, or what `fetch` brings.
    ///
    /// Who waits for another's fetch that fails gets the same fault. While what is kept is still
    /// good, a fetch that fails is not seen.
    pub(crate) async fn get<F>(&self, key: &K, fetch: impl FnOnce() -> F + Send) -> Result<T, Fault>
    where
        F: Future<Output = Result<Fetched<T>, Fault>> + Send,
    {
        let slot = self.slot(key);
        let now = Instant::now();
        let (kept, ended) = slot.with(|state| (state.kept.clone(), state.ended));
        let good = kept.filter(|kept| now < kept.expires);
        let turn = match &good {
            Some(kept) if now < kept.renew => return Ok(kept.value.clone()),
            // Another renews it; until then the old one does.
            Some(kept) => match slot.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(kept.value.clone()),
            },
            None => slot.turn.lock().await,
        };
        if let Some(done) = slot.with(|state| state.since(ended)) {
            return done;
        }
        let fetched = fetch().await;
        let now = Instant::now();
        let done = slot.with(|state| state.end(fetched, now));
        drop(turn);
        match (done, good) {
            (Err(_), Some(kept)) if now < kept.expires => Ok(kept.value),
            (done, _) => done,
        }
    }

    /// Forgets the value of `key` if it has been kept for a while: the provider refuses it. A new
    /// one that is refused at once is not fetched again and again.
    pub(crate) fn refuse(&self, key: &K) {
        let now = Instant::now();
        self.slot(key).with(|state| {
            state.kept.take_if(|kept| now >= kept.since + PATIENCE);
        });
    }

    fn slot(&self, key: &K) -> Arc<Slot<T>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key) {
            return slot.clone();
        }
        if slots.len() >= MAX_KEPT {
            slots.clear();
        }
        let slot = Arc::new(Slot::new());
        slots.insert(key.clone(), slot.clone());
        slot
    }
}

impl<T: Clone> State<T> {
    /// How a fetch that ended after the one counted as `ended` came out; `None` if none did.
    fn since(&self, ended: u64) -> Option<Result<T, Fault>> {
        if self.ended == ended {
            return None;
        }
        match (&self.failed, &self.kept) {
            (None, Some(kept)) => Some(Ok(kept.value.clone())),
            (Some(fault), _) => Some(Err(fault.clone())),
            (None, None) => None,
        }
    }

    fn end(&mut self, fetched: Result<Fetched<T>, Fault>, now: Instant) -> Result<T, Fault> {
        self.ended += 1;
        match fetched {
            Ok(Fetched { value, life }) => {
                let life = life.min(MAX_LIFE);
                self.kept = Some(Kept {
                    value: value.clone(),
                    since: now,
                    renew: now + life - EARLY.min(life / 10),
                    expires: now + life,
                });
                self.failed = None;
                Ok(value)
            }
            Err(fault) => {
                if let Some(kept) = &mut self.kept {
                    kept.renew = now + PATIENCE;
                }
                self.failed = Some(fault.clone());
                Err(fault)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use tokio::time::{advance, sleep};
    use tollgate_wire::FaultKind;

    use super::*;

    /// An issuer that numbers its tokens, takes a second for each, and may be out of order.
    #[derive(Default)]
    struct Issuer {
        asked: AtomicU32,
        broken: std::sync::atomic::AtomicBool,
    }

    const LIFE: Duration = Duration::from_secs(3_600);

    impl Issuer {
        async fn issue(&self) -> Result<Fetched<u32>, Fault> {
            let number = self.asked.fetch_add(1, Relaxed) + 1;
            sleep(Duration::from_secs(1)).await;
            if self.broken.load(Relaxed) {
                return Err(Fault::new(FaultKind::Unavailable, format!("failure {number}")));
            }
            Ok(Fetched { value: number, life: LIFE })
        }

        async fn token(&self, cache: &Cache<&'static str, u32>) -> Result<u32, Fault> {
            cache.get(&"login", || self.issue()).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_requests_cause_one_fetch() {
        let (cache, issuer) = (Cache::default(), Issuer::default());
        let all = futures_util::future::join_all((0..100).map(|_| issuer.token(&cache))).await;
        assert!(all.iter().all(|token| token.as_ref().unwrap() == &1), "{all:?}");
        assert_eq!(issuer.asked.load(Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_fetch_that_fails_does_not_try_again() {
        let (cache, issuer) = (Cache::default(), Issuer::default());
        issuer.broken.store(true, Relaxed);
        let all = futures_util::future::join_all((0..100).map(|_| issuer.token(&cache))).await;
        assert!(all.iter().all(|token| token.as_ref().unwrap_err().message == "failure 1"));
        assert_eq!(issuer.asked.load(Relaxed), 1);
        // The next request does.
        issuer.broken.store(false, Relaxed);
        assert_eq!(issuer.token(&cache).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_before_it_expires_and_the_old_one_serves_meanwhile() {
        let (cache, issuer) = (Cache::default(), Issuer::default());
        assert_eq!(issuer.token(&cache).await, Ok(1));
        advance(LIFE - EARLY - Duration::from_secs(2)).await;
        assert_eq!(issuer.token(&cache).await, Ok(1));
        advance(Duration::from_secs(3)).await;
        let (renewing, waiting) =
            futures_util::future::join(issuer.token(&cache), issuer.token(&cache)).await;
        assert_eq!((renewing, waiting), (Ok(2), Ok(1)));
        assert_eq!(issuer.token(&cache).await, Ok(2));
        assert_eq!(issuer.asked.load(Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_fails_early_is_not_seen_and_one_that_fails_late_is() {
        let (cache, issuer) = (Cache::default(), Issuer::default());
        assert_eq!(issuer.token(&cache).await, Ok(1));
        issuer.broken.store(true, Relaxed);
        advance(LIFE - EARLY + Duration::from_secs(1)).await;
        assert_eq!(issuer.token(&cache).await, Ok(1));
        assert_eq!(issuer.token(&cache).await, Ok(1));
        assert_eq!(issuer.asked.load(Relaxed), 2, "not at every request");
        advance(PATIENCE).await;
        assert_eq!(issuer.token(&cache).await, Ok(1));
        assert_eq!(issuer.asked.load(Relaxed), 3);
        advance(EARLY).await;
        assert_eq!(issuer.token(&cache).await.unwrap_err().message, "failure 4");
        issuer.broken.store(false, Relaxed);
        assert_eq!(issuer.token(&cache).await, Ok(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_given_up_leaves_its_turn_to_the_next() {
        let (cache, issuer) = (Cache::default(), Issuer::default());
        let first = tokio::time::timeout(Duration::from_millis(500), issuer.token(&cache));
        let (first, second) = futures_util::future::join(first, issuer.token(&cache)).await;
        assert!(first.is_err());
        assert_eq!(second, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_provider_refuses_is_fetched_anew_but_not_at_once() {
        let (cache, issuer) = (Cache::default(), Issuer::default());
        assert_eq!(issuer.token(&cache).await, Ok(1));
        cache.refuse(&"login");
        assert_eq!(issuer.token(&cache).await, Ok(1));
        advance(PATIENCE).await;
        cache.refuse(&"login");
        assert_eq!(issuer.token(&cache).await, Ok(2));
    }
}
