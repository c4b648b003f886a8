//! A TCP proxy that can be cut and frozen.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the proxy does with what passes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It passes.
    Open,
    /// Nothing passes and nobody is told, as when the other machine stands still.
    Frozen,
    /// Connections are closed, new ones too.
    Cut,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    way: watch::Sender<(Way, u64)>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// In front of `target`, open.
    pub(crate) async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, seen) = watch::channel((Way::Open, 0));
        let target = target.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, target.clone(), seen.clone()));
            }
        });
        Proxy { address, way, task }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_modify(|(now, cuts)| {
            *now = way;
            *cuts += u64::from(way == Way::Cut);
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, until either side ends it or a cut comes.
async fn relay(client: TcpStream, target: String, mut way: watch::Receiver<(Way, u64)>) {
    let born = *way.borrow();
    if born.0 == Way::Cut {
        return;
    }
    let open = way.clone();
    let both = async {
        passing(&mut open.clone()).await;
        let Ok(server) = TcpStream::connect(target).await else { return };
        let (client_in, client_out) = client.into_split();
        let (server_in, server_out) = server.into_split();
        tokio::select! {
            () = copy(client_in, server_out, open.clone()) => {}
            () = copy(server_in, client_out, open.clone()) => {}
        }
    };
    tokio::select! {
        () = both => {}
        _ = way.wait_for(|(_, cuts)| *cuts != born.1) => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<(Way, u64)>,
) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        passing(&mut way).await;
        let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
        passing(&mut way).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn passing(way: &mut watch::Receiver<(Way, u64)>) {
    let _ = way.wait_for(|(way, _)| *way == Way::Open).await;
}
