//! Answers of responses that their provider keeps: fetched and deleted by the tenant that they were
//! given to.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use http::{HeaderMap, Method, Uri};
use tollgate_router::{Member, refusal, stored};
use tollgate_wire::{
    Dialect, Refusal, RefusalKind, Target,
    exchange::{
        seal::{Place, Tenant},
        stored as wire,
    },
    matrix,
};
use uuid::Uuid;

use crate::{
    ask, auth,
    core::{Core, Snapshot},
    now::Now,
    reply::{self, Outgoing},
};

/// A request for an answer that is kept.
pub struct Wanted {
    method: Method,
    /// The answer's id, as the client knows it.
    answer: String,
    /// What follows it in the path: nothing, or `/input_items`.
    tail: &'static str,
    query: Option<String>,
    headers: HeaderMap,
}

/// What a request wants, if it is one of these.
pub fn wanted(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Wanted> {
    let (answer, tail) = matrix::stored(uri.path())?;
    let known = method == Method::GET || (method == Method::DELETE && tail.is_empty());
    known.then(|| Wanted {
        method: method.clone(),
        answer: answer.to_owned(),
        tail,
        query: uri.query().map(str::to_owned),
        headers: headers.clone(),
    })
}

/// The answer to such a request, whatever happens. It costs nothing, so nothing is written down.
pub async fn answer(core: &Arc<Core>, wanted: Wanted, now: Now) -> Outgoing {
    let id = now.request_id();
    let failed = |why: Refusal| reply::refuse(Dialect::Responses, &why, id);
    match AssertUnwindSafe(find(core, wanted, id, now)).catch_unwind().await {
        Ok(Ok(out)) => out,
        Ok(Err(why)) => failed(why),
        Err(_) => failed(Refusal::new(RefusalKind::Internal, "something went wrong here")),
    }
}

async fn find(core: &Arc<Core>, wanted: Wanted, id: Uuid, now: Now) -> Result<Outgoing, Refusal> {
    let gw = &core.gw;
    let snapshot = gw.snapshot.load_full();
    let caller = auth::identify(gw, &snapshot, &wanted.headers, now).await?;
    let tenant = ask::tenant(gw, &snapshot, &caller);
    let (place, kept) = tenant.open(&wanted.answer).ok_or_else(|| not_found(&wanted.answer))?;
    let (member, to) = target(&snapshot, &tenant, place)
        .filter(|_| wire::is_plain(&kept))
        .ok_or_else(|| not_found(&wanted.answer))?;
    let query = wanted.query.as_deref().unwrap_or_default();
    if query.split('&').any(|pair| pair == "stream=true") {
        let why = "an answer that is kept is not streamed: ask for it without `stream`";
        return Err(Refusal::new(RefusalKind::Unsupported, why).param("stream"));
    }
    let question = if query.is_empty() { "" } else { "?" };
    let tail = [wanted.tail, question, query].concat();
    let call = wire::call(to, &kept, &tail)
        .map_err(|why| Refusal::new(RefusalKind::Unsupported, why.to_string()))?;
    let fetched = stored::fetch(&core.client, wanted.method, to, call, member.timeouts).await;
    let body = fetched.map_err(|fault| {
        let mut why = refusal(&fault);
        // The provider's own id is not shown.
        why.message = why.message.replace(&kept, &wanted.answer);
        why
    })?;
    Ok(reply::whole(wire::answer(&tenant, place, body), id))
}

/// A target that the answer can be found at.
fn target<'a>(
    snapshot: &'a Snapshot,
    tenant: &Tenant,
    place: Place,
) -> Option<(&'a Member, &'a Target)> {
    let members = snapshot.table.groups().flat_map(|group| &group.members);
    members
        .filter(|member| member.speaks(Dialect::Responses))
        .map(|member| (member, &**member.target_for(Dialect::Responses)))
        .find(|(_, target)| tenant.place(target) == place)
}

fn not_found(id: &str) -> Refusal {
    let id: String = id.chars().filter(|c| !c.is_control()).take(200).collect();
    Refusal::new(RefusalKind::NotFound, format!("Response with id '{id}' not found."))
}
