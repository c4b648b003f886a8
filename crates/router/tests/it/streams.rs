//! F11, F12, F16, F20: streams that break, before their first event and after.

use std::time::{Duration, Instant};

use tollgate_testkit::{
    evil::{EvilUpstream, Step, acts},
    scripted::ScriptedUpstream,
};
use tollgate_wire::FaultKind;

use crate::rig::{ERROR, EVENT, Rig, stream, until};

const DONE: &str = "data: [DONE]\n\n";

async fn streams() -> EvilUpstream {
    EvilUpstream::start(acts::answer([acts::SSE_HEAD, EVENT, DONE].concat())).await
}

#[tokio::test]
async fn a_stream_arrives_piece_by_piece() {
    let a = ScriptedUpstream::start().await;
    let mut rig = Rig::new(&[a.url()]).streaming();
    let (_, mut live) = rig.answered().await;
    let mut exchange = std::mem::replace(&mut live.exchange, {
        let (_, other) = rig.answered().await;
        other.exchange
    });
    let (mut out, mut body) = stream(live);
    while let Some(piece) = body.next().await {
        exchange.push(&piece.unwrap(), &mut out).unwrap();
    }
    exchange.end(&mut out).unwrap();
    assert!(exchange.done());
    assert!(out.ends_with(DONE.as_bytes()));
    assert!(body.next().await.is_none(), "the end stays the end");
}

#[tokio::test]
async fn f11_a_stream_cut_before_its_first_event_goes_to_the_next_target() {
    for how in [Step::Fin, Step::Rst] {
        for at in [0, 1, EVENT.len() / 2, EVENT.len() - 1] {
            let a = EvilUpstream::start(acts::cut_stream(EVENT.as_bytes(), at, how.clone())).await;
            let b = streams().await;
            let (id, live) = Rig::new(&[a.url(), b.url()]).streaming().answered().await;
            assert_eq!((&*id, live.attempts), ("b", 2), "{how:?} at {at}");
        }
    }
}

#[tokio::test]
async fn f11_a_stream_cut_after_its_first_event_ends_with_a_fault() {
    let event = [EVENT, "data: {\"id\""].concat();
    let rst = acts::cut_stream(event.as_bytes(), event.len(), Step::Rst);
    for act in [acts::cut_chunk(EVENT), rst] {
        let (a, b) = (EvilUpstream::start(act).await, streams().await);
        let mut rig = Rig::new(&[a.url(), b.url()]).streaming();
        let (id, live) = rig.answered().await;
        assert_eq!(&*id, "a");
        let (first, mut body) = stream(live);
        assert!(!first.is_empty());
        let mut last = None;
        while let Some(piece) = body.next().await {
            last = Some(piece);
        }
        assert_eq!(last.unwrap().unwrap_err().kind, FaultKind::Disconnected);
        assert!(body.next().await.is_none());
        assert_eq!(b.accepted(), 0, "after the first event nobody else is asked");
    }
}

#[tokio::test]
async fn f12_a_stalled_stream_ends_at_the_idle_timeout() {
    let a = EvilUpstream::start(acts::stall_after(EVENT)).await;
    let mut rig = Rig::new(&[a.url()]).streaming().timeouts(|times| times.idle_ms = 150);
    let (_, live) = rig.answered().await;
    let started = Instant::now();
    let (_, mut body) = stream(live);
    let fault = body.next().await.unwrap().unwrap_err();
    assert_eq!(fault.kind, FaultKind::IdleTimeout);
    let group = rig.table().group("g").unwrap().group;
    assert_eq!(group.members[0].health.this_minute(1_000_500), (1, 1));
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(145) && took < Duration::from_millis(600), "{took:?}");
    drop(body);
    until("the upstream sees the hang-up", || a.deserted() == 1).await;
}

#[tokio::test]
async fn f12_a_stream_that_keeps_moving_is_not_idle() {
    let gap = Step::Sleep(Duration::from_millis(100));
    let mut act = acts::answer([acts::SSE_HEAD, EVENT].concat());
    for _ in 0..5 {
        act.extend([gap.clone(), Step::Write(EVENT.into())]);
    }
    act.push(Step::Write(DONE.into()));
    let a = EvilUpstream::start(act).await;
    let mut rig = Rig::new(&[a.url()]).streaming().timeouts(|times| times.idle_ms = 250);
    let (_, live) = rig.answered().await;
    let (_, mut body) = stream(live);
    while let Some(piece) = body.next().await {
        piece.unwrap();
    }
}

#[tokio::test]
async fn f12_a_reader_that_is_slow_is_not_the_upstreams_silence() {
    let mut act = acts::answer([acts::SSE_HEAD, EVENT].concat());
    act.extend([Step::Sleep(Duration::from_millis(400)), Step::Write(EVENT.into())]);
    let a = EvilUpstream::start(act).await;
    let mut rig = Rig::new(&[a.url()]).streaming().timeouts(|times| times.idle_ms = 250);
    let (_, live) = rig.answered().await;
    let (_, mut body) = stream(live);
    tokio::time::sleep(Duration::from_millis(300)).await;
    body.next().await.unwrap().unwrap();
}

#[tokio::test]
async fn f12_a_stream_that_stalls_before_its_first_event_is_504() {
    let a = EvilUpstream::start(acts::stall_after(": hello\n\n")).await;
    let mut rig = Rig::new(&[a.url()]).streaming().timeouts(|times| times.first_byte_ms = 150);
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code, failed.attempts), (504, "upstream_timeout", 1));
}

#[tokio::test]
async fn f16_a_slow_drip_ends_at_the_deadline() {
    let mut act = acts::answer([acts::SSE_HEAD, EVENT].concat());
    act.push(Step::Drip(EVENT.repeat(10).into(), Duration::from_millis(20)));
    let a = EvilUpstream::start(act).await;
    let mut rig = Rig::new(&[a.url()]).streaming().timeouts(|times| times.total_ms = 400);
    let (_, live) = rig.answered().await;
    let started = Instant::now();
    let (_, mut body) = stream(live);
    let mut last = None;
    while let Some(piece) = body.next().await {
        last = Some(piece);
    }
    assert_eq!(last.unwrap().unwrap_err().kind, FaultKind::Deadline);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn f20_an_error_event_instead_of_the_first_goes_to_the_next_target() {
    let event = format!("data: {ERROR}\n\n");
    let a = EvilUpstream::start(acts::answer([acts::SSE_HEAD, &event].concat())).await;
    let b = streams().await;
    let (id, live) = Rig::new(&[a.url(), b.url()]).streaming().answered().await;
    assert_eq!((&*id, live.attempts), ("b", 2));
}

#[tokio::test]
async fn f20_an_error_event_after_the_first_counts_against_the_target() {
    let event = format!("data: {ERROR}\n\n");
    let mut act = acts::answer([acts::SSE_HEAD, EVENT].concat());
    act.extend([Step::Sleep(Duration::from_millis(50)), Step::Write(event.into())]);
    let a = EvilUpstream::start(act).await;
    let mut rig =
        Rig::new(&[a.url()]).streaming().rules(|rules| rules.policy.allowed_fails = Some(0));
    let (_, live) = rig.answered().await;
    let tollgate_router::Live { mut exchange, answer, .. } = live;
    let tollgate_router::Answer::Stream { mut first, mut body } = answer else { panic!("whole") };
    let piece = body.next().await.unwrap().unwrap();
    let fault = exchange.push(&piece, &mut first).unwrap_err();
    let group = rig.table().group("g").unwrap().group;
    let health = &group.members[0].health;
    assert_eq!((health.this_minute(1_000_500), health.in_flight()), ((1, 0), 1));
    body.blame(&fault);
    body.blame(&fault);
    assert_eq!(health.this_minute(1_000_500), (1, 1), "one broken stream is one failure");
    assert!(health.cooling(1_000_500).is_some());
    drop(body);
    assert_eq!(health.in_flight(), 0);
}

#[tokio::test]
async fn f14_a_stream_without_events_is_given_up() {
    let a = EvilUpstream::start(acts::endless_line(64)).await;
    let (status, code, _) = Rig::new(&[a.url()]).streaming().retries(0).refused().await;
    assert_eq!((status, &*code), (502, "upstream_bad_response"));
    assert!(a.written() < 16 << 20, "{} bytes were taken", a.written());
}
