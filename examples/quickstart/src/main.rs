//! Creates a flag in an SQLite file, flips it and checks it. Run it twice: the second run finds the flag.
//!
//! `cargo run -p quickstart [FILE]`; the file is `flipper-quickstart.db` here by default.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::PathBuf;

use flipper::{FeatureFlagClient, Result, SqliteFeatureFlagStore};

const MY_FEATURE: &str = "MY_FEATURE";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let file = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("flipper-quickstart.db"), PathBuf::from);
    let features = FeatureFlagClient::new(SqliteFeatureFlagStore::new(&file)?);
    println!("flags are kept in {}", std::path::absolute(&file).unwrap_or(file).display());

    if features.exists(MY_FEATURE) {
        println!("{MY_FEATURE} exists from an earlier run, and is {}", state(&features));
    } else {
        features.create(MY_FEATURE).await?;
        println!("created {MY_FEATURE}; it is {}", state(&features));
    }

    if features.is_enabled(MY_FEATURE) {
        features.disable(MY_FEATURE).await?;
    } else {
        features.enable(MY_FEATURE).await?;
    }
    println!("flipped it; now it is {}", state(&features));

    if features.is_enabled(MY_FEATURE) {
        println!("checked it: here the new code would run");
    } else {
        println!("checked it: here the old code would run");
    }
    features.close().await
}

fn state(features: &FeatureFlagClient) -> &'static str {
    if features.is_enabled(MY_FEATURE) { "on" } else { "off" }
}
