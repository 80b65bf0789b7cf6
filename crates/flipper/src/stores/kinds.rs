//! [`open`](crate::open), the command and the servers all read this list.

/// A kind of store, by its URLs; see [`STORE_KINDS`].
#[derive(Debug)]
#[non_exhaustive]
pub struct StoreKind {
    /// What its URLs start with, before the colon.
    pub schemes: &'static [&'static str],
    /// The form of its URLs, for messages.
    pub form: &'static str,
    /// The parameters behind the `?`.
    pub parameters: &'static [&'static str],
    /// The parameters whose values are secrets.
    pub secret_parameters: &'static [&'static str],
    /// The feature of this crate that has the store; empty if none is needed.
    pub feature: &'static str,
}

impl StoreKind {
    /// The kind of store that a URL names by its scheme.
    #[must_use]
    pub fn of(url: &str) -> Option<&'static Self> {
        let (scheme, _) = url.split_once(':')?;
        STORE_KINDS.iter().find(|kind| kind.schemes.contains(&scheme))
    }
}

/// Every kind of store, also those that this build leaves out.
pub const STORE_KINDS: &[StoreKind] = &[CONSUL, HTTP, MEMORY, REDIS, SQLITE, THRIFT];

pub(super) const CONSUL: StoreKind = StoreKind {
    schemes: &["consul"],
    form: "consul://HOST[:PORT][/BASE/KEY]",
    parameters: &["base_key", "consistency", "dc", "ns", "partition", "tls", "wait"],
    secret_parameters: &[],
    feature: "consul",
};

pub(super) const HTTP: StoreKind = StoreKind {
    schemes: &["http", "https"],
    form: "http://[TOKEN@]HOST[:PORT][/PATH] (https: with TLS)",
    parameters: &["ca", "cert", "key", "plain", "timeout_ms"],
    secret_parameters: &[],
    feature: "http",
};

const MEMORY: StoreKind =
    StoreKind { schemes: &["memory"], form: "memory:", parameters: &[], secret_parameters: &[], feature: "" };

pub(super) const REDIS: StoreKind = StoreKind {
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
};

const SQLITE: StoreKind =
    StoreKind { schemes: &["sqlite"], form: "sqlite:PATH", parameters: &[], secret_parameters: &[], feature: "sqlite" };

pub(super) const THRIFT: StoreKind = StoreKind {
    schemes: &["thrift", "thrifts"],
    form: "thrift://HOST[:PORT] (thrifts: with TLS)",
    parameters: &["ca", "cert", "connect_timeout_ms", "key", "max_connections", "protocol", "timeout_ms", "transport"],
    secret_parameters: &[],
    feature: "thrift",
};
