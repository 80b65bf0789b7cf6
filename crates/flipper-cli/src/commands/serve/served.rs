//! The served store: counts calls; `get_cached` and `list` read from memory, `get` and `stream` from the store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use flipper::__feed::with_times;
use flipper::history::{HistoryPage, HistoryQuery};
use flipper::store::{
    Capabilities, Check, FlagStream, Identity, LocalFeatureFlagStore, Stored, Version, Watch, WriteOptions,
};
use flipper::{FeatureFlagStore, FlagRecord, Result};

use super::calls::{Call, Calls};

#[derive(Debug)]
pub(super) struct Served {
    pub(super) store: Arc<dyn LocalFeatureFlagStore>,
    ready: AtomicBool,
    pub(super) calls: Calls,
}

impl Served {
    pub(super) fn new(store: Arc<dyn LocalFeatureFlagStore>) -> Self {
        Self { store, ready: AtomicBool::new(false), calls: Calls::default() }
    }

    /// Whether all flags have been in memory.
    pub(super) fn was_ready(&self) -> bool {
        // Kept, since each read asks and it never becomes false again.
        self.ready.load(Ordering::Acquire) || {
            let ready = self.store.status().last_sync.is_some();
            self.ready.fetch_or(ready, Ordering::AcqRel) || ready
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FeatureFlagStore for Served {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let result = self.store.get(name).await;
        self.calls.count(Call::Get, &result);
        result
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let result = self.store.put(record, options).await;
        self.calls.count(Call::Put, &result);
        result
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let result = self.store.delete(name, options).await;
        self.calls.count(Call::Delete, &result);
        result
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        let result = match self.was_ready() {
            true => Ok(self.store.table().list()),
            false => self.store.list().await,
        };
        self.calls.count(Call::List, &result);
        result
    }

    fn watch(&self) -> Watch<'_> {
        with_times(self.store.watch())
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        if !self.was_ready() {
            return self.get(name).await;
        }
        let result = Ok(self.store.table().get(name));
        self.calls.count(Call::Get, &result);
        result
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let results = self.store.put_all(records, options).await;
        results.iter().for_each(|result| self.calls.count(Call::Put, result));
        results
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        self.store.history(query).await
    }

    fn stream(&self) -> FlagStream<'_> {
        self.calls.count(Call::List, &Ok(()));
        self.store.stream()
    }

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
