//! All flags of a store in this process's memory, kept current by what the store tells.

mod health;
mod order;
mod shared;
pub(crate) mod snapshot;
mod task;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::future::{join, select};
use tokio::sync::watch;

use self::health::First;
use self::shared::{InFlight, Shared};
use self::snapshot::SnapshotFile;
use crate::background;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{FlagRecord, validate_name};
use crate::status::Status;
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore, Precondition, Stored, Version, Watch};
use crate::table::FlagTable;

/// Holds all flags of another store in memory, so that checks are reads of memory, and follows that store's
/// [`watch`](FeatureFlagStore::watch) to keep them current.
///
/// Writes go through to the store, and are in memory when they return. Changes that others make arrive as fast as the store
/// tells of them. While the store is down, checks go on with the last known flags, and [`status`](LocalFeatureFlagStore::status)
/// says since when; the mirror comes back by itself.
///
/// ```
/// # use flipper::{FeatureFlagStore, Result};
/// use flipper::{FeatureFlagClient, MirroredFeatureFlagStore};
///
/// # async fn example(store: impl FeatureFlagStore) -> Result<()> {
/// let features = FeatureFlagClient::new(MirroredFeatureFlagStore::new(store));
/// features.ready().await?;
/// assert!(!features.is_enabled("MY_FEATURE"));
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap()
/// #     .block_on(example(flipper::MemoryFeatureFlagStore::new())).unwrap();
/// ```
///
/// Its background task runs on a thread that this crate starts once per process, and ends when the last clone is dropped or
/// [closed](LocalFeatureFlagStore::close).
pub struct MirroredFeatureFlagStore<S> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    store: Arc<S>,
    shared: Arc<Shared>,
    /// Ends the task when it says so, or is dropped.
    closing: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
    closed: AtomicBool,
}

/// Makes a [`MirroredFeatureFlagStore`] with other than the default settings.
#[derive(Debug)]
pub struct MirrorBuilder<S> {
    store: S,
    snapshot_file: Option<PathBuf>,
}

impl<S: FeatureFlagStore> MirrorBuilder<S> {
    /// Keeps the last known flags in this file too, so that a process which starts while the store is down has them; none
    /// by default. The file is read by [`build`](Self::build), replaced as a whole within about a second of a change, and
    /// holds up to 64 MiB. One that is broken, or of another store, is ignored with a warning.
    ///
    /// The flags of the file are there at once, and `Stale`.
    /// [`ready`](LocalFeatureFlagStore::ready) still waits for those of the store, but returns when the store cannot be
    /// reached.
    #[must_use]
    pub fn snapshot_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot_file = Some(path.into());
        self
    }

    /// The mirror, which starts to follow the store at once.
    #[must_use]
    pub fn build(self) -> MirroredFeatureFlagStore<S> {
        let Self { store, snapshot_file } = self;
        let file = snapshot_file.map(|path| SnapshotFile::new(path, store.to_string()));
        let shared = Arc::new(Shared::new(file.as_ref().and_then(SnapshotFile::load)));
        let (closing, closing_told) = watch::channel(false);
        let (ended_teller, ended) = watch::channel(false);
        let store = Arc::new(store);
        match background::handle() {
            Ok(handle) => {
                let mut also_closing = closing_told.clone();
                let task = task::run(store.clone(), shared.clone(), closing_told);
                let (keeping, over) = (shared.clone(), shared.clone());
                handle.spawn(async move {
                    let _ended = Ended(over, ended_teller);
                    let closed = async move {
                        // An error says that the last handle is gone.
                        let _ = also_closing.wait_for(|closing| *closing).await;
                    };
                    let keep = async {
                        if let Some(file) = file {
                            snapshot::keep(file, keeping.table.clone(), || keeping.synced(), closed).await;
                        }
                    };
                    join(task, keep).await;
                });
            }
            Err(error) => {
                let reason = format!("the thread that follows the store cannot be started: {error}");
                shared.following().ended(&reason);
                ended_teller.send_replace(true);
            }
        }
        MirroredFeatureFlagStore {
            inner: Arc::new(Inner { store, shared, closing, ended, closed: AtomicBool::new(false) }),
        }
    }
}

/// Says that the background work is over, whatever ended it.
struct Ended(Arc<Shared>, watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.following().ended("the thread that follows the store has ended");
        self.1.send_replace(true);
    }
}

impl<S: FeatureFlagStore> MirroredFeatureFlagStore<S> {
    /// Mirrors a store, and starts to follow it at once.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self::builder(store).build()
    }

    /// For more settings than [`new`](Self::new) has:
    ///
    /// ```
    /// # use flipper::MemoryFeatureFlagStore;
    /// use flipper::MirroredFeatureFlagStore;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (store, path) = (MemoryFeatureFlagStore::new(), folder.path().join("flags.snapshot"));
    /// let store = MirroredFeatureFlagStore::builder(store).snapshot_file(path).build();
    /// ```
    #[must_use]
    pub fn builder(store: S) -> MirrorBuilder<S> {
        MirrorBuilder { store, snapshot_file: None }
    }

    fn refuse_if_closed(&self) -> Result<()> {
        if !self.inner.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self.closed())
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Unavailable).with_message("the mirror was closed").with_transient(false).with_store(self)
    }
}

impl<S> Clone for MirroredFeatureFlagStore<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: fmt::Display> fmt::Display for MirroredFeatureFlagStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mirrored({})", self.inner.store)
    }
}

impl<S: fmt::Debug> fmt::Debug for MirroredFeatureFlagStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirroredFeatureFlagStore").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: FeatureFlagStore> FeatureFlagStore for MirroredFeatureFlagStore<S> {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let sent = self.inner.shared.sent();
        let found = self.inner.store.get(name).await?;
        self.inner.shared.found(name, sent, found.as_ref());
        Ok(found)
    }

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        let (inner, name) = (&self.inner, record.name());
        // A name that no flag can have needs no turn.
        validate_name(name)?;
        let _turn = inner.shared.turn(name).await;
        self.refuse_if_closed()?;
        let write = inner.shared.start_write(name);
        let written = inner.store.put(record, when).await;
        end_put(write, record, &written);
        written
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        let inner = &self.inner;
        let _turn = inner.shared.turn(name).await;
        self.refuse_if_closed()?;
        let write = inner.shared.start_write(name);
        let deleted = inner.store.delete(name, when).await;
        match &deleted {
            Ok(version) => write.deleted(version),
            Err(error) if is_refusal(error) => write.refused(),
            Err(_) => drop(write),
        }
        deleted
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.inner.store.list().await
    }

    fn watch(&self) -> Watch<'_> {
        self.inner.store.watch()
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.inner.store.get_cached(name).await
    }

    fn is_shared_with_python(&self) -> bool {
        self.inner.store.is_shared_with_python()
    }

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let shared = &self.inner.shared;
        // In one order everywhere, so that two such calls cannot wait for each other.
        let names: BTreeSet<_> =
            records.iter().map(FlagRecord::name).filter(|name| validate_name(name).is_ok()).collect();
        let mut turns = Vec::with_capacity(names.len());
        for name in names {
            turns.push(shared.turn(name).await);
        }
        if self.refuse_if_closed().is_err() {
            return records.iter().map(|record| Err(self.closed().with_flag(record.name()))).collect();
        }
        let writes: Vec<_> = records.iter().map(|record| shared.start_write(record.name())).collect();
        let written = self.inner.store.put_all(records, when).await;
        for ((write, record), written) in writes.into_iter().zip(records).zip(&written) {
            end_put(write, record, written);
        }
        written
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: FeatureFlagStore> LocalFeatureFlagStore for MirroredFeatureFlagStore<S> {
    fn table(&self) -> &Arc<FlagTable> {
        &self.inner.shared.table
    }

    fn status(&self) -> Status {
        self.inner.shared.status()
    }

    async fn ready(&self) -> Result<()> {
        let (mut first, mut ended) = (self.inner.shared.first.subscribe(), self.inner.ended.clone());
        let over = pin!(async {
            // An error says that the task is gone, which ends it as well.
            let _ = ended.wait_for(|ended| *ended).await;
        });
        let told = pin!(async {
            let _ = first.wait_for(First::is_over).await;
        });
        if !self.inner.shared.is_forked() {
            select(told, over).await;
        }
        match &*self.inner.shared.first.borrow() {
            First::Waiting => {
                let message = "the flags of the store had not arrived when the mirror ended";
                Err(Error::new(ErrorKind::Unavailable).with_message(message).with_transient(false).with_store(self))
            }
            first => first.result().map_err(|error| error.with_store(self)),
        }
    }

    async fn close(&self) -> Result<()> {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.closing.send_replace(true);
        if !self.inner.shared.is_forked() {
            // An error says that the task is gone.
            let _ = self.inner.ended.clone().wait_for(|ended| *ended).await;
        }
        Ok(())
    }
}

fn end_put(write: InFlight<'_>, record: &FlagRecord, written: &Result<Version>) {
    match written {
        Ok(version) => write.put(record, version),
        Err(error) if is_refusal(error) => write.refused(),
        Err(_) => drop(write),
    }
}

/// Whether the error says for certain that nothing was written.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict
            | ErrorKind::FlagExists
            | ErrorKind::FlagNotFound
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidName
            | ErrorKind::Unsupported
    )
}
