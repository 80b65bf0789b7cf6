//! The real Python library, in the environment that `scripts/setup` makes.

use std::path::PathBuf;

use crate::skip;

/// The interpreter with `flipper-client` 1.3.2. Prints `SKIP` and returns `None` without it.
#[must_use]
pub fn interpreter() -> Option<PathBuf> {
    let python = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/python/bin/python"));
    if python.exists() {
        return Some(python);
    }
    skip("python", "there is no .cache/python; scripts/setup makes it");
    None
}
