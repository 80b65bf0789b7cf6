use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

struct Horse;

impl Horse {
    #[flipper::is_enabled(features(), "MY_FEATURE", redirect = Self::sound)]
    fn sound(&self) {}
}

fn main() {}
