//! Flags in an SQLite file, which several processes may share.
//!
//! ```
//! use flipper::{FeatureFlagClient, SqliteFeatureFlagStore};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("flags.db");
//! # futures_executor::block_on(async {
//! let store = SqliteFeatureFlagStore::new(&path)?;
//! let features = FeatureFlagClient::new(store);
//! features.create("MY_FEATURE").or_get().await?;
//! features.enable("MY_FEATURE").await?;
//! assert!(features.is_enabled("MY_FEATURE"));
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! ```
//!
//! A thread of this crate does the I/O; no async runtime is needed. A watch finds other processes' writes, mostly within a millisecond by
//! the file system's notifications, else within 50 ms.
//!
//! # Layout
//!
//! | table | column | |
//! |---|---|---|
//! | `flags` | `name` | the flag's name |
//! | | `record` | the flag as JSON text, see [`FlagRecord`] |
//! | `versions` | `version` | a number for every change, never reused |
//! | | `name` | the flag that it changed last; about a thousand deleted flags are kept |
//! | `flags_history` | `number` | the order of the writes |
//! | | `at` | the writer's clock, in milliseconds of Unix time |
//! | | `name`, `verb`, `actor`, `reason`, `source` | of another program's write the name alone |
//! | | `before`, `after` | the flag's `record`, NULL while it is missing |
//!
//! Triggers on `flags` fill `versions` and `flags_history`, so the `sqlite3` shell can edit flags too:
//!
//! ```sql
//! UPDATE flags SET record = json_set(record, '$.is_enabled', json('true')) WHERE name = 'MY_FEATURE';
//! ```
//!
//! `PRAGMA application_id` is 0x466c7046, `PRAGMA user_version` the layout's number, 1. The file must be on a local disk. It is in WAL
//! mode, with `-wal` and `-shm` files beside it while in use.
//!
//! To replace it under running programs, rename another file into its place, redirect a link, or use the shell's `.restore`. The other
//! file's flags appear within 50 ms, and no write is acknowledged into the old one. Do not copy a file over it: readers see half of it
//! meanwhile.

mod batch;
mod errors;
mod file;
mod follower;
mod followers;
mod hint;
mod history;
mod inspect;
mod link;
mod schema;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::time::sleep;

use self::batch::Batch;
use self::errors::{Named, closed, from_sqlite};
use self::file::Place;
use self::followers::Followers;
use self::link::File;
use crate::background;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Capabilities, HistoryLimits, HistoryPage, HistoryQuery, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, give_up, pages};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Within what SQLite can count in milliseconds and clocks can add.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
const SHORTEST_POLL: Duration = Duration::from_millis(1);
const REST: Duration = Duration::from_millis(100);
const PAGE: usize = 500;

/// Keeps flags in an SQLite file. Clones share it. Dropping the last, or [closing](FeatureFlagStore::close), releases the file.
#[derive(Clone)]
pub struct SqliteFeatureFlagStore {
    shared: Arc<Shared>,
    busy_timeout: Duration,
    poll_every: Option<Duration>,
    history_limits: Option<HistoryLimits>,
}

struct Shared {
    file: Arc<File>,
    resting: AtomicBool,
    followers: Arc<Followers>,
    closed: AtomicBool,
}

impl fmt::Display for SqliteFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Named(&self.shared.file.place.path).fmt(f)
    }
}

impl fmt::Debug for SqliteFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteFeatureFlagStore")
            .field("file", &self.shared.file.place.path)
            .field("busy_timeout", &self.busy_timeout)
            .field("poll_every", &self.poll_every)
            .finish()
    }
}

impl SqliteFeatureFlagStore {
    /// Opens the file, and creates it (but not its folder) if it is missing. Blocks meanwhile.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the file is no database or belongs to another program, `Unsupported` if a newer version of this crate made it,
    /// `Unauthorized` if it may not be used, `Unavailable` if its folder is missing, it is locked, or the disk is full.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || {
            let file = File::new(Place::new(path)?);
            // Detects a damaged file. A program that only reads needs no further connection.
            file.with(&file.reader, BUSY_TIMEOUT, false, |connection| schema::marks(connection).map_err(from_sqlite))?;
            let shared = Shared {
                file: Arc::new(file),
                resting: AtomicBool::new(false),
                followers: Arc::default(),
                closed: AtomicBool::new(false),
            };
            Ok(Self { shared: Arc::new(shared), busy_timeout: BUSY_TIMEOUT, poll_every: None, history_limits: None })
        };
        open().map_err(|error: Error| error.with_store(Named(path)))
    }

    /// The store at `sqlite:PATH`; the path is literal.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, and as [`new`](Self::new).
    pub fn from_url(url: &str) -> Result<Self> {
        let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        match path {
            Some(path) if !path.is_empty() => Self::new(path),
            _ => Err(Error::invalid_input("an SQLite store's URL is `sqlite:PATH`, with the path of a file")),
        }
    }

    /// How long a write waits for another program's lock; 5 s by default, a day at most.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(LONGEST_WAIT);
        self
    }

    /// How often a watch checks the file without a notification; 50 ms by default, 3 ms if none come, at least every millisecond.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = Some(every.clamp(SHORTEST_POLL, LONGEST_WAIT));
        self
    }

    /// How much history the file keeps; at first 10,000 entries, of 90 days. A hundredth more may be there. The file has the limits that were set
    /// last, once this store writes, for all programs.
    #[must_use]
    pub fn history_limits(mut self, limits: HistoryLimits) -> Self {
        self.history_limits = Some(limits);
        self
    }

    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T> + Send + 'static) -> Result<T> {
        let patience = self.busy_timeout;
        self.run(move |file| file.with(&file.reader, patience, false, work)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, Instant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let patience = self.busy_timeout;
        let deadline = Instant::now() + patience;
        let work = move |connection: &Connection| work(connection, deadline);
        let written = self.run(move |file| file.with(&file.writer, patience, true, work)).await;
        self.empty_log_later();
        written
    }

    /// Dropping the future does not interrupt `work`.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&File) -> Result<T> + Send + 'static) -> Result<T> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(self.named(closed()));
        }
        let shared = self.shared.clone();
        let done = match background::handle() {
            Ok(handle) => handle.spawn_blocking(move || work(&shared.file)).await,
            Err(error) => return Err(self.named(Error::unavailable("no thread can be started").with_source(error))),
        };
        let done = done
            .unwrap_or_else(|ended| Err(Error::unavailable("work with the file did not finish").with_source(ended)));
        done.map_err(|error| self.named(error))
    }

    fn empty_log_later(&self) {
        let Ok(handle) = background::handle() else { return };
        if self.shared.resting.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::downgrade(&self.shared);
        handle.spawn(async move {
            loop {
                sleep(REST).await;
                let Some(shared) = shared.upgrade() else { return };
                shared.resting.store(false, Ordering::Release);
                let emptied = handle.spawn_blocking(move || {
                    let emptied = matches!(shared.file.empty_log(REST), Ok(true));
                    // Unless a write has started another task meanwhile.
                    emptied || shared.resting.swap(true, Ordering::AcqRel)
                });
                if emptied.await.unwrap_or(true) {
                    return;
                }
            }
        });
    }

    fn named(&self, error: Error) -> Error {
        error.with_store(self)
    }
}

#[async_trait]
impl FeatureFlagStore for SqliteFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let flag = name.to_owned();
        self.read(move |connection| schema::read_one(connection, &flag)).await.map_err(|error| error.with_flag(name))
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        validate_name(record.name())?;
        let (flag, text, limits) = (record.name().to_owned(), Arc::from(record.to_json()), self.history_limits);
        self.write(move |connection, deadline| {
            schema::write(connection, &flag, Some(&text), &options, limits, deadline)
        })
        .await
        .map_err(|error| error.with_flag(record.name()))
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let (flag, limits) = (name.to_owned(), self.history_limits);
        self.write(move |connection, deadline| schema::write(connection, &flag, None, &options, limits, deadline))
            .await
            .map_err(|error| error.with_flag(name))
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.read(|connection| Ok(schema::read_all(connection)?.0)).await
    }

    fn watch(&self) -> Watch<'_> {
        watch::watch(self.shared.file.clone(), self.poll_every, self.shared.followers.clone())
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for batch in Batch::of_all(records) {
            let (flags, options, limits) = (batch.flags.clone(), options.clone(), self.history_limits);
            let written = self.write(move |connection, deadline| {
                let texts = flags.iter().map(|(record, text)| (record.name(), text));
                schema::write_all(connection, texts, &options, limits, deadline)
            });
            results.extend(batch.results(written.await, |error| self.named(error)));
            if give_up(&mut results, records) {
                break;
            }
        }
        results
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let query = query.clone();
        self.read(move |connection| history::page(connection, &query)).await
    }

    fn stream(&self) -> FlagStream<'_> {
        pages(None, move |after: Option<String>| async move {
            let flags = self.read(move |connection| schema::read_page(connection, after.as_deref(), PAGE)).await?;
            let next = flags.last().filter(|_| flags.len() == PAGE).map(|flag| Some(flag.name.clone()));
            Ok((flags, next))
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_push().with_ordered_versions().with_history()
    }

    fn identity(&self) -> Identity {
        inspect::identity(&self.shared.file.place.path)
    }

    async fn inspect(&self) -> Vec<Check> {
        let path = self.shared.file.place.path.clone();
        match self.read(move |connection| inspect::inspect(&path, connection)).await {
            Ok(checks) => checks,
            Err(error) => vec![Check::fault("reachable", error.chain())],
        }
    }

    async fn close(&self) -> Result<()> {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.followers.close().await;
        let shared = self.shared.clone();
        let Ok(handle) = background::handle() else { return shared.file.close() };
        let closed = handle.spawn_blocking(move || shared.file.close()).await;
        closed
            .unwrap_or_else(|ended| Err(Error::unavailable("work with the file did not finish").with_source(ended)))
            .map_err(|error| self.named(error))
    }
}
