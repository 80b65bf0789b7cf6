//! The stores, one file each.

#[cfg(any(feature = "consul", feature = "redis"))]
mod base_key;
#[cfg(feature = "consul")]
mod consul;
#[cfg(any(feature = "consul", feature = "http", feature = "redis", feature = "sqlite"))]
mod feed;
#[cfg(feature = "http")]
mod http;
#[cfg(any(feature = "consul", feature = "http"))]
#[cfg_attr(
    not(all(feature = "consul", feature = "http")),
    allow(dead_code, reason = "each kind of store uses a part of it")
)]
mod http_client;
mod kinds;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "http", feature = "thrift"))]
mod served;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "thrift")]
pub(crate) mod thrift;
#[cfg(any(feature = "consul", feature = "http", feature = "redis", feature = "thrift"))]
#[cfg_attr(
    not(all(feature = "consul", feature = "http", feature = "redis", feature = "thrift")),
    allow(dead_code, reason = "each kind of store uses a part of it")
)]
mod url_parts;

#[cfg(feature = "consul")]
pub use consul::{ConsulClient, ConsulClientBuilder, ConsulConsistency, ConsulFeatureFlagStore};
#[cfg(feature = "http")]
pub use http::{HttpFeatureFlagStore, HttpStoreBuilder};
pub use kinds::{STORE_KINDS, StoreKind};
pub use memory::MemoryFeatureFlagStore;
#[cfg(feature = "redis")]
pub use redis::{RedisClient, RedisFeatureFlagStore};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteFeatureFlagStore;
#[cfg(feature = "thrift")]
pub use thrift::ThriftRpcFeatureFlagStore;
