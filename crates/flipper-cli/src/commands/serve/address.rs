use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use crate::failure::{Done, Failure};

/// Resolves `HOST:PORT`. Refuses addresses that other machines can reach unless `everywhere`.
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
        .hint("listen on 127.0.0.1 and put a proxy with mutual TLS before it, or add --listen-everywhere")),
        _ => Ok(addresses),
    }
}

pub(super) fn cannot_listen(option: &str, text: &str, why: &str, kind: Option<io::ErrorKind>) -> Failure {
    let failure = Failure::store(format!("{option} {text}: {why}"));
    match kind {
        Some(io::ErrorKind::AddrInUse) => failure.hint("another program has the port: end it, or take another port"),
        Some(io::ErrorKind::AddrNotAvailable) => failure.hint("this machine has no such address"),
        Some(io::ErrorKind::PermissionDenied) => failure.hint("take a port from 1024 up"),
        _ => failure,
    }
}

/// The kind of the first I/O error among the causes.
pub(super) fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut causes = std::iter::successors(Some(error), |error| Error::source(*error));
    causes.find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

pub(super) fn listen(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addresses)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
