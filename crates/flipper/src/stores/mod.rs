//! The stores, one file each.

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use memory::MemoryFeatureFlagStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteFeatureFlagStore, SqliteOptions};
