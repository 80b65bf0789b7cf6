//! A Thrift server for feature flags in any of Flipper's stores. Clients of the Python library `flipper-client`, and those generated from
//! its IDL in any language, work unchanged; [`ThriftRpcFeatureFlagStore`](flipper::ThriftRpcFeatureFlagStore) also watches changes and
//! loses no write.
//!
//! ```no_run
//! use flipper::MemoryFeatureFlagStore;
//! use flipper_thrift::Server;
//!
//! # fn main() -> flipper::Result<()> {
//! let server = Server::start("127.0.0.1:9090", MemoryFeatureFlagStore::new())?;
//! println!("serving flags on {}", server.local_addr());
//! // ... until the program ends:
//! server.shutdown();
//! # Ok(()) }
//! ```
//!
//! The service is in `idl/feature_flag_store.thrift`; `docs/thrift.md` shows clients, and how to write a server of your own.

mod calls;
mod connection;
mod dispatch;
mod hub;
mod options;
mod server;
mod service;
mod socket;
mod stream;
mod strings;
#[cfg(feature = "tls")]
mod tls;

pub use options::ServerOptions;
pub use server::Server;

#[doc(hidden)]
pub use dispatch::feed;

/// Their examples are tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../docs/thrift.md")]
    struct Thrift;

    #[doc = include_str!("../README.md")]
    struct Readme;
}
