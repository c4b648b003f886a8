//! F10, and how connections are kept.

use std::time::Duration;

use tollgate_testkit::{
    evil::{EvilUpstream, Step, acts},
    scripted::ScriptedUpstream,
};

use crate::rig::{OK, Rig, stream};

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    let a = ScriptedUpstream::start().await;
    let mut rig = Rig::new(&[format!("{}/v1", a.url())]);
    for _ in 0..5 {
        rig.answered().await;
    }
    assert_eq!(a.accepted(), 1);
    assert_eq!(rig.client.open_connections(), 1);
}

#[tokio::test]
async fn a_stream_that_was_read_to_its_end_leaves_its_connection() {
    let a = ScriptedUpstream::start().await;
    let mut rig = Rig::new(&[a.url()]).streaming();
    for _ in 0..3 {
        let (_, live) = rig.answered().await;
        let (_, mut body) = stream(live);
        while let Some(piece) = body.next().await {
            piece.unwrap();
        }
    }
    assert_eq!(a.accepted(), 1);
}

#[tokio::test]
async fn f10_a_connection_that_was_closed_while_idle_is_replaced_in_silence() {
    let ok = acts::whole("200 OK", "application/json", OK);
    let a = EvilUpstream::start(acts::close_when_idle(ok)).await;
    let mut rig = Rig::new(&[a.url()]);
    for n in 1..=3 {
        let (_, live) = rig.answered().await;
        assert_eq!((live.attempts, live.retries), (1, 0));
        assert_eq!(a.heads().len(), n, "each request arrives once");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn f10_a_close_that_races_the_next_request_is_not_seen_by_it() {
    // No pause: the next request may find the connection closed, closing or still open.
    let ok = acts::whole("200 OK", "application/json", OK);
    let a = EvilUpstream::start(acts::close_when_idle(ok)).await;
    let mut rig = Rig::new(&[a.url()]);
    for n in 1..=50 {
        rig.answered().await;
        assert_eq!(a.heads().len(), n, "each request arrives once");
    }
}

#[tokio::test]
async fn f10_a_request_that_was_sent_is_not_sent_again_in_silence() {
    let ok = acts::whole("200 OK", "application/json", OK);
    let a = EvilUpstream::start(acts::reset_on_reuse(ok)).await;
    let mut rig = Rig::new(&[a.url()]).retries(0);
    rig.answered().await;
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code, failed.attempts), (502, "upstream_disconnected", 1));
    assert_eq!(a.heads().len(), 2);
}

#[tokio::test]
async fn an_answer_that_says_close_is_obeyed() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{OK}", OK.len());
    let mut act = acts::answer(answer);
    act.push(Step::Stall);
    let a = EvilUpstream::start(act).await;
    let mut rig = Rig::new(&[a.url()]);
    rig.answered().await;
    rig.answered().await;
    assert_eq!(a.accepted(), 2);
}

#[tokio::test]
async fn connections_that_are_idle_for_a_minute_are_closed() {
    let a = ScriptedUpstream::start().await;
    let mut rig = Rig::new(&[a.url()]);
    rig.answered().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(59)).await;
    rig.client.sweep();
    assert_eq!(rig.client.open_connections(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    rig.client.sweep();
    assert_eq!(rig.client.open_connections(), 0);
}
