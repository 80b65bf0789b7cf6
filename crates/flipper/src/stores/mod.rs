//! The stores, one file each.

#[cfg(any(feature = "consul", feature = "redis"))]
mod base_key;
#[cfg(feature = "consul")]
mod consul;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod event_sender;
#[cfg(any(feature = "consul", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod feed;
mod kinds;
#[cfg(any(feature = "consul", feature = "postgres"))]
mod lenient;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "thrift")]
pub(crate) mod thrift;
#[cfg(any(feature = "consul", feature = "postgres", feature = "redis", feature = "thrift"))]
#[cfg_attr(
    not(all(feature = "consul", feature = "redis", feature = "thrift")),
    allow(dead_code, reason = "each kind of store uses a part of it")
)]
mod url_parts;

#[cfg(feature = "consul")]
pub use consul::{ConsulClient, ConsulClientBuilder, ConsulConsistency, ConsulFeatureFlagStore};
pub use kinds::{STORE_KINDS, StoreKind};
pub use memory::MemoryFeatureFlagStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresFeatureFlagStore;
#[cfg(feature = "redis")]
pub use redis::{RedisClient, RedisFeatureFlagStore};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteFeatureFlagStore;
#[cfg(feature = "thrift")]
pub use thrift::ThriftRpcFeatureFlagStore;
