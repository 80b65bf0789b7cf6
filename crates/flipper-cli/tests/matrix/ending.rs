//! A store whose watch ends, which none may: for the self-test.

use std::fmt;
use std::panic::resume_unwind;

use async_trait::async_trait;
use flipper::store::{FeatureFlagStore, Stored, Version, Watch, WriteOptions};
use flipper::{FlagRecord, Result};
use futures_util::StreamExt;

use crate::backends::Bare;

#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) store: Bare,
    /// It does not end, it panics.
    pub(crate) panics: bool,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ending({})", self.store)
    }
}

#[async_trait]
impl FeatureFlagStore for Ending {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.store.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.store.put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.store.delete(name, options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.store.list().await
    }

    /// Ends after the first list.
    fn watch(&self) -> Watch<'_> {
        // As a panic, and nothing is printed.
        let panic = |()| resume_unwind(Box::new("as the self-test wants"));
        let end = futures_util::stream::iter(self.panics.then_some(())).map(panic);
        Box::pin(self.store.watch().take(1).chain(end))
    }
}
