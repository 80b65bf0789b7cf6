//! The Consul store: contract, faults and foreign writers.

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
mod history;
mod idle;
mod renewal;
mod requests;
mod restarts;

use std::sync::Arc;
use std::time::Duration;

use flipper::store::{Health, LocalFeatureFlagStore, Stored};
use flipper::{
    ConsulClient, ConsulFeatureFlagStore, Error, FeatureFlagClient, FlagRecord, MirroredFeatureFlagStore, blocking,
};
use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::{Child, Shared, child_role, wait_until};

static AGENT: Shared<ConsulAgent> = Shared::new();

fn agent() -> Option<Arc<ConsulAgent>> {
    AGENT.get(|| ConsulAgent::options().dev().start())
}

fn random_base() -> String {
    format!("test-{:016x}", fastrand::u64(..))
}

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

/// Makes the list of all flags so large that the store follows hints: it lists all keys that begin with the base key.
fn make_lists_large(agent: &ConsulAgent, base: &str) {
    agent.put(&format!("{base}-other"), &[b' '; 64 * 1024]);
}

fn bare(address: &str) -> ConsulFeatureFlagStore {
    ConsulFeatureFlagStore::new(ConsulClient::builder().address(address).build().unwrap())
}

type Mirror = MirroredFeatureFlagStore<ConsulFeatureFlagStore>;

trait Connect {
    async fn connect(self) -> flipper::Result<Mirror>;

    fn connect_within(self, limit: Duration) -> flipper::Result<Mirror>;
}

impl Connect for ConsulFeatureFlagStore {
    async fn connect(self) -> flipper::Result<Mirror> {
        let mirror = Mirror::new(self);
        mirror.ready().await.map(|()| mirror)
    }

    fn connect_within(self, limit: Duration) -> flipper::Result<Mirror> {
        let mirror = Mirror::new(self);
        let ready = blocking::FeatureFlagClient::from(FeatureFlagClient::new(mirror.clone())).ready_timeout(limit);
        ready.map_err(|error| match stale(&mirror) {
            Some(reason) if error.is_transient() => Error::new(error.kind()).with_message(reason.to_string()),
            _ => error,
        })?;
        Ok(mirror)
    }
}

async fn store(agent: &ConsulAgent, base: &str) -> Mirror {
    bare(&agent.address()).base_key(base).unwrap().connect().await.unwrap()
}

/// Waits until the mirror has this state; `None`: until it has no such flag.
#[track_caller]
fn wait_for(store: &Mirror, name: &str, enabled: Option<bool>) {
    wait_until(&format!("{name} is {enabled:?}"), || state(store, name) == enabled);
}

fn state(store: &Mirror, name: &str) -> Option<bool> {
    Some(store.table().get(name)?.record.ok()?.is_enabled())
}

fn names(flags: &[Stored]) -> Vec<&str> {
    flags.iter().map(|flag| flag.name.as_str()).collect()
}

fn stale(store: &Mirror) -> Option<Arc<str>> {
    match store.status().health {
        Health::Stale { reason, .. } => Some(reason),
        _ => None,
    }
}

#[track_caller]
fn wait_until_live(store: &Mirror) {
    wait_until("the store is live", || store.status().is_live());
}

#[track_caller]
fn wait_until_stale(store: &Mirror) -> Arc<str> {
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
        None => Child::spawn("merge", &["", "", "", "0"]).succeed(),
    }
}
