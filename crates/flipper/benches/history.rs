//! Times a write with its entry in the history against the same write without one, store by store, and the first page of a long history.
//! Both take turns, so that other load hits both alike.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::history::{Cause, HistoryLimits, HistoryQuery};
use flipper::store::{Precondition, Version, WriteOptions};
use flipper::{
    ConsulClient, ConsulFeatureFlagStore, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    PostgresFeatureFlagStore, RedisFeatureFlagStore, SqliteFeatureFlagStore,
};
use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::postgres::PostgresServer;
use flipper_testkit::redis::RedisServer;
use rusqlite::{Connection, TransactionBehavior};
use tokio::runtime::Builder;

const WRITES: usize = 4_000;
/// A store in memory is too fast for one write to be timed.
const AT_ONCE: usize = 100;
const ENTRIES: u32 = 100_000;
const PAGES: usize = 201;

fn main() {
    println!("{:<44} {:>9} {:>9} {:>9} {:>9} {:>6} {:>6}", "", "p50", "p99", "bare p50", "bare p99", "× p50", "× p99");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        memory().await;
        sqlite().await;
        redis().await;
        consul().await;
        postgres().await;
        pages().await;
    });
}

/// Few under `cargo test`, which leaves `--bench` out: that shows that this runs.
fn times(whole: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") { whole } else { 3 }
}

fn row(what: &str, mut ours: Vec<Duration>, mut bare: Vec<Duration>) {
    let at = |times: &mut Vec<Duration>, percent: usize| {
        times.sort_unstable();
        times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
    };
    let (ours, bare) = ([at(&mut ours, 50), at(&mut ours, 99)], [at(&mut bare, 50), at(&mut bare, 99)]);
    println!(
        "{what:<44} {:>7.1}µs {:>7.1}µs {:>7.1}µs {:>7.1}µs {:>6.2} {:>6.2}",
        ours[0],
        ours[1],
        bare[0],
        bare[1],
        ours[0] / bare[0],
        ours[1] / bare[1]
    );
}

fn flag(round: usize) -> FlagRecord {
    let mut record = FlagRecord::new("F", 1_700_000_000);
    record.set_enabled(round.is_multiple_of(2));
    record
}

/// Of an operator who says why.
fn options(when: Precondition) -> WriteOptions {
    let cause = Cause::default().with_actor("alice").and_then(|cause| cause.with_reason("incident 42")).unwrap();
    WriteOptions::from(when).with_verb("enable").with_cause(Arc::new(cause))
}

/// One writer of one flag, as a client writes: what it has read is still there.
struct Writer<'a> {
    store: &'a dyn FeatureFlagStore,
    version: Version,
}

impl<'a> Writer<'a> {
    async fn new(store: &'a dyn FeatureFlagStore) -> Self {
        Self { store, version: store.put(&flag(0), options(Precondition::Any)).await.unwrap() }
    }

    async fn write(&mut self, round: usize) -> Duration {
        let (record, options) = (flag(round), options(Precondition::Unchanged(self.version.clone())));
        let start = Instant::now();
        self.version = self.store.put(&record, options).await.unwrap();
        start.elapsed()
    }
}

async fn memory() {
    let (with, without) = (MemoryFeatureFlagStore::new(), MemoryFeatureFlagStore::new().without_history());
    let (mut with, mut without) = (Writer::new(&with).await, Writer::new(&without).await);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..times(WRITES) {
        for (writer, spent) in [(&mut with, &mut ours), (&mut without, &mut bare)] {
            let mut all = Duration::ZERO;
            for round in 0..AT_ONCE {
                all += writer.write(round).await;
            }
            spent.push(all);
        }
    }
    row("memory: 100 writes / without history", ours, bare);
}

async fn redis() {
    let Some(server) = RedisServer::options().config("appendonly no").start() else { return };
    let store = |base: &str| RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key(base);
    let (with, without) = (store("with"), store("without").without_history());
    let (mut with, mut without) = (Writer::new(&with).await, Writer::new(&without).await);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..times(WRITES) {
        ours.push(with.write(round).await);
        bare.push(without.write(round).await);
    }
    row("Redis: write / without history", ours, bare);
}

/// An agent that writes its log to the disk, as a cluster does.
async fn consul() {
    let Some(agent) = ConsulAgent::start() else { return };
    let client = ConsulClient::builder().address(agent.address()).build().unwrap();
    let store = |base: &str| ConsulFeatureFlagStore::new(client.clone()).base_key(base).unwrap();
    let (with, without) = (store("with"), store("without").without_history());
    let (mut with, mut without) = (Writer::new(&with).await, Writer::new(&without).await);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..times(WRITES) {
        ours.push(with.write(round).await);
        bare.push(without.write(round).await);
    }
    row("Consul: write / without history", ours, bare);
}

/// With the feed and its history, with the feed alone, as the version before installed it, and without triggers.
async fn postgres() {
    let Some(server) = PostgresServer::start() else { return };
    let store = |table: &str| PostgresFeatureFlagStore::from_url(&server.url()).unwrap().table(table);
    let [with, fed, without] = &["with", "fed", "without"].map(store);
    with.install_feed(true).await.unwrap();
    fed.list().await.unwrap();
    let script = fed.feed_script(true).await.unwrap();
    let mark = script.split("flipper.clock_").nth(1).unwrap().split_once(' ').unwrap().0;
    let before = include_str!("../tests/postgres/feed_before_history.sql");
    server.psql(&before.replace("MARK", mark).replace("FLAGS", "fed"));
    let (mut with, mut fed, mut without) =
        (Writer::new(with).await, Writer::new(fed).await, Writer::new(without).await);
    let (mut ours, mut fed_alone, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..times(WRITES) {
        ours.push(with.write(round).await);
        fed_alone.push(fed.write(round).await);
        bare.push(without.write(round).await);
    }
    row("PostgreSQL: write / with the feed alone", ours.clone(), fed_alone);
    row("PostgreSQL: write / without triggers", ours, bare);
}

/// Against the statements of a write alone, in a file whose triggers of the history are dropped, on a thread of the same kind.
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| SqliteFeatureFlagStore::new(folder.path().join(name)).unwrap();
    let (with, other) = (store("with.db"), store("without.db"));
    let mut with = Writer::new(&with).await;
    Writer::new(&other).await;
    other.close().await.unwrap();
    let connection = Connection::open(folder.path().join("without.db")).unwrap();
    connection.execute_batch("DROP TRIGGER flags_history_updated; PRAGMA synchronous = FULL").unwrap();
    let mut bare_connection = Some(connection);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..times(WRITES) {
        ours.push(with.write(round).await);
        let mut connection = bare_connection.take().unwrap();
        let text = flag(round).to_json();
        let start = Instant::now();
        let write = move || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
            let version = |name| {
                let sql = "SELECT coalesce(v.version, 0) FROM flags f LEFT JOIN versions v ON v.name = f.name WHERE f.name = ?1";
                transaction.prepare_cached(sql).unwrap().query_row([name], |row| row.get::<_, i64>(0)).unwrap()
            };
            version("F");
            let sql = "INSERT INTO flags (name, record) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET record = excluded.record";
            transaction.prepare_cached(sql).unwrap().execute(["F", &text]).unwrap();
            version("F");
            transaction.commit().unwrap();
            connection
        };
        bare_connection = Some(tokio::task::spawn_blocking(write).await.unwrap());
        bare.push(start.elapsed());
    }
    row("SQLite: write / its statements alone", ours, bare);
}

/// The newest 50 of 100,000 entries: of all flags, and of one.
async fn pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("long.db"))
        .unwrap()
        .history_limits(HistoryLimits::default().entries(ENTRIES));
    let entries = if times(2) == 2 { ENTRIES } else { 1_000 };
    let records: Vec<_> =
        (0..entries / 100).map(|number| FlagRecord::new(format!("F{number}"), 1_700_000_000)).collect();
    for _ in 0..100 {
        assert!(store.put_all(&records, options(Precondition::Any)).await.iter().all(Result::is_ok));
    }
    for (what, query) in [("all flags", HistoryQuery::all()), ("one flag", HistoryQuery::of("F7"))] {
        let query = query.limit(50);
        let mut spent = Vec::new();
        for _ in 0..times(PAGES) {
            let start = Instant::now();
            let page = store.history(&query).await.unwrap();
            spent.push(start.elapsed());
            assert_eq!(page.entries.len(), 50);
        }
        spent.sort_unstable();
        let (middle, worst) = (spent[spent.len() / 2], spent[spent.len() - 1]);
        println!("SQLite: the newest 50 of {entries} entries, {what}: {middle:.1?}, at most {worst:.1?}");
    }
}
