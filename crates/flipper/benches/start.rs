//! Times the start of a mirror against the bare driver that reads the same flags and drops them, in turns: `scripts/bench start`. Also the
//! memory of a process that starts one. `docs/benchmarks.md` has the results.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use flipper::store::Precondition;
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, RedisFeatureFlagStore, SqliteFeatureFlagStore};
use flipper_testkit::redis::RedisServer;
use redis::aio::MultiplexedConnection;
use rusqlite::Connection;
use tokio::runtime::Builder;

const BASE: &str = "many";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let [role, url] = &*arguments
        && role == "memory"
    {
        return runtime.block_on(memory(url));
    }
    println!("{:<58} {:>9} {:>9} {:>6} {:>9}", "", "ours p50", "bare p50", "×", "memory");
    runtime.block_on(async {
        for count in [10_000, 100_000].map(few) {
            redis(count).await;
        }
        sqlite(few(100_000)).await;
    });
}

/// `cargo test` leaves `--bench` out, and only shows that this runs.
fn is_whole() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

fn few(count: usize) -> usize {
    if is_whole() { count } else { count / 100 }
}

fn records(count: usize) -> Vec<FlagRecord> {
    let record = |number: usize| {
        let mut record = FlagRecord::new(format!("FLAG_{number:06}"), 1_700_000_000);
        record.set_enabled(number.is_multiple_of(2));
        record
    };
    (0..count).map(record).collect()
}

async fn redis(count: usize) {
    let Some(server) = RedisServer::options().config("appendonly no").start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key(BASE).without_history();
    let written = store.put_all(&records(count), Precondition::Any.into()).await;
    assert!(written.iter().all(Result::is_ok));
    let url = format!("{}?base_key={BASE}", server.url());
    let mut connection = ::redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    connection.set_response_timeout(Duration::from_secs(60));
    let mut times = Vec::new();
    for _ in 0..rounds(count) {
        let ours = start(&url, count).await;
        let begun = Instant::now();
        assert!(scan(&mut connection).await >= count);
        times.push((ours, begun.elapsed()));
    }
    row(&format!("mirror of Redis, {count} flags / SCAN and MGET"), &mut times, &url);
}

async fn scan(connection: &mut MultiplexedConnection) -> usize {
    let (mut cursor, mut found) = (0_u64, 0);
    loop {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{BASE}/*")).arg("COUNT").arg(1000);
        let keys: Vec<String>;
        (cursor, keys) = scan.query_async(connection).await.unwrap();
        if !keys.is_empty() {
            let values: Vec<Vec<u8>> = ::redis::cmd("MGET").arg(&keys).query_async(connection).await.unwrap();
            found += values.len();
        }
        if cursor == 0 {
            return found;
        }
    }
}

async fn sqlite(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.db");
    let store = SqliteFeatureFlagStore::new(&path).unwrap();
    let written = store.put_all(&records(count), Precondition::Any.into()).await;
    assert!(written.iter().all(Result::is_ok));
    let url = format!("sqlite:{}", path.display());
    let mut times = Vec::new();
    for _ in 0..rounds(count) {
        let ours = start(&url, count).await;
        let begun = Instant::now();
        assert_eq!(select(&path), count);
        times.push((ours, begun.elapsed()));
    }
    row(&format!("mirror of SQLite, {count} flags / SELECT"), &mut times, &url);
}

fn select(path: &Path) -> usize {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection.pragma_update(None, "trusted_schema", false).unwrap();
    let mut select = connection.prepare("SELECT name, record FROM flags").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(String, String)> = rows.map(Result::unwrap).collect();
    rows.len()
}

fn rounds(count: usize) -> usize {
    if is_whole() { 400_000 / count + 7 } else { 1 }
}

async fn start(url: &str, count: usize) -> Duration {
    let begun = Instant::now();
    let features = FeatureFlagClient::new(flipper::open(url).unwrap());
    features.ready().await.unwrap();
    let took = begun.elapsed();
    assert_eq!(features.list().len(), count);
    features.close().await.unwrap();
    took
}

/// The growth of a process that starts one mirror, now and at most.
async fn memory(url: &str) {
    let before = resident("VmRSS:");
    let features = FeatureFlagClient::new(flipper::open(url).unwrap());
    features.ready().await.unwrap();
    println!("{:.0} to {:.0}", resident("VmRSS:") - before, resident("VmHWM:") - before);
}

/// In MiB; 0 where the system has no such file.
fn resident(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

fn row(what: &str, times: &mut [(Duration, Duration)], url: &str) {
    let mut median = |of: &dyn Fn(&(Duration, Duration)) -> f64| {
        times.sort_unstable_by(|one, other| of(one).total_cmp(&of(other)));
        of(&times[times.len() / 2])
    };
    let ours = median(&|(ours, _)| ours.as_secs_f64() * 1e3);
    let bare = median(&|(_, bare)| bare.as_secs_f64() * 1e3);
    let ratio = median(&|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64());
    let child = Command::new(std::env::current_exe().unwrap()).args(["memory", url]).output().unwrap();
    let memory = String::from_utf8(child.stdout).unwrap();
    println!("{what:<58} {ours:>7.1}ms {bare:>7.1}ms {ratio:>6.2} {:>9} MiB", memory.trim());
}
