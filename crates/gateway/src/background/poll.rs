//! Asks providers about answers in the background until they have ended. One task a process; which
//! of them asks for an answer, the database decides.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use tokio::sync::Semaphore;
use tollgate_router::Member;
use tollgate_store::{Pending, StoreError};
use tollgate_wire::{Dialect, Target};
use tracing::{debug, warn};

use super::{Kept, asked, ended, ids, paid_by_another, settle, us};
use crate::{
    core::{Gateway, Snapshot},
    now::Now,
};

/// Answers that are asked for at once.
const AT_ONCE: usize = 32;
/// How long nobody else asks for an answer that is being asked for: longer than that may take.
const LEASE: Duration = Duration::from_secs(30);
/// Pauses between two questions about an answer: an eighth of its age, within these.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A provider that has not heard of an answer this many times in a row has forgotten it.
const MISSES: u32 = 3;
/// Longest time without a look at the database: another node may have died.
const IDLE: Duration = Duration::from_secs(30);
/// Least time between two looks.
const BREATH: Duration = Duration::from_millis(50);
/// Time between two looks for a target that is configured no more.
const WITHOUT_TARGET: Duration = Duration::from_secs(600);
/// Time between two looks while the database is away.
const AFTER_TROUBLE: Duration = Duration::from_secs(5);

/// Starts asking. It ends when a shutdown is asked for.
pub fn start(gw: &Arc<Gateway>) {
    let own = Arc::clone(gw);
    // Not a tracked task: shutdown must not wait for it.
    gw.cold.spawn(async move {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        // While the keys are read, one more to read would be one more connection, kept for a minute.
        tokio::time::sleep(PAUSES.0).await;
        let mut compared = Instant::now();
        while own.is_ready() {
            let mut looked = look(&own, &places).await;
            if looked.is_ok() && compared.elapsed() >= IDLE {
                compared = Instant::now();
                looked = compare(&own).await.and(looked);
            }
            let wait = looked.unwrap_or_else(|error| {
                if own.is_ready() {
                    warn!(%error, "answers in the background wait: {error}");
                }
                AFTER_TROUBLE
            });
            tokio::time::sleep(BREATH).await;
            // Whatever changes wakes; else the time comes.
            let _ = tokio::time::timeout(wait, own.background.wake.notified()).await;
        }
    });
}

/// How long to wait with a question about an answer that is so old, in µs.
pub(super) fn pause_us(age_us: i64) -> i64 {
    (age_us / 8).clamp(us(PAUSES.0), us(PAUSES.1))
}

/// Has those asked for that are due; how long to wait until the next is.
async fn look(gw: &Arc<Gateway>, places: &Arc<Semaphore>) -> Result<Duration, StoreError> {
    let now = Now::read();
    let (_, due_us) = gw.store.pending_count().await?;
    let Some(due_us) = due_us else { return Ok(IDLE) };
    if due_us > now.unix_us {
        let wait_us = u64::try_from(due_us - now.unix_us).unwrap_or_default();
        return Ok(Duration::from_micros(wait_us).min(IDLE));
    }
    let free = places.available_permits();
    if free == 0 {
        return Ok(IDLE);
    }
    let until_us = now.unix_us.saturating_add(us(LEASE));
    for pending in gw.store.claim_pending(now.unix_us, until_us, free as u64).await? {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else { break };
        let own = Arc::clone(gw);
        gw.cold_task(async move {
            if let Err(error) = ask(&own, &pending).await {
                warn!(%error, request.id = %pending.id, "the answer of request `{}` is asked for again", pending.id);
            }
            drop(place);
            own.background.wake.notify_one();
        });
    }
    Ok(Duration::ZERO)
}

/// Asks for an answer, and pays for it if it has ended or is lost.
async fn ask(gw: &Arc<Gateway>, pending: &Pending) -> Result<(), StoreError> {
    let Some(kept) = Kept::of(pending) else { return Ok(()) };
    let now = Now::read();
    let mut missed = 0;
    let mut pause = pause_us(now.unix_us.saturating_sub(kept.row.started_us));
    match target(&gw.snapshot.load(), &kept) {
        Some(to) => match asked(gw, Method::GET, &to, &kept.answer, "", now).await {
            Ok(body) if ended(gw, pending, &body, now).await? => return Ok(()),
            Ok(_) => {}
            Err(fault) if fault.status == Some(404) => missed = pending.missed + 1,
            Err(fault) => {
                missed = pending.missed;
                debug!(request.id = %pending.id, "asking for the answer of request `{}`: {}", pending.id, fault.message);
            }
        },
        None => {
            let target = &kept.row.target;
            let left_min = pending.deadline_us.saturating_sub(now.unix_us) / 60_000_000;
            warn!(%target, request.id = %pending.id, "the target `{target}` is configured no more: the answer of request `{}` is paid for by an estimate if it is not back in {left_min} minutes", pending.id);
            pause = us(WITHOUT_TARGET);
        }
    }
    let why = match () {
        () if missed >= MISSES => "answer_lost",
        () if now.unix_us >= pending.deadline_us => "answer_overdue",
        () => {
            let due_us = now.unix_us.saturating_add(pause).min(pending.deadline_us);
            return gw.store.put_pending_off(pending.id, due_us.max(now.unix_us), missed).await;
        }
    };
    warn!(request.id = %pending.id, "the answer of request `{}` is paid for by an estimate: {why}", pending.id);
    settle(gw, kept.lost(why, now.unix_us)).await
}

/// The target that has begun with an answer, or another one at the same place.
fn target(snapshot: &Snapshot, kept: &Kept) -> Option<Arc<Target>> {
    let row = &kept.row;
    let asked = snapshot.table.group(&row.group).map(|found| found.group);
    let groups = || asked.iter().chain(snapshot.table.groups());
    let find = |fits: &dyn Fn(&Target) -> bool| {
        let mut members = groups().flat_map(|group| &group.members);
        members.find_map(|member: &Member| {
            let target = member.target_for(Dialect::Responses);
            (target.dialect == Dialect::Responses && fits(target)).then(|| Arc::clone(target))
        })
    };
    let there = |to: &Target| to.provider.name == row.provider && to.base == row.api_base;
    find(&|to| to.id == row.target && there(to)).or_else(|| find(&there))
}

/// What another node has paid for meanwhile is no longer set aside here.
async fn compare(gw: &Gateway) -> Result<(), StoreError> {
    let held: Vec<_> = gw.background.held().keys().copied().collect();
    if held.is_empty() {
        return Ok(());
    }
    let still = ids(gw).await?;
    for id in held.into_iter().filter(|id| !still.contains(id)) {
        // Whoever pays for it here has finished, and has taken it.
        let _turn = gw.keys.turn().await;
        let hold = gw.background.release(id);
        paid_by_another(gw, id, hold).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn young_answers_are_asked_for_often() {
        for (age_s, pause_s) in [(0, 1), (8, 1), (16, 2), (80, 10), (600, 30), (86_400, 30)] {
            assert_eq!(pause_us(age_s * 1_000_000), pause_s * 1_000_000);
        }
    }
}
