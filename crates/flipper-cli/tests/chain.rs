//! Chains of a store, servers and mirrors: every change reaches the end, and no old state is live there.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use flipper::blocking::FeatureFlagClient;
use flipper::json::Object;
use flipper::store::LocalFeatureFlagStore;
use flipper::{FlagRecord, MirroredFeatureFlagStore, RedisFeatureFlagStore, ThriftRpcFeatureFlagStore};
use flipper_testkit::redis::RedisServer;
use flipper_testkit::wait_until;
use rustix::process::Signal;
use support::running::Running;
use support::{flipper, succeed};

/// Longest silence of a watch before its flags are stale; see DESIGN.md.
const BOUND: Duration = Duration::from_secs(9);

fn serve(home: &Path, store: &str) -> (Running, String) {
    serve_with(home, store, &["--thrift", "127.0.0.1:0"])
}

fn serve_with(home: &Path, store: &str, options: &[&str]) -> (Running, String) {
    let mut server = Running::start(flipper(home, store).arg("serve").args(options));
    let line = server.line(" thrift=").replace('"', "");
    let address = line.split("thrift=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let url = format!("thrift://{}", address.unwrap_or_else(|| panic!("{line}")));
    (server, url)
}

fn mirror(url: &str) -> MirroredFeatureFlagStore<ThriftRpcFeatureFlagStore> {
    MirroredFeatureFlagStore::new(ThriftRpcFeatureFlagStore::from_url(url).unwrap())
}

/// A load balancer: each connection goes to the next server.
fn balance(servers: &[&str]) -> String {
    let servers: Vec<_> = servers.iter().map(|url| url.trim_start_matches("thrift://").to_owned()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (client, server) in listener.incoming().zip(servers.iter().cycle()) {
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                to.set_nodelay(true).unwrap();
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    format!("thrift://{address}")
}

fn record(number: i64) -> String {
    let mut record = FlagRecord::new("F", 1);
    record.set_enabled(number % 2 == 0);
    record.set_client_data([("n", number)].into_iter().collect::<Object>());
    record.to_json()
}

fn number(store: &impl LocalFeatureFlagStore) -> Option<i64> {
    let record = store.table().get("F")?.record.ok()?;
    let number = record.client_data().as_object()?.get("n").cloned();
    number.and_then(|number| number.to_string().parse().ok())
}

/// A foreign writer makes changes one by one, each waited for, and then bursts, whose last change must arrive.
fn all_changes_arrive(redis: &RedisServer, ends: &[(&str, MirroredFeatureFlagStore<ThriftRpcFeatureFlagStore>)]) {
    let write = |number: i64| redis.command(&["SET", "features/F", &record(number)]);
    write(0);
    for (name, end) in ends {
        wait_until(&format!("{name} has the flag"), || number(end) == Some(0));
    }
    let mut took: Vec<_> = ends.iter().map(|_| Vec::new()).collect();
    for change in 1..=400 {
        write(change);
        let written = Instant::now();
        let mut missing: Vec<_> = (0..ends.len()).collect();
        while !missing.is_empty() {
            missing.retain(|end| {
                let there = number(&ends[*end].1) == Some(change);
                if there {
                    took[*end].push(written.elapsed());
                }
                !there
            });
            let late: Vec<_> = missing.iter().map(|end| (ends[*end].0, number(&ends[*end].1))).collect();
            assert!(written.elapsed() < Duration::from_secs(5), "change {change} has not reached {late:?}");
            std::thread::yield_now();
        }
        // Varies the delay between changes.
        let next = Instant::now() + Duration::from_micros(fastrand_like(change));
        while Instant::now() < next {
            std::thread::yield_now();
        }
    }
    for (took, (name, _)) in took.iter_mut().zip(ends) {
        took.sort();
        println!("{name}: p50 {:?}, p99 {:?}", took[200], took[396]);
    }
    for burst in 1..=40 {
        for change in 0..10 {
            write(burst * 1000 + change);
        }
        for (name, end) in ends {
            wait_until(&format!("{name} has the last of burst {burst}"), || number(end) == Some(burst * 1000 + 9));
        }
    }
}

fn fastrand_like(seed: i64) -> u64 {
    u64::try_from(seed).unwrap().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 51
}

#[test]
fn every_change_arrives_through_servers_in_a_row() {
    let Some(redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let (_one, first) = serve(home.path(), &redis.url());
    let (_two, second) = serve(home.path(), &first);
    let (_three, third) = serve(home.path(), &second);
    let mut watch = Running::start(flipper(home.path(), &second).arg("watch"));
    watch.line("following");
    let ends = [("after one", mirror(&first)), ("after two", mirror(&second)), ("after three", mirror(&third))];
    all_changes_arrive(&redis, &ends);
    watch.line("40009");
    watch.signal(Signal::INT);
    let (_, lines) = watch.end();
    for change in 1..400 {
        let is_printed = lines.iter().any(|line| line.contains(&format!("-> {change}  (")));
        assert!(is_printed, "`watch` has not seen change {change}");
    }
}

#[test]
fn every_change_arrives_through_a_load_balancer() {
    let Some(redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let [(_one, first), (_two, second)] = [0, 1].map(|_| serve(home.path(), &redis.url()));
    let both = balance(&[&first, &second]);
    let (_three, third) = serve(home.path(), &both);
    let ends = [("balanced", mirror(&both)), ("balanced again", mirror(&both)), ("behind", mirror(&third))];
    // Reads and writes of our own, over other connections than the watch.
    let reader = ends[1].1.clone();
    let reading = std::thread::spawn(move || {
        let features = FeatureFlagClient::remote(|| async { reader }).unwrap();
        while features.fetch("END").unwrap().is_none() {
            features.fetch("F").unwrap();
        }
    });
    all_changes_arrive(&redis, &ends);
    let features = FeatureFlagClient::remote(|| async { ends[0].1.clone() }).unwrap();
    for round in 0..50 {
        features.set_client_data("F", BTreeMap::from([("own", round)])).unwrap();
        redis.command(&["SET", "features/F", &record(100_000 + round)]);
        for (name, end) in &ends {
            wait_until(&format!("{name} has what was written last"), || number(end) == Some(100_000 + round));
        }
    }
    features.create("END").wait().unwrap();
    reading.join().unwrap();
}

/// Merges per writer. Each reads and writes the whole flag, which grows: 200 take a minute.
const MERGES: usize = 50;

#[test]
fn eight_writers_through_two_servers_lose_nothing() {
    let Some(redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let (_one, first) = serve(home.path(), &redis.url());
    let (_two, second) = serve(home.path(), &first);
    succeed(flipper(home.path(), &second).args(["create", "F"]));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let url = second.clone();
            std::thread::spawn(move || {
                let store = ThriftRpcFeatureFlagStore::from_url(&url).unwrap();
                let features = FeatureFlagClient::remote(|| async { store }).unwrap();
                for number in 0..MERGES {
                    features.set_client_data("F", BTreeMap::from([(format!("{writer}-{number}"), 1)])).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let store = RedisFeatureFlagStore::from_url(&redis.url()).unwrap();
    let features = FeatureFlagClient::remote(|| async { store }).unwrap();
    let record = features.fetch("F").unwrap().unwrap();
    assert_eq!(record.client_data().as_object().unwrap().len(), 8 * MERGES);
}

/// A stopped server is silent, and continues with old events.
#[test]
fn a_stopped_server_makes_stale_within_the_bound() {
    let Some(redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let (one, first) = serve(home.path(), &redis.url());
    let (_two, second) = serve(home.path(), &first);
    let ends = [mirror(&first), mirror(&second)];
    wait_until("all is live", || ends.iter().all(|end| end.status().is_live()));
    one.signal(Signal::STOP);
    let stopped = Instant::now();
    let limit = BOUND + Duration::from_secs(3);
    while ends.iter().any(|end| end.status().is_live()) {
        assert!(stopped.elapsed() < limit, "{:?}", ends.each_ref().map(LocalFeatureFlagStore::status));
        std::thread::sleep(Duration::from_millis(1));
    }
    redis.command(&["SET", "features/F", &record(7)]);
    one.signal(Signal::CONT);
    wait_until("both are live again", || {
        ends.iter().all(|end| {
            let live = end.status().is_live();
            assert!(!live || number(end) == Some(7), "live, without what was written before");
            live
        })
    });
}

#[test]
fn the_end_of_a_chain_learns_of_a_lost_store_at_once() {
    let Some(mut redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    redis.command(&["SET", "features/F", &record(1)]);
    let (_one, first) = serve(home.path(), &redis.url());
    let (_two, second) = serve(home.path(), &first);
    let end = mirror(&second);
    wait_until("it is live", || end.status().is_live() && number(&end) == Some(1));
    redis.kill();
    let killed = Instant::now();
    wait_until("the end is stale", || !end.status().is_live());
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    // A new client gets the flags, and is stale too.
    let late = mirror(&second);
    wait_until("the flags have come", || number(&late) == Some(1));
    wait_until("it is stale", || !late.status().is_live());
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        assert!(!late.status().is_live(), "live, with a lost store");
        std::thread::yield_now();
    }
    redis.restart();
    redis.command(&["SET", "features/F", &record(2)]);
    for end in [&end, &late] {
        wait_until("it is back", || end.status().is_live() && number(end) == Some(2));
    }
}

/// Server and mirror start from snapshot files of different age while the store is away.
#[test]
fn of_two_snapshot_files_the_newer_counts() {
    for newer in ["end", "server"] {
        let Some(mut redis) = RedisServer::start() else { return };
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str| home.path().join(format!("{name}.snapshot"));
        let start = |url: &str, address: &str| {
            let (server, url) = serve_with(home.path(), url, &["--thrift", address, "--snapshot", "server.snapshot"]);
            let store = ThriftRpcFeatureFlagStore::from_url(&url).unwrap();
            (server, MirroredFeatureFlagStore::builder(store).snapshot_file(file("end")).build(), url)
        };
        let kept = |number: i64| {
            let digits = regex_lite::Regex::new(&format!(r#"n\\*": {number}\b"#)).unwrap();
            let is_in = |name| std::fs::read_to_string(file(name)).is_ok_and(|text| digits.is_match(&text));
            wait_until("both files have the state", || is_in("end") && is_in("server"));
        };
        redis.command(&["SET", "features/F", &record(1)]);
        let (server, end, url) = start(&redis.url(), "127.0.0.1:0");
        kept(1);
        let older = if newer == "end" { "server" } else { "end" };
        std::fs::copy(file(older), file("kept")).unwrap();
        redis.command(&["SET", "features/F", &record(2)]);
        kept(2);
        // A file's age is that of the last confirmation before it. Other changes let it be written again.
        let time = |name: &str, field: &str| -> f64 {
            let text = std::fs::read_to_string(file(name)).unwrap();
            let seconds = regex_lite::Regex::new(&format!(r#""{field}": ([0-9.]+)"#)).unwrap();
            seconds.captures(&text).unwrap()[1].parse().unwrap()
        };
        let mut others = (1..).map(|number| redis.command(&["SET", "features/G", &record(number)]));
        wait_until("the newer file was confirmed after the older one was written", || {
            others.next();
            time(newer, "synced") > time("kept", "saved")
        });
        drop(others);
        drop((server, end));
        redis.kill();
        std::fs::copy(file("kept"), file(older)).unwrap();

        let (server, end, _) = start(&redis.url(), url.trim_start_matches("thrift://"));
        wait_until("the newer state is there", || number(&end) == Some(2));
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(2) {
            assert_eq!(number(&end), Some(2), "{newer} had the newer file");
            assert!(!end.status().is_live(), "live, with a lost store");
            std::thread::yield_now();
        }
        drop((server, end));
    }
}
