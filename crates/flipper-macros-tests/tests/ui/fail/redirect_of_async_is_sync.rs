use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = old_sound)]
async fn sound(volume: u8) -> String {
    format!("whinny {volume}")
}

fn old_sound(volume: u8) -> String {
    format!("neigh {volume}")
}

fn main() {}
