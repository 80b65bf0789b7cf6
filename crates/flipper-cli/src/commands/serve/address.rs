//! Where to listen, and where not.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use crate::failure::{Done, Failure};

/// The addresses of `HOST:PORT`, none of which other machines can reach unless that was asked for.
pub(super) fn resolve(text: &str, option: &str, everywhere: bool) -> Done<Vec<SocketAddr>> {
    let addresses: Vec<_> = text
        .to_socket_addrs()
        .map_err(|error| {
            Failure::usage(format!("{option} {text}: {error}")).hint("write HOST:PORT, such as 127.0.0.1:9090")
        })?
        .collect();
    match addresses.iter().find(|address| !address.ip().is_loopback()) {
        Some(remote) if !everywhere => Err(Failure::usage(format!(
            "{option} {text}: other machines can reach {}, and the port has neither passwords nor TLS",
            remote.ip()
        ))
        .hint("listen on 127.0.0.1 and put a proxy with mutual TLS before it, or say --listen-everywhere")),
        _ => Ok(addresses),
    }
}

pub(super) fn listen(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addresses)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
