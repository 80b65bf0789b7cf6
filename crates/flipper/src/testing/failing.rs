//! A store that fails on command.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::{self, Either};
use futures_util::stream;
use tokio::sync::watch;

use crate::background;
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;
use crate::status::{Health, Status};
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore, Precondition, Stored, Version, Watch, WatchEvent};
use crate::stores::MemoryFeatureFlagStore;
use crate::table::FlagTable;

/// Another store, with the faults of a network: it fails, is slow, and loses its connection on command. Clones share store and
/// faults; without a command it is as the store within.
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
/// In a [`MirroredFeatureFlagStore`](crate::MirroredFeatureFlagStore) it shows what your program does while a store over the
/// network is away.
pub struct FailingStore<S = MemoryFeatureFlagStore> {
    store: Arc<S>,
    shared: Arc<Shared>,
}

struct Shared {
    faults: Mutex<Faults>,
    /// Since when the connection is lost; watches follow it.
    lost: watch::Sender<Option<SystemTime>>,
}

#[derive(Default)]
struct Faults {
    every_call: Option<ErrorKind>,
    next_calls: usize,
    next_kind: Option<ErrorKind>,
    answers_lost: usize,
    delay: Duration,
}

impl<S: FeatureFlagStore> FailingStore<S> {
    /// This store, without faults so far.
    #[must_use]
    pub fn new(store: S) -> Self {
        let shared = Shared { faults: Mutex::default(), lost: watch::Sender::new(None) };
        Self { store: Arc::new(store), shared: Arc::new(shared) }
    }

    /// Every call fails with this kind of error, and does nothing, until [`recover`](Self::recover).
    pub fn fail(&self, kind: ErrorKind) {
        self.faults().every_call = Some(kind);
    }

    /// The next calls fail, so many of them, and do nothing.
    pub fn fail_next(&self, calls: usize, kind: ErrorKind) {
        let mut faults = self.faults();
        faults.next_calls = calls;
        faults.next_kind = Some(kind);
    }

    /// The next writes happen, so many of them, but their answer is lost: an `Unavailable` after which the caller cannot know.
    pub fn lose_next_answers(&self, writes: usize) {
        self.faults().answers_lost = writes;
    }

    /// Every call takes this much longer.
    pub fn delay(&self, delay: Duration) {
        self.faults().delay = delay;
    }

    /// Loses the connection: calls are `Unavailable`, also those under way, whose writes may have happened; watches are told.
    pub fn disconnect(&self) {
        self.shared.lost.send_if_modified(|lost| {
            let was_connected = lost.is_none();
            lost.get_or_insert_with(SystemTime::now);
            was_connected
        });
    }

    /// Has the connection back.
    pub fn reconnect(&self) {
        self.shared.lost.send_if_modified(|lost| lost.take().is_some());
    }

    /// Ends all faults: errors, delays, lost answers and the lost connection.
    pub fn recover(&self) {
        *self.faults() = Faults::default();
        self.reconnect();
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_lost(&self) -> bool {
        self.shared.lost.borrow().is_some()
    }

    /// Before a call: waits as commanded, and fails as commanded.
    async fn begin(&self) -> Result<()> {
        let delay = self.faults().delay;
        if !delay.is_zero() {
            background::sleep(delay).await;
        }
        if self.is_lost() {
            return Err(self.lost_connection());
        }
        let mut faults = self.faults();
        let next = (faults.next_calls > 0).then_some(faults.next_kind).flatten();
        faults.next_calls = faults.next_calls.saturating_sub(1);
        match next.or(faults.every_call) {
            Some(kind) => Err(Error::new(kind).with_message("failed on command").with_store(self)),
            None => Ok(()),
        }
    }

    /// After a call: what the connection has not lost meanwhile.
    fn end<T>(&self, result: T) -> Result<T> {
        if self.is_lost() { Err(self.lost_connection()) } else { Ok(result) }
    }

    fn end_write<T>(&self, result: T) -> Result<T> {
        let lost = std::mem::replace(&mut self.faults().answers_lost, 0);
        if lost == 0 {
            return self.end(result);
        }
        self.faults().answers_lost = lost - 1;
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
        self.begin().await?;
        self.end(self.store.get(name).await)?
    }

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        self.begin().await?;
        self.end_write(self.store.put(record, when).await)?
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        self.begin().await?;
        self.end_write(self.store.delete(name, when).await)?
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.begin().await?;
        self.end(self.store.list().await)?
    }

    fn watch(&self) -> Watch<'_> {
        let following = Following { store: self, lost: self.shared.lost.subscribe(), events: None, told_lost: false };
        // From here on, not from the first read on.
        let following = if self.is_lost() { following } else { following.with_events() };
        Box::pin(stream::unfold(following, |mut following| async move { Some((following.next().await, following)) }))
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.begin().await?;
        self.end(self.store.get_cached(name).await)?
    }

    fn is_shared_with_python(&self) -> bool {
        self.store.is_shared_with_python()
    }

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            results.push(self.put(record, when.clone()).await);
        }
        results
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
        if let Some(since) = *self.shared.lost.borrow() {
            status.last_sync = status.last_sync.map(|last| last.min(since));
            status.health = Health::Stale { since, reason: "the connection was lost on command".into() };
        }
        status
    }

    async fn ready(&self) -> Result<()> {
        self.begin().await?;
        self.store.ready().await
    }

    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

/// A watch that is cut off with the connection.
struct Following<'a, S> {
    store: &'a FailingStore<S>,
    lost: watch::Receiver<Option<SystemTime>>,
    events: Option<Watch<'a>>,
    told_lost: bool,
}

impl<S: FeatureFlagStore> Following<'_, S> {
    fn with_events(mut self) -> Self {
        self.events = Some(self.store.store.watch());
        self
    }

    async fn next(&mut self) -> WatchEvent {
        loop {
            let is_lost = self.lost.borrow_and_update().is_some();
            if is_lost && !self.told_lost {
                self.events = None;
                self.told_lost = true;
                return WatchEvent::Lost(self.store.lost_connection());
            }
            if !is_lost && self.events.is_none() {
                self.events = Some(self.store.store.watch());
                self.told_lost = false;
                return WatchEvent::Restored;
            }
            let changed = std::pin::pin!(self.lost.changed());
            match &mut self.events {
                Some(events) => match future::select(events.next(), changed).await {
                    Either::Left((Some(event), _)) => return event,
                    // A watch never ends by itself; if one does, only the connection can bring another.
                    Either::Left((None, changed)) => {
                        let _ = changed.await;
                    }
                    Either::Right(_) => {}
                },
                // The sender lives as long as the store that this borrows.
                None => {
                    let _ = changed.await;
                }
            }
        }
    }
}
