//! The S3 store: contract, faults and foreign writers.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "also in what the tests have in common")]

mod conditions;
mod conformance;
mod contention;
mod faults;
#[path = "../support/follow.rs"]
mod follow;
mod foreign;
mod inspect;
mod odd;
#[path = "../support/python.rs"]
mod python;
mod replica;
mod watch;

use std::time::{Duration, Instant};

use flipper::store::{Stored, WatchEvent};
use flipper::{FlagRecord, S3FeatureFlagStore};
use flipper_testkit::s3::{KEY, Kind, S3Server, SECRET};
use object_store::aws::AmazonS3Builder;

use follow::Follow;

fn seaweedfs() -> Option<&'static S3Server> {
    S3Server::shared(Kind::SeaweedFs)
}

fn moto() -> Option<&'static S3Server> {
    S3Server::shared(Kind::Moto)
}

fn client(port: u16, bucket: &str) -> AmazonS3Builder {
    let client = AmazonS3Builder::new().with_endpoint(format!("http://127.0.0.1:{port}")).with_bucket_name(bucket);
    client.with_access_key_id(KEY).with_secret_access_key(SECRET)
}

/// With time for a busy machine.
fn store(port: u16, bucket: &str) -> S3FeatureFlagStore {
    let store = S3FeatureFlagStore::new(client(port, bucket)).unwrap();
    store.timeout(Duration::from_secs(20)).poll_every(Duration::from_millis(100))
}

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

fn names(flags: &[Stored]) -> Vec<&str> {
    flags.iter().map(|flag| flag.name.as_str()).collect()
}

fn random(prefix: &str) -> String {
    format!("{prefix}-{:016x}", fastrand::u64(..))
}

impl Follow<'_> {
    /// The flag's next state; `None`: it is missing. Returns when its read was sent.
    async fn change(&mut self, name: &str) -> (Option<Stored>, Option<Instant>) {
        self.find(|event| match event {
            WatchEvent::Changed { flag, read_at } if flag.name == name => Some((Some(flag), read_at)),
            WatchEvent::Removed { name: gone, read_at, .. } if gone == name => Some((None, read_at)),
            _ => None,
        })
        .await
    }
}
