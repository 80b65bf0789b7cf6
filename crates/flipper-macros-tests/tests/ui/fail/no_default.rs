use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

struct Sound;

#[flipper::is_enabled(features(), "MY_FEATURE")]
fn sound() -> Sound {
    Sound
}

#[flipper::is_enabled(features(), "MY_FEATURE")]
async fn fallible() -> Result<String, std::io::Error> {
    Ok(String::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE")]
fn hidden() -> impl std::fmt::Debug {
    &3
}

fn main() {}
