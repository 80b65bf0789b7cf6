//! Flags in an SQLite file, which several processes may share.
//!
//! ```
//! use flipper::{FeatureFlagClient, SqliteFeatureFlagStore};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("flags.db");
//! # futures_executor::block_on(async {
//! let store = SqliteFeatureFlagStore::open(&path)?;
//! let features = FeatureFlagClient::new(store);
//! features.create("MY_FEATURE").or_get().await?;
//! features.enable("MY_FEATURE").await?;
//! assert!(features.is_enabled("MY_FEATURE"));
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! ```
//!
//! All flags are in memory, and a check reads only that. Two threads do the work with the file: one writes, the other
//! brings in what other processes write, mostly within a millisecond: it is woken by the file system, and in any case looks 20
//! times a second. No async runtime is needed.
//!
//! # Layout
//!
//! | table | column | |
//! |---|---|---|
//! | `flags` | `name` | the flag's name |
//! | | `record` | the flag as JSON text, see [`FlagRecord`] |
//! | `versions` | `version` | a number for every change, never used twice |
//! | | `name` | the flag that it changed last; of deleted flags, the last thousand or so stay |
//!
//! Triggers on `flags` fill `versions`, so that flags may be edited with the `sqlite3` shell too:
//!
//! ```sql
//! UPDATE flags SET record = json_set(record, '$.is_enabled', json('true')) WHERE name = 'MY_FEATURE';
//! ```
//!
//! `PRAGMA application_id` is 0x466c7046 and `PRAGMA user_version` the layout's number, 1. The file is in WAL mode, so that
//! `-wal` and `-shm` files are beside it while it is in use. It must be on a local disk. To replace it under running
//! programs, rename another file into its place, point the link that the programs open elsewhere, or use the shell's `.restore`: the
//! other file's flags are taken in within 50 ms, and no write is acknowledged into the old one. One that is copied over it is taken in
//! too, but not safely: while the copy goes on others read half of it.

mod batch;
mod direct;
mod errors;
mod file;
mod follower;
mod health;
mod hint;
mod inspect;
mod options;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use rusqlite::Connection;
use tokio::sync::oneshot;

use self::batch::Batch;
pub use self::direct::SqliteFile;
use self::errors::{Named, closed, unavailable};
use self::file::{Content, Identity, Place, is_past};
use self::follower::{Follower, Request};
use self::health::Pulse;
pub use self::options::SqliteOptions;
use self::writer::{Job, Write, WriteAll, Writer};
use crate::error::{Error, Result};
use crate::inspection::Check;
use crate::many::give_up;
use crate::record::{FlagRecord, validate_name};
use crate::status::Status;
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore, Precondition, Stored, Version, Watch};
use crate::table::FlagTable;

/// Keeps flags in an SQLite file. Clones share it; when the last one is dropped, or [closed](LocalFeatureFlagStore::close),
/// the file is released.
#[derive(Clone, Debug)]
pub struct SqliteFeatureFlagStore {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

/// What the threads and the store share.
#[derive(Debug)]
struct Shared {
    place: Place,
    options: SqliteOptions,
    table: Arc<FlagTable>,
    /// The connection that writes. Who holds the lock knows that no write gets into the file or into memory meanwhile.
    link: Mutex<Option<Link>>,
    pulse: Pulse,
    /// When the database file was written last that memory has the content of, and whether no later writing can have that time.
    content: Mutex<Option<(Content, bool)>>,
    /// Something went wrong in such a way that all must be opened anew.
    reopen: AtomicBool,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Link {
    writer: Connection,
    identity: Identity,
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        // After a panic the follower replaces what is in there.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether memory has what this writing of the database file left.
    fn has(&self, content: Content) -> bool {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) == Some((content, true))
    }

    /// Whether these files have been written into by who knows whom since they were looked at.
    fn is_foreign(&self, identity: &Identity) -> bool {
        let known = *self.content.lock().unwrap_or_else(PoisonError::into_inner);
        self.place.look(identity).is_ok_and(|content| known.is_some_and(|(known, _)| known != content))
    }

    /// Whether this is the file that the name stands for, with the content that memory has.
    fn is_current(&self, identity: &Identity) -> bool {
        self.place.look(identity).is_ok_and(|content| self.has(content))
    }

    fn have(&self, content: Content) {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = Some((content, is_past(content)));
    }

    fn named(&self, error: Error) -> Error {
        error.with_store(Named(&self.place.path))
    }
}

/// The ways to the threads, which end with it.
#[derive(Debug)]
struct Threads {
    writer: Sender<Job>,
    follower: Sender<Request>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Both fail where the threads have ended before.
        let _ = self.follower.send(Request::Close(oneshot::channel().0));
        let _ = self.writer.send(Job::Close(oneshot::channel().0));
    }
}

impl fmt::Display for SqliteFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Named(&self.shared.place.path).fmt(f)
    }
}

impl SqliteFeatureFlagStore {
    /// Opens the file, which is created if there is none (its folder is not), and loads all flags. Blocks while it does.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the file is not a database or belongs to another program, `Unsupported` if a newer version of this
    /// crate made it, `Unauthorized` if it may not be used, `Unavailable` if its folder is missing, it is locked, or the disk is full.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// For other options than [`open`](Self::open)'s:
    ///
    /// ```no_run
    /// # use flipper::SqliteFeatureFlagStore;
    /// use std::time::Duration;
    ///
    /// let store = SqliteFeatureFlagStore::options().busy_timeout(Duration::from_secs(1)).open("flags.db")?;
    /// # Ok::<(), flipper::Error>(())
    /// ```
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    fn start(path: &Path, options: SqliteOptions) -> Result<Self> {
        let place = Place::new(path, options.busy_timeout)?;
        let opened = place.open()?;
        let pulse = Pulse::new(place.path.clone());
        let shared = Arc::new(Shared {
            place,
            options,
            table: Arc::new(FlagTable::new()),
            link: Mutex::new(None),
            pulse,
            content: Mutex::default(),
            reopen: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let (jobs_in, jobs) = mpsc::channel();
        let (requests_in, requests) = mpsc::channel();
        // Made first, so that a thread that was started ends if the other cannot be.
        let threads = Arc::new(Threads { writer: jobs_in, follower: requests_in.clone() });
        let follower = Follower::new(shared.clone(), requests, requests_in.clone(), opened);
        let writer = Writer { shared: shared.clone(), jobs, follower: requests_in };
        spawn("flipper-sqlite-r", move || follower.run())?;
        spawn("flipper-sqlite-w", move || writer.run())?;
        Ok(Self { shared, threads })
    }

    /// Waits until memory has all that was committed before the call.
    async fn sync(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.shared.closed.load(Ordering::Acquire) || self.threads.follower.send(Request::Sync(reply)).is_err() {
            return Err(closed());
        }
        answer.await.unwrap_or_else(|_ended| Err(closed()))
    }

    async fn write(
        &self,
        name: &str,
        record: Option<(Arc<FlagRecord>, Arc<str>)>,
        when: Precondition,
    ) -> Result<Version> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + self.shared.options.busy_timeout;
        let job = Job::Write(Write { name: name.to_owned(), record, when, deadline }, reply);
        let sent = !self.shared.closed.load(Ordering::Acquire) && self.threads.writer.send(job).is_ok();
        let written = if sent { answer.await.unwrap_or_else(|_ended| Err(closed())) } else { Err(closed()) };
        written.map_err(|error| self.shared.named(error).with_flag(name))
    }
}

#[async_trait]
impl FeatureFlagStore for SqliteFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.sync().await.map_err(|error| self.shared.named(error).with_flag(name))?;
        Ok(self.shared.table.get(name))
    }

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        validate_name(record.name())?;
        let text = record.to_json().into();
        self.write(record.name(), Some((Arc::new(record.clone()), text)), when).await
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        self.write(name, None, when).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.sync().await.map_err(|error| self.shared.named(error))?;
        Ok(self.shared.table.list())
    }

    fn watch(&self) -> Watch<'_> {
        Box::pin(
            stream::once(async {
                // So that the first reset has what other connections have committed; if that fails, `Lost` is told.
                let _ = self.sync().await;
                self.shared.pulse.watch(&self.shared.table)
            })
            .flatten(),
        )
    }

    fn identity(&self) -> crate::Identity {
        inspect::identity(&self.shared.place.path)
    }

    async fn inspect(&self) -> Vec<Check> {
        // By a connection of its own, which makes no file where there is none.
        SqliteFile::at(self.shared.place.clone()).inspect().await
    }

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for batch in Batch::of_all(records) {
            let (reply, answer) = oneshot::channel();
            let deadline = Instant::now() + self.shared.options.busy_timeout;
            let job = WriteAll { flags: batch.flags.clone(), when: when.clone(), deadline };
            let sent = !self.shared.closed.load(Ordering::Acquire)
                && self.threads.writer.send(Job::WriteAll(job, reply)).is_ok();
            let written = if sent { answer.await.unwrap_or_else(|_ended| Err(closed())) } else { Err(closed()) };
            results.extend(batch.results(written, |error| self.shared.named(error)));
            if give_up(&mut results, records) {
                break;
            }
        }
        results
    }
}

#[async_trait]
impl LocalFeatureFlagStore for SqliteFeatureFlagStore {
    fn table(&self) -> &Arc<FlagTable> {
        &self.shared.table
    }

    fn status(&self) -> Status {
        self.shared.pulse.status().with_corrupt(self.shared.table.corrupt())
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        self.shared.closed.store(true, Ordering::Release);
        // The reader first, so that the writer is the last one, which tidies up.
        let (reply, ended) = oneshot::channel();
        if self.threads.follower.send(Request::Close(reply)).is_ok() {
            let _ = ended.await;
        }
        let (reply, ended) = oneshot::channel();
        if self.threads.writer.send(Job::Close(reply)).is_err() {
            return Ok(());
        }
        ended.await.unwrap_or(Ok(())).map_err(|error| self.shared.named(error))
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(|error| unavailable("no thread can be started").with_source(error))
}
