//! Times the PostgreSQL store and the mirror against the bare driver, on a server of its own. Both take turns, so that other load hits
//! both alike.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

use std::time::{Duration, Instant};

use flipper::history::{HistoryLimits, HistoryQuery};
use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{
    FeatureFlagClient, FeatureFlagStore, FlagRecord, MirroredFeatureFlagStore, PostgresFeatureFlagStore,
    SqliteFeatureFlagStore,
};
use flipper_testkit::postgres::PostgresServer;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

const WRITES: usize = 2_000;
const FLAGS: usize = 10_000;
const STARTS: usize = 21;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(server) = PostgresServer::start() else { return };
    println!(
        "{:<58} {:>10} {:>10} {:>10} {:>10} {:>7} {:>7}",
        "", "ours p50", "ours p99", "bare p50", "bare p99", "× p50", "× p99"
    );
    let only = arguments.into_iter().find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    runtime().block_on(async {
        if wanted("write") {
            write(&server).await;
        }
        if wanted("trigger") {
            trigger(&server).await;
        }
        if wanted("history") {
            pages(&server).await;
        }
        if wanted("start") {
            start(&server).await;
        }
        if wanted("idle") {
            idle(true).await;
            idle(false).await;
        }
    });
}

/// Once under `cargo test`, which leaves `--bench` out: that shows that this runs.
fn times(whole: usize) -> usize {
    if std::env::args().any(|argument| argument == "--bench") { whole } else { 1 }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn row(what: &str, mut ours: Vec<Duration>, mut bare: Vec<Duration>) {
    let mut at = |percent: usize| {
        let pick = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
        };
        (pick(&mut ours), pick(&mut bare))
    };
    let ((ours_50, bare_50), (ours_99, bare_99)) = (at(50), at(99));
    println!(
        "{what:<58} {ours_50:>8.1}µs {ours_99:>8.1}µs {bare_50:>8.1}µs {bare_99:>8.1}µs {:>7.2} {:>7.2}",
        ours_50 / bare_50,
        ours_99 / bare_99
    );
}

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

async fn bare(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn update(client: &Client, table: &str, item: &[u8]) {
    let update = format!("UPDATE {table} SET item = $2 WHERE name = $1");
    let done = client.execute_typed(&update, &[(&"F", Type::TEXT), (&item, Type::BYTEA)]).await.unwrap();
    assert_eq!(done, 1);
}

fn store(server: &PostgresServer, table: &str) -> PostgresFeatureFlagStore {
    PostgresFeatureFlagStore::from_url(&server.url()).unwrap().table(table)
}

/// A write of ours against an unconditional one in a transaction, on two tables without triggers.
async fn write(server: &PostgresServer) {
    let (store, other) = (store(server, "ours"), self::store(server, "bare"));
    let mut version = store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    other.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    let client = bare(&server.url()).await;
    let (mut ours, mut plain, mut single) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..times(WRITES) {
        let record = flag("F", round % 2 == 0);
        let start = Instant::now();
        version = store.put(&record, Precondition::Unchanged(version).into()).await.unwrap();
        ours.push(start.elapsed());
        let item = record.to_json();
        let start = Instant::now();
        client.batch_execute("BEGIN").await.unwrap();
        update(&client, "bare", item.as_bytes()).await;
        client.batch_execute("COMMIT").await.unwrap();
        plain.push(start.elapsed());
        let start = Instant::now();
        update(&client, "bare", item.as_bytes()).await;
        single.push(start.elapsed());
    }
    row("put / BEGIN, UPDATE, COMMIT", ours.clone(), plain);
    row("put / UPDATE", ours, single);
}

/// What the triggers cost another program's commit.
async fn trigger(server: &PostgresServer) {
    let (fed, plain) = (store(server, "fed"), store(server, "plain"));
    fed.install_feed(true).await.unwrap();
    for store in [&fed, &plain] {
        store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    }
    let client = bare(&server.url()).await;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..times(WRITES) {
        let item = flag("F", round % 2 == 0).to_json();
        for (table, times) in [("fed", &mut with), ("plain", &mut without)] {
            let start = Instant::now();
            update(&client, table, item.as_bytes()).await;
            times.push(start.elapsed());
        }
    }
    row("UPDATE of another program, with triggers / without", with, without);
}

/// The first page of 100,000 entries, beside SQLite's.
async fn pages(server: &PostgresServer) {
    let limits = HistoryLimits::default().entries(200_000);
    let folder = tempfile::tempdir().unwrap();
    let ours = store(server, "much").history_limits(limits);
    ours.install_feed(false).await.unwrap();
    let sqlite = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap().history_limits(limits);
    let stores: [&dyn FeatureFlagStore; 2] = [&ours, &sqlite];
    let records: Vec<_> = (0..1_000).map(|number| flag(&format!("FLAG_{number:06}"), true)).collect();
    for store in stores {
        for _ in 0..times(100) {
            store.put_all(&records, Precondition::Any.into()).await.into_iter().for_each(|done| drop(done.unwrap()));
        }
    }
    // As the server does by itself, a minute later.
    server.psql("ANALYZE");
    let newest = ours.history(&HistoryQuery::all().limit(5)).await.unwrap().entries;
    let hour = newest[0].at - Duration::from_secs(3600);
    for (what, query) in [
        ("of all", HistoryQuery::all()),
        ("of one flag", HistoryQuery::of("FLAG_000500")),
        ("since an hour ago", HistoryQuery::all().since(Some(hour))),
        ("since a moment ago", HistoryQuery::all().since(Some(newest[4].at))),
        ("since never", HistoryQuery::all().since(Some(newest[0].at + Duration::from_secs(3600)))),
    ] {
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..times(STARTS) {
            for (store, took) in stores.iter().zip(&mut took) {
                let start = Instant::now();
                store.history(&query).await.unwrap();
                took.push(start.elapsed());
            }
        }
        let [ours, sqlite] = took;
        row(&format!("first page of 100,000 entries, {what} / SQLite"), ours, sqlite);
    }
}

async fn start(server: &PostgresServer) {
    let store = store(server, "many");
    store.install_feed(true).await.unwrap();
    let records: Vec<_> = (0..FLAGS).map(|number| flag(&format!("FLAG_{number:06}"), true)).collect();
    store.put_all(&records, Precondition::Any.into()).await.into_iter().for_each(|done| drop(done.unwrap()));
    let (mut lists, mut starts, mut selects, mut fresh) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let client = bare(&server.url()).await;
    for _ in 0..times(STARTS) {
        let start = Instant::now();
        assert_eq!(store.list().await.unwrap().len(), FLAGS);
        lists.push(start.elapsed());

        let start = Instant::now();
        let mirror = MirroredFeatureFlagStore::new(self::store(server, "many"));
        mirror.ready().await.unwrap();
        starts.push(start.elapsed());
        assert_eq!(mirror.table().list().len(), FLAGS);
        mirror.close().await.unwrap();

        for (times, connects) in [(&mut selects, false), (&mut fresh, true)] {
            let start = Instant::now();
            let new = if connects { Some(bare(&server.url()).await) } else { None };
            let rows = new.as_ref().unwrap_or(&client).query_typed("SELECT name, item FROM many", &[]).await.unwrap();
            let found: Vec<(String, Vec<u8>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            times.push(start.elapsed());
            assert_eq!(found.len(), FLAGS);
        }
    }
    row("list, 10,000 flags / SELECT", lists, selects);
    row("mirror start-up, 10,000 flags / connection and SELECT", starts, fresh);
}

/// The queries of a follower of 10,000 flags while nothing changes, counted and timed by the server's log: its statistics count its own
/// work too.
async fn idle(is_fed: bool) {
    let logged = PostgresServer::options().set("log_min_duration_statement=0").set("log_line_prefix=%a ");
    let Some(server) = logged.start() else { return };
    let store = store(&server, "many");
    if is_fed {
        store.install_feed(true).await.unwrap();
    }
    let records: Vec<_> = (0..FLAGS).map(|number| flag(&format!("FLAG_{number:06}"), true)).collect();
    store.put_all(&records, Precondition::Any.into()).await.into_iter().for_each(|done| drop(done.unwrap()));
    // As the server does by itself, a minute later.
    server.psql("VACUUM ANALYZE");
    let features = FeatureFlagClient::new(store);
    features.ready().await.unwrap();
    let pause = Duration::from_secs(if times(2) == 2 { 70 } else { 2 });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = queries(&server).len();
    tokio::time::sleep(pause).await;
    let (compared, mut asked): (Vec<_>, Vec<_>) =
        queries(&server).split_off(before).into_iter().partition(|(_, all)| *all);
    let total: f64 = asked.iter().chain(&compared).map(|(took, _)| took).sum();
    asked.sort_by(|one, other| one.0.total_cmp(&other.0));
    let at = |percent: usize| asked.get((asked.len().max(1) - 1) * percent / 100).map_or(f64::NAN, |(took, _)| *took);
    let (count, feed) = (asked.len() + compared.len(), if is_fed { "with" } else { "without" });
    println!(
        "an idle follower {feed} the feed: {count} queries in {pause:?}, of {:.3} ms in the mean (p50 {:.3} ms, p99 {:.3} ms); \
         {} of them compare all rows",
        total / count.max(1) as f64,
        at(50),
        at(99),
        compared.len()
    );
}

/// Of the follower, in milliseconds: the parts of each, for an unnamed statement is parsed, bound and executed. And whether all rows are compared.
fn queries(server: &PostgresServer) -> Vec<(f64, bool)> {
    let log = std::fs::read_to_string(server.folder().join("log")).unwrap();
    let (mut queries, mut pending) = (Vec::new(), 0.0);
    for line in log.lines().filter_map(|line| line.strip_prefix("flipper ")) {
        let Some((took, what)) = line.split_once("duration: ").and_then(|(_, line)| line.split_once(" ms  ")) else {
            continue;
        };
        pending += took.parse::<f64>().unwrap();
        if what.starts_with("execute") {
            queries.push((std::mem::take(&mut pending), what.contains("bit_xor")));
        }
    }
    queries
}
