use std::fmt;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::future::{self, Either};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::watch;

use crate::background;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::lock::Mutex;
use crate::record::FlagRecord;
use crate::state::{
    Capabilities, Health, HistoryPage, HistoryQuery, Status, Stored, Version, Watch, WatchEvent, WriteOptions,
};
use crate::store::{FeatureFlagStore, FlagStream, LocalFeatureFlagStore};
use crate::stores::MemoryFeatureFlagStore;
use crate::table::FlagTable;

/// A store with the faults of a network, on command: it fails, is slow, loses its connection. Clones share store and faults.
///
/// ```
/// use flipper::testing::FailingStore;
/// use flipper::{ErrorKind, FeatureFlagClient, MemoryFeatureFlagStore};
///
/// # futures_executor::block_on(async {
/// let store = FailingStore::new(MemoryFeatureFlagStore::new());
/// let features = FeatureFlagClient::new(store.clone());
/// features.create("NEW_CHECKOUT").enabled(true).await?;
///
/// store.disconnect();
/// assert_eq!(features.disable("NEW_CHECKOUT").await.unwrap_err().kind(), ErrorKind::Unavailable);
/// assert!(features.is_enabled("NEW_CHECKOUT"), "checks go on");
/// assert!(!features.status().is_live());
///
/// store.reconnect();
/// features.disable("NEW_CHECKOUT").await?;
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// In a [`MirroredFeatureFlagStore`](crate::MirroredFeatureFlagStore) it shows what your program does during an outage.
pub struct FailingStore<S = MemoryFeatureFlagStore> {
    store: Arc<S>,
    shared: Arc<Shared>,
}

struct Shared {
    faults: Mutex<Faults>,
    connection: watch::Sender<Connection>,
}

#[derive(Clone, Copy, Default)]
struct Connection {
    lost_since: Option<SystemTime>,
    /// A call fails if this grew meanwhile, even if the connection is back.
    losses: u64,
}

#[derive(Default)]
struct Faults {
    every_call: Option<ErrorKind>,
    next_calls: Option<(usize, ErrorKind)>,
    answers_lost: usize,
    delay: Duration,
}

impl<S: FeatureFlagStore> FailingStore<S> {
    /// Without faults.
    #[must_use]
    pub fn new(store: S) -> Self {
        let shared = Shared { faults: Mutex::default(), connection: watch::Sender::default() };
        Self { store: Arc::new(store), shared: Arc::new(shared) }
    }

    /// Fails every call, without effect, until [`recover`](Self::recover).
    pub fn fail(&self, kind: ErrorKind) {
        self.faults().every_call = Some(kind);
    }

    /// Fails this many calls, without effect.
    pub fn fail_next(&self, calls: usize, kind: ErrorKind) {
        self.faults().next_calls = Some((calls, kind));
    }

    /// Loses the answers of this many writes: each happens, and is `Unavailable` with an unknown outcome.
    pub fn lose_next_answers(&self, writes: usize) {
        self.faults().answers_lost = writes;
    }

    /// Delays every call.
    pub fn delay(&self, delay: Duration) {
        self.faults().delay = delay;
    }

    /// Loses the connection. Calls are `Unavailable`, also pending ones, which may have written; watches emit `Lost`.
    pub fn disconnect(&self) {
        self.shared.connection.send_if_modified(|connection| {
            let was_connected = connection.lost_since.is_none();
            if was_connected {
                *connection = Connection { lost_since: Some(SystemTime::now()), losses: connection.losses + 1 };
            }
            was_connected
        });
    }

    /// Restores the connection.
    pub fn reconnect(&self) {
        self.shared.connection.send_if_modified(|connection| connection.lost_since.take().is_some());
    }

    /// Ends all faults.
    pub fn recover(&self) {
        *self.faults() = Faults::default();
        self.reconnect();
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock()
    }

    fn connection(&self) -> Connection {
        *self.shared.connection.borrow()
    }

    /// Waits and fails as commanded. Returns the argument of [`end`](Self::end).
    async fn begin(&self) -> Result<u64> {
        let losses = self.connection().losses;
        let delay = self.faults().delay;
        if !delay.is_zero() {
            background::sleep(delay).await;
        }
        self.end(losses, ())?;
        let mut faults = self.faults();
        let next = faults.next_calls.filter(|(calls, _)| *calls > 0);
        faults.next_calls = next.map(|(calls, kind)| (calls - 1, kind));
        match next.map(|(_, kind)| kind).or(faults.every_call) {
            Some(kind) => Err(Error::new(kind).with_message("failed on command").with_store(self)),
            None => Ok(losses),
        }
    }

    /// Fails if the connection was lost meanwhile.
    fn end<T>(&self, losses: u64, result: T) -> Result<T> {
        let connection = self.connection();
        let is_whole = connection.lost_since.is_none() && connection.losses == losses;
        if is_whole { Ok(result) } else { Err(self.lost_connection()) }
    }

    fn end_write<T>(&self, losses: u64, result: T) -> Result<T> {
        let is_lost = {
            let mut faults = self.faults();
            let is_lost = faults.answers_lost > 0;
            faults.answers_lost -= usize::from(is_lost);
            is_lost
        };
        if !is_lost {
            return self.end(losses, result);
        }
        Err(Error::new(ErrorKind::Unavailable).with_message("the answer was lost on command").with_store(self))
    }

    fn lost_connection(&self) -> Error {
        Error::new(ErrorKind::Unavailable).with_message("the connection was lost on command").with_store(self)
    }
}

impl<S> Clone for FailingStore<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), shared: self.shared.clone() }
    }
}

impl<S: fmt::Display> fmt::Display for FailingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failing({})", self.store)
    }
}

impl<S: fmt::Debug> fmt::Debug for FailingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailingStore").field("store", &self.store).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: FeatureFlagStore> FeatureFlagStore for FailingStore<S> {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let losses = self.begin().await?;
        self.end(losses, self.store.get(name).await)?
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let losses = self.begin().await?;
        self.end_write(losses, self.store.put(record, options).await)?
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let losses = self.begin().await?;
        self.end_write(losses, self.store.delete(name, options).await)?
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        let losses = self.begin().await?;
        self.end(losses, self.store.list().await)?
    }

    fn watch(&self) -> Watch<'_> {
        let connection = self.connection();
        let mut following = Following {
            store: self,
            connection: self.shared.connection.subscribe(),
            // One less while the connection is lost, for `Lost` to come first.
            losses: connection.losses - u64::from(connection.lost_since.is_some()),
            events: None,
        };
        // Not with its first poll.
        if connection.lost_since.is_none() {
            following.events = Some(self.store.watch());
        }
        Box::pin(stream::unfold(following, |mut following| async move { Some((following.next().await, following)) }))
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        let losses = self.begin().await?;
        self.end(losses, self.store.get_cached(name).await)?
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        if records.is_empty() {
            return Vec::new();
        }
        let losses = match self.begin().await {
            Ok(losses) => losses,
            Err(error) => return records.iter().map(|_| Err(error.copy())).collect(),
        };
        let results = self.store.put_all(records, options).await;
        results.into_iter().map(|result| self.end_write(losses, result).and_then(|result| result)).collect()
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let losses = self.begin().await?;
        self.end(losses, self.store.history(query).await)?
    }

    fn stream(&self) -> FlagStream<'_> {
        Box::pin(stream::try_unfold(None, move |begun: Option<(u64, FlagStream<'_>)>| async move {
            let (losses, mut flags) = match begun {
                Some(begun) => begun,
                None => (self.begin().await?, self.store.stream()),
            };
            let next = self.end(losses, flags.try_next().await?)?;
            Ok(next.map(|flag| (flag, Some((losses, flags)))))
        }))
    }

    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        let store = Arc::new(self.store.local()?);
        Some(Arc::new(FailingStore { store, shared: self.shared.clone() }))
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }

    fn identity(&self) -> Identity {
        self.store.identity()
    }

    async fn inspect(&self) -> Vec<Check> {
        self.store.inspect().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: LocalFeatureFlagStore> LocalFeatureFlagStore for FailingStore<S> {
    fn table(&self) -> &Arc<FlagTable> {
        self.store.table()
    }

    fn status(&self) -> Status {
        let mut status = self.store.status();
        if let Some(since) = self.connection().lost_since {
            status.last_sync = status.last_sync.map(|last| last.min(since));
            status.health = Health::Stale { since, reason: "the connection was lost on command".into() };
        }
        status
    }

    async fn ready(&self) -> Result<()> {
        self.begin().await?;
        self.store.ready().await
    }
}

struct Following<'a, S> {
    store: &'a FailingStore<S>,
    connection: watch::Receiver<Connection>,
    losses: u64,
    events: Option<Watch<'a>>,
}

impl<S: FeatureFlagStore> Following<'_, S> {
    async fn next(&mut self) -> WatchEvent {
        loop {
            let Connection { lost_since, losses } = *self.connection.borrow_and_update();
            if losses != self.losses {
                self.losses = losses;
                self.events = None;
                return WatchEvent::Lost(self.store.lost_connection());
            }
            if lost_since.is_none() && self.events.is_none() {
                self.events = Some(self.store.store.watch());
                return WatchEvent::Restored;
            }
            let changed = std::pin::pin!(self.connection.changed());
            match &mut self.events {
                Some(events) => match future::select(events.next(), changed).await {
                    Either::Left((Some(event), _)) => return event,
                    // If a watch ends, against the contract, only a new connection can replace it.
                    Either::Left((None, changed)) => {
                        let _ = changed.await;
                    }
                    Either::Right(_) => {}
                },
                // The sender lives as long as the store.
                None => {
                    let _ = changed.await;
                }
            }
        }
    }
}
