use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled("MY_FEATURE")]
fn sound() {}

#[flipper::is_enabled("MY_FEATURE", redirect = old_sound)]
fn other_sound() {}

fn old_sound() {}

fn main() {}
