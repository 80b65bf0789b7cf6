use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};

flipper::flags! {
    pub struct Flags { new_checkout }
}

fn flags() -> Flags {
    Flags::new(&FeatureFlagClient::remote(MemoryFeatureFlagStore::new()))
}

async fn registered() -> flipper::Result<Flags> {
    Flags::register(&FeatureFlagClient::remote(MemoryFeatureFlagStore::new())).await
}

fn main() {}
