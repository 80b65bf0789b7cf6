//! The PostgreSQL store: contract, feed, faults and foreign writers.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "also in what the tests have in common")]

mod conformance;
mod connect;
mod contention;
mod doubt;
mod feed;
mod foreign;
mod inspect;
mod pool;
#[path = "../support/python.rs"]
mod python;
mod rights;
mod writes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::store::{Stored, Updates, Watch, WatchEvent};
use flipper::{FeatureFlagStore, FlagRecord, PostgresFeatureFlagStore};
use flipper_testkit::Shared;
use flipper_testkit::postgres::PostgresServer;
use futures_util::StreamExt;

static SERVER: Shared<PostgresServer> = Shared::new();

/// For tests that harm only their own table.
fn shared() -> Option<Arc<PostgresServer>> {
    SERVER.get(|| PostgresServer::options().set("max_connections=300").start())
}

fn random_table() -> String {
    format!("test_{:016x}", fastrand::u64(..))
}

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

fn json(name: &str, enabled: bool) -> String {
    format!("convert_to('{}', 'UTF8')", flag(name, enabled).to_json())
}

fn store(url: &str, table: &str) -> PostgresFeatureFlagStore {
    let store = PostgresFeatureFlagStore::from_url(url).unwrap().table(table);
    // The machine may be busy.
    store.poll_every(Duration::from_millis(200)).timeout(flipper_testkit::PATIENCE)
}

fn names(flags: &[Stored]) -> Vec<&str> {
    flags.iter().map(|flag| flag.name.as_str()).collect()
}

/// The first success; every failure before it must be transient.
async fn eventually<T>(mut call: impl AsyncFnMut() -> flipper::Result<T>) -> T {
    let deadline = Instant::now() + flipper_testkit::PATIENCE;
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.is_transient(), "{error:?}");
                assert!(Instant::now() < deadline, "still {error:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
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
        let next = tokio::time::timeout(flipper_testkit::PATIENCE, self.watch.next());
        next.await.expect("an event in time").expect("a watch never ends")
    }

    async fn reset(&mut self) -> Vec<Stored> {
        loop {
            if let WatchEvent::Reset { flags, read_at, .. } = self.next().await {
                assert!(read_at.is_some());
                return flags;
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

    /// The next `Reset`; `Restored` must precede it.
    async fn restored(&mut self) -> Vec<Stored> {
        let mut is_restored = false;
        loop {
            match self.next().await {
                WatchEvent::Restored => is_restored = true,
                WatchEvent::Reset { flags, .. } => {
                    assert!(is_restored);
                    return flags;
                }
                _ => {}
            }
        }
    }

    async fn following(&mut self, wanted: impl Fn(Updates) -> bool) {
        loop {
            if let WatchEvent::Following(by) = self.next().await
                && wanted(by)
            {
                return;
            }
        }
    }

    async fn pushed(&mut self) {
        self.following(|by| by == Updates::Push).await;
    }

    async fn polled(&mut self) {
        self.following(|by| matches!(by, Updates::Poll { .. })).await;
    }

    /// Waits for this state of the flag (`None`: missing); fails if a doubt begins.
    async fn until(&mut self, name: &str, enabled: Option<bool>) {
        let is_so = |flag: &Stored| flag.record.as_ref().ok().map(|record| record.is_enabled()) == enabled;
        loop {
            match self.next().await {
                WatchEvent::Changed { flag, read_at } if flag.name == name && is_so(&flag) => {
                    return assert!(read_at.is_some());
                }
                WatchEvent::Removed { name: gone, .. } if gone == name && enabled.is_none() => return,
                WatchEvent::Reset { flags, .. } => {
                    let found = flags.iter().find(|flag| flag.name == name);
                    if found.map_or(enabled.is_none(), is_so) {
                        return;
                    }
                }
                WatchEvent::Hint { name: hinted } if hinted == name => {
                    let found = self.store.get(name).await.unwrap();
                    if found.as_ref().map_or(enabled.is_none(), is_so) {
                        return;
                    }
                }
                WatchEvent::Lost(error) => panic!("{error:?}"),
                _ => {}
            }
        }
    }
}

/// In a child process only.
#[test]
fn child() {
    contention::child();
}
