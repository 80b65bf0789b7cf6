use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE")]
struct Horse;

#[flipper::is_enabled(features(), "MY_FEATURE")]
impl Horse {}

#[flipper::is_enabled(features(), "MY_FEATURE")]
const VOLUME: u8 = 3;

#[flipper::is_enabled(features(), "MY_FEATURE")]
pub mod sounds {}

fn main() {}
