//! The attribute and the flags of the guide.

use std::sync::LazyLock;

use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};

static FEATURES: LazyLock<FeatureFlagClient> =
    LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));
static FLAGS: LazyLock<Flags> = LazyLock::new(|| Flags::new(&FEATURES));

flipper::flags! {
    pub struct Flags {
        /// Louder horses.
        improved_horse_sounds: "IMPROVED_HORSE_SOUNDS",
        new_checkout = true,
    }
}

#[flipper::is_enabled(FEATURES, "IMPROVED_HORSE_SOUNDS", redirect = old_horse_sound)]
pub fn horse_sound(volume: u8) -> String {
    format!("Whinny at {volume}")
}

fn old_horse_sound(volume: u8) -> String {
    format!("Neigh at {volume}")
}

#[flipper::is_enabled(FLAGS.new_checkout, context = context! { user_id: user }, otherwise = None)]
async fn checkout(user: u64) -> Option<u64> {
    Some(user)
}

fn main() {
    assert_eq!(horse_sound(3), "Neigh at 3");
    assert!(FLAGS.new_checkout.is_enabled());
    drop(checkout(7));
}
