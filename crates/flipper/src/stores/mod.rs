//! The stores, one file each.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "thrift")]
pub(crate) mod thrift;

pub use memory::MemoryFeatureFlagStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteFeatureFlagStore, SqliteOptions};
#[cfg(feature = "thrift")]
pub use thrift::{ThriftRpcFeatureFlagStore, ThriftRpcOptions};
