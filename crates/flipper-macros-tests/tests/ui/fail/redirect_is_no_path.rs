use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = "old_sound")]
fn in_quotes() {}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = old_sound())]
fn called() {}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = || ())]
fn closure() {}

struct Horse;

impl Horse {
    #[flipper::is_enabled(features(), "MY_FEATURE", redirect = self.old_sound)]
    fn method(&self) {}

    fn old_sound(&self) {}
}

fn old_sound() {}

fn main() {}
