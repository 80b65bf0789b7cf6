use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), 7)]
fn number() {}

#[flipper::is_enabled(features(), b"MY_FEATURE")]
fn bytes() {}

#[flipper::is_enabled(features(), MY_FEATURE)]
fn no_quotes() {}

const NUMBER: u8 = 7;

#[flipper::is_enabled(features(), NUMBER)]
fn constant_number() {}

fn main() {}
