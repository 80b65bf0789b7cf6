//! The Redis store: contract, faults and foreign writers.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "also in what the tests have in common")]

mod bulk;
mod cluster;
mod conformance;
mod connect;
mod contention;
mod doubt;
mod foreign;
mod history;
mod inspect;
mod login;
mod refusals;
mod sentinel;
mod watch;

use std::time::{Duration, Instant};

use flipper::store::{Stored, Updates, Watch, WatchEvent};
use flipper::{FeatureFlagStore, FlagRecord, RedisFeatureFlagStore};
use futures_util::StreamExt;

fn random_base() -> String {
    format!("test-{:016x}", fastrand::u64(..))
}

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

fn store(url: &str) -> RedisFeatureFlagStore {
    RedisFeatureFlagStore::from_url(url).unwrap().base_key(random_base())
}

fn names(flags: &[Stored]) -> Vec<&str> {
    flags.iter().map(|flag| flag.name.as_str()).collect()
}

/// Waits for an async condition, as `wait_until` for a plain one.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + flipper_testkit::PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

struct Follow<'a> {
    store: &'a dyn FeatureFlagStore,
    watch: Watch<'a>,
}

impl<'a> Follow<'a> {
    fn of(store: &'a dyn FeatureFlagStore) -> Self {
        Self { store, watch: store.watch() }
    }

    async fn next(&mut self) -> WatchEvent {
        let next = tokio::time::timeout(Duration::from_secs(20), self.watch.next());
        next.await.expect("an event in time").expect("a watch never ends")
    }

    async fn reset(&mut self) -> (Vec<Stored>, Option<Instant>) {
        loop {
            if let WatchEvent::Reset { flags, read_at, .. } = self.next().await {
                return (flags, read_at);
            }
        }
    }

    async fn following(&mut self) -> Updates {
        loop {
            if let WatchEvent::Following(by) = self.next().await {
                return by;
            }
        }
    }

    /// Waits for this state of the flag (`None`: missing); returns when its read was sent.
    async fn until(&mut self, name: &str, enabled: Option<bool>) -> Option<Instant> {
        let is_so = |flag: &Stored| flag.record.as_ref().ok().map(|record| record.is_enabled()) == enabled;
        loop {
            match self.next().await {
                WatchEvent::Changed { flag, read_at } if flag.name == name && is_so(&flag) => return read_at,
                WatchEvent::Removed { name: gone, read_at, .. } if gone == name && enabled.is_none() => return read_at,
                WatchEvent::Reset { flags, read_at, .. } => {
                    let found = flags.iter().find(|flag| flag.name == name);
                    if found.map_or(enabled.is_none(), is_so) {
                        return read_at;
                    }
                }
                WatchEvent::Hint { name: hinted } if hinted == name => {
                    let read_at = Instant::now();
                    let found = self.store.get(name).await.unwrap();
                    if found.as_ref().map_or(enabled.is_none(), is_so) {
                        return Some(read_at);
                    }
                }
                _ => {}
            }
        }
    }

    async fn lost(&mut self) -> flipper::Error {
        loop {
            if let WatchEvent::Lost(error) = self.next().await {
                return error;
            }
        }
    }
}
