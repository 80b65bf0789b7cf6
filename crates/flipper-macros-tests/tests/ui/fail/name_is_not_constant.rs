use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), name)]
fn argument(name: &'static str) {}

#[flipper::is_enabled(features(), format!("MY_{}", "FEATURE"))]
fn formatted() {}

fn main() {}
