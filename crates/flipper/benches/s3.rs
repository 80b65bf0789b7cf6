//! A write beside a bare one, merges of eight processes, when a change is seen; and with 10,000 flags in a bucket the time of a start, and the
//! requests of a start and of a period. Lists are paid for one by one. On a server of its own.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use flipper::store::{LocalFeatureFlagStore, Precondition, WatchEvent};
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, MirroredFeatureFlagStore, S3FeatureFlagStore};
use flipper_testkit::s3::{KEY, Kind, S3Proxy, S3Server, SECRET};
use futures_util::StreamExt;
use object_store::aws::AmazonS3Builder;

const STARTS: usize = 3;
const PERIOD: Duration = Duration::from_secs(2);
const CHANGES: u32 = 10;
const WRITES: usize = 500;
const WRITERS: usize = 8;
const MERGES: usize = 50;

fn store(port: u16, bucket: &str) -> S3FeatureFlagStore {
    let client = AmazonS3Builder::new().with_endpoint(format!("http://127.0.0.1:{port}")).with_bucket_name(bucket);
    let store = S3FeatureFlagStore::new(client.with_access_key_id(KEY).with_secret_access_key(SECRET)).unwrap();
    store.timeout(Duration::from_secs(60)).poll_every(PERIOD)
}

/// Small under `cargo test`, which leaves `--bench` out: that shows that this runs.
fn is_whole() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, port, bucket, writer, merges] = &*arguments
        && role == "merge"
    {
        return runtime.block_on(merge(port.parse().unwrap(), bucket, writer, merges.parse().unwrap()));
    }
    let Some(server) = S3Server::start(Kind::SeaweedFs) else { return };
    runtime.block_on(async {
        write(&server, if is_whole() { WRITES } else { 2 }).await;
        merges(&server, if is_whole() { MERGES } else { 2 }).await;
        seen(&server, if is_whole() { CHANGES } else { 1 }).await;
        run(&server, if is_whole() { 10_000 } else { 20 }).await;
    });
}

/// A connection that stays open; without signatures, which the server does not ask of it.
struct Bare(BufReader<TcpStream>);

impl Bare {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Returns the new ETag.
    fn put(&mut self, path: &str, condition: &str, body: &str) -> String {
        let length = body.len();
        let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\n{condition}\r\nContent-Length: {length}\r\n\r\n");
        self.0.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        let (mut status, mut etag, mut length) = (String::new(), String::new(), 0);
        self.0.read_line(&mut status).unwrap();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "etag" => value.clone_into(&mut etag),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut rest = vec![0; length];
        self.0.read_exact(&mut rest).unwrap();
        assert!(status.contains(" 200 "), "{status} {}", String::from_utf8_lossy(&rest));
        etag
    }
}

/// A write of ours against a bare `PUT` with `If-Match`.
async fn write(server: &S3Server, writes: usize) {
    let bucket = server.bucket();
    let (store, mut bare) = (store(server.port(), &bucket), Bare::connect(server.port()));
    let mut version = store.put(&FlagRecord::new("OURS", 0), Precondition::Absent.into()).await.unwrap();
    let path = format!("/{bucket}/BARE");
    let mut etag = bare.put(&path, "If-None-Match: *", &FlagRecord::new("BARE", 0).to_json());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=i64::try_from(writes).unwrap() {
        let record = FlagRecord::new("OURS", round);
        let began = Instant::now();
        version = store.put(&record, Precondition::Unchanged(version).into()).await.unwrap();
        ours.push(began.elapsed());
        let body = FlagRecord::new("BARE", round).to_json();
        let began = Instant::now();
        etag = bare.put(&path, &format!("If-Match: {etag}"), &body);
        theirs.push(began.elapsed());
    }
    let at = |times: &mut Vec<Duration>, percent: usize| {
        times.sort_unstable();
        times[(times.len() - 1) * percent / 100]
    };
    let [ours_50, theirs_50, ours_99, theirs_99] =
        [at(&mut ours, 50), at(&mut theirs, 50), at(&mut ours, 99), at(&mut theirs, 99)];
    println!(
        "put {ours_50:.2?} (p99 {ours_99:.2?}) / PUT with If-Match {theirs_50:.2?} (p99 {theirs_99:.2?}): × {:.2} (p99 × {:.2})",
        ours_50.as_secs_f64() / theirs_50.as_secs_f64(),
        ours_99.as_secs_f64() / theirs_99.as_secs_f64()
    );
}

/// Of eight processes, which write one flag.
async fn merges(server: &S3Server, merges: usize) {
    let (bucket, port) = (server.bucket(), server.port().to_string());
    let first = FeatureFlagClient::remote(store(server.port(), &bucket));
    first.create("F").await.unwrap();
    let began = Instant::now();
    let writer = |number: usize| {
        let arguments = ["merge", &port, &bucket, &number.to_string(), &merges.to_string()].map(str::to_owned);
        Command::new(std::env::current_exe().unwrap()).args(arguments).spawn().unwrap()
    };
    let writers: Vec<_> = (0..WRITERS).map(writer).collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let flag = first.fetch("F").await.unwrap().unwrap();
    let kept = flag.client_data().as_object().unwrap().len();
    println!("{WRITERS} processes × {merges} merges of one flag in {:.2?}: {kept} kept", began.elapsed());
    assert_eq!(kept, WRITERS * merges);
}

async fn merge(port: u16, bucket: &str, writer: &str, merges: usize) {
    let features =
        FeatureFlagClient::builder().write_timeout(Duration::from_secs(60)).build_remote(store(port, bucket));
    for number in 0..merges {
        features.set_client_data("F", serde_json::json!({ format!("{writer}-{number}"): number })).await.unwrap();
    }
}

/// How long after another program's write a follower emits the change, in periods. They come at all moments of a period.
async fn seen(server: &S3Server, changes: u32) {
    let bucket = server.bucket();
    let followed = store(server.port(), &bucket);
    followed
        .put_all(&[FlagRecord::new("F", 7)], Precondition::Any.into())
        .await
        .into_iter()
        .for_each(|done| drop(done.unwrap()));
    let mut watch = followed.watch();
    let mut took = Vec::new();
    while !matches!(watch.next().await.unwrap(), WatchEvent::Reset { .. }) {}
    for change in 1..=changes {
        tokio::time::sleep(PERIOD * change / changes).await;
        let record = FlagRecord::new("F", 7 + i64::from(change));
        let began = Instant::now();
        assert_eq!(server.ask("PUT", &format!("/{bucket}/F"), record.to_json().as_bytes()).status, 200);
        while !matches!(watch.next().await.unwrap(), WatchEvent::Changed { .. }) {}
        took.push(began.elapsed().as_secs_f64() / PERIOD.as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    println!(
        "another program's change is seen after {:.2} periods of {PERIOD:?} (p50), at most {:.2}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}

async fn run(server: &S3Server, flags: usize) {
    let bucket = server.bucket();
    let records: Vec<_> = (0..flags).map(|number| FlagRecord::new(format!("F{number:05}"), 7)).collect();
    assert!(store(server.port(), &bucket).put_all(&records, Precondition::Any.into()).await.iter().all(Result::is_ok));

    let mut starts: Vec<_> = Vec::new();
    for _ in 0..if is_whole() { STARTS } else { 1 } {
        let began = Instant::now();
        let mirror = MirroredFeatureFlagStore::new(store(server.port(), &bucket));
        mirror.ready().await.unwrap();
        starts.push(began.elapsed());
        assert_eq!(mirror.table().list().len(), flags);
        mirror.close().await.unwrap();
    }
    starts.sort_unstable();
    println!("a start with {flags} flags: {:.2?} in the median of {}", starts[starts.len() / 2], starts.len());

    let proxy = S3Proxy::start(server.port());
    let followed = store(proxy.port(), &bucket);
    let mut watch = followed.watch();
    let mut compared = 0;
    while compared < 2 {
        compared += usize::from(matches!(watch.next().await.unwrap(), WatchEvent::Compared { .. }));
    }
    // The first list of the start, and of each period, has no token.
    let is_list = |head: &&String| head.contains("list-type=2");
    let is_first = |head: &String| is_list(&head) && !head.contains("continuation-token");
    let requests = proxy.requests();
    let counts: Vec<_> =
        requests.split(is_first).map(|more| (more.iter().filter(is_list).count() + 1, more.len() + 1)).collect();
    let [_, (start, all), (period, quiet), ..] = counts[..] else { panic!("{counts:?}") };
    println!("its requests: {start} lists, {} others", all - start);
    println!("a period without a change: {period} lists, {} others", quiet - period);
    assert!(start.max(period) <= flags.div_ceil(1000), "a list has a thousand flags");
}
