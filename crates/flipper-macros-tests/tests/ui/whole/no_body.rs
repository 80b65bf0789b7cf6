use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

trait Horse {
    #[flipper::is_enabled(features(), "MY_FEATURE")]
    fn sound(&self) -> u8;
}

fn main() {}
