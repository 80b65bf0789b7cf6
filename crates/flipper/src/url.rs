use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::store::FeatureFlagStore;
use crate::stores::{MemoryFeatureFlagStore, STORE_KINDS, StoreKind};

/// The store that a URL names. It sends nothing yet, but opens files.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `consul://HOST:PORT/BASE/KEY` | `ConsulFeatureFlagStore`, with the token and TLS of the environment | `consul` |
/// | `http://TOKEN@HOST:PORT/PATH`, `https://…` | `HttpFeatureFlagStore` | `http` |
/// | `memory:` | [`MemoryFeatureFlagStore`](crate::MemoryFeatureFlagStore) | |
/// | `redis://HOST/DATABASE?base_key=KEY`, `rediss://…`, `redis-cluster://…`, `redis-sentinel://…`, `redis+unix://…` | `RedisFeatureFlagStore` | `redis` |
/// | `thrift://HOST:PORT?transport=framed&protocol=compact`, `thrifts://…?ca=FILE` | `ThriftRpcFeatureFlagStore` | `thrift`, with TLS `thrift-tls` |
/// | `sqlite:PATH` | `SqliteFeatureFlagStore`; a relative or absolute path, as it stands | `sqlite` |
///
/// A client can be a `static`:
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
/// `InvalidInput` for an invalid URL, `Unsupported` for a store that this build lacks, and the store's. They name only the URL's scheme and
/// a file's path.
pub fn open(url: &str) -> Result<Arc<dyn FeatureFlagStore>> {
    match StoreKind::of(url) {
        Some(kind) => open_kind(kind, url),
        None => {
            let forms: Vec<_> = STORE_KINDS.iter().map(|kind| format!("`{}`", kind.form)).collect();
            Err(Error::invalid_input(format!("a store's URL is {}", forms.join(", "))))
        }
    }
}

fn open_kind(kind: &StoreKind, url: &str) -> Result<Arc<dyn FeatureFlagStore>> {
    match (kind.feature, url) {
        ("", "memory:") => Ok(Arc::new(MemoryFeatureFlagStore::new())),
        ("", _) => Err(Error::invalid_input("`memory:` takes nothing after the colon")),
        #[cfg(feature = "consul")]
        ("consul", _) => Ok(Arc::new(crate::stores::ConsulFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "http")]
        ("http", _) => Ok(Arc::new(crate::stores::HttpFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "redis")]
        ("redis", _) => Ok(Arc::new(crate::stores::RedisFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "sqlite")]
        ("sqlite", _) => Ok(Arc::new(crate::stores::SqliteFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "thrift")]
        ("thrift", _) => Ok(Arc::new(crate::stores::ThriftRpcFeatureFlagStore::from_url(url)?)),
        (feature, _) => Err(Error::new(ErrorKind::Unsupported)
            .with_message(format!("`{feature}:` needs the feature `{feature}` of `flipper-client`"))),
    }
}
