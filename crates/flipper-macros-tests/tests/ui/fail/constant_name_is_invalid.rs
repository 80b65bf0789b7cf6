use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

const EMPTY: &str = "";
const SLASH: &str = "my/feature";
const CONTROL: &str = "a\u{85}b";

#[flipper::is_enabled(features(), EMPTY)]
fn empty() {}

#[flipper::is_enabled(features(), SLASH)]
fn slash() {}

#[flipper::is_enabled(features(), CONTROL)]
fn control() {}

fn main() {}
