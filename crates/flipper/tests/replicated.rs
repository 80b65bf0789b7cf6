//! A store with replicas: what is in the primary arrives, through outages, crashes and other processes, and nothing goes back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use flipper::store::{Health, LocalFeatureFlagStore, Precondition, Stored, Version, WriteOptions};
use flipper::testing::FailingStore;
use flipper::{
    Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    MirroredFeatureFlagStore, ReplicatedFeatureFlagStore, SqliteFeatureFlagStore, context,
};
use flipper_testkit::redis::RedisServer;
use flipper_testkit::{block_on, wait_until};
use serde_json::json;

type Memory = MemoryFeatureFlagStore;

/// Ends a hang.
const PATIENCE: Duration = Duration::from_secs(60);

flipper::local_store_conformance_tests!(replicated, async || {
    ReplicatedFeatureFlagStore::new(Memory::new(), Memory::new())
});

fn flag(name: &str, number: i64) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1);
    record.set_client_data(
        flipper::json::Json::parse(&format!(r#"{{"n": {number}}}"#)).unwrap().as_object().unwrap().clone(),
    );
    record
}

fn put(store: &impl FeatureFlagStore, name: &str, number: i64) {
    block_on(store.put(&flag(name, number), Precondition::Any.into())).unwrap();
}

fn number(store: &impl FeatureFlagStore, name: &str) -> Option<i64> {
    let record = block_on(store.get(name)).unwrap()?.record.unwrap();
    record.client_data()["n"].to_string().parse().ok()
}

fn names(store: &impl FeatureFlagStore) -> Vec<String> {
    block_on(store.list()).unwrap().into_iter().map(|flag| flag.name).collect()
}

fn in_step<P: FeatureFlagStore, S: FeatureFlagStore>(store: &ReplicatedFeatureFlagStore<P, S>) {
    block_on(store.in_step(PATIENCE)).unwrap();
}

#[test]
fn writes_of_all_clients_arrive() {
    let (primary, replica) = (Memory::new(), Memory::new());
    let store = ReplicatedFeatureFlagStore::new(primary.clone(), replica.clone());
    let features = FeatureFlagClient::new(store.clone());
    block_on(async {
        features.create("OURS").await.unwrap();
        features.set_client_data("OURS", json!({ "n": 1 })).await.unwrap();
    });
    assert!(!store.replicas()[0].is_in_step() || number(&replica, "OURS") == Some(1), "it is known what is missing");
    in_step(&store);
    assert_eq!(number(&replica, "OURS"), Some(1));
    put(&primary, "THEIRS", 2);
    wait_until("another's flag has arrived", || number(&replica, "THEIRS") == Some(2));
    block_on(features.destroy("OURS")).unwrap();
    block_on(primary.delete("THEIRS", Precondition::Any.into())).unwrap();
    wait_until("both deletions have arrived", || names(&replica).is_empty());
    let records: Vec<_> = (0..50).map(|number| flag(&format!("F{number}"), number)).collect();
    assert!(block_on(store.put_all(&records, Precondition::Absent.into())).iter().all(Result::is_ok));
    in_step(&store);
    assert_eq!(names(&replica).len(), 50);
    assert_eq!(store.to_string(), "Replicated(Memory, Memory)");
}

#[test]
fn a_write_can_wait_for_the_replicas() {
    let (slow, replica) = (FailingStore::new(Memory::new()), Memory::new());
    slow.delay(Duration::from_millis(20));
    let replicas: [Arc<dyn FeatureFlagStore>; 2] = [Arc::new(slow.clone()), Arc::new(replica.clone())];
    let [first, second] = replicas;
    let store =
        ReplicatedFeatureFlagStore::builder(Memory::new()).replica(first).replica(second).wait(PATIENCE).build();
    put(&store, "F", 1);
    assert_eq!((number(&slow, "F"), number(&replica, "F")), (Some(1), Some(1)));
    // The primary reports the write too, and then it is checked once more.
    in_step(&store);
    assert!(store.replicas().iter().all(|status| status.in_step_at.is_some()));
}

#[test]
fn a_replica_that_is_away_gets_it_later() {
    let replica = FailingStore::new(Memory::new());
    let store = ReplicatedFeatureFlagStore::new(Memory::new(), replica.clone());
    in_step(&store);
    replica.fail(ErrorKind::Unavailable);
    for number in 0..20 {
        put(&store, &format!("F{number}"), number);
    }
    let error = block_on(store.in_step(Duration::from_millis(10))).unwrap_err();
    assert!(error.to_string().contains("Failing(Memory): "), "{error}");
    wait_until("the outage is known", || store.replicas()[0].error.is_some());
    let status = &store.replicas()[0];
    assert_eq!(status.pending.len(), 20, "{status}");
    assert!(status.comparing && status.to_string().contains("20 pending"), "{status}");
    replica.recover();
    in_step(&store);
    assert_eq!(names(&replica).len(), 20);
    assert_eq!(store.replicas()[0].to_string(), "Failing(Memory): in step");
}

#[test]
fn the_next_start_finds_what_a_crash_left() {
    let (primary, replica) = (Memory::new(), Memory::new());
    for (store, name, number) in
        [(&primary, "CHANGED", 2), (&replica, "CHANGED", 1), (&primary, "MISSING", 1), (&replica, "DELETED", 1)]
    {
        put(store, name, number);
    }
    put(&primary, "SAME", 1);
    put(&replica, "SAME", 1);
    let before = block_on(replica.get("SAME")).unwrap().unwrap().version;
    let store = ReplicatedFeatureFlagStore::new(primary, replica.clone());
    in_step(&store);
    assert_eq!(names(&replica), ["CHANGED", "MISSING", "SAME"]);
    assert_eq!((number(&replica, "CHANGED"), number(&replica, "MISSING")), (Some(2), Some(1)));
    assert_eq!(block_on(replica.get("SAME")).unwrap().unwrap().version, before, "it was not written");
}

#[test]
fn what_is_changed_in_a_replica_is_found() {
    let (primary, replica) = (Memory::new(), Memory::new());
    put(&primary, "F", 1);
    let store = ReplicatedFeatureFlagStore::builder(primary)
        .replica(replica.clone())
        .compare_every(Duration::from_millis(50))
        .build();
    in_step(&store);
    put(&replica, "F", 9);
    wait_until("it is repaired", || number(&replica, "F") == Some(1));
}

#[test]
fn many_flags_go_in_batches() {
    let (primary, replica) = (Memory::new(), FailingStore::new(Memory::new()));
    for number in 0..1200 {
        put(&primary, &format!("F{number}"), number);
    }
    replica.fail_next(1, ErrorKind::Unavailable);
    let store = ReplicatedFeatureFlagStore::new(primary, replica.clone());
    in_step(&store);
    assert_eq!(names(&replica).len(), 1200);
    assert_eq!(number(&replica, "F77"), Some(77));
}

#[test]
fn flags_that_vanish_at_once_stay_in_the_replica() {
    let (primary, replica) = (Memory::new(), Memory::new());
    let store = ReplicatedFeatureFlagStore::new(primary.clone(), replica.clone());
    for number in 0..6 {
        put(&store, &format!("F{number}"), number);
    }
    in_step(&store);
    for number in 0..6 {
        // Ours of late are deleted on purpose.
        block_on(store.delete(&format!("F{number}"), Precondition::Any.into())).unwrap();
    }
    in_step(&store);
    assert!(names(&replica).is_empty());

    for number in 0..6 {
        put(&primary, &format!("G{number}"), number);
    }
    wait_until("they have arrived", || names(&replica).len() == 6);
    primary.table().reset(Vec::new());
    wait_until("they are kept", || store.replicas()[0].kept.len() == 6);
    assert_eq!(names(&replica).len(), 6);
    assert!(store.replicas()[0].is_in_step() && store.replicas()[0].to_string().contains("6 kept"));
    // A flag that is back is copied again.
    put(&primary, "G1", 11);
    wait_until("it has arrived", || number(&replica, "G1") == Some(11));
    assert_eq!(store.replicas()[0].kept.len(), 5);
}

#[test]
fn a_start_without_the_primary_has_the_flags_of_a_replica() {
    let (primary, replica) = (FailingStore::new(Memory::new()), Memory::new());
    put(&replica, "F", 7);
    put(&primary, "F", 8);
    primary.fail(ErrorKind::Unavailable);
    primary.disconnect();
    let no_flags = FailingStore::new(Memory::new());
    no_flags.fail(ErrorKind::Unavailable);
    let replicas: [Arc<dyn FeatureFlagStore>; 2] = [Arc::new(no_flags), Arc::new(replica.clone())];
    let [first, second] = replicas;
    // Not a local store: the mirror's own connection is lost.
    let store = ReplicatedFeatureFlagStore::builder(Remote(primary.clone())).replica(first).replica(second).build();
    let features = FeatureFlagClient::new(store.clone());
    block_on(features.ready()).unwrap();
    assert_eq!(features.client_data("F").unwrap().to_string(), r#"{"n": 7}"#);
    let status = features.status();
    let Health::Stale { since, reason } = &status.health else { panic!("live, with a replica's flags") };
    assert_eq!(*since, SystemTime::UNIX_EPOCH);
    assert!(reason.starts_with("the flags are those of the replica Memory: "), "{reason}");
    assert_eq!(block_on(features.disable("F")).unwrap_err().kind(), ErrorKind::Unavailable);
    let remote = FeatureFlagClient::remote(store.clone());
    assert!(!block_on(remote.fetch_enabled("F", &context! {})).unwrap());
    assert_eq!(number(&replica, "F"), Some(7), "nothing was copied back");

    primary.recover();
    primary.reconnect();
    wait_until("the primary is back", || features.status().is_live());
    assert_eq!(features.client_data("F").unwrap().to_string(), r#"{"n": 8}"#);
    wait_until("its state has arrived", || number(&replica, "F") == Some(8));
}

/// A store without a table.
#[derive(Debug)]
struct Remote<S>(S);

impl<S: FeatureFlagStore> std::fmt::Display for Remote<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

#[async_trait]
impl<S: FeatureFlagStore> FeatureFlagStore for Remote<S> {
    async fn get(&self, name: &str) -> flipper::Result<Option<Stored>> {
        self.0.get(name).await
    }
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> flipper::Result<Version> {
        self.0.put(record, options).await
    }
    async fn delete(&self, name: &str, options: WriteOptions) -> flipper::Result<Version> {
        self.0.delete(name, options).await
    }
    async fn list(&self) -> flipper::Result<Vec<Stored>> {
        self.0.list().await
    }
    fn watch(&self) -> flipper::store::Watch<'_> {
        self.0.watch()
    }
}

/// Refuses one name, as a column that is too short does.
#[derive(Clone, Debug)]
struct Picky(Memory, Arc<AtomicBool>);

impl std::fmt::Display for Picky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Picky")
    }
}

#[async_trait]
impl FeatureFlagStore for Picky {
    async fn get(&self, name: &str) -> flipper::Result<Option<Stored>> {
        self.0.get(name).await
    }
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> flipper::Result<Version> {
        if record.name() == "BAD" && self.1.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::InvalidName).with_message("too long for the column"));
        }
        self.0.put(record, options).await
    }
    async fn delete(&self, name: &str, options: WriteOptions) -> flipper::Result<Version> {
        self.0.delete(name, options).await
    }
    async fn list(&self) -> flipper::Result<Vec<Stored>> {
        self.0.list().await
    }
}

#[test]
fn a_flag_that_is_refused_is_named_and_delays_no_other() {
    let (primary, replica) = (Memory::new(), Picky(Memory::new(), Arc::new(AtomicBool::new(true))));
    let store = ReplicatedFeatureFlagStore::builder(primary)
        .replica(replica.clone())
        .compare_every(Duration::from_millis(100))
        .build();
    put(&store, "BAD", 1);
    put(&store, "GOOD", 1);
    wait_until("the other has arrived", || number(&replica, "GOOD") == Some(1));
    wait_until("it is named", || store.replicas()[0].refused.contains_key("BAD"));
    let status = store.replicas()[0].to_string();
    assert!(status.contains(r#"1 cannot be copied, such as "BAD": too long"#), "{status}");
    replica.1.store(false, Ordering::SeqCst);
    in_step(&store);
    assert_eq!(number(&replica, "BAD"), Some(1));
}

/// Two processes, as two stores over the same files, copy to one replica, while eight threads write.
#[test]
fn nothing_goes_back_with_several_copiers() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| SqliteFeatureFlagStore::new(folder.path().join(name)).unwrap();
    let stores: Vec<_> =
        (0..2).map(|_| ReplicatedFeatureFlagStore::new(open("primary.db"), open("replica.db"))).collect();
    let replica = MirroredFeatureFlagStore::new(open("replica.db"));
    let features: Vec<_> =
        stores.iter().map(|store| FeatureFlagClient::builder().write_timeout(PATIENCE).build(store.clone())).collect();
    block_on(features[0].create("F")).unwrap();
    block_on(features[1].ready()).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut last, mut seen) = (0, 0);
            let deadline = Instant::now() + 2 * PATIENCE;
            while !ended.load(Ordering::SeqCst) && Instant::now() < deadline {
                let Some(found) = replica.table().get("F") else { continue };
                let length = found.record.unwrap().client_data().as_object().unwrap().len();
                assert!(length >= last, "{length} writes after {last}");
                seen += usize::from(length > last);
                last = length;
                std::thread::yield_now();
            }
            seen
        });
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let features = &features[writer % 2];
                scope.spawn(move || {
                    for number in 0..25 {
                        block_on(features.set_client_data("F", json!({ format!("{writer}-{number}"): 1 }))).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let length = || replica.table().get("F").unwrap().record.unwrap().client_data().as_object().unwrap().len();
        wait_until("all writes are in the replica", || length() == 200);
        ended.store(true, Ordering::SeqCst);
        assert!(watcher.join().unwrap() > 1, "some of the states were seen");
    });
    stores.iter().for_each(in_step);
}

#[test]
fn a_replica_is_promoted() {
    let (primary, replica) = (FailingStore::new(Memory::new()), FailingStore::new(Memory::new()));
    let store = ReplicatedFeatureFlagStore::new(Remote(primary.clone()), replica.clone());
    put(&store, "F", 1);
    in_step(&store);
    replica.fail(ErrorKind::Unavailable);
    put(&store, "F", 2);
    primary.fail(ErrorKind::Unavailable);
    primary.disconnect();
    assert_eq!(block_on(store.promote(0)).unwrap_err().kind(), ErrorKind::Unavailable);
    replica.recover();
    assert!(block_on(store.promote(1)).unwrap_err().to_string().contains("there is no replica 1"));
    let promoted = block_on(store.promote(0)).unwrap();
    assert_eq!(number(&promoted, "F"), Some(2), "memory had it");
    let error = block_on(store.put(&flag("F", 3), Precondition::Any.into())).unwrap_err();
    assert!(error.to_string().contains("promoted"), "{error}");
    primary.recover();
    primary.reconnect();
    put(&promoted, "F", 4);
    put(&primary, "F", 3);
    wait_until("memory follows the old primary", || {
        store.table().get("F").unwrap().record.unwrap().client_data()["n"].to_string() == "3"
    });
    assert_eq!(number(&promoted, "F"), Some(4), "and nothing is copied");
}

#[test]
fn a_close_gives_the_replicas_time() {
    let replica = FailingStore::new(Memory::new());
    let store = ReplicatedFeatureFlagStore::new(Memory::new(), replica.clone());
    in_step(&store);
    replica.delay(Duration::from_millis(20));
    put(&store, "F", 1);
    block_on(store.close()).unwrap();
    replica.delay(Duration::ZERO);
    assert_eq!(number(&replica, "F"), Some(1));
    assert_eq!(
        block_on(store.put(&flag("F", 2), Precondition::Any.into())).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

/// A server that comes back without its data empties no replica.
#[test]
fn a_primary_that_comes_back_empty_empties_no_replica() {
    let Some(mut server) = RedisServer::start() else { return };
    let redis = |server: &RedisServer| flipper::RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let replica = SqliteFeatureFlagStore::new(folder.path().join("replica.db")).unwrap();
    let store = ReplicatedFeatureFlagStore::new(redis(&server), replica);
    for number in 0..10 {
        put(&store, &format!("F{number}"), number);
    }
    in_step(&store);
    let copy = SqliteFeatureFlagStore::new(folder.path().join("replica.db")).unwrap();
    assert_eq!(names(&copy).len(), 10);
    server.restart_empty();
    wait_until(
        "the flags are in doubt",
        || matches!(&store.status().health, Health::Stale { reason, .. } if reason.contains("came back without")),
    );
    assert_eq!(names(&copy).len(), 10);
    assert_eq!(store.table().list().len(), 10);
    // Another process that starts now: nothing vanishes before its eyes, and the replica has more than the primary.
    let other = ReplicatedFeatureFlagStore::new(
        redis(&server),
        SqliteFeatureFlagStore::new(folder.path().join("replica.db")).unwrap(),
    );
    wait_until("it keeps them too", || other.replicas()[0].kept.len() == 10);
    assert_eq!(names(&copy).len(), 10);
}
