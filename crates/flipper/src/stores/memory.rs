//! Flags in memory; for tests, development, and programs that set their flags at the start.
//!
//! ```
//! use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
//!
//! # tokio_test_block_on(async {
//! let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
//! features.create("MY_FEATURE").enabled(true).await?;
//! assert!(features.is_enabled("MY_FEATURE"));
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! # fn tokio_test_block_on<T>(future: impl std::future::Future<Output = T>) -> T {
//! #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
//! # }
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use crate::record::{FlagRecord, Kept, validate_name};
use crate::state::{
    Capabilities, Corrupt, Entry, EntryId, FlagState, Health, HistoryLimits, HistoryPage, HistoryQuery, Precondition,
    Status, Stored, Updates, Version, Watch, WriteOptions,
};
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore, no_history};
use crate::table::FlagTable;

/// How many entries a history in memory has by default.
const ENTRIES: u32 = 1000;

/// Keeps flags in this process's memory. Clones share the flags, and a history of the last 1,000 writes.
#[derive(Clone, Debug, Default)]
pub struct MemoryFeatureFlagStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    table: Arc<FlagTable>,
    /// Locked through each write, so that its precondition stays true.
    writes: Mutex<Writes>,
}

#[derive(Debug)]
struct Writes {
    last: u64,
    closed: Option<SystemTime>,
    history: VecDeque<Written>,
    /// `None` keeps none.
    limits: Option<HistoryLimits>,
}

impl Default for Writes {
    fn default() -> Self {
        let limits = HistoryLimits::default().entries(ENTRIES);
        Self { last: 0, closed: None, history: VecDeque::new(), limits: Some(limits) }
    }
}

/// An entry that costs the write little: its texts are made when it is read.
#[derive(Debug)]
struct Written {
    number: u64,
    name: Arc<str>,
    at: SystemTime,
    options: WriteOptions,
    before: KeptState,
    after: KeptState,
}

type KeptState = Option<Result<Kept, Corrupt>>;

impl Written {
    fn entry(&self) -> Entry {
        let id = EntryId::new(self.number.to_string());
        let whole = |state: &KeptState| Some(state.clone()?.map(|record| record.record(&self.name)));
        Entry::of(self.options.verb, id, &*self.name, self.at, whole(&self.before), whole(&self.after))
            .with_cause(self.options.cause.clone())
    }
}

impl MemoryFeatureFlagStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores this text, unchecked; text that is no flag becomes a corrupt flag. For tests with another store's data.
    ///
    /// ```
    /// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    ///
    /// let store = MemoryFeatureFlagStore::new();
    /// store.put_text("CHECKOUT", r#"{"feature_name": "CHECKOUT", "is_enabled": true, "meta": {"created_date": 1700000000}}"#);
    /// store.put_text("BROKEN", "{");
    ///
    /// let features = FeatureFlagClient::new(store);
    /// assert!(features.is_enabled("CHECKOUT"));
    /// assert!(features.status().corrupt.contains_key("BROKEN"));
    /// ```
    pub fn put_text(&self, name: &str, text: impl AsRef<[u8]>) {
        let record = Stored::from_json(name, Version::ordered(0), text.as_ref()).record;
        let _ = self.write(name, Precondition::Any.into(), Some(record));
    }

    /// How much history is kept; by default 1,000 entries, of 90 days. For all clones.
    #[must_use]
    pub fn history_limits(self, limits: HistoryLimits) -> Self {
        self.shared.writes.lock().limits = Some(limits);
        self
    }

    /// Keeps no history. For all clones.
    #[must_use]
    pub fn without_history(self) -> Self {
        let mut writes = self.shared.writes.lock();
        (writes.limits, writes.history) = (None, VecDeque::new());
        drop(writes);
        self
    }

    /// `after`: `None` deletes the flag.
    fn write(&self, name: &str, options: WriteOptions, after: FlagState) -> Result<Version> {
        let table = &self.shared.table;
        let mut writes = self.shared.writes.lock();
        if writes.closed.is_some() {
            return Err(Error::unavailable("store is closed").with_transient(false).with_store(self).with_flag(name));
        }
        let current = table.kept(name);
        if !options.when.holds(current.as_ref().map(|(version, _)| version)) {
            return Err(Error::new(ErrorKind::Conflict).with_store(self).with_flag(name));
        }
        writes.last += 1;
        let version = Version::ordered(writes.last);
        let before = current.map(|(_, record)| record);
        if let Some(record) = after {
            table.apply(Stored { name: name.to_owned(), version: version.clone(), record });
        } else if table.slot(name).is_some() {
            // A name that was never there needs no tombstone.
            table.remove(name, version.clone());
        }
        let after = table.kept(name).map(|(_, record)| record);
        if before.is_some() || after.is_some() {
            writes.add(name, options, before, after);
        }
        Ok(version)
    }
}

impl Writes {
    fn add(&mut self, name: &str, options: WriteOptions, before: KeptState, after: KeptState) {
        let Some(limits) = self.limits else { return };
        let at = SystemTime::now();
        self.history.push_back(Written { number: self.last, name: name.into(), at, options, before, after });
        let kept = usize::try_from(limits.kept_entries()).unwrap_or(usize::MAX);
        // A clock that was set back makes no entry old.
        let is_over = |entry: &Written| at.duration_since(entry.at).is_ok_and(|age| age > limits.kept_age());
        while self.history.len() > kept || self.history.front().is_some_and(is_over) {
            self.history.pop_front();
        }
    }

    fn page(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        if self.limits.is_none() {
            return Err(no_history());
        }
        let before = match &query.before {
            Some(id) => id.as_str().parse().map_err(|_| Error::invalid_input(format!("{id:?} is no entry's id")))?,
            None => u64::MAX,
        };
        let older = self.history.partition_point(|entry| entry.number < before);
        let mut entries = self.history.range(..older).rev().filter(|entry| query.takes(&entry.name, entry.at));
        let page: Vec<_> = entries.by_ref().take(query.limit).map(Written::entry).collect();
        let next = entries.next().and(page.last()).map(|last| last.id.clone());
        Ok(HistoryPage::new(page, next))
    }
}

impl fmt::Display for MemoryFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[async_trait]
impl FeatureFlagStore for MemoryFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        Ok(self.shared.table.get(name))
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        validate_name(record.name())?;
        self.write(record.name(), options, Some(Ok(Arc::new(record.clone()))))
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.write(name, options, None)
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        Ok(self.shared.table.list())
    }

    fn watch(&self) -> Watch<'_> {
        self.shared.table.watch()
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_push().with_ordered_versions();
        if self.shared.writes.lock().limits.is_some() { capabilities.with_history() } else { capabilities }
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        self.shared.writes.lock().page(query).map_err(|error| error.with_store(self))
    }

    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        Some(Arc::new(self.clone()))
    }

    async fn close(&self) -> Result<()> {
        self.shared.writes.lock().closed.get_or_insert_with(SystemTime::now);
        Ok(())
    }
}

#[async_trait]
impl LocalFeatureFlagStore for MemoryFeatureFlagStore {
    fn table(&self) -> &Arc<FlagTable> {
        &self.shared.table
    }

    fn status(&self) -> Status {
        let (health, last_sync) = match self.shared.writes.lock().closed {
            None => (Health::Live, SystemTime::now()),
            Some(since) => (Health::Stale { since, reason: "store is closed".into() }, since),
        };
        Status::new(health, Some(last_sync), Updates::Local).with_corrupt(self.shared.table.corrupt())
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }
}
