//! `tests/same_instructions.rs` compiles this with attributes and typed flags, and with `--cfg by_hand` without them. The assembly
//! must be the same.
#![allow(unexpected_cfgs, reason = "`by_hand` is for the test alone")]

use std::future::Future;
use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};

#[cfg(not(by_hand))]
mod functions {
    use super::*;

    #[inline(never)]
    #[flipper::is_enabled(features, "PLAIN", otherwise = number + 1)]
    pub(crate) fn plain(features: &FeatureFlagClient, number: u64) -> u64 {
        number * 3
    }

    #[inline(never)]
    #[flipper::is_enabled(features, "REDIRECT", context = context! { name: &name }, redirect = old_redirected)]
    pub(crate) fn redirected(features: &FeatureFlagClient, name: String) -> String {
        name.repeat(features.list().len())
    }

    #[flipper::is_enabled(features, "ASYNC", redirect = old_awaited)]
    pub(crate) async fn awaited(features: &FeatureFlagClient, number: u64) -> u64 {
        number + u64::from(features.exists("OTHER"))
    }

    flipper::flags! {
        pub(crate) struct Flags { typed = true }
    }

    #[inline(never)]
    pub(crate) fn typed(flags: &Flags) -> bool {
        flags.typed.is_enabled()
    }

    pub(crate) fn flags(features: &FeatureFlagClient) -> Flags {
        Flags { typed: features.get("TYPED").with_default(true) }
    }
}

#[cfg(by_hand)]
mod functions {
    use super::*;

    #[inline(never)]
    pub(crate) fn plain(features: &FeatureFlagClient, number: u64) -> u64 {
        if features.is_enabled("PLAIN") { number * 3 } else { number + 1 }
    }

    #[inline(never)]
    pub(crate) fn redirected(features: &FeatureFlagClient, name: String) -> String {
        if features.is_enabled_with("REDIRECT", &context! { name: &name }) {
            name.repeat(features.list().len())
        } else {
            old_redirected(features, name)
        }
    }

    pub(crate) async fn awaited(features: &FeatureFlagClient, number: u64) -> u64 {
        if features.is_enabled("ASYNC") {
            number + u64::from(features.exists("OTHER"))
        } else {
            old_awaited(features, number).await
        }
    }

    pub(crate) type Flags = flipper::FeatureFlag;

    #[inline(never)]
    pub(crate) fn typed(flag: &Flags) -> bool {
        flag.is_enabled()
    }

    pub(crate) fn flags(features: &FeatureFlagClient) -> Flags {
        features.get("TYPED").with_default(true)
    }
}

#[inline(never)]
fn old_redirected(features: &FeatureFlagClient, name: String) -> String {
    if features.exists("OTHER") { name + "!" } else { name }
}

async fn old_awaited(features: &FeatureFlagClient, number: u64) -> u64 {
    number + u64::from(features.exists("ANOTHER"))
}

/// Keeps the `async fn` in one function instead of its callers.
#[inline(never)]
fn polled(features: &FeatureFlagClient, number: u64) -> Poll<u64> {
    let future = std::pin::pin!(functions::awaited(features, number));
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn main() {
    let features = black_box(FeatureFlagClient::new(MemoryFeatureFlagStore::new()));
    black_box(functions::plain(&features, black_box(1)));
    black_box(functions::redirected(&features, black_box(String::from("a"))));
    black_box(polled(&features, black_box(1)));
    black_box(functions::typed(&black_box(functions::flags(&features))));
}
