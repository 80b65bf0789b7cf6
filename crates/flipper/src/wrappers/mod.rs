//! Stores made of another store.

mod cached;
mod mirrored;
mod replicated;

pub use cached::CachedFeatureFlagStore;
pub use mirrored::{MirrorBuilder, MirroredFeatureFlagStore};
pub use replicated::{ReplicaStatus, ReplicatedBuilder, ReplicatedFeatureFlagStore};
