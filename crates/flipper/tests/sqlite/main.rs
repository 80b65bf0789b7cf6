//! The SQLite store: contract, faults and foreign writers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "also in what the tests have in common"
)]

mod bad_rows;
mod children;
mod direct;
mod faults;
mod files;
mod processes;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use flipper::store::{Health, LocalFeatureFlagStore, Precondition, Version};
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, MirroredFeatureFlagStore, SqliteFeatureFlagStore};
use flipper_testkit::block_on;
use flipper_testkit::{Child, child_role};
use tempfile::TempDir;

struct Folder {
    folder: TempDir,
    database: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().canonicalize().unwrap().join("flags.db");
        Self { folder, database }
    }

    fn open(&self) -> Mirror {
        open(&self.database)
    }

    /// Trusts a file that was away, whatever it has.
    fn open_without_doubt(&self) -> Mirror {
        MirroredFeatureFlagStore::builder(bare(&self.database)).doubt_for(Duration::ZERO).build()
    }

    fn client(&self) -> FeatureFlagClient {
        FeatureFlagClient::new(self.open())
    }

    fn shell(&self) -> rusqlite::Connection {
        shell(&self.database)
    }

    fn text(&self) -> &str {
        self.database.to_str().unwrap()
    }
}

type Mirror = MirroredFeatureFlagStore<SqliteFeatureFlagStore>;

fn bare(path: impl AsRef<Path>) -> SqliteFeatureFlagStore {
    SqliteFeatureFlagStore::new(path).unwrap()
}

fn open(path: impl AsRef<Path>) -> Mirror {
    MirroredFeatureFlagStore::new(bare(path))
}

fn shell(database: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(database).unwrap()
}

fn record(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

fn put(store: &impl FeatureFlagStore, name: &str, enabled: bool) -> flipper::Result<Version> {
    block_on(store.put(&record(name, enabled), Precondition::Any.into()))
}

fn is_enabled(store: &Mirror, name: &str) -> Option<bool> {
    Some(store.table().get(name)?.record.ok()?.is_enabled())
}

fn stale(store: &Mirror) -> Option<String> {
    match store.status().health {
        Health::Stale { reason, .. } => Some(reason.to_string()),
        _ => None,
    }
}

fn assert_intact(database: &Path) {
    let verdict: String = shell(database).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// The child processes begin here. Without a role it starts one, to show that they start.
#[test]
fn child() {
    match child_role() {
        Some(role) => children::run(&role),
        None => Child::spawn("greet", &["hello"]).expect("hello"),
    }
}
