use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled("MY_FEATURE", features())]
fn sound() {}

fn main() {}
