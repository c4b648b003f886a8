//! F21 and F22: the client goes, and the upstream sees it. And places at a target.

use std::time::Duration;

use tollgate_testkit::evil::{EvilUpstream, acts};

use crate::rig::{EVENT, OK, Rig, stream, until};

#[tokio::test]
async fn f21_a_client_that_leaves_before_the_answer_hangs_up_on_the_upstream() {
    let a = EvilUpstream::start(acts::read_and_sleep()).await;
    let mut rig = Rig::new(&[a.url()]);
    let gone = tokio::time::timeout(Duration::from_millis(100), rig.ask()).await;
    assert!(gone.is_err());
    until("the upstream sees the hang-up", || a.deserted() == 1).await;
    let group = rig.table().group("g").unwrap().group;
    assert_eq!(group.members[0].health.in_flight(), 0);
}

#[tokio::test]
async fn f22_a_client_that_leaves_in_the_middle_hangs_up_on_the_upstream() {
    let a = EvilUpstream::start(acts::stall_after(EVENT)).await;
    let mut rig = Rig::new(&[a.url()]).streaming();
    let (_, live) = rig.answered().await;
    let (_, body) = stream(live);
    assert_eq!(a.deserted(), 0);
    drop(body);
    until("the upstream sees the hang-up", || a.deserted() == 1).await;
    assert_eq!(rig.client.open_connections(), 0);
}

#[tokio::test]
async fn a_full_target_is_passed_over() {
    let busy = EvilUpstream::start(acts::stall_after(EVENT)).await;
    let idle = EvilUpstream::start(acts::answer([acts::SSE_HEAD, EVENT].concat())).await;
    let mut rig = Rig::new(&[busy.url(), idle.url()])
        .streaming()
        .each(|member| member.max_parallel = Some(1));
    let (id, first) = rig.answered().await;
    assert_eq!(&*id, "a");
    let (id, second) = rig.answered().await;
    assert_eq!((&*id, second.attempts, second.retries), ("b", 1, 0));
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code, failed.attempts), (503, "no_healthy_target", 0));
    assert_eq!(failed.refusal.retry_after_s, Some(1));
    drop(first);
    assert_eq!(rig.answered().await.0, "a");
    drop(second);
}

/// The SDK runs on runtimes with many threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_futures_may_move_between_threads() {
    let a = EvilUpstream::start(acts::answer(acts::whole("200 OK", "application/json", OK))).await;
    let mut rig = Rig::new(&[a.url()]);
    let id = tokio::spawn(async move { rig.answered().await.0 }).await.unwrap();
    assert_eq!(id, "a");
}
