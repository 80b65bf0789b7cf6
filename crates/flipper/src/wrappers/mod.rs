//! Stores made of another store.

mod cached;
mod mirrored;

pub use cached::CachedFeatureFlagStore;
pub use mirrored::{MirrorBuilder, MirroredFeatureFlagStore};
