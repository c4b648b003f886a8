//! Every request, on one screen: the hot routes go straight to the gateway, everything else to the
//! router of [`crate::api`].

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use axum::body::Body as ColdBody;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming as HyperBody;
use std::pin::Pin;
use std::task::{Context, Poll};
use tollgate_gateway::{
    Core, Now, Route,
    handle::{self, Incoming, Named},
    reply::OutBody,
    stored, surface,
};
use tower::ServiceExt;

use crate::query;
/// Whose connection it is.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The IP address as usage rows have it.
    ip: Arc<str>,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Peer { address, ip: address.ip().to_string().into() }
    }
}

/// What a connection serves. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service {
    core: Option<Arc<Core>>,
    cold: axum::Router,
}

impl Service {
    /// Serves `cold` beside the hot routes.
    pub(crate) fn new(cold: axum::Router) -> Self {
        Service { core: None, cold }
    }

    /// The same, for the connections of `core`.
    pub(crate) fn on(&self, core: Arc<Core>) -> Self {
        Service { core: Some(core), cold: self.cold.clone() }
    }

    /// Closes connections to upstreams that have been idle for long.
    pub(crate) fn sweep(&self) {
        if let Some(core) = &self.core {
            core.client.sweep();
        }
    }

    /// One request.
    pub(crate) async fn serve(
        self: Arc<Self>,
        request: Request<HyperBody>,
        peer: Peer,
    ) -> Result<Response<Out>, Infallible> {
        let mut request = request;
        query::key_to_header(&mut request);
        let hot = match request.method() {
            &Method::POST => surface(request.uri().path()),
            _ => None,
        };
        match (hot, &self.core) {
            (Some(route), Some(core)) => {
                let now = Now::read();
                let id = now.request_id();
                let Route { operation, surface, named } = route;
                let query = request.uri().query();
                let named = named.map(|it| Named {
                    model: query::decoded(it.model),
                    stream: it.stream,
                    listed: query::value(query, "alt").as_deref() != Some("sse"),
                });
                let (head, body) = request.into_parts();
                let (headers, ip) = (head.headers, Some(peer.ip));
                let incoming = Incoming { id, operation, surface, named, headers, body, ip };
                let out = handle::answer(core, incoming, now).await;
                Ok(out.map(Out::Hot))
            }
            (None, Some(core)) => {
                match stored::wanted(request.method(), request.uri(), request.headers()) {
                    Some(wanted) => {
                        Ok(stored::answer(core, wanted, Now::read()).await.map(Out::Hot))
                    }
                    None => Ok(self.serve_cold(request, peer.address).await.map(Out::Cold)),
                }
            }
            (_, None) => Ok(self.serve_cold(request, peer.address).await.map(Out::Cold)),
        }
    }

    async fn serve_cold(
        &self,
        mut request: Request<HyperBody>,
        peer: SocketAddr,
    ) -> Response<ColdBody> {
        request.extensions_mut().insert(peer);
        let Some(core) = &self.core else { return Response::default() };
        let cold = self.cold.clone();
        // Administration runs on its own runtime: it may be slow, the cores may not.
        let answered = core.gw.cold.spawn(cold.oneshot(request.map(ColdBody::new)));
        match answered.await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => {
                let mut response = Response::new(ColdBody::from("internal error"));
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        }
    }
}

/// An answer's body, hot or cold.
pub(crate) enum Out {
    /// Of the gateway.
    Hot(OutBody),
    /// Of everything else.
    Cold(ColdBody),
}

impl Body for Out {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Out::Hot(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Out::Cold(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Out::Hot(body) => body.is_end_stream(),
            Out::Cold(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Out::Hot(body) => body.size_hint(),
            Out::Cold(body) => body.size_hint(),
        }
    }
}
