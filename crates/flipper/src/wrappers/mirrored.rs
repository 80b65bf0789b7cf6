mod builder;
#[cfg(test)]
mod chain_model;
mod doubt;
mod health;
mod order;
mod shared;
pub(crate) mod snapshot;
mod task;

use std::collections::BTreeSet;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::select;
use tokio::sync::watch;

pub use self::builder::MirrorBuilder;
use self::health::First;
use self::shared::{InFlight, Shared};
use self::task::until;
use crate::background;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::pause::Pause;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Capabilities, HistoryPage, HistoryQuery, Status, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, LocalFeatureFlagStore};
use crate::table::FlagTable;

/// Holds all flags of another store in memory, where checks read them, and follows its [`watch`](FeatureFlagStore::watch).
///
/// Writes go to the store, and are in memory when they return. During an outage checks go on with the last known flags, and
/// [`status`](LocalFeatureFlagStore::status) says since when.
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
/// Its task runs on a thread of this crate, until the last clone is dropped or [closed](FeatureFlagStore::close).
pub struct MirroredFeatureFlagStore<S> {
    inner: Arc<Inner<S>>,
}

const READ_BACK_WITHIN: Duration = Duration::from_secs(5);

struct Inner<S> {
    store: Arc<S>,
    shared: Arc<Shared>,
    /// Ends the task when true, or dropped.
    closing: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
    closed: AtomicBool,
}

impl<S: FeatureFlagStore> Inner<S> {
    /// After a write during which a list arrived or the store was lost: only a read shows which is newer, and memory must have the write
    /// when the call returns.
    async fn read_back(&self, name: &str) -> Result<()> {
        let deadline = Instant::now() + READ_BACK_WITHIN;
        let mut pause = Pause::new(Duration::from_millis(1), Duration::from_millis(100));
        loop {
            let sent = self.shared.sent();
            let found = self.store.get(name).await.map_err(|error| error.with_nothing_written(false))?;
            self.shared.found(name, sent, found.as_ref());
            if !self.shared.is_unclear(name, sent) {
                return Ok(());
            }
            let Some(pause) = pause.next_before(deadline) else { break };
            background::sleep(pause).await;
        }
        let message = "the store was lost during the write, whose outcome is unknown";
        Err(Error::unavailable(message).with_flag(name).with_store(&self.store))
    }
}

impl<S: FeatureFlagStore> MirroredFeatureFlagStore<S> {
    /// Follows the store from now on.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self::builder(store).build()
    }

    /// For more settings:
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
        MirrorBuilder::new(store)
    }

    /// Without the whole status.
    pub(super) fn is_live(&self) -> bool {
        !self.inner.shared.is_forked() && self.inner.shared.is_live()
    }

    /// See [`Shared::adopt`].
    pub(super) fn adopt(&self, flags: Vec<Stored>) -> bool {
        self.inner.shared.adopt(flags)
    }

    /// Whether the flags are still those of [`adopt`](Self::adopt).
    pub(super) fn is_adopted(&self) -> bool {
        self.inner.shared.is_adopted()
    }

    pub(super) fn followed(&self) -> &S {
        &self.inner.store
    }

    fn refuse_if_closed(&self) -> Result<()> {
        match self.inner.closed.load(Ordering::Acquire) {
            true => Err(Error::unavailable("store is closed").with_transient(false).with_store(self)),
            false => Ok(()),
        }
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

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let (inner, name) = (&self.inner, record.name());
        // An invalid name needs no turn.
        validate_name(name)?;
        let _turn = inner.shared.turn(name).await;
        self.refuse_if_closed()?;
        let write = inner.shared.start_write(name);
        let written = inner.store.put(record, options).await;
        if end(write, Some(record), &written) {
            inner.read_back(name).await?;
        }
        written
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let inner = &self.inner;
        let _turn = inner.shared.turn(name).await;
        self.refuse_if_closed()?;
        let write = inner.shared.start_write(name);
        let deleted = inner.store.delete(name, options).await;
        if end(write, None, &deleted) {
            inner.read_back(name).await?;
        }
        deleted
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.inner.store.list().await
    }

    /// From memory, so that a read shows every emitted change.
    fn watch(&self) -> Watch<'_> {
        Box::pin(self.inner.shared.clone().watch())
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.inner.store.get_cached(name).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.store.capabilities()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let shared = &self.inner.shared;
        // In the same order everywhere, so that two such calls cannot deadlock.
        let names: BTreeSet<_> =
            records.iter().map(FlagRecord::name).filter(|name| validate_name(name).is_ok()).collect();
        let mut turns = Vec::with_capacity(names.len());
        for name in names {
            turns.push(shared.turn(name).await);
        }
        if let Err(error) = self.refuse_if_closed() {
            return records.iter().map(|record| Err(error.copy().with_flag(record.name()))).collect();
        }
        let writes: Vec<_> = records.iter().map(|record| shared.start_write(record.name())).collect();
        let mut written = self.inner.store.put_all(records, options).await;
        for ((write, record), written) in writes.into_iter().zip(records).zip(&mut written) {
            if end(write, Some(record), written)
                && let Err(error) = self.inner.read_back(record.name()).await
            {
                *written = Err(error);
            }
        }
        written
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        self.inner.store.history(query).await
    }

    fn stream(&self) -> FlagStream<'_> {
        self.inner.store.stream()
    }

    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        Some(Arc::new(self.clone()))
    }

    async fn close(&self) -> Result<()> {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.closing.send_replace(true);
        if !self.inner.shared.is_forked() {
            until(self.inner.ended.clone()).await;
        }
        self.inner.store.close().await
    }

    fn identity(&self) -> Identity {
        self.inner.store.identity()
    }

    async fn inspect(&self) -> Vec<Check> {
        self.inner.store.inspect().await
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
        if !self.inner.shared.is_forked() {
            let mut first = self.inner.shared.first.subscribe();
            select(pin!(first.wait_for(First::is_over)), pin!(until(self.inner.ended.clone()))).await;
        }
        match &*self.inner.shared.first.borrow() {
            First::Waiting => {
                let message = "the mirror ended before the flags of the store arrived";
                Err(Error::unavailable(message).with_transient(false).with_store(self))
            }
            first => first.result().map_err(|error| error.with_store(self)),
        }
    }
}

/// `record`: `None` after a delete. Returns whether the flag must be read before the write counts as done.
fn end(write: InFlight<'_>, record: Option<&FlagRecord>, written: &Result<Version>) -> bool {
    match written {
        Ok(version) => match record {
            Some(record) => return write.put(record, version),
            None => return write.deleted(version),
        },
        Err(error) if error.nothing_written() => write.refused(),
        Err(_) => drop(write),
    }
    false
}
