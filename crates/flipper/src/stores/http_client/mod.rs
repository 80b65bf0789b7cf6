//! HTTP/1.1 over kept connections, polled by the task that has a request; TLS with files that are read again when they are renewed.

pub(super) mod address;
mod connection;
pub(super) mod connector;
pub(super) mod pool;
pub(super) mod renewal;
pub(super) mod tls;

#[cfg(feature = "http")]
pub(super) use self::connection::Download;
