//! A pointer to a store is a store.

use std::sync::Arc;

use async_trait::async_trait;

use super::{FeatureFlagStore, FlagStream, LocalFeatureFlagStore};
use crate::error::Result;
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::FlagRecord;
use crate::state::{Capabilities, HistoryPage, HistoryQuery, Stored, Version, Watch, WriteOptions};

macro_rules! forward_store {
    ($($pointer:ident),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: FeatureFlagStore + ?Sized> FeatureFlagStore for $pointer<S> {
            async fn get(&self, name: &str) -> Result<Option<Stored>> {
                (**self).get(name).await
            }
            async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
                (**self).put(record, options).await
            }
            async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
                (**self).delete(name, options).await
            }
            async fn list(&self) -> Result<Vec<Stored>> {
                (**self).list().await
            }
            fn watch(&self) -> Watch<'_> {
                (**self).watch()
            }
            async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
                (**self).get_cached(name).await
            }
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
            async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
                (**self).put_all(records, options).await
            }
            async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
                (**self).history(query).await
            }
            fn stream(&self) -> FlagStream<'_> {
                (**self).stream()
            }
            fn identity(&self) -> Identity {
                (**self).identity()
            }
            fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
                (**self).local()
            }
            async fn close(&self) -> Result<()> {
                (**self).close().await
            }
            async fn inspect(&self) -> Vec<Check> {
                (**self).inspect().await
            }
        }
    )+};
}

forward_store!(Arc, Box);
