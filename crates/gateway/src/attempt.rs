//! The first target that answers.

use tollgate_router::{Client, Failed, Live, Plan};

use crate::{ask::Ask, core::Snapshot, now::Now};

/// Tries the plan's targets until one has given its first event, or its whole answer.
pub async fn first_answer(
    client: &Client,
    snapshot: &Snapshot,
    ask: &Ask,
    plan: &Plan,
    now: Now,
) -> Result<Live, Box<Failed>> {
    #[cfg(test)]
    crate::handle::tests::panic_where_asked(ask);
    tollgate_router::first_answer(tollgate_router::Ask {
        client,
        table: &snapshot.table,
        plan,
        operation: ask.operation,
        payload: &ask.payload,
        shown_model: &ask.payload.peek.model,
        now_ms: now.unix_ms(),
        started: now.mono.into(),
    })
    .await
}
