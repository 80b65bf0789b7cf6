use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = old_sound)]
fn sound(volume: u8) -> String {
    format!("whinny {volume}")
}

async fn old_sound(volume: u8) -> String {
    format!("neigh {volume}")
}

fn main() {}
