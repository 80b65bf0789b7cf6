//! The Consul store, over real agents.

#![expect(clippy::unwrap_used, reason = "also in what the tests have in common")]

mod access;
mod cluster;
mod conformance;
mod connecting;
mod contention;
mod doubt;
mod faults;
mod following;
mod foreign;
mod idle;
mod renewal;
mod requests;
mod restarts;

use std::sync::Arc;

use flipper::{ConsulBuilder, ConsulClient, ConsulFeatureFlagStore, FlagRecord, Health, LocalFeatureFlagStore, Stored};
use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::{Child, Shared, child_role, wait_until};

static AGENT: Shared<ConsulAgent> = Shared::new();

/// The agent of the tests that do no harm to it.
fn agent() -> Option<Arc<ConsulAgent>> {
    AGENT.get(|| ConsulAgent::options().dev().start())
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

/// Makes the list of all flags as large as that of many: who follows them lists all keys that begin with the base key.
fn make_lists_large(agent: &ConsulAgent, base: &str) {
    agent.put(&format!("{base}-other"), &[b' '; 64 * 1024]);
}

fn builder(address: &str) -> ConsulBuilder {
    ConsulFeatureFlagStore::builder(ConsulClient::builder().address(address).build().unwrap())
}

async fn store(agent: &ConsulAgent, base: &str) -> ConsulFeatureFlagStore {
    builder(&agent.address()).base_key(base).connect().await.unwrap()
}

/// Waits until the flag is so in memory; `None`: until it is gone.
#[track_caller]
fn wait_for(store: &ConsulFeatureFlagStore, name: &str, enabled: Option<bool>) {
    wait_until(&format!("{name} is {enabled:?}"), || state(store, name) == enabled);
}

fn state(store: &ConsulFeatureFlagStore, name: &str) -> Option<bool> {
    Some(store.table().get(name)?.record.ok()?.is_enabled())
}

fn names(flags: &[Stored]) -> Vec<&str> {
    flags.iter().map(|flag| flag.name.as_str()).collect()
}

/// Why it is stale; `None` while it is not.
fn stale(store: &ConsulFeatureFlagStore) -> Option<Arc<str>> {
    match store.status().health {
        Health::Stale { reason, .. } => Some(reason),
        _ => None,
    }
}

#[track_caller]
fn wait_until_live(store: &ConsulFeatureFlagStore) {
    wait_until("the store is live", || store.status().is_live());
}

#[track_caller]
fn wait_until_stale(store: &ConsulFeatureFlagStore) -> Arc<str> {
    wait_until("the store is stale", || stale(store).is_some());
    stale(store).unwrap_or_else(|| "live again".into())
}

#[test]
fn child() {
    match child_role() {
        Some(role) => match role.name.as_str() {
            "merge" => contention::merge(&role),
            "change" => following::change(&role),
            name => panic!("no role {name}"),
        },
        // That the processes of these tests can be started.
        None => Child::spawn("merge", &["", "", "", "0"]).succeed(),
    }
}
