//! Rates, parallel requests and budgets of a key: all or nothing, then given back exactly once.
//!
//! Windows are fixed minutes, as LiteLLM's limiter has them. A budget admits a request as long as
//! what is spent and what is held stay below it, so many requests at once overshoot it by at most
//! what the last one admitted costs beyond its estimate.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use tollgate_ledger::{Nano, price::Tiers};
use tollgate_router::Plan;
use tollgate_wire::{Operation, Refusal, RefusalKind};

use crate::{
    ask::Ask,
    budget,
    core::{Core, Snapshot},
    keys::Key,
    now::Now,
    route,
};

const WINDOW_S: u64 = 60;

/// What a key has used. Shared by all versions of the key's settings, so that an update does not
/// forget it.
#[derive(Debug, Default)]
pub struct Meters {
    requests: Window,
    tokens: Window,
    parallel: AtomicU32,
    spend: AtomicI64,
    held: AtomicI64,
    /// End of the budget's current period in µs since the epoch; 0 where the budget never resets.
    pub(crate) budget_reset_us: AtomicI64,
}

impl Meters {
    /// Meters of a key that has spent `spend`.
    pub fn new(spend: Nano, budget_reset_us: Option<i64>) -> Self {
        let meters = Meters::default();
        meters.spend.store(spend.0, Relaxed);
        meters.budget_reset_us.store(budget_reset_us.unwrap_or(0), Relaxed);
        meters
    }

    /// Spent so far in the budget's period.
    pub fn spend(&self) -> Nano {
        Nano(self.spend.load(Relaxed))
    }

    /// Adds what was spent before this process began and is known only now.
    pub(crate) fn spent_before(&self, spent: Nano) {
        self.spend.fetch_add(spent.0, Relaxed);
    }

    /// Replaces what is spent: a new budget period, or an administrator's correction.
    pub fn set_spend(&self, spend: Nano) {
        self.spend.store(spend.0, Relaxed);
    }
}

/// A count within a minute: the minute's number in the high half, the count in the low half.
#[derive(Debug, Default)]
struct Window(AtomicU64);

impl Window {
    /// Adds `n` if the count is below `limit` before; tells the count it found.
    fn admit(&self, minute: u32, n: u32, limit: u64) -> Result<u32, u32> {
        let found = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let count = count_in(word, minute);
            (u64::from(count) < limit).then(|| pack(minute, count.saturating_add(n)))
        });
        found.map(|word| count_in(word, minute)).map_err(|word| count_in(word, minute))
    }

    /// Corrects what was added by an estimate; no effect in a later minute.
    fn correct(&self, minute: u32, by: i64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |word| {
            ((word >> 32) as u32 == minute).then(|| {
                let count = i64::from(word as u32).saturating_add(by);
                pack(minute, u32::try_from(count.max(0)).unwrap_or(u32::MAX))
            })
        });
    }
}

fn pack(minute: u32, count: u32) -> u64 {
    (u64::from(minute) << 32) | u64::from(count)
}

fn count_in(word: u64, minute: u32) -> u32 {
    if (word >> 32) as u32 == minute { word as u32 } else { 0 }
}

/// Limits and money set aside for one request. Dropped without [`Hold::post`], it gives all of it
/// back: the request is void.
#[derive(Debug, Default)]
pub struct Hold {
    place: Option<Place>,
    key: Option<Arc<Key>>,
    minute: u32,
    tokens: u32,
    amount: Nano,
    posted: Option<(u64, Nano)>,
    /// Somebody else gives the key's part back.
    handed_on: bool,
}

/// Takes a place under every limit of the caller's key, or names the first that is full.
pub fn reserve(
    core: &Arc<Core>,
    snapshot: &Snapshot,
    key: Option<&Arc<Key>>,
    ask: &Ask,
    plan: &Plan,
    now: Now,
) -> Result<Hold, Refusal> {
    let minute = (now.unix_ms() / 1_000 / WINDOW_S) as u32;
    let mut hold = Hold::default();
    hold.minute = minute;
    hold.place = Some(Place::take(core, snapshot.general.max_parallel)?);
    let Some(key) = key else { return Ok(hold) };
    budget::roll(&core.gw, key, now);
    let meters = &key.meters;
    hold.amount = estimate(snapshot, key, ask, plan)?;
    let parallel = key.terms.max_parallel.or(snapshot.general.key_max_parallel.map(u64::from));
    if let Some(limit) = parallel {
        let taken = meters.parallel.fetch_add(1, Relaxed);
        if u64::from(taken) >= limit {
            meters.parallel.fetch_sub(1, Relaxed);
            return Err(rate_limited(key, "max_parallel_requests", limit, 1));
        }
    } else {
        meters.parallel.fetch_add(1, Relaxed);
    }
    // From here on, dropping the hold gives back what was taken.
    hold.key = Some(Arc::clone(key));
    let held = meters.held.fetch_add(hold.amount.0, Relaxed);
    if let Some(max) = key.terms.max_budget {
        let spent = meters.spend.load(Relaxed);
        if spent.saturating_add(held) >= max.0 {
            return Err(over_budget(snapshot, key, Nano(spent), max));
        }
    }
    let resets_in = WINDOW_S - now.unix_ms() / 1_000 % WINDOW_S;
    if let Some(limit) = key.terms.tpm {
        let tokens = u32::try_from(ask.input_estimate()).unwrap_or(u32::MAX);
        if meters.tokens.admit(minute, tokens, limit).is_err() {
            return Err(rate_limited(key, "tokens", limit, resets_in));
        }
        hold.tokens = tokens;
    }
    if let Some(limit) = key.terms.rpm
        && meters.requests.admit(minute, 1, limit).is_err()
    {
        return Err(rate_limited(key, "requests", limit, resets_in));
    }
    Ok(hold)
}

/// What the request may cost, for a key with a budget. A price that we do not know is refused
/// there: the budget would not be enforced.
fn estimate(snapshot: &Snapshot, key: &Key, ask: &Ask, plan: &Plan) -> Result<Nano, Refusal> {
    let Some(_) = key.terms.max_budget else { return Ok(Nano(0)) };
    if ask.operation == Operation::CountTokens {
        return Ok(Nano(0));
    }
    let card = route::first_card(plan);
    let Some(rates) = card.and_then(|card| card.rates.as_ref()) else {
        return Err(Refusal::new(
            RefusalKind::Unsupported,
            format!(
                "no price is known for `{}`, so this key's `max_budget` could not be enforced; \
                 set `input_cost_per_token` and `output_cost_per_token` in its `litellm_params`, \
                 or use a key without a budget",
                ask.payload.peek.model
            ),
        )
        .param("model"));
    };
    let output = ask.payload.peek.max_tokens.unwrap_or(snapshot.general.output_estimate_tokens);
    let output = output.saturating_mul(ask.payload.peek.n.unwrap_or(1).max(1));
    let named = |name: &[u8]| memchr::memmem::find(&ask.payload.body, name).is_some();
    let tiers = match rates.rare {
        Some(_) if named(b"\"service_tier\"") || named(b"\"speed\"") => Tiers::Any,
        Some(_) if named(b"\"inference_geo\"") => Tiers::Any,
        Some(_) | None => Tiers::Usual,
    };
    tollgate_ledger::price::estimate(ask.input_estimate(), output, rates, tiers).map_err(|_| {
        Refusal::new(
            RefusalKind::InvalidRequest,
            "the request's size times the model's price is beyond any amount of money",
        )
        .param("max_tokens")
    })
}

fn rate_limited(key: &Key, kind: &str, limit: u64, retry_after_s: u64) -> Refusal {
    Refusal::new(
        RefusalKind::RateLimited,
        format!(
            "Rate limit exceeded for api_key: {}. Limit type: {kind}. Current limit: {limit}, \
             Remaining: 0. Try again in {retry_after_s} s",
            key.name
        ),
    )
    .retry_after_s(retry_after_s)
}

fn over_budget(snapshot: &Snapshot, key: &Key, spent: Nano, max: Nano) -> Refusal {
    let mut why = Refusal::new(
        RefusalKind::BudgetExceeded,
        format!(
            "Budget has been exceeded! Key={} Current cost: {}, Max budget: {}",
            key.name,
            spent.usd_text(),
            max.usd_text()
        ),
    );
    why.status = http::StatusCode::from_u16(snapshot.general.budget_exceeded_status).ok();
    why
}

impl Hold {
    /// The request is over and cost this much. What was set aside is given back when the hold
    /// drops, which is right after.
    pub fn post(&mut self, tokens: u64, cost: Nano) {
        self.posted = Some((tokens, cost));
        if let Some(key) = &self.key {
            key.meters.spend.fetch_add(cost.0, Relaxed);
        }
    }

    /// What is set aside of the key's limits, to be kept beyond the request. What is left here is the
    /// place among the requests of this node.
    pub(crate) fn hand_on(&mut self) -> Hold {
        self.handed_on = true;
        Hold {
            place: None,
            key: self.key.clone(),
            minute: self.minute,
            tokens: self.tokens,
            amount: self.amount,
            posted: None,
            handed_on: false,
        }
    }

    /// What an earlier process had set aside of a key's limits.
    pub(crate) fn restored(key: &Arc<Key>, amount: Nano) -> Hold {
        key.meters.held.fetch_add(amount.0, Relaxed);
        key.meters.parallel.fetch_add(1, Relaxed);
        let mut hold = Hold::default();
        hold.key = Some(Arc::clone(key));
        hold.amount = amount;
        hold
    }

    /// What is set aside of the key's budget.
    pub(crate) fn amount(&self) -> Nano {
        self.amount
    }

    /// The key's spend, this request included once it is posted.
    pub fn key_spend(&self) -> Option<Nano> {
        self.key.as_ref().map(|key| key.meters.spend())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(key) = self.key.take().filter(|_| !self.handed_on) else { return };
        let meters = &key.meters;
        meters.held.fetch_sub(self.amount.0, Relaxed);
        meters.parallel.fetch_sub(1, Relaxed);
        if key.terms.tpm.is_some() {
            let used = self.posted.map_or(0, |(tokens, _)| tokens);
            let used = i64::try_from(used).unwrap_or(i64::MAX);
            meters.tokens.correct(self.minute, used.saturating_sub(i64::from(self.tokens)));
        }
    }
}

/// A place among the requests of this node.
struct Place(Arc<Core>);

impl Place {
    fn take(core: &Arc<Core>, limit: Option<u32>) -> Result<Self, Refusal> {
        core.enter();
        let place = Place(Arc::clone(core));
        if limit.is_some_and(|limit| core.gw.in_flight() > limit) {
            return Err(Refusal::new(
                RefusalKind::Overloaded,
                "this gateway serves as many requests as `global_max_parallel_requests` allows",
            )
            .retry_after_s(1));
        }
        Ok(place)
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.leave();
    }
}
