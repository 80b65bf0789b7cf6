//! Flags over HTTP: a JSON API, OFREP, and live changes, over any of Flipper's stores.

mod access;
mod api;
mod app;
mod changes;
mod circles;
mod counts;
mod etag;
mod hex;
mod limits;
mod metrics;
mod ofrep;
mod operations;
#[cfg(feature = "page")]
mod page;
mod problem;
mod request;
mod server;
mod tls;

pub use self::access::{
    AccessControl, Network, NewToken, Role, Secret, Token, TokenFile, TokenFileError, Tokens, TrustedProxy, Validity,
};
pub use self::app::App;
pub use self::limits::Limits;
pub use self::metrics::Metrics;
#[cfg(feature = "page")]
pub use self::page::Page;
pub use self::server::{Accepted, Acceptor, ByteStream, HttpOptions, HttpServer};
pub use self::tls::{Tls, TlsError, TlsFiles};

/// Its example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
