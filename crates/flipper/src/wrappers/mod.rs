//! Stores made of another store.

mod mirrored;

pub use mirrored::{MirrorBuilder, MirroredFeatureFlagStore};
