use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = old_sound)]
fn sound(volume: u8) -> String {
    format!("{volume}")
}

fn old_sound(volume: u8, name: &str) -> String {
    format!("{name} {volume}")
}

fn main() {}
