//! Answers in the background: their provider goes on with them by itself, and says what they cost
//! only when they have ended. <https://platform.openai.com/docs/guides/background>
//!
//! Before the client sees such an answer's id there is a row for it in the table `pending`. From
//! then on the row is what the answer is paid for by: whoever deletes it writes the usage row and
//! adds the cost to the key in the same transaction, so a process that dies at any moment loses
//! nothing and pays for nothing twice, and neither do several nodes on one database. Whoever sees
//! first that the answer has ended does it: [`poll`], a client's own fetching, or its stream.
//!
//! What was set aside of the key's limits stays so until then, restarts included.

mod kept;
pub mod poll;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Method;
use tokio::sync::Notify;
use tollgate_ledger::Nano;
use tollgate_router::{Live, Plan, Timeouts, refusal, stored};
use tollgate_store::{Page, Pending, StoreError, UsageFilter, UsageRow};
use tollgate_wire::{
    Fault, FaultKind, Refusal, RefusalKind, Target,
    exchange::stored::{self as wire, Progress},
};
use tracing::{info, warn};
use uuid::Uuid;

use self::kept::Kept;
use crate::{
    ask::Ask,
    attempt,
    core::{Core, Gateway, Snapshot},
    handle,
    limits::Hold,
    now::Now,
    reply::{self, Outgoing},
    tab::{self, Tab},
};

/// An answer that has not ended after this long is taken for lost, and paid for by an estimate. A
/// provider keeps one in the background for some ten minutes after its end.
pub const LOST_AFTER: Duration = Duration::from_hours(24);
/// Longest wait for a count.
const COUNT_WITHIN: Duration = Duration::from_secs(1);
/// Limits on one question to a provider about an answer that it keeps.
const LIMITS: Timeouts =
    Timeouts { connect_ms: 5_000, first_byte_ms: 15_000, idle_ms: 10_000, total_ms: 20_000 };

/// Answers of this node's that are still to be paid for.
#[derive(Debug, Default)]
pub(crate) struct Background {
    /// What is set aside for them, by the request's id.
    held: Mutex<HashMap<Uuid, Hold>>,
    /// Wakes the one who asks the providers.
    wake: Notify,
}

impl Background {
    fn held(&self) -> MutexGuard<'_, HashMap<Uuid, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, id: Uuid, hold: Hold) {
        self.held().insert(id, hold);
        self.wake.notify_one();
    }

    fn release(&self, id: Uuid) -> Option<Hold> {
        self.wake.notify_one();
        self.held().remove(&id)
    }
}

/// Counts the answers that are to be paid for, of all nodes, for the metrics. While the database is
/// away, it is the count of before.
pub async fn count(gw: &Gateway) {
    let counted = tokio::time::timeout(COUNT_WITHIN, gw.store.pending_count()).await;
    if let Ok(Ok((count, _))) = counted {
        gw.metrics.background_pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

/// Asks for an answer in the background. Beside the requests: the provider may begin with it
/// whether or not the client stays to hear so.
pub(crate) async fn begin(
    core: &Arc<Core>,
    snapshot: Arc<Snapshot>,
    tab: Tab,
    ask: Ask,
    plan: Plan,
) -> Result<Outgoing, Refusal> {
    let begun = create(Arc::clone(core), snapshot, tab, ask, plan);
    let begun = core.gw.tasks.spawn_on(begun, &core.gw.cold).await;
    begun.unwrap_or_else(|_| Err(handle::panicked()))
}

async fn create(
    core: Arc<Core>,
    snapshot: Arc<Snapshot>,
    mut tab: Tab,
    ask: Ask,
    plan: Plan,
) -> Result<Outgoing, Refusal> {
    let gw = &core.gw;
    let now = tab.draft().started;
    // What could not be written down is not begun.
    tab.note(gw.store.ping().await.map_err(unwritable))?;
    match attempt::first_answer(&gw.upstream, &snapshot, &ask, &plan, now).await {
        Ok(mut live) => {
            let kept = keep(&core, &snapshot, &mut tab, &mut live, &ask).await;
            tab.note(kept)?;
            let out = reply::answer(tab, live, &ask.payload.peek.model);
            core.durable().await;
            Ok(out)
        }
        Err(failed) => Err(tab.close_failed(*failed)),
    }
}

/// Writes an answer down that goes on. One that has ended already is like any other. Exclusive only
/// so that it may be waited for on another thread.
async fn keep(
    core: &Core,
    snapshot: &Snapshot,
    tab: &mut Tab,
    live: &mut Live,
    ask: &Ask,
) -> Result<(), Refusal> {
    let (Some(id), Some(tenant)) = (live.exchange.unfinished(), &ask.payload.peek.tenant) else {
        return Ok(());
    };
    if !wire::is_plain(id) {
        let why = "the upstream's answer in the background has an id that cannot be asked for";
        return Err(Refusal::new(RefusalKind::UpstreamError, why));
    }
    let (gw, target) = (&core.gw, &live.target);
    let now = tab.draft().started.after(live.answered_after);
    tab::enter(tab, live, now);
    let row = tab.draft().row.clone();
    let hold = tab.hold.hand_on();
    let most = snapshot.general.output_estimate_tokens;
    let kept = Kept::new(id, &row, target, ask, most);
    let pending = Pending {
        id: row.id,
        answer: tenant.seal(tenant.place(target), id),
        key: row.key,
        held: hold.amount(),
        due_us: now.unix_us.saturating_add(poll::pause_us(0)),
        deadline_us: row.started_us.saturating_add(us(LOST_AFTER)),
        missed: 0,
        detail: kept.write(),
    };
    if let Err(error) = gw.store.insert_pending(&pending).await {
        // Nobody would pay for it, and nobody has its id.
        let _ = asked(gw, Method::POST, target, id, "/cancel", now).await;
        return Err(unwritable(error));
    }
    gw.background.hold(pending.id, hold);
    tab.pending = true;
    Ok(())
}

/// Asks for an answer that its provider keeps.
async fn asked(
    gw: &Gateway,
    method: Method,
    to: &Target,
    id: &str,
    tail: &str,
    now: Now,
) -> Result<bytes::Bytes, Fault> {
    let call = wire::call(to, id, tail, "", false)
        .map_err(|why| Fault::new(FaultKind::BadRequest, why.to_string()))?;
    stored::fetch(&gw.upstream, method, to, call, LIMITS, now.unix_ms() / 1_000).await
}

/// Pays for an answer that has ended, as its row says. Whoever comes second does nothing.
async fn settle(gw: &Gateway, row: UsageRow) -> Result<(), StoreError> {
    let _turn = gw.keys.turn().await;
    let charged = gw.store.settle_pending(&row).await?;
    let hold = gw.background.release(row.id);
    if !charged {
        return paid_by_another(gw, row.id, hold).await;
    }
    let cost = row.cost.unwrap_or(Nano(0));
    match (hold, &row.key) {
        (Some(mut hold), _) => hold.post(row.input.saturating_add(row.output), cost),
        // Another node asked for it, or an earlier process.
        (None, Some(key)) => {
            if let Some(key) = gw.keys.get(key) {
                key.meters.spent_before(cost);
            }
        }
        (None, None) => {}
    }
    gw.metrics.count(0, &row);
    Ok(())
}

/// What another node has paid for: what was set aside becomes what it came to.
async fn paid_by_another(gw: &Gateway, id: Uuid, hold: Option<Hold>) -> Result<(), StoreError> {
    let Some(mut hold) = hold else { return Ok(()) };
    let filter = UsageFilter { id: Some(id), ..UsageFilter::default() };
    let (rows, _) = gw.store.usage(&filter, Page::first(1)).await?;
    if let Some(row) = rows.first() {
        hold.post(row.input.saturating_add(row.output), row.cost.unwrap_or(Nano(0)));
    }
    Ok(())
}

/// The same without waiting for it. Where it fails, the row stays, and the provider is asked.
pub(crate) fn settle_soon(gw: &Arc<Gateway>, row: UsageRow) {
    let own = Arc::clone(gw);
    gw.cold_task(async move {
        let id = row.id;
        if let Err(error) = settle(&own, row).await {
            warn!(%error, request.id = %id, "the answer of request `{id}` is paid for later");
        }
    });
}

/// A client is shown an answer that it knows by this id: one in the background that has ended is
/// paid for.
pub(crate) fn seen(gw: &Arc<Gateway>, answer: &str, body: &bytes::Bytes) {
    if !matches!(wire::progress(body, 0), Ok(Progress::Ended(ended)) if ended.background) {
        return;
    }
    let (own, answer, body) = (Arc::clone(gw), answer.to_owned(), body.clone());
    gw.cold_task(async move {
        let paid = async {
            let Some(pending) = own.store.pending_answer(&answer).await? else { return Ok(()) };
            ended(&own, &pending, &body, Now::read()).await.map(drop)
        };
        if let Err(error) = paid.await {
            let error: StoreError = error;
            warn!(%error, "an answer in the background that was fetched is paid for later");
        }
    });
}

/// Pays for an answer if its provider says that it has ended; whether it has.
async fn ended(gw: &Gateway, pending: &Pending, body: &[u8], now: Now) -> Result<bool, StoreError> {
    let Some(kept) = Kept::of(pending) else { return Ok(false) };
    match wire::progress(body, kept.prompt_bytes) {
        Ok(Progress::Ended(ended)) => {
            settle(gw, kept.ended(&ended, now.unix_us)).await?;
            Ok(true)
        }
        Ok(Progress::Running) => Ok(false),
        Err(why) => {
            warn!(request.id = %pending.id, "how the answer of request `{}` stands: {why}", pending.id);
            Ok(false)
        }
    }
}

/// Before an answer is deleted at its provider, it is paid for; one that still runs is cancelled:
/// afterwards nobody could say what it came to.
pub(crate) async fn before_deletion(
    gw: &Arc<Gateway>,
    answer: String,
    to: Arc<Target>,
    now: Now,
) -> Result<(), Refusal> {
    let own = Arc::clone(gw);
    let paid = async move {
        let found = own.store.pending_answer(&answer).await.map_err(unwritable)?;
        let Some(pending) = found else { return Ok(()) };
        let Some(kept) = Kept::of(&pending) else { return Ok(()) };
        for (method, tail) in [(Method::GET, ""), (Method::POST, "/cancel")] {
            let body = asked(&own, method, &to, &kept.answer, tail, now).await;
            let body = body.map_err(|fault| {
                let mut why = refusal(&fault);
                why.message = why.message.replace(&kept.answer, &answer);
                why
            })?;
            if ended(&own, &pending, &body, now).await.map_err(unwritable)? {
                return Ok(());
            }
        }
        let why = "the answer is still being made: cancel it first";
        Err(Refusal::new(RefusalKind::InvalidRequest, why))
    };
    let paid = gw.tasks.spawn_on(paid, &gw.cold).await;
    paid.unwrap_or_else(|_| Err(handle::panicked()))
}

/// Sets aside again what an earlier process had set aside, and what other nodes have.
pub(crate) async fn restore(gw: &Gateway) -> Result<(), StoreError> {
    let holdings = gw.store.pending_holdings().await?;
    if holdings.is_empty() {
        return Ok(());
    }
    let now = Now::read();
    let mut keys = HashMap::new();
    for hash in holdings.iter().filter_map(|holding| holding.key) {
        // One that is gone has no limits.
        if let Ok(key) = gw.keys.look_up(&gw.store, &hash, now).await {
            keys.insert(hash.0, key);
        }
    }
    // What was paid for before its key was read is in the key's spend.
    let still = ids(gw).await?;
    let still_held = holdings.iter().filter(|holding| still.contains(&holding.id));
    for holding in still_held {
        if let Some(key) = holding.key.and_then(|hash| keys.get(&hash.0)) {
            gw.background.hold(holding.id, Hold::restored(key, holding.held));
        }
    }
    info!(count = still.len(), "{} answers in the background are to be paid for", still.len());
    Ok(())
}

async fn ids(gw: &Gateway) -> Result<HashSet<Uuid>, StoreError> {
    let holdings = gw.store.pending_holdings().await?;
    Ok(holdings.into_iter().map(|holding| holding.id).collect())
}

fn unwritable(error: StoreError) -> Refusal {
    warn!(%error, "an answer in the background cannot be written down");
    let why = "an answer in the background is paid for when it has ended, and that cannot be \
               written down just now: the database does not answer";
    Refusal::new(RefusalKind::StorageUnavailable, why).retry_after_s(5)
}

fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
