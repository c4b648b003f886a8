//! A listening socket for the servers of this crate.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// Listens on `address`, with a queue long enough for a load that begins all at once.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    TcpListener::from_std(socket.into())
}
