//! A server that is killed and started with its data. Until its log is applied it answers from an older state, or an empty one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use flipper::store::{LocalFeatureFlagStore, Stored, Version, WatchEvent};
use flipper::{FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::wait_until;
use futures_util::{FutureExt, StreamExt};

use crate::{Connect as _, bare, flag, wait_until_live, wait_until_stale};

const FLAGS: usize = 300;
/// Of all flags, before the first restart: the log is then long enough that a reader meets it half applied.
const WRITES: u64 = 150;
const MORE_WRITES: u64 = 5;

fn restarts() -> usize {
    std::env::var("FLIPPER_RESTARTS").map_or(5, |number| number.parse().unwrap())
}

/// Sets all flags once more.
fn write(agent: &ConsulAgent, rounds: &mut u64, more: u64) {
    for _ in 0..more {
        *rounds += 1;
        let flags: Vec<_> = (0..FLAGS)
            .map(|number| {
                let mut record = flag(&format!("F{number}"), true);
                let mut data = flipper::json::Object::new();
                data.insert("round", *rounds);
                record.set_client_data(data);
                (format!("features/F{number}"), record.to_json())
            })
            .collect();
        agent.put_all(&flags);
    }
}

fn round(flag: &Stored) -> u64 {
    let record = flag.record.as_ref().unwrap();
    record.client_data().get("round").and_then(flipper::json::Json::as_i64).unwrap().cast_unsigned()
}

/// Reads as commands do that have just begun.
fn read_in_vain(address: String, written: Arc<AtomicU64>, ended: Arc<AtomicBool>) -> JoinHandle<(u32, u32)> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut read, mut refused) = (0, 0);
        while read == 0 || !ended.load(Ordering::Relaxed) {
            let store = bare(&address);
            let least = written.load(Ordering::Relaxed);
            match runtime.block_on(store.get("F7")) {
                Ok(found) => {
                    assert!(found.is_some_and(|flag| round(&flag) >= least), "an older state of a flag, or none");
                    read += 1;
                }
                Err(_) => refused += 1,
            }
            if let Ok(flags) = runtime.block_on(store.list()) {
                assert_eq!(flags.len(), FLAGS);
                assert!(flags.iter().all(|flag| round(flag) >= least), "an older state of a flag");
            }
            std::thread::yield_now();
        }
        (read, refused)
    })
}

/// `FLIPPER_RESTARTS=50` for more of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_applies_its_log_tells_nothing() {
    let Some(mut agent) = ConsulAgent::start() else { return };
    let mut rounds = 0;
    write(&agent, &mut rounds, WRITES);
    let mirror = bare(&agent.address()).connect().await.unwrap();
    let features = FeatureFlagClient::new(mirror.clone());
    let watched = bare(&agent.address());
    let mut watch = watched.watch();
    let versions = |flags: &[Stored]| {
        let mut versions: Vec<(String, Version)> =
            flags.iter().map(|flag| (flag.name.clone(), flag.version.clone())).collect();
        versions.sort_by(|a, b| a.0.cmp(&b.0));
        versions
    };
    let mut last = Vec::new();
    for restart in 0..restarts() {
        write(&agent, &mut rounds, MORE_WRITES);
        wait_until("all is here", || mirror.table().list().iter().all(|flag| round(flag) == rounds));
        let before = versions(&mirror.table().list());
        assert_eq!(before.len(), FLAGS);
        // All of these writes is told.
        while last != before {
            match watch.next().await.unwrap() {
                WatchEvent::Reset { flags, .. } => last = versions(&flags),
                WatchEvent::Changed { flag, .. } => {
                    let at = last.iter().position(|(name, _)| *name == flag.name).unwrap();
                    last[at].1 = flag.version;
                }
                WatchEvent::Removed { name, .. } => panic!("{name} is there"),
                _ => {}
            }
        }
        let mut changes = features.changes();
        let (written, ended) = (Arc::new(AtomicU64::new(rounds)), Arc::new(AtomicBool::new(false)));
        let reader = read_in_vain(agent.address(), written, ended.clone());
        agent.kill();
        wait_until_stale(&mirror);
        agent.restart();
        wait_until_live(&mirror);
        ended.store(true, Ordering::Relaxed);
        let (read, refused) = reader.join().unwrap();
        assert!(refused > 0, "{read} reads, {refused} refused");
        assert_eq!(versions(&mirror.table().list()), before, "restart {restart}");
        let told = changes.next().now_or_never();
        assert!(told.is_none(), "restart {restart}: {told:?}");
        let mut is_lost = false;
        loop {
            match tokio::time::timeout(Duration::from_secs(30), watch.next()).await.unwrap().unwrap() {
                WatchEvent::Lost(_) => is_lost = true,
                WatchEvent::Reset { flags, .. } => {
                    assert!(is_lost, "what was lost is said to be");
                    assert!(versions(&flags) == before, "restart {restart}: {} flags", flags.len());
                    break;
                }
                WatchEvent::Changed { .. } | WatchEvent::Removed { .. } => panic!("restart {restart}: a change"),
                _ => {}
            }
        }
    }
}
