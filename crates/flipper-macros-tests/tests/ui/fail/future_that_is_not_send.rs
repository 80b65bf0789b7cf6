use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(features(), "MY_FEATURE", redirect = old_sound)]
async fn sound() {}

async fn old_sound() {
    let local = std::rc::Rc::new(1);
    std::future::ready(()).await;
    drop(local);
}

fn assert_send(_: impl Send) {}

fn main() {
    assert_send(sound());
}
