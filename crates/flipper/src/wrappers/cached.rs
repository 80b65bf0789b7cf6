use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt;
use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction, EntryResult, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::FlagRecord;
use crate::state::{Capabilities, HistoryPage, HistoryQuery, Stored, Version, Watch, WatchEvent, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, LocalFeatureFlagStore};

const EXPIRATION: Duration = Duration::from_secs(15 * 60);
const MAX_SIZE: usize = 1024;
/// So that not every check waits for an unreachable store.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers [`get_cached`](FeatureFlagStore::get_cached), and so [`fetch_enabled`](crate::FeatureFlagClient::fetch_enabled), from memory for
/// a while after each call of another store, as the Python library's cache does.
///
/// ```
/// # use flipper::{FeatureFlagStore, Result};
/// use std::time::Duration;
/// use flipper::{CachedFeatureFlagStore, FeatureFlagClient, context};
///
/// # async fn example(store: impl FeatureFlagStore) -> Result<()> {
/// let store = CachedFeatureFlagStore::new(store).expiration(Duration::from_secs(60));
/// let features = FeatureFlagClient::remote(store);
/// assert!(!features.fetch_enabled("MY_FEATURE", &context! { user_id: 7 }).await?);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap()
/// #     .block_on(example(flipper::MemoryFeatureFlagStore::new())).unwrap();
/// ```
///
/// A foreign change is visible when the answer expires; [`MirroredFeatureFlagStore`](crate::MirroredFeatureFlagStore) is faster, if all
/// flags fit into memory. A missing flag is cached too. Concurrent callers for one flag share one call. All but `get_cached` goes to the
/// store, and the end of a write, even a failed one, drops the answer.
pub struct CachedFeatureFlagStore<S> {
    store: S,
    cache: Entries,
    expiration: Duration,
    stale_while_down: bool,
    time: Time,
    loads: AtomicU64,
}

type Entries = Cache<String, Arc<Entry>>;
type Guard<'a> =
    PlaceholderGuard<'a, String, Arc<Entry>, UnitWeighter, DefaultHashBuilder, DefaultLifecycle<String, Arc<Entry>>>;

#[derive(Debug)]
struct Entry {
    flag: Option<Flag>,
    /// Only for the callers that waited for the failed load.
    failed: Option<Failed>,
    loaded: Duration,
    expires: Duration,
    /// Loads are counted as they end.
    number: u64,
}

/// `None`: missing.
type Flag = Option<Stored>;

#[derive(Clone, Debug)]
struct Failed {
    kind: ErrorKind,
    message: Arc<str>,
    is_transient: bool,
}

impl Failed {
    fn of(error: &Error) -> Self {
        Self { kind: error.kind(), message: error.chain().into(), is_transient: error.is_transient() }
    }
}

#[derive(Debug)]
enum Time {
    Monotonic(Instant),
    Clock(Arc<dyn Clock>),
}

impl Time {
    fn now(&self) -> Duration {
        match self {
            Self::Monotonic(start) => start.elapsed(),
            Self::Clock(clock) => clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

impl<S: FeatureFlagStore> CachedFeatureFlagStore<S> {
    /// Up to 1024 flags, each for 15 minutes.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self {
            store,
            cache: entries(MAX_SIZE),
            expiration: EXPIRATION,
            stale_while_down: true,
            time: Time::Monotonic(Instant::now()),
            loads: AtomicU64::new(0),
        }
    }

    /// How long an answer is reused; 15 minutes by default.
    #[must_use]
    pub fn expiration(mut self, expiration: Duration) -> Self {
        self.expiration = expiration;
        self
    }

    /// How many flags, missing ones included, are held; 1024 by default, at least 1. Unread flags are dropped first.
    #[must_use]
    pub fn max_size(mut self, flags: usize) -> Self {
        self.cache = entries(flags.max(1));
        self
    }

    /// Whether an expired answer is reused while the store is `Unavailable`, and tried about once a second; on by default. Else it is an
    /// error.
    #[must_use]
    pub fn stale_while_down(mut self, stale: bool) -> Self {
        self.stale_while_down = stale;
        self
    }

    /// A clock for tests, instead of a monotonic one.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.time = Time::Clock(Arc::new(clock));
        self
    }

    /// Expired ones included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.cache.len()
    }

    async fn load(&self, name: &str, mut loading: Loading<'_>) -> Result<Flag> {
        let loaded = self.store.get(name).await;
        let now = self.time.now();
        let number = self.loads.fetch_add(1, Ordering::AcqRel) + 1;
        let last = loading.old.as_ref().and_then(|old| old.flag.clone());
        let entry =
            |flag, failed, holds| Entry { flag, failed, loaded: now, expires: now.saturating_add(holds), number };
        match (loaded, last) {
            (Ok(flag), _) => {
                loading.end(entry(Some(flag.clone()), None, self.expiration));
                Ok(flag)
            }
            (Err(error), Some(flag)) if self.stale_while_down && error.kind() == ErrorKind::Unavailable => {
                tracing::debug!(flag = name, error = &error as &dyn std::error::Error, "an expired answer is reused");
                loading.end(entry(Some(flag.clone()), None, self.expiration.min(RETRY_AFTER)));
                Ok(flag)
            }
            (Err(error), last) => {
                loading.end(entry(last, Some(Failed::of(&error)), Duration::ZERO));
                Err(error)
            }
        }
    }

    fn void<'a>(&'a self, name: &'a str) -> Void<'a> {
        Void { cache: &self.cache, name }
    }
}

fn entries(size: usize) -> Entries {
    let capacity = u64::try_from(size).unwrap_or(u64::MAX);
    // Otherwise the limit would apply to each shard.
    let options =
        OptionsBuilder::new().shards(1).estimated_items_capacity(size.min(MAX_SIZE)).weight_capacity(capacity).build();
    match options {
        Ok(options) => {
            Cache::with_options(options, UnitWeighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
        }
        // Unreachable: all settings are there.
        Err(_) => Cache::new(size),
    }
}

impl Entry {
    fn is_fresh(&self, now: Duration) -> bool {
        self.failed.is_none() && (self.loaded..self.expires).contains(&now)
    }

    fn give(&self) -> Result<Flag> {
        match &self.failed {
            Some(Failed { kind, message, is_transient }) => {
                Err(Error::new(*kind).with_message(&**message).with_transient(*is_transient))
            }
            None => Ok(self.flag.clone().flatten()),
        }
    }
}

/// If it is dropped, the expired answer is left to the next caller.
struct Loading<'a> {
    guard: Option<Guard<'a>>,
    old: Option<Arc<Entry>>,
}

impl Loading<'_> {
    fn end(&mut self, entry: Entry) {
        self.old = None;
        if let Some(guard) = self.guard.take() {
            // Fails if the flag was written meanwhile: the loaded state may be older.
            let _ = guard.insert(Arc::new(entry));
        }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        if let (Some(guard), Some(old)) = (self.guard.take(), self.old.take()) {
            let _ = guard.insert(old);
        }
    }
}

/// Whatever the outcome of the write, and despite a pending load.
struct Void<'a> {
    cache: &'a Entries,
    name: &'a str,
}

impl Drop for Void<'_> {
    fn drop(&mut self) {
        self.cache.remove(self.name);
    }
}

impl<S: fmt::Display> fmt::Display for CachedFeatureFlagStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cached({:?}, {})", self.expiration, self.store)
    }
}

impl<S: fmt::Debug> fmt::Debug for CachedFeatureFlagStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedFeatureFlagStore")
            .field("store", &self.store)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: FeatureFlagStore> FeatureFlagStore for CachedFeatureFlagStore<S> {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.store.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let _void = self.void(record.name());
        self.store.put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let _void = self.void(name);
        self.store.delete(name, options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.store.list().await
    }

    /// Drops each flag before its event is emitted: the event's reader must not get the previous state.
    fn watch(&self) -> Watch<'_> {
        Box::pin(self.store.watch().inspect(|event| match event {
            WatchEvent::Changed { flag: Stored { name, .. }, .. }
            | WatchEvent::Removed { name, .. }
            | WatchEvent::Hint { name } => drop(self.cache.remove(name)),
            WatchEvent::Reset { .. } => self.cache.clear(),
            _ => {}
        }))
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        // First: a load that ends after this answers this call, even if expired or failed.
        let before = self.loads.load(Ordering::Acquire);
        if let Some(entry) = self.cache.get(name)
            && entry.is_fresh(self.time.now())
        {
            return entry.give();
        }
        let look = |_: &String, entry: &mut Arc<Entry>| {
            if entry.number > before || entry.is_fresh(self.time.now()) {
                EntryAction::Retain(entry.clone())
            } else {
                EntryAction::ReplaceWithGuard
            }
        };
        match self.cache.entry_async(name, look).await {
            EntryResult::Retained(entry) => entry.give(),
            EntryResult::Replaced(guard, old) => self.load(name, Loading { guard: Some(guard), old: Some(old) }).await,
            EntryResult::Vacant(guard) => self.load(name, Loading { guard: Some(guard), old: None }).await,
            // Unreachable: nothing above produces these.
            EntryResult::Removed(..) | EntryResult::Timeout => self.store.get(name).await,
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let _void: Vec<_> = records.iter().map(|record| self.void(record.name())).collect();
        self.store.put_all(records, options).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        self.store.history(query).await
    }

    fn stream(&self) -> FlagStream<'_> {
        self.store.stream()
    }

    /// It does not hold all flags.
    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        None
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
