//! The stores, one file each.

#[cfg(any(feature = "consul", feature = "redis", feature = "s3"))]
#[cfg_attr(not(any(feature = "consul", feature = "redis")), allow(dead_code, reason = "S3 has keys of its own"))]
mod base_key;
#[cfg(feature = "consul")]
mod consul;
#[cfg(any(feature = "consul", feature = "s3"))]
mod date;
#[cfg(any(feature = "postgres", feature = "redis", feature = "s3"))]
mod event_sender;
#[cfg(any(
    feature = "consul",
    feature = "http",
    feature = "postgres",
    feature = "redis",
    feature = "s3",
    feature = "sqlite"
))]
mod feed;
#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(any(feature = "consul", feature = "http"))]
#[cfg_attr(
    not(all(feature = "consul", feature = "http")),
    allow(dead_code, reason = "each kind of store uses a part of it")
)]
mod http_client;
mod kinds;
#[cfg(any(feature = "consul", feature = "http", feature = "postgres"))]
mod lenient;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "s3")]
mod s3;
#[cfg(any(feature = "http", feature = "thrift"))]
mod served;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "thrift")]
pub(crate) mod thrift;
#[cfg(any(
    feature = "consul",
    feature = "http",
    feature = "postgres",
    feature = "redis",
    feature = "s3",
    feature = "thrift"
))]
#[cfg_attr(
    not(all(
        feature = "consul",
        feature = "http",
        feature = "postgres",
        feature = "redis",
        feature = "s3",
        feature = "thrift"
    )),
    allow(dead_code, reason = "each kind of store uses a part of it")
)]
mod url_parts;

#[cfg(feature = "consul")]
pub use consul::{ConsulClient, ConsulClientBuilder, ConsulConsistency, ConsulFeatureFlagStore};
#[cfg(feature = "http")]
pub use http::{HttpFeatureFlagStore, HttpStoreBuilder};
pub use kinds::{STORE_KINDS, StoreKind};
pub use memory::MemoryFeatureFlagStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresFeatureFlagStore;
#[cfg(feature = "redis")]
pub use redis::{RedisClient, RedisFeatureFlagStore};
#[cfg(feature = "s3")]
pub use s3::S3FeatureFlagStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteFeatureFlagStore;
#[cfg(feature = "thrift")]
pub use thrift::ThriftRpcFeatureFlagStore;
