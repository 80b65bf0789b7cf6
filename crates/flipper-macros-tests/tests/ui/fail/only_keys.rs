use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(redirect = old_sound)]
fn sound() {}

fn old_sound() {}

fn main() {}
