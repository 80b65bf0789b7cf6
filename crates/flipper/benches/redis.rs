//! Times the Redis store and the mirror against the bare driver, on a server of its own. Both take turns, so that other load
//! hits both alike. `docs/benchmarks-redis.md` has the results.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

use std::hint::black_box;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use flipper::store::{LocalFeatureFlagStore, Precondition, WatchEvent};
use flipper::{
    FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore,
    RedisFeatureFlagStore, ReplicatedFeatureFlagStore,
};
use flipper_testkit::redis::RedisServer;
use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const GETS: usize = 20_000;
const CHANGES: usize = 5_000;
const FLAGS: usize = 10_000;
const LISTS: usize = 41;
const BURSTS: usize = 41;

/// The store's script without its checks for other types.
const SCRIPT: &str = "local now = redis.call('GET', KEYS[1]) \
                      if not now or redis.sha1hex(now) ~= ARGV[1] then return 0 end \
                      redis.call('SET', KEYS[1], ARGV[2]) return 1";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, url] = &*arguments
        && url.starts_with("redis://")
    {
        return runtime().block_on(follow(role, url));
    }
    let Some(server) = RedisServer::options().config("appendonly no").start() else { return };
    println!(
        "{:<58} {:>10} {:>10} {:>10} {:>10} {:>7} {:>7}",
        "", "ours p50", "ours p99", "bare p50", "bare p99", "× p50", "× p99"
    );
    let only = arguments.into_iter().find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    runtime().block_on(async {
        if wanted("get") {
            get(&server).await;
        }
        if wanted("list") {
            list(&server).await;
        }
        if wanted("change") {
            change(&server).await;
        }
        if wanted("processes") {
            processes(&server).await;
        }
        if wanted("replicas") {
            replicas(&server).await;
        }
        if wanted("check") {
            check(&server).await;
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

async fn bare(server: &RedisServer) -> MultiplexedConnection {
    Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn get(server: &RedisServer) {
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    let mut connection = bare(server).await;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..times(GETS) {
        let start = Instant::now();
        store.get("F").await.unwrap().unwrap();
        ours.push(start.elapsed());
        let start = Instant::now();
        let value: Vec<u8> = redis::cmd("GET").arg("features/F").query_async(&mut connection).await.unwrap();
        bare.push(start.elapsed());
        assert!(!value.is_empty());
    }
    row("get / GET", ours, bare);
}

async fn list(server: &RedisServer) {
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key("many");
    let mut connection = bare(server).await;
    connection.set_response_timeout(Duration::from_secs(10));
    for number in 0..FLAGS {
        store.put(&flag(&format!("F{number}"), true), Precondition::Any.into()).await.unwrap();
    }
    let (mut lists, mut starts, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times(LISTS) {
        let start = Instant::now();
        assert_eq!(store.list().await.unwrap().len(), FLAGS);
        lists.push(start.elapsed());

        let start = Instant::now();
        let mirror =
            MirroredFeatureFlagStore::new(RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key("many"));
        mirror.ready().await.unwrap();
        starts.push(start.elapsed());
        assert_eq!(mirror.table().list().len(), FLAGS);
        mirror.close().await.unwrap();

        let start = Instant::now();
        let (mut cursor, mut found) = (0_u64, 0);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg("many/*").arg("COUNT").arg(1000);
            let keys: Vec<String>;
            (cursor, keys) = scan.query_async(&mut connection).await.unwrap();
            if !keys.is_empty() {
                let values: Vec<Vec<u8>> = redis::cmd("MGET").arg(&keys).query_async(&mut connection).await.unwrap();
                found += values.len();
            }
            if cursor == 0 {
                break;
            }
        }
        scans.push(start.elapsed());
        assert!(found >= FLAGS);
    }
    row("list, 10,000 flags / SCAN + MGET", lists, scans.clone());
    row("mirror start-up, 10,000 flags / SCAN + MGET", starts, scans);
}

/// From before the write until the reader has the new value.
async fn change(server: &RedisServer) {
    let writer = RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key("changed");
    let reader = RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key("changed");
    let mut watch = reader.watch();
    watch.next().await.unwrap();
    let mut version = writer.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    let (mut bare_writer, (mut bare_reader, mut pushes)) = (bare(server).await, pushed(&server.url()).await);
    let mut track = redis::cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg("wire/");
    let _: redis::Value = track.query_async(&mut bare_reader).await.unwrap();
    let script: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(&mut bare_writer).await.unwrap();
    let mut before = flag("F", false).to_json();
    let _: redis::Value = redis::cmd("SET").arg("wire/F").arg(&before).query_async(&mut bare_writer).await.unwrap();
    while !pushes.is_empty() {
        pushes.recv().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    while pushes.try_recv().is_ok() {}

    let (mut publisher, (mut subscriber, mut messages)) = (bare(server).await, pushed(&server.url()).await);
    subscriber.subscribe("channel").await.unwrap();
    let (mut ours, mut wire, mut publish) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..times(CHANGES) {
        let record = flag("F", round % 2 == 0);
        let start = Instant::now();
        version = writer.put(&record, Precondition::Unchanged(version).into()).await.unwrap();
        loop {
            if let WatchEvent::Changed { flag, .. } = watch.next().await.unwrap()
                && flag.version == version
            {
                break;
            }
        }
        ours.push(start.elapsed());

        let after = record.to_json();
        let start = Instant::now();
        let mut call = redis::cmd("EVALSHA");
        call.arg(&script).arg(1).arg("wire/F").arg(sha1(&before)).arg(&after);
        let done: i64 = call.query_async(&mut bare_writer).await.unwrap();
        while pushes.recv().await.unwrap().kind != PushKind::Invalidate {}
        let value: String = redis::cmd("GET").arg("wire/F").query_async(&mut bare_reader).await.unwrap();
        wire.push(start.elapsed());
        assert!(done == 1 && value == after);
        before = after;

        let start = Instant::now();
        let _: i64 = redis::cmd("PUBLISH").arg("channel").arg(round).query_async(&mut publisher).await.unwrap();
        while messages.recv().await.unwrap().kind != PushKind::Message {}
        publish.push(start.elapsed());
    }
    row("put to Changed / EVALSHA, invalidation, GET", ours.clone(), wire);
    row("put to Changed / PUBLISH to callback", ours, publish);
}

struct Follower {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(role: &str, server: &RedisServer) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut process = command.args([role, &server.url()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Self { process, lines }
    }

    fn saw(&mut self, start: SystemTime) -> Duration {
        let line = self.lines.next().unwrap().unwrap();
        let seen = SystemTime::UNIX_EPOCH + Duration::from_nanos(line.parse().unwrap());
        seen.duration_since(start).unwrap_or_default()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn seen() {
    println!("{}", SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos());
}

async fn follow(role: &str, url: &str) {
    match role {
        "ours" => {
            let features = FeatureFlagClient::new(flipper::open(&format!("{url}?base_key=changed")).unwrap());
            features.ready().await.unwrap();
            let mut changes = features.changes();
            let mut enabled = features.is_enabled("F");
            println!("ready");
            while changes.next().await.is_some() {
                if features.is_enabled("F") != enabled {
                    seen();
                    enabled = !enabled;
                }
            }
        }
        "wire" => {
            let (mut connection, mut pushes) = pushed(url).await;
            let mut track = redis::cmd("CLIENT");
            track.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg("wire/");
            let _: redis::Value = track.query_async(&mut connection).await.unwrap();
            println!("ready");
            while let Some(push) = pushes.recv().await {
                if push.kind == PushKind::Invalidate {
                    let value: String = redis::cmd("GET").arg("wire/F").query_async(&mut connection).await.unwrap();
                    assert!(!value.is_empty());
                    seen();
                }
            }
        }
        _ => {
            let (mut connection, mut messages) = pushed(url).await;
            connection.subscribe("channel").await.unwrap();
            println!("ready");
            while let Some(message) = messages.recv().await {
                if message.kind == PushKind::Message {
                    seen();
                }
            }
        }
    }
}

/// From before `enable()` in this process to the new answer in another.
async fn processes(server: &RedisServer) {
    let features = FeatureFlagClient::new(flipper::open(&format!("{}?base_key=changed", server.url())).unwrap());
    features.ready().await.unwrap();
    features.create("F").or_get().await.unwrap();
    features.disable("F").await.unwrap();
    let mut connection = bare(server).await;
    let script: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(&mut connection).await.unwrap();
    let mut before = flag("F", false).to_json();
    let _: redis::Value = redis::cmd("SET").arg("wire/F").arg(&before).query_async(&mut connection).await.unwrap();
    let [mut ours, mut wire, mut publish] = ["ours", "wire", "publish"].map(|role| Follower::start(role, server));
    let (mut ours_took, mut wire_took, mut publish_took) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..times(CHANGES) {
        let enabled = round % 2 == 0;
        let start = SystemTime::now();
        if enabled {
            features.enable("F").await.unwrap();
        } else {
            features.disable("F").await.unwrap();
        }
        ours_took.push(ours.saw(start));

        let after = flag("F", enabled).to_json();
        let start = SystemTime::now();
        let mut call = redis::cmd("EVALSHA");
        call.arg(&script).arg(1).arg("wire/F").arg(sha1(&before)).arg(&after);
        let done: i64 = call.query_async(&mut connection).await.unwrap();
        wire_took.push(wire.saw(start));
        assert_eq!(done, 1);
        before = after;

        let start = SystemTime::now();
        let _: i64 = redis::cmd("PUBLISH").arg("channel").arg(round).query_async(&mut connection).await.unwrap();
        publish_took.push(publish.saw(start));
    }
    row("enable() to another process / EVALSHA, invalidation, GET", ours_took.clone(), wire_took);
    row("enable() to another process / PUBLISH to callback", ours_took, publish_took);
}

/// What a replica on another server costs: the caller of one write, and the machine in a burst, which ends once the replica has all.
async fn replicas(server: &RedisServer) {
    let Some(other) = RedisServer::options().config("appendonly no").start() else { return };
    let open = |url: String, base: &str| RedisFeatureFlagStore::from_url(&url).unwrap().base_key(base);
    let alone = MirroredFeatureFlagStore::new(open(server.url(), "alone"));
    let replica = open(other.url(), "replica");
    let replicated = ReplicatedFeatureFlagStore::new(open(server.url(), "replicated"), replica.clone());
    alone.ready().await.unwrap();
    replicated.ready().await.unwrap();
    let in_step = async || replicated.in_step(Duration::from_secs(60)).await.unwrap();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..times(CHANGES) {
        let record = flag("F", round % 2 == 0);
        let start = Instant::now();
        replicated.put(&record, Precondition::Any.into()).await.unwrap();
        with.push(start.elapsed());
        in_step().await;
        let start = Instant::now();
        alone.put(&record, Precondition::Any.into()).await.unwrap();
        without.push(start.elapsed());
    }
    row("put with a replica / put", with, without);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..times(BURSTS) {
        let records: Vec<_> = (0..100).map(|number| flag(&format!("F{number}"), round % 2 == 0)).collect();
        let start = Instant::now();
        for record in &records {
            replicated.put(record, Precondition::Any.into()).await.unwrap();
        }
        in_step().await;
        with.push(start.elapsed());
        let start = Instant::now();
        for record in &records {
            alone.put(record, Precondition::Any.into()).await.unwrap();
        }
        without.push(start.elapsed());
    }
    assert_eq!(replica.list().await.unwrap().len(), 101);
    row("100 puts until the replica has them / 100 puts", with, without);
}

async fn check(server: &RedisServer) {
    const CHECKS: usize = 1000;
    let mirrored = FeatureFlagClient::new(flipper::open(&format!("{}?base_key=checked", server.url())).unwrap());
    mirrored.ready().await.unwrap();
    let memory = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    for number in 0..100 {
        for features in [&mirrored, &memory] {
            features.create(format!("F{number}")).enabled(true).await.unwrap();
        }
    }
    let time = |features: &FeatureFlagClient| {
        let start = Instant::now();
        for _ in 0..CHECKS {
            assert!(black_box(features).is_enabled(black_box("F7")));
        }
        start.elapsed()
    };
    let (mut of_mirror, mut of_memory) = (Vec::new(), Vec::new());
    for _ in 0..times(GETS) {
        of_mirror.push(time(&mirrored));
        of_memory.push(time(&memory));
    }
    row("1,000 checks, mirrored / in memory", of_mirror, of_memory);
}

async fn pushed(url: &str) -> (MultiplexedConnection, UnboundedReceiver<PushInfo>) {
    let (sender, receiver) = unbounded_channel();
    let client = Client::open(format!("{url}?protocol=resp3")).unwrap();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    (client.get_multiplexed_async_connection_with_config(&config).await.unwrap(), receiver)
}

fn sha1(text: &str) -> String {
    use sha1::{Digest, Sha1};
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
