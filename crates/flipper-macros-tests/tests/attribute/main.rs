//! `#[flipper::is_enabled]` on all kinds of functions, in a crate that denies warnings.
#![deny(warnings, missing_docs, missing_debug_implementations, clippy::all, clippy::pedantic)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod asynchronous;
mod functions;
mod methods;
mod patterns;
mod shadowed;

use std::sync::LazyLock;

use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

/// One client for all tests; each has flags of its own.
pub static FEATURES: LazyLock<FeatureFlagClient> =
    LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));

fn set(name: &str, enabled: bool) {
    futures_executor::block_on(FEATURES.create(name).enabled(enabled).replace().into_future()).unwrap();
}

/// The results while the flag is missing, off and on.
fn states<T>(name: &str, mut call: impl FnMut() -> T) -> [T; 3] {
    let missing = call();
    set(name, false);
    let off = call();
    set(name, true);
    [missing, off, call()]
}
