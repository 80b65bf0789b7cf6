//! The store as it is served: counted, and read from memory by `get_cached` and `list`, but by `get` and `stream` from the store itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use flipper::store::{
    Capabilities, Check, FlagStream, FlagTable, Identity, LocalFeatureFlagStore, Precondition, Status, Stored, Version,
    Watch, WatchEvent,
};
use flipper::{FeatureFlagStore, FlagRecord, Result};
use futures_util::StreamExt;

use super::calls::{Call, Calls};

#[derive(Debug)]
pub(super) struct Served {
    store: Arc<dyn LocalFeatureFlagStore>,
    ready: AtomicBool,
    pub(super) calls: Calls,
}

impl Served {
    pub(super) fn new(store: Arc<dyn LocalFeatureFlagStore>) -> Self {
        Self { store, ready: AtomicBool::new(false), calls: Calls::default() }
    }

    /// Whether all flags were in memory once.
    pub(super) fn was_ready(&self) -> bool {
        // Asked for with every read, and true for ever once it is.
        self.ready.load(Ordering::Acquire) || {
            let ready = self.store.status().last_sync.is_some();
            self.ready.fetch_or(ready, Ordering::AcqRel) || ready
        }
    }

    pub(super) fn count(&self) -> usize {
        self.store.table().list().len()
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

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        let result = self.store.put(record, when).await;
        self.calls.count(Call::Put, &result);
        result
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        let result = self.store.delete(name, when).await;
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

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let results = self.store.put_all(records, when).await;
        results.iter().for_each(|result| self.calls.count(Call::Put, result));
        results
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

/// A mirror reports each state as it is in memory when that is reported, so it is at least as new as all that was confirmed before; without
/// a time it would be a hint, which each client would take up with the store.
fn with_times(events: Watch<'_>) -> Watch<'_> {
    let mut confirmed: Option<Instant> = None;
    Box::pin(events.map(move |event| match event {
        WatchEvent::Confirmed { at, .. } | WatchEvent::Reset { read_at: Some(at), .. } => {
            confirmed = confirmed.max(Some(at));
            event
        }
        WatchEvent::Changed { flag, read_at } => WatchEvent::Changed { flag, read_at: read_at.or(confirmed) },
        WatchEvent::Removed { name, version, read_at } => {
            WatchEvent::Removed { name, version, read_at: read_at.or(confirmed) }
        }
        event => event,
    }))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LocalFeatureFlagStore for Served {
    fn table(&self) -> &Arc<FlagTable> {
        self.store.table()
    }

    fn status(&self) -> Status {
        self.store.status()
    }

    async fn ready(&self) -> Result<()> {
        self.store.ready().await
    }
}
