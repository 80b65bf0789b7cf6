//! A store, or a client, from a URL.

mod kinds;
#[cfg(any(feature = "consul", feature = "redis", feature = "thrift"))]
#[cfg_attr(
    not(all(feature = "consul", feature = "redis", feature = "thrift")),
    allow(dead_code, reason = "each kind of store uses a part of it")
)]
pub(crate) mod parts;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "consul")]
pub(crate) use self::kinds::CONSUL;
#[cfg(feature = "redis")]
pub(crate) use self::kinds::REDIS;
#[cfg(feature = "thrift")]
pub(crate) use self::kinds::THRIFT;
pub use self::kinds::{STORE_KINDS, StoreKind};
use crate::background;
use crate::client::FeatureFlagClient;
use crate::error::{Error, ErrorKind, Result};
use crate::status::Health;
use crate::store::FeatureFlagStore;

/// How long [`connect`] waits for a store's flags.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A client for the store that a URL names, when all its flags are in memory; see [`open`] for the URLs.
///
/// ```
/// # futures_executor::block_on(async {
/// let features = flipper::connect("memory:").await?;
/// assert!(!features.is_enabled("MY_FEATURE"));
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// A program that must start whether or not the store can be reached makes its client of [`open`] instead.
///
/// # Errors
///
/// As [`open`], what the store says, and `Unavailable` if its flags do not arrive within 10 s.
pub async fn connect(url: &str) -> Result<FeatureFlagClient> {
    let features = FeatureFlagClient::new(open(url)?);
    match background::within(CONNECT_WITHIN, features.ready()).await {
        Ok(ready) => ready?,
        Err(_) => {
            let status = features.status();
            // Those that arrived just now are flags.
            if let (Health::Stale { reason, .. }, None) = (status.health, status.last_sync) {
                let message = format!("the store's flags did not arrive within {CONNECT_WITHIN:?}: {reason}");
                return Err(Error::new(ErrorKind::Unavailable).with_message(message));
            }
        }
    }
    Ok(features)
}

/// The store that a URL names. Nothing is sent yet, but a file is opened.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `consul://HOST:PORT/BASE/KEY` | `ConsulFeatureFlagStore`, with the token and TLS of the environment | `consul` |
/// | `memory:` | [`MemoryFeatureFlagStore`](crate::MemoryFeatureFlagStore) | |
/// | `redis://HOST/DATABASE?base_key=KEY`, `rediss://…`, `redis-cluster://…`, `redis-sentinel://…`, `redis+unix://…` | `RedisFeatureFlagStore` | `redis` |
/// | `thrift://HOST:PORT?transport=framed&protocol=compact` | `ThriftRpcFeatureFlagStore` | `thrift` |
/// | `sqlite:PATH` | `SqliteFeatureFlagStore`; the path is taken as it stands, relative or absolute | `sqlite` |
///
/// It is a plain function, so that a client can be a `static`:
///
/// ```
/// use std::sync::LazyLock;
/// use flipper::FeatureFlagClient;
///
/// static FEATURES: LazyLock<FeatureFlagClient> =
///     LazyLock::new(|| FeatureFlagClient::new(flipper::open("memory:").expect("the URL of the flags is right")));
///
/// assert!(!FEATURES.is_enabled("MY_FEATURE"));
/// ```
///
/// # Errors
///
/// `InvalidInput` for what is no such URL, `Unsupported` for a store that this build leaves out, and what opening the store says.
/// Messages never hold more of the URL than its scheme and, for a file, its path.
pub fn open(url: &str) -> Result<Arc<dyn FeatureFlagStore>> {
    match StoreKind::of(url) {
        Some(kind) => kind.open(url),
        None => {
            let forms: Vec<_> = STORE_KINDS.iter().map(|kind| format!("`{}`", kind.form)).collect();
            Err(Error::invalid_input(format!("a store's URL is {}", forms.join(", "))))
        }
    }
}
