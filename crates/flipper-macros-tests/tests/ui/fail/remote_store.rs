use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

fn remote() -> FeatureFlagClient<flipper::client::Remote> {
    FeatureFlagClient::remote(MemoryFeatureFlagStore::new())
}

#[flipper::is_enabled(remote(), "MY_FEATURE")]
fn sound() {}

#[flipper::is_enabled(remote(), "MY_FEATURE", context = flipper::context! { user_id: 7 })]
fn targeted() {}

fn main() {}
