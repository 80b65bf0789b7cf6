//! The stores, one file each.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "thrift")]
pub(crate) mod thrift;

pub use memory::MemoryFeatureFlagStore;
#[cfg(feature = "redis")]
pub use redis::{RedisClient, RedisFeatureFlagStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteFeatureFlagStore, SqliteOptions};
#[cfg(feature = "thrift")]
pub use thrift::{ThriftRpcFeatureFlagStore, ThriftRpcOptions};
