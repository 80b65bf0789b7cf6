use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::error::Result;
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::FlagRecord;
use crate::state::{Capabilities, HistoryPage, HistoryQuery, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, LocalFeatureFlagStore};

/// Two connections to one place, as one store: the suite then proves that each reads, and watches, what the other wrote.
///
/// ```
/// use flipper::MemoryFeatureFlagStore;
/// use flipper::conformance::TwoConnections;
///
/// flipper::store_conformance_tests!(shared_memory, async || {
///     let one = MemoryFeatureFlagStore::new();
///     TwoConnections::new(one.clone(), one)
/// });
/// ```
#[derive(Debug)]
pub struct TwoConnections<A, B = A> {
    first: A,
    second: B,
    writes: AtomicUsize,
}

impl<A: FeatureFlagStore, B: FeatureFlagStore> TwoConnections<A, B> {
    /// Both must lead to the same flags.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second, writes: AtomicUsize::new(0) }
    }

    fn writer(&self) -> &dyn FeatureFlagStore {
        self.pick(self.writes.fetch_add(1, Ordering::Relaxed))
    }

    /// The one that did not write last.
    fn reader(&self) -> &dyn FeatureFlagStore {
        self.pick(self.writes.load(Ordering::Relaxed))
    }

    fn pick(&self, number: usize) -> &dyn FeatureFlagStore {
        if number.is_multiple_of(2) { &self.first } else { &self.second }
    }
}

impl<A: FeatureFlagStore, B: FeatureFlagStore> fmt::Display for TwoConnections<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TwoConnections({}, {})", self.first, self.second)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<A: FeatureFlagStore, B: FeatureFlagStore> FeatureFlagStore for TwoConnections<A, B> {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.reader().get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.writer().put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.writer().delete(name, options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.reader().list().await
    }

    fn watch(&self) -> Watch<'_> {
        self.reader().watch()
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.reader().get_cached(name).await
    }

    fn capabilities(&self) -> Capabilities {
        self.writer().capabilities()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        self.writer().put_all(records, options).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        self.reader().history(query).await
    }

    fn stream(&self) -> FlagStream<'_> {
        self.reader().stream()
    }

    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        None
    }

    async fn close(&self) -> Result<()> {
        self.reader().close().await?;
        self.writer().close().await
    }

    fn identity(&self) -> Identity {
        self.reader().identity()
    }

    async fn inspect(&self) -> Vec<Check> {
        self.reader().inspect().await
    }
}
