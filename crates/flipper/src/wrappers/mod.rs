//! Stores made of another store.

mod cached;
mod mirrored;

use std::error::Error as _;

pub use cached::CachedFeatureFlagStore;
pub use mirrored::{MirrorBuilder, MirroredFeatureFlagStore};

use crate::error::Error;

/// An error with all that is behind it, where there is room for a text only.
pub(crate) fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Drivers repeat what their own source says.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
