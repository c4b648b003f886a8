//! F17 and its kin: answers that are not what they should be.

use tollgate_testkit::{
    evil::{EvilUpstream, Step, acts},
    scripted::ScriptedUpstream,
};

use crate::rig::{ERROR, OK, Rig, whole};

async fn bad(what: &str, act: Vec<Step>) {
    for stream in [false, true] {
        let a = EvilUpstream::start(act.clone()).await;
        let mut rig = Rig::new(&[a.url()]).retries(0);
        if stream {
            rig = rig.streaming();
        }
        let (status, code, _) = rig.refused().await;
        assert_eq!((status, &*code), (502, "upstream_bad_response"), "{what}, stream: {stream}");
    }
}

#[tokio::test]
async fn f17_what_is_no_answer_is_502() {
    bad("html", acts::html()).await;
    bad("empty", acts::empty_200()).await;
    bad("204", acts::no_content()).await;
    bad("no http", acts::not_http()).await;
    bad("garbage", acts::answer(acts::whole("200 OK", "application/json", "{\"id\": "))).await;
    bad("1 MiB of headers", acts::huge_headers(1 << 20)).await;
    bad("two lengths", acts::two_lengths(OK)).await;
    bad("compressed", acts::gzip_bomb(4)).await;
    bad("switching protocols", acts::answer("HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n")).await;
    let short = acts::whole("200 OK", "application/json", OK);
    let short = String::from_utf8(short.to_vec()).unwrap();
    let length = format!("content-length: {}", OK.len());
    let short = short.replace(&length, "content-length: 20");
    bad("a length that is too short", acts::answer(short)).await;
}

#[tokio::test]
async fn f17_a_flood_of_interim_answers_ends_early() {
    let a = EvilUpstream::start(acts::info_flood(1_000_000)).await;
    let (status, code, _) = Rig::new(&[a.url()]).retries(0).refused().await;
    assert_eq!((status, &*code), (502, "upstream_bad_response"));
    assert!(a.written() < 8 << 20, "{} bytes were taken", a.written());
}

#[tokio::test]
async fn f17_a_few_interim_answers_are_fine() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(3);
    let ok = acts::whole("200 OK", "application/json", OK);
    let a = EvilUpstream::start(acts::answer([early.as_bytes(), &ok].concat())).await;
    Rig::new(&[a.url()]).answered().await;
}

#[tokio::test]
async fn f17_an_answer_shorter_than_announced_is_502() {
    let a = EvilUpstream::start(acts::short_body(OK, 10)).await;
    let (status, code, _) = Rig::new(&[a.url()]).retries(0).refused().await;
    assert_eq!((status, &*code), (502, "upstream_disconnected"));
}

#[tokio::test]
async fn f17_an_endless_answer_is_given_up() {
    let a = EvilUpstream::start(acts::endless_body(200)).await;
    let (status, code, _) = Rig::new(&[a.url()]).retries(0).refused().await;
    assert_eq!((status, &*code), (502, "upstream_bad_response"));
    assert!(a.written() < 100 << 20);
}

#[tokio::test]
async fn an_error_with_status_200_is_the_error_that_it_says() {
    let limited = r#"{"error":{"message":"slow down","code":429}}"#;
    for stream in [false, true] {
        for (body, expect) in [(ERROR, 502), (limited, 429)] {
            let act = acts::answer(acts::whole("200 OK", "application/json", body));
            let a = EvilUpstream::start(act).await;
            let mut rig = Rig::new(&[a.url()]).retries(0);
            if stream {
                rig = rig.streaming();
            }
            assert_eq!(rig.refused().await.0, expect, "{body}, stream: {stream}");
        }
    }
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_is_no_answer() {
    let act = acts::answer(acts::whole("200 OK", "application/json", OK));
    let a = EvilUpstream::start(act).await;
    let (status, code, _) = Rig::new(&[a.url()]).streaming().retries(0).refused().await;
    assert_eq!((status, &*code), (502, "upstream_bad_response"));
}

#[tokio::test]
async fn an_errors_body_that_never_ends_is_cut_off() {
    let head = "HTTP/1.1 400 No\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let mut act = acts::answer(head);
    act.push(Step::Repeat(vec![b'x'; 1 << 16].into(), 10_000));
    let a = EvilUpstream::start(act).await;
    let (status, _, failed) = Rig::new(&[a.url()]).refused().await;
    assert_eq!(status, 400);
    assert!(failed.last.unwrap().1.body.len() <= 64 * 1024);
    assert!(a.written() < 64 << 20);
}

#[tokio::test]
async fn a_good_answer_says_who_and_how_often() {
    let a = ScriptedUpstream::start().await;
    let mut rig = Rig::new(&[format!("{}/v1", a.url())]);
    let (id, live) = rig.answered().await;
    assert_eq!(&*id, "a");
    assert_eq!((live.attempts, live.retries, live.fallbacks), (1, 0, 0));
    assert_eq!(live.status, 200);
    assert!(live.answered_after >= live.started_after);
    assert!(live.upstream_headers.get(&http::header::CONTENT_TYPE).is_some());
    assert!(!whole(&live).is_empty());
    let request = a.last();
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.header("accept-encoding"), "identity");
    assert!(request.header("user-agent").starts_with("tollgate/"));
    assert_eq!(request.header("host"), a.addr().to_string());
    assert_eq!(request.header("content-length"), request.body.len().to_string());
    assert_eq!(request.header("authorization"), format!("Bearer {}", crate::rig::KEY));
}
