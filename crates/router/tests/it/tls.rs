//! F07, and what TLS brings: HTTP/2.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tollgate_router::{Client, Tls};
use tollgate_testkit::evil::{EvilUpstream, acts};

use crate::rig::{EVENT, OK, Rig, stream, until};

/// A certificate authority of our own.
struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        Authority { root, issuer: Issuer::new(params, key) }
    }

    fn client(&self) -> Client {
        Client::new(&Tls::new(vec![self.root.clone()]).unwrap())
    }
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    handshakes: AtomicUsize,
    failed: AtomicUsize,
    versions: Mutex<Vec<Version>>,
    hosts: Mutex<Vec<String>>,
    cancelled: AtomicUsize,
}

/// Says so when it goes.
struct OnDrop(Arc<Seen>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.cancelled.fetch_add(1, SeqCst);
    }
}

async fn answer(
    seen: Arc<Seen>,
    request: Request<Incoming>,
) -> Result<Response<http_body_util::combinators::BoxBody<bytes::Bytes, Infallible>>, Infallible> {
    seen.versions.lock().unwrap().push(request.version());
    let host = request.uri().host().map(str::to_owned).or_else(|| {
        Some(request.headers().get("host")?.to_str().ok()?.split(':').next()?.to_owned())
    });
    seen.hosts.lock().unwrap().extend(host);
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if !body.windows(13).any(|window| window == b"\"stream\":true") {
        let answer = Response::builder().header("content-type", "application/json");
        return Ok(answer.body(Full::new(OK.into()).boxed()).unwrap());
    }
    // One event, and then silence until the client goes.
    let guard = OnDrop(seen);
    let mut sent = false;
    let events = StreamBody::new(poll_stream(move || {
        let _alive = &guard;
        (!std::mem::replace(&mut sent, true)).then(|| Frame::data(EVENT.into()))
    }));
    let answer = Response::builder().header("content-type", "text/event-stream");
    Ok(answer.body(BodyExt::boxed(events)).unwrap())
}

/// A stream of what `next` gives; pending for ever where it gives nothing.
fn poll_stream<F: FnMut() -> Option<Frame<bytes::Bytes>>>(
    mut next: F,
) -> impl futures_util::Stream<Item = Result<Frame<bytes::Bytes>, Infallible>> {
    futures_util::stream::poll_fn(move |_| match next() {
        Some(frame) => std::task::Poll::Ready(Some(Ok(frame))),
        None => std::task::Poll::Pending,
    })
}

/// Serves HTTPS with a certificate for `names`; gives the port.
async fn serve(
    authority: &Authority,
    change: impl FnOnce(&mut CertificateParams),
    alpn: &[&[u8]],
) -> (u16, Arc<Seen>) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, &authority.issuer).unwrap().der().clone();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            shared.connections.fetch_add(1, SeqCst);
            let (acceptor, seen) = (acceptor.clone(), shared.clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else {
                    seen.failed.fetch_add(1, SeqCst);
                    return;
                };
                seen.handshakes.fetch_add(1, SeqCst);
                let service =
                    hyper::service::service_fn(move |request| answer(seen.clone(), request));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    (port, seen)
}

const H1: &[&[u8]] = &[b"http/1.1"];
const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

fn rig(port: u16, client: Client) -> Rig {
    let mut rig = Rig::new(&[format!("https://localhost:{port}/v1")]).retries(0);
    rig.client = client;
    rig
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_its_connection_kept() {
    let authority = Authority::new();
    let (port, seen) = serve(&authority, |_| (), H1).await;
    let mut rig = rig(port, authority.client());
    for _ in 0..3 {
        rig.answered().await;
    }
    assert_eq!(seen.connections.load(SeqCst), 1);
    assert_eq!(*seen.versions.lock().unwrap(), [Version::HTTP_11; 3]);
    assert_eq!(*seen.hosts.lock().unwrap(), ["localhost"; 3]);
}

#[tokio::test]
async fn f07_a_bad_certificate_is_502_and_nothing_is_sent() {
    let authority = Authority::new();
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let other = |params: &mut CertificateParams| {
        *params = CertificateParams::new(vec!["elsewhere.test".to_owned()]).unwrap();
    };
    let checks: [(&str, u16, Arc<Seen>, Client); 3] = [
        {
            let (port, seen) = serve(&authority, expired, BOTH).await;
            ("expired", port, seen, authority.client())
        },
        {
            let (port, seen) = serve(&authority, other, BOTH).await;
            ("another host's", port, seen, authority.client())
        },
        {
            let (port, seen) = serve(&authority, |_| (), BOTH).await;
            ("of an unknown root", port, seen, Client::new(&Tls::new(Vec::new()).unwrap()))
        },
    ];
    for (what, port, seen, client) in checks {
        let (status, code, failed) = rig(port, client).refused().await;
        assert_eq!((status, &*code, failed.attempts), (502, "upstream_tls_error", 1), "{what}");
        assert_eq!(seen.versions.lock().unwrap().len(), 0, "no request for a certificate {what}");
        until("the handshake fails", || seen.failed.load(SeqCst) > 0).await;
    }
}

#[tokio::test]
async fn f07_a_server_without_tls_is_502_and_gets_no_request() {
    let a = EvilUpstream::start(vec![
        tollgate_testkit::Step::Write("HTTP/1.1 400 Bad Request\r\n\r\n".into()),
        tollgate_testkit::Step::ReadHead,
    ])
    .await;
    let base = a.url().replace("http:", "https:");
    let (status, code, _) = Rig::new(&[base]).retries(0).refused().await;
    assert_eq!((status, &*code), (502, "upstream_tls_error"));
    assert!(!a.heads().iter().any(|head| head.contains("POST")));
    let a = EvilUpstream::start(acts::slam()).await;
    let base = a.url().replace("http:", "https:");
    let (status, code, _) = Rig::new(&[base]).retries(0).refused().await;
    assert_eq!((status, &*code), (502, "upstream_tls_error"));
}

#[tokio::test]
async fn roots_are_read_from_pem() {
    assert!(Tls::with_pem(b"-----BEGIN CERTIFICATE-----\nnonsense\n").is_err());
    assert!(Tls::with_pem(b"").is_ok());
}

#[tokio::test]
async fn http2_carries_many_requests_on_one_connection() {
    let authority = Authority::new();
    let (port, seen) = serve(&authority, |_| (), BOTH).await;
    let mut rig = rig(port, authority.client());
    rig.answered().await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(rig.answered().await.1);
    }
    assert_eq!(seen.connections.load(SeqCst), 1);
    assert!(seen.versions.lock().unwrap().iter().all(|version| *version == Version::HTTP_2));
    assert!(seen.hosts.lock().unwrap().iter().all(|host| host == "localhost"));
    assert_eq!(rig.client.open_connections(), 1);
}

#[tokio::test]
async fn f22_an_http2_stream_that_is_dropped_is_reset() {
    let authority = Authority::new();
    let (port, seen) = serve(&authority, |_| (), BOTH).await;
    let mut rig = rig(port, authority.client()).streaming();
    let started = Instant::now();
    let (_, live) = rig.answered().await;
    let (first, body) = stream(live);
    assert!(!first.is_empty() && seen.cancelled.load(SeqCst) == 0);
    drop(body);
    until("the server sees the reset", || seen.cancelled.load(SeqCst) == 1).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(rig.client.open_connections(), 1, "the connection serves on");
}
