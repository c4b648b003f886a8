//! Counts of tokens that no target makes.
//!
//! A count costs nothing and decides little, so trouble with a target is no reason to refuse one:
//! the answer is an estimate then, and says so in `x-tollgate-tokenizer`. What the target finds
//! wrong with the request itself is passed on.

use http::{HeaderValue, StatusCode};
use tollgate_router::Failed;
use tollgate_store::Outcome;
use tollgate_wire::{FaultKind, Operation, Refusal, RefusalKind, exchange::count};

use crate::{
    ask::Ask,
    reply::{self, Outgoing},
    tab::Tab,
};

/// Whether an estimate may take the place of the answer that no target gave.
pub fn may_stand_in(ask: &Ask, failed: &Failed) -> bool {
    let blames_request = failed.last.as_ref().is_some_and(|(_, fault)| {
        matches!(
            fault.kind,
            FaultKind::BadRequest
                | FaultKind::ContextWindow
                | FaultKind::ContentPolicy
                | FaultKind::TooLarge
                | FaultKind::Unprocessable
        )
    });
    ask.operation == Operation::CountTokens
        && !blames_request
        && failed.refusal.kind != RefusalKind::InvalidRequest
}

/// Answers with an estimate.
pub fn answer(mut tab: Tab, ask: &Ask) -> Result<Outgoing, Refusal> {
    let counted = count::locally(ask.surface, &ask.payload).map_err(|why| Refusal {
        param: why.param,
        ..Refusal::new(RefusalKind::InvalidRequest, why.message)
    });
    let body = tab.note(counted)?;
    tab.draft().row.status = StatusCode::OK.as_u16();
    tab.close(Outcome::Ok);
    let mut out = reply::whole(body, tab.id);
    out.headers_mut().insert("x-tollgate-tokenizer", HeaderValue::from_static("estimate"));
    Ok(out)
}
