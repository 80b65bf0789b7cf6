//! Clients that mirror a real Redis server: many processes write, and checks go on whatever happens to the server.

#![expect(clippy::unwrap_used, reason = "also in what the tests have in common")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use flipper::store::Updates;
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, RedisFeatureFlagStore, Result};
use flipper_testkit::block_on;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::{Child, Role, child_role, run_together, wait_until};
use serde_json::json;

const ROUNDS: usize = 200;
const DOOMED: usize = 20;

fn mirrored(url: &str) -> FeatureFlagClient {
    let features = FeatureFlagClient::new(flipper::open(url).unwrap());
    block_on(features.ready()).unwrap();
    features
}

fn said(features: &FeatureFlagClient) -> String {
    format!("{:?}", features.status())
}

/// Retries while other writers come first, or the server is away.
fn persist<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(error) if error.is_transient() => thread::sleep(Duration::from_millis(1)),
            result => return result,
        }
    }
}

#[test]
fn child() {
    let Some(role) = child_role() else {
        Child::spawn("nothing", &[""]).succeed();
        return;
    };
    if role.name == "nothing" {
        return;
    }
    let [url, writer] = &*role.arguments else { panic!("{:?}", role.arguments) };
    let features = mirrored(url);
    role.say("ready");
    role.hear();
    match role.name.as_str() {
        "merge" => merge(&features, writer, &role),
        "toggle" => toggle(&features, writer, &role),
        "destroy" => destroy(&features, writer, &role),
        name => panic!("no role {name}"),
    }
}

/// Merges into `F`, and into flags that other processes destroy meanwhile.
fn merge(features: &FeatureFlagClient, writer: &str, role: &Role) {
    for round in 0..ROUNDS {
        persist(|| block_on(features.set_client_data("F", json!({ format!("{writer}-{round}"): round })))).unwrap();
        let doomed = format!("DOOMED{}", round % DOOMED);
        if let Err(error) = persist(|| block_on(features.set_client_data(&doomed, json!({ writer: round })))) {
            assert_eq!(error.kind(), ErrorKind::FlagNotFound, "{error:?}");
        }
        if round % 10 == 0 {
            role.say("on it");
        }
    }
}

/// Flips a flag that only this process flips, but all merge into; it ends on.
fn toggle(features: &FeatureFlagClient, flag: &str, role: &Role) {
    for round in 0..ROUNDS {
        let enabled = round % 2 == 1;
        persist(|| {
            block_on(async { if enabled { features.enable(flag).await } else { features.disable(flag).await } })
        })
        .unwrap();
        assert_eq!(features.is_enabled(flag), enabled, "round {round}");
        thread::yield_now();
        let stored = persist(|| block_on(features.fetch(flag))).unwrap().unwrap();
        assert_eq!(stored.is_enabled(), enabled, "undone in the store, round {round}");
        if round % 10 == 0 {
            role.say("on it");
        }
    }
}

fn destroy(features: &FeatureFlagClient, first: &str, role: &Role) {
    for number in (first.parse().unwrap()..DOOMED).step_by(2) {
        let name = format!("DOOMED{number}");
        wait_until("another process has merged into it", || {
            let stored = persist(|| block_on(features.fetch(&name))).unwrap();
            stored.is_some_and(|stored| stored.client_data().as_object().is_some_and(|data| !data.is_empty()))
        });
        persist(|| block_on(features.destroy(&name))).unwrap();
        assert!(!features.exists(&name));
        role.say("on it");
    }
}

fn assert_merged(features: &FeatureFlagClient, writers: std::ops::Range<usize>) {
    let stored = block_on(features.fetch("F")).unwrap().unwrap();
    let data = stored.client_data();
    let kept = writers.clone().flat_map(|writer| (0..ROUNDS).map(move |round| format!("{writer}-{round}")));
    let lost: Vec<_> = kept.filter(|key| data.get(key).is_none()).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!(data.as_object().unwrap().len(), writers.len() * ROUNDS);
}

#[test]
fn no_merge_of_eight_processes_is_lost() {
    let Some(server) = RedisServer::start() else { return };
    let features = mirrored(&server.url());
    block_on(features.create("F")).unwrap();
    run_together((0..8).map(|writer| Child::spawn("merge", &[&server.url(), &writer.to_string()])).collect());
    assert_merged(&features, 0..8);
}

#[test]
fn no_toggle_is_undone_and_no_deleted_flag_returns() {
    let Some(server) = RedisServer::start() else { return };
    let features = mirrored(&server.url());
    for name in ["F".to_owned(), "G".to_owned()].into_iter().chain((0..DOOMED).map(|number| format!("DOOMED{number}")))
    {
        block_on(features.create(&name)).unwrap();
    }
    let mergers = (0..4).map(|writer| ("merge", writer.to_string()));
    let others = [("toggle", "F"), ("toggle", "G"), ("destroy", "0"), ("destroy", "1")];
    let roles = mergers.chain(others.map(|(role, argument)| (role, argument.to_owned())));
    run_together(roles.map(|(role, argument)| Child::spawn(role, &[&server.url(), &argument])).collect());
    assert_merged(&features, 0..4);
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    let left: Vec<_> = block_on(store.list()).unwrap().into_iter().map(|flag| flag.name).collect();
    assert_eq!(left, ["F", "G"]);
    wait_until("memory has the same", || features.list().len() == 2);
    wait_until("both are on", || features.is_enabled("F") && features.is_enabled("G"));
}

/// Threads that check two flags without a pause: one is always on, the other is always off.
struct Checkers {
    stop: Arc<AtomicBool>,
    checks: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Checkers {
    fn start(features: &FeatureFlagClient) -> Self {
        let (stop, checks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..2).map(|_| {
            let (features, stop, checks) = (features.clone(), stop.clone(), checks.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    assert!(features.is_enabled("ON"));
                    assert!(!features.is_enabled("OFF"));
                    checks.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                }
            })
        });
        let threads = threads.collect();
        Self { stop, checks, threads }
    }

    fn assert_checking(&self) {
        let before = self.checks.load(Ordering::Relaxed);
        wait_until("checks go on", || self.checks.load(Ordering::Relaxed) > before + 1000);
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn with_checkers(server: &RedisServer) -> (FeatureFlagClient, Checkers) {
    let features = mirrored(&server.url());
    block_on(features.create("ON").enabled(true)).unwrap();
    block_on(features.create("OFF")).unwrap();
    let checkers = Checkers::start(&features);
    (features, checkers)
}

#[test]
fn fifty_restarts_under_writers_and_checkers() {
    const RESTARTS: usize = 50;
    let Some(mut server) = RedisServer::start() else { return };
    let (features, checkers) = with_checkers(&server);
    let (stop, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (features, stop, writes) = (mirrored(&server.url()), stop.clone(), writes.clone());
            thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("W{writer}-{number}");
                    match block_on(features.create(&name).enabled(true)) {
                        Ok(_) => {
                            acknowledged.push(name);
                            writes.fetch_add(1, Ordering::Relaxed);
                        }
                        // A write of unknown outcome may be there.
                        Err(error) => assert!(error.is_transient(), "{error:?}"),
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..RESTARTS {
        let before = writes.load(Ordering::Relaxed);
        wait_until("a write is acknowledged", || writes.load(Ordering::Relaxed) > before);
        server.kill();
        server.restart();
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    let listed = persist(|| block_on(store.list())).unwrap();
    for name in &acknowledged {
        assert!(listed.iter().any(|flag| flag.name == *name), "{name} was acknowledged and is lost");
    }
    wait_until("the mirror follows again", || features.status().is_live() && features.list().len() == listed.len());
    assert!(acknowledged.iter().all(|name| features.is_enabled(name)));
    checkers.finish();
}

#[test]
fn checks_go_on_while_the_server_is_away() {
    let Some(mut server) = RedisServer::start() else { return };
    let (features, checkers) = with_checkers(&server);
    let follows = |what: &str| {
        wait_until(what, || features.status().is_live());
        let other = mirrored(&server.url());
        let on = !features.is_enabled("F");
        block_on(other.create("F").enabled(on).replace()).unwrap();
        wait_until(what, || features.is_enabled("F") == on);
        assert_eq!(features.status().updates, Updates::Push);
    };
    follows("at first");
    for _ in 0..3 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        follows("after the connections were killed");
    }

    server.pause();
    wait_until("a server that is silent shows", || !features.status().is_live());
    checkers.assert_checking();
    assert!(block_on(features.enable("F")).unwrap_err().is_transient());
    server.resume();
    follows("after the silence");

    server.kill();
    wait_until("a server that is gone shows", || !features.status().is_live());
    checkers.assert_checking();
    assert!(block_on(features.enable("F")).unwrap_err().is_transient());
    server.restart();
    wait_until("after the restart", || features.status().is_live());
    checkers.assert_checking();
    checkers.finish();

    server.restart_empty();
    // The mirror doubts a server that comes back without the flags, but believes a deletion while it follows.
    let held = features.list().len();
    wait_until("the doubt shows", || !features.status().is_live() && said(&features).contains("came back without"));
    assert_eq!(features.list().len(), held);
    block_on(features.create("F").enabled(true)).unwrap();
    server.command(&["FLUSHALL"]);
    wait_until("a flag that was flushed", || !features.exists("F"));
    assert_eq!(features.list().len(), held - 1, "the others were not there");
    block_on(features.create("F").enabled(true)).unwrap();
    server.command(&["PEXPIRE", "features/F", "1"]);
    wait_until("a flag that has expired", || !features.exists("F"));
}

#[test]
fn an_unreadable_value_is_reported_and_affects_no_other_flag() {
    let Some(server) = RedisServer::start() else { return };
    let (features, checkers) = with_checkers(&server);
    block_on(features.create("BROKEN").enabled(true)).unwrap();
    block_on(features.create("HASH").enabled(true)).unwrap();
    server.command(&["SET", "features/BROKEN", "{"]);
    wait_until("a value that is not JSON is reported", || {
        features.status().corrupt.iter().any(|(name, _)| name == "BROKEN")
    });
    assert!(!features.is_enabled("BROKEN") && features.is_enabled_or("BROKEN", true));
    server.command(&["DEL", "features/HASH"]);
    server.command(&["HSET", "features/HASH", "a", "b"]);
    wait_until("a hash is no flag", || !features.is_enabled("HASH"));
    checkers.assert_checking();
    block_on(features.create("BROKEN").enabled(true).replace()).unwrap();
    assert!(features.is_enabled("BROKEN"));
    wait_until("it is whole again", || features.status().corrupt.iter().all(|(name, _)| name != "BROKEN"));
    checkers.finish();
}

#[test]
fn refused_writes_leave_checks_alone() {
    let Some(server) = RedisServer::options().config("maxmemory-policy noeviction").start() else { return };
    let (features, checkers) = with_checkers(&server);
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = block_on(features.disable("ON")).unwrap_err();
    assert!(error.to_string().contains("out of memory"), "{error}");
    checkers.assert_checking();
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);

    let replica = RedisServer::options().config(format!("replicaof 127.0.0.1 {}", server.port())).start().unwrap();
    let reader = mirrored(&replica.url());
    wait_until("the replica has the flags", || reader.is_enabled("ON"));
    let error = block_on(reader.disable("ON")).unwrap_err();
    assert!(error.to_string().contains("read-only replica"), "{error}");
    assert!(reader.is_enabled("ON"));
    checkers.finish();

    let protected = RedisServer::options().password("right").start().unwrap();
    let url = format!("redis://:wrong@127.0.0.1:{}", protected.port());
    let refused = FeatureFlagClient::new(flipper::open(&url).unwrap());
    let error = block_on(refused.ready()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!format!("{error:?} {error} {refused:?}").contains("wrong"));
    assert!(!refused.is_enabled("ON"));
}
