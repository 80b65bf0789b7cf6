//! `connect`: a client from a URL.

use crate::client::FeatureFlagClient;
use crate::error::{Error, Result};
use crate::stores::MemoryFeatureFlagStore;

/// A client for the store that a URL names; checks are answered from memory.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `consul://HOST:PORT/BASE/KEY` | `ConsulFeatureFlagStore`, with the token and TLS of the environment | `consul` |
/// | `memory:` | [`MemoryFeatureFlagStore`] | |
/// | `redis://HOST/DATABASE?base_key=KEY`, `rediss://…`, `redis-cluster://…`, `redis-sentinel://…`, `redis+unix://…` | `RedisFeatureFlagStore`, mirrored | `redis` |
/// | `thrift://HOST:PORT?transport=framed&protocol=compact` | `ThriftRpcFeatureFlagStore`, mirrored | `thrift` |
/// | `sqlite:PATH` | `SqliteFeatureFlagStore`; the path is taken as it stands, relative or absolute | `sqlite` |
///
/// It is a plain function, so that a client can be a `static`:
///
/// ```
/// use std::sync::LazyLock;
/// use flipper::FeatureFlagClient;
///
/// static FEATURES: LazyLock<FeatureFlagClient> =
///     LazyLock::new(|| flipper::connect("memory:").expect("the URL of the flags is right"));
///
/// assert!(!FEATURES.is_enabled("MY_FEATURE"));
/// ```
///
/// # Errors
///
/// `InvalidInput` for what is no such URL, `Unsupported` for a store that this build leaves out, and what the store says.
/// Messages never hold more of the URL than its scheme and, for a file, its path.
pub fn connect(url: &str) -> Result<FeatureFlagClient> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(Error::invalid_input(
            "a store's URL begins with its kind and a colon: `consul://…`, `memory:`, `redis://…`, `sqlite:PATH`, \
             `thrift://…`",
        ));
    };
    match scheme {
        "memory" if rest.is_empty() => Ok(FeatureFlagClient::new(MemoryFeatureFlagStore::new())),
        "memory" => Err(Error::invalid_input("`memory:` takes nothing after the colon")),
        "sqlite" => sqlite(rest.strip_prefix("//").unwrap_or(rest)),
        _ if is_redis(scheme) => redis(url),
        "consul" => consul(url),
        "thrift" => thrift(url),
        _ => Err(Error::invalid_input(
            "unknown kind of store in URL; known are `consul://…`, `memory:`, `redis://…`, `sqlite:PATH` and `thrift://…`",
        )),
    }
}

#[cfg(feature = "consul")]
fn consul(url: &str) -> Result<FeatureFlagClient> {
    Ok(FeatureFlagClient::new(crate::stores::ConsulFeatureFlagStore::start(url)?))
}

#[cfg(not(feature = "consul"))]
fn consul(_url: &str) -> Result<FeatureFlagClient> {
    Err(Error::new(crate::ErrorKind::Unsupported)
        .with_message("`consul:` needs the feature `consul` of `flipper-client`"))
}

#[cfg(feature = "sqlite")]
fn sqlite(path: &str) -> Result<FeatureFlagClient> {
    if path.is_empty() {
        return Err(Error::invalid_input("`sqlite:` wants the path of a file after the colon"));
    }
    Ok(FeatureFlagClient::new(crate::stores::SqliteFeatureFlagStore::open(path)?))
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_path: &str) -> Result<FeatureFlagClient> {
    Err(Error::new(crate::ErrorKind::Unsupported)
        .with_message("`sqlite:` needs the feature `sqlite` of `flipper-client`"))
}

/// Also without the feature, for the error to name it.
fn is_redis(scheme: &str) -> bool {
    let kind = scheme.split(['+', '-']).next().unwrap_or_default();
    matches!(kind, "redis" | "rediss" | "valkey" | "valkeys" | "unix")
}

#[cfg(feature = "redis")]
fn redis(url: &str) -> Result<FeatureFlagClient> {
    let store = crate::stores::RedisFeatureFlagStore::connect(url)?;
    Ok(FeatureFlagClient::new(crate::wrappers::MirroredFeatureFlagStore::new(store)))
}

#[cfg(not(feature = "redis"))]
fn redis(_url: &str) -> Result<FeatureFlagClient> {
    Err(Error::new(crate::ErrorKind::Unsupported)
        .with_message("`redis:` needs the feature `redis` of `flipper-client`"))
}

#[cfg(feature = "thrift")]
fn thrift(url: &str) -> Result<FeatureFlagClient> {
    let store = crate::stores::ThriftRpcFeatureFlagStore::connect(url)?;
    Ok(FeatureFlagClient::new(crate::wrappers::MirroredFeatureFlagStore::new(store)))
}

#[cfg(not(feature = "thrift"))]
fn thrift(_url: &str) -> Result<FeatureFlagClient> {
    Err(Error::new(crate::ErrorKind::Unsupported)
        .with_message("`thrift:` needs the feature `thrift` of `flipper-client`"))
}
