//! The Consul store, over real agents.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "also in what the tests have in common")]

mod conformance;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use flipper::{ConsulBuilder, ConsulClient, ConsulFeatureFlagStore, FlagRecord};
use flipper_testkit::consul::ConsulAgent;

/// One for all tests that run at the same time, gone with the last of them.
struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    fn get(&self, start: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(start()?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }
}

static AGENT: Shared<ConsulAgent> = Shared::new();

/// The agent of the tests that do no harm to it.
fn agent() -> Option<Arc<ConsulAgent>> {
    AGENT.get(ConsulAgent::start)
}

/// A base key that no other test has.
fn random_base() -> String {
    format!("test-{:016x}", fastrand::u64(..))
}

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

fn builder(address: &str) -> ConsulBuilder {
    ConsulFeatureFlagStore::builder(ConsulClient::builder().address(address).build().unwrap())
}

async fn store(agent: &ConsulAgent, base: &str) -> ConsulFeatureFlagStore {
    builder(&agent.address()).base_key(base).connect().await.unwrap()
}
