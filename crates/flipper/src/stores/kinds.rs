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
pub const STORE_KINDS: &[StoreKind] = &[CONSUL, HTTP, MEMORY, POSTGRES, REDIS, REPLICATED, S3, SQLITE, THRIFT];

pub(super) const CONSUL: StoreKind = StoreKind {
    schemes: &["consul"],
    form: "consul://HOST[:PORT][/BASE/KEY]",
    parameters: &[
        "base_key",
        "consistency",
        "dc",
        "history",
        "history_days",
        "history_entries",
        "ns",
        "partition",
        "tls",
        "wait",
    ],
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

pub(super) const POSTGRES: StoreKind = StoreKind {
    schemes: &["postgres", "postgresql"],
    form: "postgresql://[USER:PASSWORD@]HOST[:PORT][/DATABASE][?table=TABLE]",
    parameters: &[
        "application_name",
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "create_table",
        "dbname",
        "fallback_application_name",
        "gssencmode",
        "host",
        "hostaddr",
        "item_column",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "name_column",
        "options",
        "passfile",
        "password",
        "port",
        "schema",
        "ssl",
        "sslcert",
        "sslkey",
        "sslmode",
        "sslrootcert",
        "table",
        "target_session_attrs",
        "tcp_user_timeout",
        "user",
    ],
    secret_parameters: &["password"],
    feature: "postgres",
};

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
    parameters: &[
        "base_key",
        "ca",
        "cert",
        "db",
        "history",
        "history_days",
        "history_entries",
        "key",
        "protocol",
        "sentinel_password",
        "sentinel_username",
    ],
    secret_parameters: &["sentinel_password", "sentinel_username"],
    feature: "redis",
};

const REPLICATED: StoreKind = StoreKind {
    schemes: &["replicated"],
    form: "replicated:PRIMARY|REPLICA[|REPLICA …]",
    parameters: &[],
    secret_parameters: &[],
    feature: "",
};

pub(super) const S3: StoreKind = StoreKind {
    schemes: &["s3"],
    form: "s3://BUCKET[/PREFIX][?region=REGION][&endpoint=URL]",
    parameters: &["endpoint", "poll", "region", "unconditional_writes"],
    secret_parameters: &[],
    feature: "s3",
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
