//! Without any imports.
#![no_implicit_prelude]

extern crate flipper;
extern crate std;

flipper::flags! {
    struct Flags { only }
}

#[flipper::is_enabled(features, "MY_FEATURE", redirect = old_sound)]
async fn sound(features: &flipper::FeatureFlagClient) -> u8 {
    1
}

async fn old_sound(features: &flipper::FeatureFlagClient) -> u8 {
    let _ = Flags::new(features).only.is_enabled();
    0
}

#[flipper::is_enabled(features, "MY_FEATURE")]
fn silence(features: &flipper::FeatureFlagClient) {}

fn main() {
    let features = flipper::FeatureFlagClient::new(flipper::MemoryFeatureFlagStore::new());
    silence(&features);
    std::mem::drop(sound(&features));
}
