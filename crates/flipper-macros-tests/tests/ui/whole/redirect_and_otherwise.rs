use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = old_sound, otherwise = 1)]
fn sound() -> u8 {
    2
}

fn old_sound() -> u8 {
    1
}

fn main() {}
