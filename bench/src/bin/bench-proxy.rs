//! The floor to compare with: a reverse proxy that only forwards, made of hyper's server and
//! hyper-util's pooled client on a work-stealing runtime, as one would write it first.

use std::{convert::Infallible, net::SocketAddr};

use clap::Parser;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{CONNECTION, HOST, HeaderName, TRANSFER_ENCODING},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{Either, Empty};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpStream;
use tollgate_bench::listen::listen;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A reverse proxy that only forwards.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Where to forward to: host and port.
    #[arg(long)]
    upstream: Authority,
    /// Worker threads.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

/// What every request needs.
#[derive(Clone)]
struct Proxy {
    client: Client<HttpConnector, Incoming>,
    authority: Authority,
    host: HeaderValue,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.workers.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // The thread that waits here is no worker.
        tokio::spawn(serve(args)).await?
    })
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(4096).build(connector);
    let host = HeaderValue::from_str(args.upstream.as_str())?;
    let proxy = Proxy { client, authority: args.upstream, host };
    let listener = listen(args.listen)?;
    loop {
        // An error here is a client that went before it was accepted, or too many open files.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(connection(proxy.clone(), stream));
    }
}

async fn connection(proxy: Proxy, stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| {
        let proxy = proxy.clone();
        async move { Ok::<_, Infallible>(proxy.forward(request).await) }
    });
    // However a connection ends, it ends; the load generator counts what was not answered.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Proxy {
    async fn forward(
        &self,
        mut request: Request<Incoming>,
    ) -> Response<Either<Incoming, Empty<Bytes>>> {
        let path = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        let Ok(uri) = Uri::from_parts(parts) else { return refusal(StatusCode::BAD_REQUEST) };
        *request.uri_mut() = uri;
        drop_hop_by_hop(request.headers_mut());
        request.headers_mut().insert(HOST, self.host.clone());
        match self.client.request(request).await {
            Ok(mut response) => {
                drop_hop_by_hop(response.headers_mut());
                response.map(Either::Left)
            }
            Err(_) => refusal(StatusCode::BAD_GATEWAY),
        }
    }
}

/// Headers that are about one connection alone.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(HeaderName::from_static("keep-alive"));
    headers.remove(HeaderName::from_static("proxy-connection"));
}

fn refusal(status: StatusCode) -> Response<Either<Incoming, Empty<Bytes>>> {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = status;
    response
}
