//! A bucket as the replica of another store.

use std::time::Duration;

use flipper::store::Precondition;
use flipper::{FeatureFlagStore, MemoryFeatureFlagStore, ReplicatedFeatureFlagStore};
use flipper_testkit::s3::S3Proxy;
use flipper_testkit::{block_on, wait_until};

use crate::{flag, seaweedfs, store};

#[test]
fn a_bucket_has_what_the_primary_has() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let replica = || store(proxy.port(), &bucket);
    let primary = MemoryFeatureFlagStore::new();
    let put = |store: &dyn FeatureFlagStore, name: &str, enabled: bool| {
        block_on(store.put(&flag(name, enabled), Precondition::Any.into())).unwrap();
    };
    let is_same = || {
        let [here, there] = [block_on(primary.list()).unwrap(), block_on(replica().list()).unwrap()]
            .map(|flags| flags.into_iter().map(|flag| (flag.name, flag.record)).collect::<Vec<_>>());
        here == there
    };
    // What it has of its own is overwritten, or deleted.
    ["F1", "ONLY_THERE"].iter().for_each(|name| put(&replica(), name, false));
    (0..20).for_each(|number| put(&primary, &format!("F{number}"), true));
    let both = ReplicatedFeatureFlagStore::new(primary.clone(), replica());
    wait_until("all flags are there", is_same);
    // By this store, and by another program.
    put(&both, "F2", false);
    block_on(both.delete("F3", Precondition::Any.into())).unwrap();
    put(&primary, "F4", false);
    wait_until("the changes are there", is_same);

    // The bucket cannot be written for a while.
    proxy.refuse("PUT ", 503, "SlowDown", usize::MAX);
    put(&both, "F5", false);
    assert!(block_on(both.in_step(Duration::from_millis(100))).is_err());
    assert!(both.replicas()[0].pending.contains("F5"));
    proxy.obey();
    wait_until("the late change is there", is_same);
}
