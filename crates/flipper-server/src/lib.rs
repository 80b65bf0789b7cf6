//! Flags over HTTP: a JSON API, OFREP, and live changes, over any of Flipper's stores.

mod access;
mod api;
mod app;
mod changes;
mod counts;
mod limits;
mod ofrep;
mod operations;
mod problem;
mod request;
mod server;

pub use self::app::App;
pub use self::limits::Limits;
pub use self::server::{Accepted, Acceptor, ByteStream, HttpOptions, HttpServer};
