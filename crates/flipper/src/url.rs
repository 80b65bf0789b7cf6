use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::store::FeatureFlagStore;
use crate::stores::{MemoryFeatureFlagStore, STORE_KINDS, StoreKind};
use crate::wrappers::ReplicatedFeatureFlagStore;

/// The store that a URL names. It sends nothing yet, but opens files.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `consul://HOST:PORT/BASE/KEY` | `ConsulFeatureFlagStore`, with the token and TLS of the environment | `consul` |
/// | `http://TOKEN@HOST:PORT/PATH`, `https://…` | `HttpFeatureFlagStore`, with the token of the URL or of `FLIPPER_TOKEN` | `http` |
/// | `memory:` | [`MemoryFeatureFlagStore`](crate::MemoryFeatureFlagStore) | |
/// | `postgresql://HOST/DATABASE?table=TABLE`, `postgres://…` | `PostgresFeatureFlagStore`, with the variables `PG*` and the password file | `postgres` |
/// | `redis://HOST/DATABASE?base_key=KEY`, `rediss://…`, `redis-cluster://…`, `redis-sentinel://…`, `redis+unix://…` | `RedisFeatureFlagStore` | `redis` |
/// | `replicated:URL\|URL` | [`ReplicatedFeatureFlagStore`]: the primary, then its replicas, each a URL of this table | |
/// | `s3://BUCKET/PREFIX?region=REGION&endpoint=URL` | `S3FeatureFlagStore`, with the credentials of the environment | `s3` |
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
    if let Some(urls) = url.strip_prefix("replicated:") {
        return open_replicated(urls);
    }
    match (kind.feature, url) {
        ("", "memory:") => Ok(Arc::new(MemoryFeatureFlagStore::new())),
        ("", _) => Err(Error::invalid_input("`memory:` takes nothing after the colon")),
        #[cfg(feature = "consul")]
        ("consul", _) => Ok(Arc::new(crate::stores::ConsulFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "http")]
        ("http", _) => Ok(Arc::new(crate::stores::HttpFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "postgres")]
        ("postgres", _) => Ok(Arc::new(crate::stores::PostgresFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "redis")]
        ("redis", _) => Ok(Arc::new(crate::stores::RedisFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "s3")]
        ("s3", _) => Ok(Arc::new(crate::stores::S3FeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "sqlite")]
        ("sqlite", _) => Ok(Arc::new(crate::stores::SqliteFeatureFlagStore::from_url(url)?)),
        #[cfg(feature = "thrift")]
        ("thrift", _) => Ok(Arc::new(crate::stores::ThriftRpcFeatureFlagStore::from_url(url)?)),
        (feature, _) => Err(Error::new(ErrorKind::Unsupported)
            .with_message(format!("`{feature}:` needs the feature `{feature}` of `flipper-client`"))),
    }
}

/// `|` is in no URL, and percent-encoded in a password; a path must not have it.
fn open_replicated(urls: &str) -> Result<Arc<dyn FeatureFlagStore>> {
    let mut urls = urls.split('|').map(str::trim);
    let (Some(primary), Some(first)) = (urls.next(), urls.next()) else {
        return Err(Error::invalid_input(
            "`replicated:` wants a primary and at least one replica, with `|` in between",
        ));
    };
    let open_one = |url: &str| match url.starts_with("replicated:") {
        true => Err(Error::invalid_input("a replica is no `replicated:` store: write all replicas behind the primary")),
        false => open(url),
    };
    let mut store = ReplicatedFeatureFlagStore::builder(open_one(primary)?);
    for url in std::iter::once(first).chain(urls) {
        store = store.replica(open_one(url)?);
    }
    Ok(Arc::new(store.build()))
}
