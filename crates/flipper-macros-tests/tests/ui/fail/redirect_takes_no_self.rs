use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

struct Horse;

impl Horse {
    #[flipper::is_enabled(features(), "MY_FEATURE", redirect = Self::old_sound)]
    fn sound(&self, volume: u8) -> u8 {
        volume
    }

    fn old_sound(volume: u8) -> u8 {
        volume
    }
}

fn main() {}
