use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A connection, and the end of it that the upstream has.
async fn pair() -> (H1, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (H1::new(Socket::Plain(ours)), listener.accept().await.unwrap().0)
}

fn call(body: &[&str]) -> Call {
    Call {
        path: "/v1/chat?x=1".to_owned(),
        headers: vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CONTENT_LENGTH, HeaderValue::from_static("9999")),
        ],
        body: body.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect(),
    }
}

async fn ask(h1: &mut H1, call: &Call) -> Result<Answered, Failed> {
    h1.ask(&Method::POST, &HeaderValue::from_static("host"), call).await
}

/// All of an answer's body, and whether the connection may be used again.
async fn body(h1: &mut H1, mut answered: Answered) -> Result<(Vec<u8>, bool), Fault> {
    let mut body = Vec::new();
    while let Some(piece) = poll_fn(|cx| h1.poll_piece(cx, &mut answered.body)).await {
        body.extend_from_slice(&piece?);
    }
    Ok((body, answered.reusable && h1.is_idle()))
}

/// What becomes of an answer that is sent in these pieces, the connection then closed.
async fn answered(pieces: &[&[u8]]) -> Result<(u16, Vec<u8>), FaultKind> {
    let (mut h1, mut upstream) = pair().await;
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let sent = tokio::spawn(async move {
        let _ = upstream.read(&mut [0; 4096]).await;
        for piece in pieces {
            if upstream.write_all(&piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    let result = match ask(&mut h1, &call(&["{}"])).await {
        Ok(answered) => {
            let status = answered.status.as_u16();
            body(&mut h1, answered).await.map(|(body, _)| (status, body))
        }
        Err(failed) => Err(failed.fault),
    };
    sent.await.unwrap();
    result.map_err(|fault| fault.kind)
}

#[tokio::test]
async fn a_request_says_where_it_goes_and_how_long_it_is() {
    for pieces in [vec!["{\"a\":", "1}"], vec!["x"; 10_000], vec![]] {
        let (mut h1, mut upstream) = pair().await;
        let call = call(&pieces);
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            let ends = |all: &[u8]| {
                let head = all.windows(4).position(|four| four == b"\r\n\r\n");
                head.is_some_and(|head| all.len() == head + 4 + length)
            };
            while !ends(&all) {
                assert!(upstream.read_buf(&mut all).await.unwrap() > 0);
            }
            upstream.write_all(OK.as_bytes()).await.unwrap();
            String::from_utf8(all).unwrap()
        });
        let answered = ask(&mut h1, &call).await.ok().unwrap();
        assert!(answered.reusable);
        assert_eq!(body(&mut h1, answered).await.unwrap().0, b"hello");
        let (head, sent) = {
            let all = read.await.unwrap();
            let (head, sent) = all.split_once("\r\n\r\n").unwrap();
            (head.to_owned(), sent.to_owned())
        };
        assert_eq!(sent, pieces.concat());
        assert_eq!(
            head,
            format!(
                "POST /v1/chat?x=1 HTTP/1.1\r\nhost: host\r\nuser-agent: tollgate/{}\r\n\
                 accept-encoding: identity\r\ncontent-type: application/json\r\n\
                 content-length: {length}",
                env!("CARGO_PKG_VERSION")
            )
        );
    }
}

#[tokio::test]
async fn a_path_that_would_end_the_request_line_is_not_sent() {
    for path in ["/a b", "/a\r\nx: y", "a", "", "/a#b", "/\u{7f}"] {
        let (mut h1, _upstream) = pair().await;
        let call = Call { path: path.to_owned(), ..call(&[]) };
        let failed = ask(&mut h1, &call).await.err().unwrap();
        assert_eq!((failed.fault.kind, failed.unsent), (FaultKind::Unreachable, false), "{path:?}");
    }
}

#[tokio::test]
async fn bodies_end_where_their_head_says() {
    let said = |status, body: &str| Ok((status, body.as_bytes().to_vec()));
    let one = async |answer: &str| answered(&[answer.as_bytes()]).await;
    assert_eq!(one(OK).await, said(200, "hello"));
    assert_eq!(
        one("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await,
        said(200, "hello")
    );
    assert_eq!(one("HTTP/1.1 200\r\n\r\nhello").await, said(200, "hello"));
    assert_eq!(one("HTTP/1.0 404 No\nx: y\n\nhello").await, said(404, "hello"));
    assert_eq!(one("HTTP/1.1 204 No Content\r\n\r\n").await, said(204, ""));
    assert_eq!(
        one("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await,
        said(200, "")
    );
    for (wrong, kind) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello", FaultKind::Disconnected),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", FaultKind::Disconnected),
        ("HTTP/1.1 200 OK\r\ncontent-le", FaultKind::Disconnected),
        ("", FaultKind::Disconnected),
        ("HTTP/2 200\r\n\r\n", FaultKind::BadResponse),
        ("HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", FaultKind::BadResponse),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello", FaultKind::BadResponse),
        ("HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nhello", FaultKind::BadResponse),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
            FaultKind::BadResponse,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            FaultKind::BadResponse,
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", FaultKind::BadResponse),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", FaultKind::BadResponse),
        ("HTTP/1.1 200 OK\r\nx : y\r\n\r\n", FaultKind::BadResponse),
        ("HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n", FaultKind::BadResponse),
    ] {
        assert_eq!(one(wrong).await, Err(kind), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_only_where_both_ends_are_at_rest() {
    for (answer, reusable) in [
        (OK, true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 1\r\n\r\nx", false),
        ("HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 1\r\n\r\nx", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", false),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\nx", true),
        // Whatever follows an answer was not asked for.
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxy", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK", false),
    ] {
        let (mut h1, mut upstream) = pair().await;
        let asked = call(&["{}"]);
        let (result, ()) = tokio::join!(ask(&mut h1, &asked), async {
            assert!(upstream.read(&mut [0; 4096]).await.unwrap() > 0);
            upstream.write_all(answer.as_bytes()).await.unwrap();
        });
        let (_, again) = body(&mut h1, result.ok().unwrap()).await.unwrap();
        assert_eq!(again, reusable, "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_is_no_longer_idle() {
    let (mut h1, upstream) = pair().await;
    assert!(h1.is_idle());
    drop(upstream);
    let waited = async {
        while h1.is_idle() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), waited).await.unwrap();
}

#[tokio::test]
async fn an_answer_may_come_before_the_request_is_written() {
    let (mut h1, mut upstream) = pair().await;
    let large = "x".repeat(16 << 20);
    let call = call(&[&large]);
    let (answered, upstream) = tokio::join!(ask(&mut h1, &call), async {
        assert!(upstream.read(&mut [0; 1024]).await.unwrap() > 0);
        let head = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
        upstream.write_all(head.as_bytes()).await.unwrap();
        upstream
    });
    let answered = answered.ok().unwrap();
    assert_eq!((answered.status.as_u16(), answered.reusable), (413, false));
    assert_eq!(body(&mut h1, answered).await.unwrap().0, b"no");
    drop(upstream);
}

#[test]
fn headers_are_found_whatever_their_case() {
    let head = BytesMut::from(&b"HTTP/1.1 200 OK\r\nX-Two: 2\r\nx-one:1\r\nX-TWO: 3\r\n\r\n"[..]);
    let mut lines = [httparse::EMPTY_HEADER; 8];
    let mut parsed = httparse::Response::new(&mut lines);
    parsed.parse(&head).unwrap();
    let base = head.as_ptr() as usize;
    let lines: Vec<Line> = parsed.headers.iter().map(|header| Line::of(header, base)).collect();
    let headers = Headers::raw(head.clone(), lines);
    let two = HeaderName::from_static("x-two");
    assert_eq!((headers.len(), headers.get(&two)), (3, Some(&b"2"[..])));
    assert_eq!(headers.text(&HeaderName::from_static("x-one")), Some("1"));
    assert_eq!(headers.get(&header::DATE), None);
    assert_eq!(headers.to_map().get_all(&two).iter().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cuts_change_nothing(
        nth in 0..4_usize,
        cuts in prop::collection::vec(0..200_usize, 0..6),
    ) {
        let answers = [
            OK,
            "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
            "HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n",
            "HTTP/1.1 200 OK\r\nserver: x\r\n\r\nuntil the end",
        ];
        let whole = answers[nth].as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % whole.len()).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([whole.len()]);
        let pieces: Vec<&[u8]> = std::iter::once(0).chain(cuts.iter().copied()).zip(ends)
            .map(|(start, end)| &whole[start..end]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            prop_assert_eq!(answered(&pieces).await, answered(&[whole]).await);
            Ok(())
        })?;
    }
}
