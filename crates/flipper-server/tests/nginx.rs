//! A mirror over a server behind nginx, which buffers answers and changes paths.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{FeatureFlagStore, FlagRecord, HttpFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_testkit::{Nginx, block_on, wait_until};
use support::Running;

#[test]
fn flips_arrive_at_once_and_names_as_they_are() {
    let server = Running::memory();
    let Some(nginx) = Nginx::before(server.address) else { return };
    let store = HttpFeatureFlagStore::from_url(&nginx.url()).unwrap();
    for name in ["a/b", "/", "..", "a//b", "%2F", "é b", ""] {
        let record = FlagRecord::new(name, 7);
        let version = block_on(store.put(&record, Precondition::Absent.into())).unwrap();
        let read = block_on(store.get(name)).unwrap().unwrap();
        assert_eq!((read.version.clone(), read.name.as_str()), (version.clone(), name));
        assert_eq!(**read.readable().unwrap(), record);
        if name != "a/b" {
            block_on(store.delete(name, Precondition::Unchanged(version).into())).unwrap();
        }
    }
    let mirror = MirroredFeatureFlagStore::new(store);
    block_on(mirror.ready()).unwrap();
    assert_eq!(mirror.table().list().len(), 1);
    for number in 0..30 {
        let on = number % 2 == 0;
        server.send("PUT /api/v1/flags/A", &format!("{{\"enabled\": {on}}}"));
        wait_until("the flip arrives", || {
            mirror.table().get("A").and_then(|flag| flag.record.ok()).is_some_and(|record| record.is_enabled() == on)
        });
        // Not only with a heartbeat, which would be stale in between.
        assert!(mirror.status().is_live());
    }
    drop(nginx);
    wait_until("the loss shows", || !mirror.status().is_live());
}
