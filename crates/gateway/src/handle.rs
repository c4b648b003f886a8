//! The life of a request: every stage is one function, in the file of the same name. Each returns
//! what the next one needs, so their order is the only one that compiles.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use http_body::Body;
use tollgate_wire::{Dialect, Operation, Refusal, RefusalKind};
use uuid::Uuid;

use crate::{
    ask, attempt, auth, background,
    core::Core,
    count, limits,
    now::Now,
    reply::{self, Outgoing},
    route,
    tab::Tab,
};

/// A request as it came from the wire, with what its path means.
pub struct Incoming<B> {
    /// Its id: in the answer's headers and in the usage row.
    pub id: Uuid,
    /// What is wanted.
    pub operation: Operation,
    /// How the client spells it.
    pub surface: Dialect,
    /// What its path says of the model, where the dialect has it there.
    pub named: Option<Named>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, not read yet.
    pub body: B,
    /// The address of who sent it: a text, because a connection has it for all of its requests.
    pub ip: Option<Arc<str>>,
}

/// What a path says of a request: see [`tollgate_wire::matrix::Named`].
#[derive(Debug, Clone)]
pub struct Named {
    /// The model asked for.
    pub model: String,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the stream is to be a JSON list and not events: what the path's query says.
    pub listed: bool,
}

/// The answer to a request, whatever happens. A panic is one request's misfortune, not its
/// neighbours'.
pub async fn answer<B>(core: &Arc<Core>, incoming: Incoming<B>, now: Now) -> Outgoing
where
    B: Body<Data = Bytes> + Unpin,
{
    let (surface, id) = (incoming.surface, incoming.id);
    match AssertUnwindSafe(handle(core, incoming, now)).catch_unwind().await {
        Ok(Ok(out)) => out,
        Ok(Err(why)) => reply::refuse(surface, &why, id),
        Err(_) => reply::refuse(surface, &panicked(), id),
    }
}

/// From a request to its answer. An `Err` is spelled in the client's dialect by [`reply::refuse`].
async fn handle<B>(core: &Arc<Core>, incoming: Incoming<B>, now: Now) -> Result<Outgoing, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let gw = &core.gw;
    let view = core.view();
    let snapshot = &view.snapshot;

    // Who is asking? From here on, whatever happens leaves exactly one usage row.
    let caller = auth::identify(gw, snapshot, &incoming.headers, now).await?;
    let mut tab = Tab::open(core, &caller, &incoming, now);
    // What for?
    let ask = ask::read(snapshot, incoming, now).await;
    let ask = ask.map(|ask| ask::owned(ask, gw, snapshot, &caller));
    let ask = tab.note(ask)?;
    tab.asks(&ask);
    // Which targets, in which order?
    let plan = route::plan_for(&view, &caller, &ask, now, fastrand::u64(..));
    let plan = tab.note(plan)?;
    // Rates, parallel requests, budget: all or nothing. The hold is given back when the tab closes.
    let hold = limits::reserve(core, snapshot, caller.key(), &ask, &plan, now);
    tab.hold = tab.note(hold.and_then(|hold| can_write(core, now).map(|()| hold)))?;
    if ask.background {
        // Boxed: few ask so, and it would make the future of every request large.
        return Box::pin(background::begin(core, Arc::clone(snapshot), tab, ask, plan)).await;
    }
    // The first target that answers; after its first byte there is no fallback.
    match attempt::first_answer(&core.client, snapshot, &ask, &plan, now).await {
        Ok(live) => {
            let out = reply::answer(tab, live, &ask.payload.peek.model);
            // Whoever sees the last byte of a whole answer can rely on its row.
            core.durable().await;
            Ok(out)
        }
        Err(failed) if count::may_stand_in(&ask, &failed) => count::answer(tab, &ask),
        Err(failed) => Err(tab.close_failed(*failed)),
    }
}

/// Nothing is served that cannot be written down.
fn can_write(core: &Core, now: Now) -> Result<(), Refusal> {
    if core.can_write(now) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::StorageUnavailable,
        "usage cannot be written down just now, so nothing is served: the data folder's disk is \
         full or gone",
    )
    .retry_after_s(5))
}

/// What a client sees of a panic.
pub(crate) fn panicked() -> Refusal {
    Refusal::new(RefusalKind::Internal, "something went wrong here; the request was not charged")
}

#[cfg(test)]
pub(crate) mod tests;
