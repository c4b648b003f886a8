//! Answers of responses that their provider keeps: fetched and deleted by the tenant that they were
//! given to.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use http::{HeaderMap, Method, Uri};
use tollgate_router::{Member, Timeouts, refusal, stored};
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
    ask, auth, background,
    core::{Core, Snapshot},
    now::Now,
    reply::{self, Outgoing},
    resumed::Resumed,
};

/// A request for an answer that is kept.
pub struct Wanted {
    method: Method,
    /// The answer's id, as the client knows it.
    answer: String,
    /// What follows it in the path: nothing, `/input_items` or `/cancel`.
    tail: &'static str,
    query: Option<String>,
    headers: HeaderMap,
}

/// What a request wants, if it is one of these.
pub fn wanted(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Wanted> {
    let (answer, tail) = matrix::stored(uri.path())?;
    let known = match tail {
        "" => method == Method::GET || method == Method::DELETE,
        "/cancel" => method == Method::POST,
        _ => method == Method::GET,
    };
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
    let (timeouts, to) = target(&snapshot, &tenant, place)
        .filter(|_| wire::is_plain(&kept))
        .ok_or_else(|| not_found(&wanted.answer))?;
    let query = wanted.query.as_deref().unwrap_or_default();
    let streamed = wanted.tail.is_empty() && query.split('&').any(|pair| pair == "stream=true");
    let query = wire::query(&tenant, place, query).ok_or_else(|| not_found(query))?;
    let call = wire::call(&to, &kept, wanted.tail, &query, streamed)
        .map_err(|why| Refusal::new(RefusalKind::Unsupported, why.to_string()))?;
    let (client, now_s) = (&core.client, now.unix_ms() / 1_000);
    let failed = |fault| {
        let mut why = refusal(&fault);
        // The provider's own id is not shown.
        why.message = why.message.replace(&kept, &wanted.answer);
        why
    };
    if streamed && wanted.method == Method::GET {
        let stream = stored::stream(client, &to, call, timeouts, now_s).await.map_err(failed)?;
        return Ok(reply::resumed(Resumed::new(wire::resumed(&tenant, place), stream), id));
    }
    if wanted.method == Method::DELETE {
        background::before_deletion(gw, wanted.answer.clone(), Arc::clone(&to), now).await?;
    }
    let fetched = stored::fetch(client, wanted.method, &to, call, timeouts, now_s).await;
    let body = fetched.map_err(failed)?;
    background::seen(gw, &wanted.answer, &body);
    Ok(reply::whole(wire::answer(&tenant, place, body), id))
}

/// A model of any provider: which one it is does not matter where answers are kept.
const ANY_MODEL: &str = "any";

/// A target that the answer can be found at, and how long it may take.
fn target(snapshot: &Snapshot, tenant: &Tenant, place: Place) -> Option<(Timeouts, Arc<Target>)> {
    let there = |member: &Member| {
        let target = member.target_for(Dialect::Responses);
        let found = target.dialect == Dialect::Responses && tenant.place(target) == place;
        found.then(|| (member.timeouts, target.clone()))
    };
    let mut members = snapshot.table.groups().flat_map(|group| &group.members);
    members.find_map(there).or_else(|| {
        // Behind a wildcard, only the name of a model says which provider it is.
        let providers = snapshot.catalogue.providers();
        let names: Vec<String> =
            providers.map(|provider| format!("{}/{ANY_MODEL}", provider.name)).collect();
        let names = std::iter::once(ANY_MODEL).chain(names.iter().map(String::as_str));
        snapshot.table.made_of(names).iter().find_map(there)
    })
}

fn not_found(id: &str) -> Refusal {
    let id: String = id.chars().filter(|c| !c.is_control()).take(200).collect();
    Refusal::new(RefusalKind::NotFound, format!("Response with id '{id}' not found."))
}
