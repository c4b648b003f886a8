//! F05, F06, F08, F09: nobody there, or nobody who answers.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tollgate_testkit::evil::{EvilUpstream, acts};

use crate::rig::{OK, Rig, until};

/// A port that refuses.
async fn refused_port() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn answers() -> EvilUpstream {
    EvilUpstream::start(acts::answer(acts::whole("200 OK", "application/json", OK))).await
}

#[tokio::test]
async fn f05_a_refused_connection_is_502_at_once() {
    let started = Instant::now();
    let (status, code, failed) = Rig::new(&[refused_port().await]).retries(0).refused().await;
    assert_eq!((status, &*code, failed.attempts), (502, "upstream_unreachable", 1));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn f05_the_next_target_is_asked_without_a_wait() {
    let b = answers().await;
    let started = Instant::now();
    let (id, live) = Rig::new(&[refused_port().await, b.url()]).answered().await;
    assert_eq!((&*id, live.attempts), ("b", 2));
    assert!(started.elapsed() < Duration::from_millis(400));
}

#[tokio::test]
async fn f05_a_name_that_does_not_resolve_is_502() {
    let rig = Rig::new(&["http://no-such-host.invalid/v1".to_owned()]).retries(0);
    let (status, code, _) = { rig }.refused().await;
    assert_eq!((status, &*code), (502, "upstream_dns"));
}

#[tokio::test]
async fn a_base_url_that_is_none_is_502_and_not_repeated() {
    for base in ["nonsense", "ftp://x/v1", "http://user:secret@host/v1"] {
        let (status, code, failed) = Rig::new(&[base.to_owned()]).retries(0).refused().await;
        assert_eq!((status, &*code), (502, "upstream_unreachable"));
        assert!(!format!("{:?}", failed.refusal).contains(base));
    }
}

/// A listener whose queue is full: further connections are neither taken nor refused.
async fn blackhole() -> (SocketAddr, impl Sized) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queue = Vec::new();
    for _ in 0..4 {
        let connect = tokio::net::TcpStream::connect(addr);
        queue.extend(tokio::time::timeout(Duration::from_millis(100), connect).await);
    }
    (addr, (socket, queue))
}

#[tokio::test]
async fn f06_a_connection_that_is_never_made_is_504_at_the_connect_timeout() {
    let (addr, _full) = blackhole().await;
    let started = Instant::now();
    let mut rig =
        Rig::new(&[format!("http://{addr}")]).timeouts(|times| times.connect_ms = 300).retries(0);
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code, failed.attempts), (504, "upstream_connect_timeout", 1));
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(900), "{took:?}");
}

#[tokio::test]
async fn f08_a_handshake_that_never_ends_is_504_and_hinders_nobody() {
    let (a, b) = (EvilUpstream::start(acts::accept_and_sleep()).await, answers().await);
    let mut slow = Rig::new(&[a.url().replace("http:", "https:")])
        .timeouts(|times| times.connect_ms = 300)
        .retries(0);
    let mut healthy = Rig::new(&[b.url()]);
    let started = Instant::now();
    let ((status, code, _), quick) = tokio::join!(slow.refused(), async {
        healthy.answered().await;
        started.elapsed()
    });
    assert_eq!((status, &*code), (504, "upstream_connect_timeout"));
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(quick < Duration::from_millis(250), "{quick:?}");
}

#[tokio::test]
async fn f09_no_answer_is_504_without_a_second_call_of_the_same_target() {
    let a = EvilUpstream::start(acts::read_and_sleep()).await;
    let mut rig = Rig::new(&[a.url()]).timeouts(|times| times.first_byte_ms = 100);
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code, failed.attempts), (504, "upstream_timeout", 1));
    assert_eq!(a.heads().len(), 1);
    until("the upstream sees the hang-up", || a.deserted() == 1).await;
}

#[tokio::test]
async fn f09_another_target_may_be_asked() {
    let (a, b) = (EvilUpstream::start(acts::read_and_sleep()).await, answers().await);
    let mut rig = Rig::new(&[a.url(), b.url()]).each(|member| member.timeouts.first_byte_ms = 300);
    let (id, live) = rig.answered().await;
    assert_eq!((&*id, live.attempts), ("b", 2));
}

#[tokio::test]
async fn the_deadline_of_the_whole_request_ends_it() {
    let a = EvilUpstream::start(acts::read_and_sleep()).await;
    let b = EvilUpstream::start(acts::read_and_sleep()).await;
    let mut rig = Rig::new(&[a.url(), b.url()]).rules(|rules| rules.policy.timeout_ms = 200);
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code, failed.attempts), (504, "deadline", 1));
    assert_eq!(b.accepted(), 0);
}
