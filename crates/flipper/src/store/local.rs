//! Stores that hold their flags in this process.

use std::sync::Arc;

use async_trait::async_trait;

use super::FeatureFlagStore;
use crate::error::Result;
use crate::state::Status;
use crate::table::FlagTable;

/// A store that holds all its flags in this process, in a [`FlagTable`], and keeps that table current, so that checks are reads of
/// memory: the memory store, and a mirror of any other store.
///
/// The sentences under `# Behavior` are proved by `local_store_conformance_tests!`.
///
/// # Behavior
///
/// - `close_keeps_flags`: after [`close`](FeatureFlagStore::close) the table has the flags that it had.
/// - `close_refuses_writes`: puts and deletes are `Unavailable` from then on, and the table stays as it is.
/// - `close_is_stale`: the status is `Stale` from then on.
#[async_trait]
pub trait LocalFeatureFlagStore: FeatureFlagStore {
    /// The flags as this process knows them.
    ///
    /// # Behavior
    ///
    /// - `table_is_one`: it is the same table each time.
    /// - `table_shows_put`: a put of this store is in the table, with its version, before it returns.
    /// - `table_shows_delete`: a flag that this store deletes is gone from the table before the delete returns.
    /// - `table_shows_put_all`: as `table_shows_put`, for all of them.
    /// - `table_agrees_with_list`: once ready, and with nobody writing, it has what `list` gives, versions included.
    /// - `table_keeps_order`: after writers at the same time it has the last state, never an older one.
    /// - `corrupt_table`: a value that cannot be read is in the table, with the reason, and the other flags go on.
    fn table(&self) -> &Arc<FlagTable>;

    /// How current they are.
    ///
    /// # Behavior
    ///
    /// - `status_is_live`: once ready it is `Live`, with the time of a sync that is not in the future, and no corrupt flags.
    /// - `corrupt_status`: a value that cannot be read is named, until it is replaced or deleted.
    fn status(&self) -> Status;

    /// Waits until the first full set of flags is in.
    ///
    /// # Behavior
    ///
    /// - `ready_again`: it returns for all who wait, however often it is called.
    ///
    /// # Errors
    ///
    /// If that cannot happen any more: the store was closed before, or what it was given cannot work.
    async fn ready(&self) -> Result<()>;
}

macro_rules! forward_local_store {
    ($($pointer:ident),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: LocalFeatureFlagStore + ?Sized> LocalFeatureFlagStore for $pointer<S> {
            fn table(&self) -> &Arc<FlagTable> {
                (**self).table()
            }
            fn status(&self) -> Status {
                (**self).status()
            }
            async fn ready(&self) -> Result<()> {
                (**self).ready().await
            }
        }
    )+};
}

forward_local_store!(Arc, Box);
