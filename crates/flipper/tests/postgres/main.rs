//! The PostgreSQL store: contract, feed, faults and foreign writers.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "also in what the tests have in common")]

mod conformance;
mod connect;
mod contention;
mod doubt;
mod feed;
#[path = "../support/follow.rs"]
mod follow;
mod foreign;
mod history;
mod idle;
mod inspect;
mod pool;
mod proxy;
#[path = "../support/python.rs"]
mod python;
mod queue;
mod restored;
mod rights;
mod writes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::store::{Stored, Updates, WatchEvent};
use flipper::{FlagRecord, PostgresFeatureFlagStore};
use flipper_testkit::Shared;
use flipper_testkit::postgres::PostgresServer;

use follow::Follow;

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

impl Follow<'_> {
    async fn pushed(&mut self) {
        self.find(|event| matches!(event, WatchEvent::Following(Updates::Push)).then_some(())).await;
    }

    async fn polled(&mut self) {
        self.find(|event| matches!(event, WatchEvent::Following(Updates::Poll { .. })).then_some(())).await;
    }

    async fn confirmed_after(&mut self, then: Instant) {
        self.find(|event| matches!(event, WatchEvent::Confirmed { at, .. } if at > then).then_some(())).await;
    }

    /// Waits for this state of the flag (`None`: missing); fails if a doubt begins.
    async fn until(&mut self, name: &str, enabled: Option<bool>) {
        let is_so = |flag: &Stored| flag.record.as_ref().ok().map(|record| record.is_enabled()) == enabled;
        self.find(|event| {
            let is_here = match event {
                WatchEvent::Changed { flag, read_at } if flag.name == name => {
                    assert!(read_at.is_some());
                    is_so(&flag)
                }
                WatchEvent::Removed { name: gone, .. } => gone == name && enabled.is_none(),
                WatchEvent::Reset { flags, .. } => {
                    flags.iter().find(|flag| flag.name == name).map_or(enabled.is_none(), is_so)
                }
                WatchEvent::Lost(error) => panic!("{error:?}"),
                _ => false,
            };
            is_here.then_some(())
        })
        .await;
    }
}

/// In a child process only.
#[test]
fn child() {
    contention::child();
}
