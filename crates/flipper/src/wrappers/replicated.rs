mod builder;
mod progress;
mod replica;
mod task;
mod vanished;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::watch;

pub use self::builder::ReplicatedBuilder;
pub use self::progress::ReplicaStatus;
use self::replica::Replica;
use super::mirrored::MirroredFeatureFlagStore;
use crate::background;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::FlagRecord;
use crate::state::{Capabilities, Health, HistoryPage, HistoryQuery, Status, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, LocalFeatureFlagStore};
use crate::table::FlagTable;

/// A close gives the replicas so long for what they lack.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Keeps copies of a primary store's flags in replicas: another store of any kind, for when the primary is away.
///
/// Reads and writes are the primary's. What changes there, by any writer, is copied to each replica in the background;
/// [`replicas`](Self::replicas) says what has not arrived. It is tried again, and at the start, after each outage, and every five minutes
/// all flags are compared. So nothing is kept beside the stores, and a process that crashes leaves nothing behind that the next does not
/// find. Several processes may copy to one replica.
///
/// While the primary is away checks go on with the flags in memory, as with any mirror. A process that starts then has the flags of the
/// first replica that answers, `Stale` since 1970, since their age is unknown; writes fail. [`promote`](Self::promote) gives it up.
///
/// ```
/// # use flipper::Result;
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, ReplicatedFeatureFlagStore};
///
/// # async fn example() -> Result<()> {
/// let (primary, copy) = (MemoryFeatureFlagStore::new(), MemoryFeatureFlagStore::new());
/// let features = FeatureFlagClient::new(ReplicatedFeatureFlagStore::new(primary, copy));
/// features.create("MY_FEATURE").await?;
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// More than half of the flags that vanish from the primary at once, and not by writes of this store, stay in the replicas: the primary may
/// have lost them. `flipper sync PRIMARY REPLICA --delete` deletes them too.
pub struct ReplicatedFeatureFlagStore<P, S> {
    inner: Arc<Inner<P, S>>,
}

struct Inner<P, S> {
    mirror: MirroredFeatureFlagStore<P>,
    replicas: Vec<Arc<Replica<S>>>,
    /// How long a write waits for the replicas.
    wait: Duration,
    /// Ends the tasks when true, or dropped.
    closing: watch::Sender<bool>,
}

impl<P: FeatureFlagStore, S: FeatureFlagStore> ReplicatedFeatureFlagStore<P, S> {
    /// One replica, copied to from now on.
    #[must_use]
    pub fn new(primary: P, replica: S) -> Self {
        Self::builder(primary).replica(replica).build()
    }

    /// For more replicas, and settings. Replicas of different types are `Arc<dyn FeatureFlagStore>`.
    #[must_use]
    pub fn builder(primary: P) -> ReplicatedBuilder<P, S> {
        ReplicatedBuilder::new(primary)
    }

    /// What each replica lacks.
    #[must_use]
    pub fn replicas(&self) -> Vec<ReplicaStatus> {
        self.inner.replicas.iter().map(|replica| replica.status()).collect()
    }

    /// Waits until all replicas have what the primary has.
    ///
    /// # Errors
    ///
    /// `Unavailable` after this time, naming a replica that lacks something, and why.
    pub async fn in_step(&self, within: Duration) -> Result<()> {
        let all = join_all(self.inner.replicas.iter().map(|replica| replica.in_step()));
        if background::within(within, all).await.is_ok() {
            return Ok(());
        }
        let behind = self.replicas().into_iter().find(|status| !status.is_in_step());
        let why = behind.map(|status| status.to_string()).unwrap_or_default();
        Err(Error::unavailable(format!("a replica is not in step: {why}")).with_store(self))
    }

    /// For a primary that will not come back: writes what memory has, and this replica lacks, and returns the replica, for a client of its
    /// own. This store then refuses writes, and copies nothing. Other processes do so until they have the new configuration: the old primary
    /// must stay away until then.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no such replica, and the replica's; then nothing has ended.
    pub async fn promote(&self, replica: usize) -> Result<S>
    where
        S: Clone,
    {
        let replicas = self.inner.replicas.len();
        let Some(replica) = self.inner.replicas.get(replica) else {
            return Err(Error::invalid_input(format!("there is no replica {replica}: there are {replicas}, from 0")));
        };
        replica.copy_all(&self.inner.mirror).await?;
        self.end_copying().await;
        Ok(replica.store.clone())
    }

    /// Returns when no copy is under way any more.
    async fn end_copying(&self) {
        self.inner.closing.send_replace(true);
        // Each task has a receiver. A copy that hangs is dropped with its task.
        let _ = background::within(CLOSE_WITHIN, self.inner.closing.closed()).await;
    }

    fn refuse_if_closed(&self) -> Result<()> {
        match *self.inner.closing.borrow() {
            true => Err(Error::unavailable("store is closed, or a replica was promoted")
                .with_transient(false)
                .with_store(self)),
            false => Ok(()),
        }
    }

    /// After a write: the replicas lack it until they have it.
    async fn written<T>(&self, names: impl Iterator<Item = &str> + Clone, write: impl Future<Output = T>) -> T {
        let result = write.await;
        // Also after an error: the write may be there all the same.
        for replica in &self.inner.replicas {
            names.clone().for_each(|name| replica.lacks(name, true));
        }
        if !self.inner.wait.is_zero() && self.in_step(self.inner.wait).await.is_err() {
            tracing::warn!(store = %self, "a write has not reached all replicas yet");
        }
        result
    }
}

impl<P, S> Clone for ReplicatedFeatureFlagStore<P, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<P: FeatureFlagStore, S: FeatureFlagStore> fmt::Display for ReplicatedFeatureFlagStore<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replicated({}", self.inner.mirror.followed())?;
        self.inner.replicas.iter().try_for_each(|replica| write!(f, ", {}", replica.store))?;
        f.write_str(")")
    }
}

impl<P: FeatureFlagStore, S: FeatureFlagStore> fmt::Debug for ReplicatedFeatureFlagStore<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicatedFeatureFlagStore")
            .field("primary", &self.inner.mirror)
            .field("replicas", &self.replicas())
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: FeatureFlagStore, S: FeatureFlagStore> FeatureFlagStore for ReplicatedFeatureFlagStore<P, S> {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.inner.mirror.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.refuse_if_closed()?;
        self.written(std::iter::once(record.name()), self.inner.mirror.put(record, options)).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.refuse_if_closed()?;
        self.written(std::iter::once(name), self.inner.mirror.delete(name, options)).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.inner.mirror.list().await
    }

    fn watch(&self) -> Watch<'_> {
        self.inner.mirror.watch()
    }

    /// From a replica while the primary is away.
    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        let error = match self.inner.mirror.get_cached(name).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => error,
            found => return found,
        };
        for replica in &self.inner.replicas {
            if let Ok(found) = replica.store.get_cached(name).await {
                tracing::debug!(flag = name, replica = %replica.store, "read from a replica");
                return Ok(found);
            }
        }
        Err(error)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.mirror.capabilities()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        if let Err(error) = self.refuse_if_closed() {
            return records.iter().map(|record| Err(error.copy().with_flag(record.name()))).collect();
        }
        self.written(records.iter().map(FlagRecord::name), self.inner.mirror.put_all(records, options)).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        self.inner.mirror.history(query).await
    }

    fn stream(&self) -> FlagStream<'_> {
        self.inner.mirror.stream()
    }

    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        Some(Arc::new(self.clone()))
    }

    /// Closes the primary and the replicas, which have a few seconds for what they lack.
    async fn close(&self) -> Result<()> {
        if !*self.inner.closing.borrow() && self.in_step(CLOSE_WITHIN).await.is_err() {
            tracing::warn!(store = %self, "closed before all replicas had all flags; the next start compares them");
        }
        self.end_copying().await;
        let closed = self.inner.mirror.close().await;
        let replicas = join_all(self.inner.replicas.iter().map(|replica| replica.store.close())).await;
        replicas.into_iter().fold(closed, Result::and)
    }

    fn identity(&self) -> Identity {
        self.inner.mirror.identity()
    }

    async fn inspect(&self) -> Vec<Check> {
        let mut checks = self.inner.mirror.inspect().await;
        for replica in &self.inner.replicas {
            checks.extend(replica.store.inspect().await.into_iter().map(|check| replica.named(check)));
            checks.push(replica.check());
        }
        checks
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: FeatureFlagStore, S: FeatureFlagStore> LocalFeatureFlagStore for ReplicatedFeatureFlagStore<P, S> {
    fn table(&self) -> &Arc<FlagTable> {
        self.inner.mirror.table()
    }

    fn status(&self) -> Status {
        let mut status = self.inner.mirror.status();
        let from = self.inner.replicas.iter().find(|replica| replica.is_source());
        if let (Health::Stale { reason, .. }, Some(replica)) = (&mut status.health, from)
            && self.inner.mirror.is_adopted()
        {
            *reason = format!("the flags are those of the replica {}: {reason}", replica.store).into();
        }
        status
    }

    async fn ready(&self) -> Result<()> {
        self.inner.mirror.ready().await
    }
}
