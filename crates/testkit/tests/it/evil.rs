use bytes::Bytes;
use std::time::Duration;
use tollgate_testkit::{Canary, EvilUpstream, Step, call, evil::acts};

#[tokio::test]
async fn cuts_by_fin_and_by_reset() {
    for how in [Step::Fin, Step::Rst] {
        let reset = matches!(how, Step::Rst);
        let up =
            EvilUpstream::start(acts::cut_stream(b"data: one\n\ndata: two\n\n", 15, how)).await;
        let answer = call::call("POST", &up.url(), &[], "{}").await;
        assert_eq!(answer.text(), "data: one\n\ndata");
        assert_eq!(answer.broken, reset);
        assert!(up.heads()[0].starts_with("POST / HTTP/1.1\r\n"));
    }
}

#[tokio::test]
async fn announces_more_than_it_sends() {
    let up = EvilUpstream::start(acts::short_body("{}", 5)).await;
    assert!(call::call("POST", &up.url(), &[], "{}").await.broken);
    let up = EvilUpstream::start(acts::cut_chunk("data: x\n\n")).await;
    assert!(call::call("POST", &up.url(), &[], "{}").await.broken);
}

#[tokio::test]
async fn packs_a_bomb() {
    let up = EvilUpstream::start(acts::gzip_bomb(4)).await;
    let answer = call::call("POST", &up.url(), &[], "{}").await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert!(answer.body().len() < 8192, "{}", answer.body().len());
}

#[tokio::test]
async fn keeps_a_connection_for_a_second_request() {
    let ok = acts::whole("200 OK", "application/json", "{}");
    let up = EvilUpstream::sequence(vec![
        acts::close_when_idle(ok.clone()),
        [acts::answer(ok.clone()), acts::answer(ok)].concat(),
    ])
    .await;
    for _ in 0..2 {
        assert_eq!(call::call("POST", &up.url(), &[], "{}").await.text(), "{}");
    }
    assert_eq!(up.accepted(), 2);
}

#[tokio::test]
async fn floods_until_the_victim_leaves() {
    let up = EvilUpstream::start(acts::endless_line(64)).await;
    let mut open = call::open("POST", &up.url(), &[], Bytes::new()).await.unwrap();
    open.chunk().await.unwrap().unwrap();
    drop(open);
    tokio::time::timeout(Duration::from_secs(5), async {
        while up.deserted() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    assert!(up.written() < 64 << 20);
}

#[tokio::test]
async fn a_canary_counts() {
    let canary = Canary::start().await;
    let up = EvilUpstream::start(acts::redirect(307, &canary.url())).await;
    let answer = call::call("POST", &up.url(), &[], "{}").await;
    assert_eq!(answer.header("location"), canary.url());
    assert_eq!((canary.connects(), canary.bytes()), (0, 0));
    let url = canary.url();
    let ping = call::open("POST", &url, &[], "secret");
    assert!(tokio::time::timeout(Duration::from_millis(50), ping).await.is_err());
    assert_eq!(canary.connects(), 1);
    assert!(canary.bytes() > 0);
}
