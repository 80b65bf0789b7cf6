//! The decorator of the Python library's first README, as an attribute: `cargo run --example brief_decorator`.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::sync::LazyLock;

use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, Result};

const FEATURE_IMPROVED_HORSE_SOUNDS: &str = "IMPROVED_HORSE_SOUNDS";

static FEATURES: LazyLock<FeatureFlagClient> = LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));

#[flipper::is_enabled(FEATURES, FEATURE_IMPROVED_HORSE_SOUNDS, redirect = old_horse_sound)]
fn new_horse_sound(request: &str) -> String {
    format!("{request}: Whinny")
}

fn old_horse_sound(request: &str) -> String {
    format!("{request}: Neigh")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    println!("{}", new_horse_sound("missing"));
    FEATURES.create(FEATURE_IMPROVED_HORSE_SOUNDS).await?;
    println!("{}", new_horse_sound("disabled"));
    FEATURES.enable(FEATURE_IMPROVED_HORSE_SOUNDS).await?;
    println!("{}", new_horse_sound("enabled"));
    Ok(())
}
