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

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;

use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Capabilities, Health, Precondition, Status, Stored, Updates, Version, Watch};
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore};
use crate::table::FlagTable;

/// Keeps flags in this process's memory. Clones share the flags.
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

#[derive(Debug, Default)]
struct Writes {
    last: u64,
    closed: Option<SystemTime>,
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
        let _ = self.write(name, &Precondition::Any, |table, version| {
            table.apply(Stored::from_json(name, version, text.as_ref()));
        });
    }

    fn write(&self, name: &str, when: &Precondition, write: impl FnOnce(&FlagTable, Version)) -> Result<Version> {
        let table = &self.shared.table;
        let mut writes = self.shared.writes.lock();
        if writes.closed.is_some() {
            return Err(Error::unavailable("store is closed").with_transient(false).with_store(self).with_flag(name));
        }
        let current = table.get(name).map(|stored| stored.version);
        if !when.holds(current.as_ref()) {
            return Err(Error::new(ErrorKind::Conflict).with_store(self).with_flag(name));
        }
        writes.last += 1;
        let version = Version::ordered(writes.last);
        write(table, version.clone());
        Ok(version)
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

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        let name = record.name();
        validate_name(name)?;
        self.write(name, &when, |table, version| {
            table.apply(Stored { name: name.to_owned(), version, record: Ok(Arc::new(record.clone())) });
        })
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        self.write(name, &when, |table, version| {
            // A name that was never there needs no tombstone.
            if table.slot(name).is_some() {
                table.remove(name, version);
            }
        })
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        Ok(self.shared.table.list())
    }

    fn watch(&self) -> Watch<'_> {
        self.shared.table.watch()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_push().with_ordered_versions()
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
