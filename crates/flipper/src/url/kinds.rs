//! The one list of the kinds of stores that URLs name. The library opens by it; the command and the servers explain URLs with it.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::store::FeatureFlagStore;
use crate::stores::MemoryFeatureFlagStore;

/// A kind of store, by its URLs; see [`STORE_KINDS`].
#[derive(Debug)]
#[non_exhaustive]
pub struct StoreKind {
    /// What its URLs begin with, before the colon.
    pub schemes: &'static [&'static str],
    /// How a URL looks, for people.
    pub form: &'static str,
    /// The parameters behind the `?`.
    pub parameters: &'static [&'static str],
    /// Those of them whose values are secrets.
    pub secret_parameters: &'static [&'static str],
    /// The feature of this crate that has the store; empty where none is needed.
    pub feature: &'static str,
    open: Option<Open>,
}

type Open = fn(&str) -> Result<Arc<dyn FeatureFlagStore>>;

impl StoreKind {
    /// The kind of store that a URL names, by its scheme alone.
    #[must_use]
    pub fn of(url: &str) -> Option<&'static Self> {
        let (scheme, _) = url.split_once(':')?;
        STORE_KINDS.iter().find(|kind| kind.schemes.contains(&scheme))
    }

    pub(super) fn open(&self, url: &str) -> Result<Arc<dyn FeatureFlagStore>> {
        match self.open {
            Some(open) => open(url),
            None => {
                let (kind, feature) = (self.schemes[0], self.feature);
                Err(Error::new(ErrorKind::Unsupported)
                    .with_message(format!("`{kind}:` needs the feature `{feature}` of `flipper-client`")))
            }
        }
    }
}

/// Every kind of store that [`open`](crate::open) knows, those that this build leaves out included.
pub const STORE_KINDS: &[StoreKind] = &[CONSUL, MEMORY, REDIS, SQLITE, THRIFT];

pub(crate) const CONSUL: StoreKind = StoreKind {
    schemes: &["consul"],
    form: "consul://HOST[:PORT][/BASE/KEY]",
    parameters: &["base_key", "consistency", "dc", "ns", "partition", "tls", "wait"],
    secret_parameters: &[],
    feature: "consul",
    #[cfg(feature = "consul")]
    open: Some(|url| Ok(Arc::new(crate::stores::ConsulFeatureFlagStore::from_url(url)?))),
    #[cfg(not(feature = "consul"))]
    open: None,
};

const MEMORY: StoreKind = StoreKind {
    schemes: &["memory"],
    form: "memory:",
    parameters: &[],
    secret_parameters: &[],
    feature: "",
    open: Some(|url| match url {
        "memory:" => Ok(Arc::new(MemoryFeatureFlagStore::new())),
        _ => Err(Error::invalid_input("`memory:` takes nothing after the colon")),
    }),
};

pub(crate) const REDIS: StoreKind = StoreKind {
    schemes: &[
        "redis",
        "rediss",
        "valkey",
        "valkeys",
        "redis-cluster",
        "rediss-cluster",
        "redis-sentinel",
        "rediss-sentinel",
        "redis+unix",
        "unix",
    ],
    form: "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?base_key=KEY] (rediss: with TLS)",
    parameters: &["base_key", "ca", "cert", "db", "key", "protocol", "sentinel_password", "sentinel_username"],
    secret_parameters: &["sentinel_password", "sentinel_username"],
    feature: "redis",
    #[cfg(feature = "redis")]
    open: Some(|url| Ok(Arc::new(crate::stores::RedisFeatureFlagStore::from_url(url)?))),
    #[cfg(not(feature = "redis"))]
    open: None,
};

const SQLITE: StoreKind = StoreKind {
    schemes: &["sqlite"],
    form: "sqlite:PATH",
    parameters: &[],
    secret_parameters: &[],
    feature: "sqlite",
    #[cfg(feature = "sqlite")]
    open: Some(|url| Ok(Arc::new(crate::stores::SqliteFeatureFlagStore::from_url(url)?))),
    #[cfg(not(feature = "sqlite"))]
    open: None,
};

pub(crate) const THRIFT: StoreKind = StoreKind {
    schemes: &["thrift"],
    form: "thrift://HOST[:PORT]",
    parameters: &["connect_timeout_ms", "max_connections", "protocol", "timeout_ms", "transport"],
    secret_parameters: &[],
    feature: "thrift",
    #[cfg(feature = "thrift")]
    open: Some(|url| Ok(Arc::new(crate::stores::ThriftRpcFeatureFlagStore::from_url(url)?))),
    #[cfg(not(feature = "thrift"))]
    open: None,
};
