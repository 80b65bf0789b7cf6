use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = old_sound)]
fn sound(volume: u8) -> u8 {
    volume
}

fn old_sound(volume: String) -> u8 {
    volume.len() as u8
}

fn main() {}
