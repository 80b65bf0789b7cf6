use std::fmt;
use std::sync::{Arc, MutexGuard};

use async_trait::async_trait;

use crate::error::Result;
use crate::identity::Identity;
use crate::inspection::Check;
use crate::lock::Mutex;
use crate::record::FlagRecord;
use crate::state::{
    Capabilities, HistoryPage, HistoryQuery, Precondition, Status, Stored, Version, Watch, WriteOptions,
};
use crate::store::{FeatureFlagStore, FlagStream, LocalFeatureFlagStore};
use crate::stores::MemoryFeatureFlagStore;
use crate::table::FlagTable;

/// Records the calls of another store, in the order of their beginnings. Clones share store and list.
///
/// ```
/// use flipper::testing::RecordingStore;
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
///
/// # futures_executor::block_on(async {
/// let store = RecordingStore::new(MemoryFeatureFlagStore::new());
/// let features = FeatureFlagClient::new(store.clone());
///
/// features.create("NEW_CHECKOUT").await?;
/// features.enable("NEW_CHECKOUT").await?;
/// assert!(features.is_enabled("NEW_CHECKOUT"));
///
/// let calls: Vec<String> = store.take_calls().iter().map(ToString::to_string).collect();
/// assert_eq!(calls, ["put NEW_CHECKOUT", "put NEW_CHECKOUT"], "a check is no call");
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
pub struct RecordingStore<S = MemoryFeatureFlagStore> {
    store: Arc<S>,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// One call of a store. `Display` is short: `put CHECKOUT`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Call {
    /// [`FeatureFlagStore::get`].
    Get {
        /// The flag.
        name: String,
    },
    /// [`FeatureFlagStore::get_cached`].
    GetCached {
        /// The flag.
        name: String,
    },
    /// [`FeatureFlagStore::put`].
    Put {
        /// What to write.
        record: Arc<FlagRecord>,
        /// The condition.
        when: Precondition,
    },
    /// [`FeatureFlagStore::put_all`].
    PutAll {
        /// What to write.
        records: Vec<FlagRecord>,
        /// The condition of each.
        when: Precondition,
    },
    /// [`FeatureFlagStore::delete`].
    Delete {
        /// The flag.
        name: String,
        /// The condition.
        when: Precondition,
    },
    /// [`FeatureFlagStore::list`].
    List,
    /// [`FeatureFlagStore::stream`].
    Stream,
    /// [`FeatureFlagStore::history`].
    History {
        /// Which entries.
        query: HistoryQuery,
    },
    /// [`FeatureFlagStore::watch`].
    Watch,
    /// [`LocalFeatureFlagStore::ready`].
    Ready,
    /// [`FeatureFlagStore::close`].
    Close,
}

impl Call {
    /// Whether the call writes.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::PutAll { .. } | Self::Delete { .. })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get { name } => write!(f, "get {name}"),
            Self::GetCached { name } => write!(f, "get_cached {name}"),
            Self::Put { record, .. } => write!(f, "put {}", record.name()),
            Self::PutAll { records, .. } => {
                f.write_str("put_all")?;
                records.iter().try_for_each(|record| write!(f, " {}", record.name()))
            }
            Self::Delete { name, .. } => write!(f, "delete {name}"),
            Self::List => f.write_str("list"),
            Self::Stream => f.write_str("stream"),
            Self::History { .. } => f.write_str("history"),
            Self::Watch => f.write_str("watch"),
            Self::Ready => f.write_str("ready"),
            Self::Close => f.write_str("close"),
        }
    }
}

impl<S> RecordingStore<S> {
    /// Records the calls of this store.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store: Arc::new(store), calls: Arc::default() }
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.list_of_calls().clone()
    }

    /// The calls since the last time.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.list_of_calls())
    }

    fn record(&self, call: Call) {
        self.list_of_calls().push(call);
    }

    fn list_of_calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock()
    }
}

impl<S> Clone for RecordingStore<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), calls: self.calls.clone() }
    }
}

impl<S: fmt::Display> fmt::Display for RecordingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recording({})", self.store)
    }
}

impl<S: fmt::Debug> fmt::Debug for RecordingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingStore").field("store", &self.store).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: FeatureFlagStore> FeatureFlagStore for RecordingStore<S> {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.record(Call::Get { name: name.to_owned() });
        self.store.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.record(Call::Put { record: Arc::new(record.clone()), when: options.when.clone() });
        self.store.put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.record(Call::Delete { name: name.to_owned(), when: options.when.clone() });
        self.store.delete(name, options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.record(Call::List);
        self.store.list().await
    }

    fn watch(&self) -> Watch<'_> {
        self.record(Call::Watch);
        self.store.watch()
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.record(Call::GetCached { name: name.to_owned() });
        self.store.get_cached(name).await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        self.record(Call::PutAll { records: records.to_vec(), when: options.when.clone() });
        self.store.put_all(records, options).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        self.record(Call::History { query: query.clone() });
        self.store.history(query).await
    }

    fn stream(&self) -> FlagStream<'_> {
        self.record(Call::Stream);
        self.store.stream()
    }

    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        let store = Arc::new(self.store.local()?);
        Some(Arc::new(RecordingStore { store, calls: self.calls.clone() }))
    }

    async fn close(&self) -> Result<()> {
        self.record(Call::Close);
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
impl<S: LocalFeatureFlagStore> LocalFeatureFlagStore for RecordingStore<S> {
    fn table(&self) -> &Arc<FlagTable> {
        self.store.table()
    }

    fn status(&self) -> Status {
        self.store.status()
    }

    async fn ready(&self) -> Result<()> {
        self.record(Call::Ready);
        self.store.ready().await
    }
}
