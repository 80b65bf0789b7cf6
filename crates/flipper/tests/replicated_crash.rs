//! The process that copies flags to a replica is killed in the middle, and another one copies on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "support/python.rs"]
mod python;

use std::collections::BTreeSet;
use std::time::Duration;

use flipper::store::Precondition;
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, RedisFeatureFlagStore, ReplicatedFeatureFlagStore};
use flipper_testkit::redis::{RedisServer, Reply};
use flipper_testkit::{Child, Harm, Relay, block_on, child_role, wait_until};
use serde_json::json;

use self::python::Python;

const FLAGS: usize = 5_000;
/// Of the flags that a copier has put when it is killed.
const KILLED_AT: [usize; 2] = [1_000, 3_000];
/// Of each kind of change.
const EACH: usize = 40;

fn open(url: &str) -> RedisFeatureFlagStore {
    RedisFeatureFlagStore::from_url(url).unwrap().timeout(Duration::from_secs(20))
}

/// Copies until it is killed.
#[test]
fn child() {
    let Some(role) = child_role() else { return };
    let [primary, replica] = &*role.arguments else { panic!("two URLs") };
    let _store = ReplicatedFeatureFlagStore::new(open(primary), open(replica));
    role.hear();
}

fn all(store: &RedisFeatureFlagStore) -> Vec<(String, String)> {
    let flags = block_on(store.list()).unwrap();
    flags.into_iter().map(|flag| (flag.name, flag.record.unwrap().to_json())).collect()
}

fn names(store: &RedisFeatureFlagStore) -> BTreeSet<String> {
    all(store).into_iter().map(|(name, _)| name).collect()
}

fn count(server: &RedisServer) -> usize {
    match server.command(&["DBSIZE"]) {
        Reply::Number(count) => usize::try_from(count).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What others do to the primary: half of it by Python, to flags that were copied and to flags that were not, and to new ones.
fn change(round: usize, primary: &RedisFeatureFlagStore, copied: &BTreeSet<String>, python: &mut Python) {
    let features = FeatureFlagClient::remote(primary.clone());
    let there = names(primary);
    let mut old: Vec<_> = there.intersection(copied).cloned().collect();
    let mut new: Vec<_> = there.difference(copied).cloned().collect();
    for flags in [&mut old, &mut new] {
        let mut next = || flags.drain(..EACH.min(flags.len())).collect::<Vec<_>>();
        for name in next() {
            python.ask(&json!(["destroy", name]));
        }
        for name in next() {
            block_on(features.destroy(&name)).unwrap();
        }
        for name in next() {
            python.ask(&json!(["set_client_data", name, { "round": round, "by": "Python" }]));
        }
        for name in next() {
            block_on(features.enable(&name)).unwrap();
        }
        for name in next() {
            python.ask(&json!(["destroy", name]));
            python.ask(&json!(["create", name, true, { "round": round }]));
        }
    }
    for number in 0..EACH {
        python.ask(&json!(["create", format!("PYTHON_{round}_{number}"), true, {}]));
        block_on(features.create(format!("RUST_{round}_{number}"))).unwrap();
    }
}

#[test]
fn another_process_copies_on() {
    let (Some(primary_server), Some(replica_server)) = (RedisServer::start(), RedisServer::start()) else { return };
    let Some(mut python) = Python::start("redis", primary_server.port(), "features") else { return };
    let (primary, replica) = (open(&primary_server.url()), open(&replica_server.url()));
    let flags: Vec<_> = (0..FLAGS).map(|number| FlagRecord::new(format!("F{number:04}"), 7)).collect();
    assert!(block_on(primary.put_all(&flags, Precondition::Absent.into())).iter().all(Result::is_ok));
    // From a time before.
    for name in ["F0000", "OLD"] {
        block_on(replica.put(&FlagRecord::new(name, 1), Precondition::Absent.into())).unwrap();
    }

    // So that the copying takes long enough to be interrupted.
    let relay = Relay::start(replica_server.port());
    relay.harm(Harm::Delay(Duration::from_millis(100)));
    let replica_url = format!("redis://127.0.0.1:{}", relay.port());
    let copier = || Child::spawn("copier", &[&primary_server.url(), &replica_url]);
    for (round, least) in KILLED_AT.into_iter().enumerate() {
        let running = copier();
        wait_until("it copies", || count(&replica_server) >= least);
        running.kill();
        let copied = names(&replica);
        assert!(copied.len() < FLAGS && copied.contains("OLD"), "{} were copied: too fast for this test", copied.len());
        change(round, &primary, &copied, &mut python);
    }
    let _last = copier();
    let before = count(&replica_server);
    wait_until("it copies", || count(&replica_server) > before);
    change(KILLED_AT.len(), &primary, &names(&replica), &mut python);
    relay.harm(Harm::None);
    wait_until("the replica has what the primary has", || all(&primary) == all(&replica));
    assert!(!names(&replica).contains("OLD"));
}
