//! The requests of a start and of a period with 10,000 flags in a bucket, the time of a start, and when a change is seen; on a server of its
//! own. Lists are paid for one by one.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

use std::time::{Duration, Instant};

use flipper::store::{LocalFeatureFlagStore, Precondition, WatchEvent};
use flipper::{FeatureFlagStore, FlagRecord, MirroredFeatureFlagStore, S3FeatureFlagStore};
use flipper_testkit::s3::{KEY, Kind, S3Proxy, S3Server, SECRET};
use futures_util::StreamExt;
use object_store::aws::AmazonS3Builder;

const STARTS: usize = 5;
const PERIOD: Duration = Duration::from_secs(2);
const CHANGES: u32 = 20;

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
    let Some(server) = S3Server::start(Kind::SeaweedFs) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        run(&server, if is_whole() { 10_000 } else { 20 }).await;
        seen(&server, if is_whole() { CHANGES } else { 1 }).await;
    });
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
        "another program's change is seen after {:.2} periods (p50), at most {:.2}",
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
