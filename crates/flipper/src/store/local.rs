use std::sync::Arc;

use async_trait::async_trait;

use super::FeatureFlagStore;
use crate::error::Result;
use crate::state::Status;
use crate::table::FlagTable;

/// A store with all its flags in a [`FlagTable`] that it keeps current, so that checks read memory: the memory store, or a mirror.
///
/// The sentences under `# Behavior` are proved by `local_store_conformance_tests!`.
///
/// # Behavior
///
/// - `close_keeps_flags`: after [`close`](FeatureFlagStore::close) the table has the same flags as before.
/// - `close_refuses_writes`: then puts and deletes are `Unavailable`, and the table stays as it is.
/// - `close_is_stale`: then the status is `Stale`.
#[async_trait]
pub trait LocalFeatureFlagStore: FeatureFlagStore {
    /// The flags in this process's memory.
    ///
    /// # Behavior
    ///
    /// - `table_is_one`: it is the same table each time.
    /// - `table_shows_put`: a put of this store is in the table, with its version, before it returns.
    /// - `table_shows_delete`: a delete of this store removes the flag from the table before it returns.
    /// - `table_shows_put_all`: as `table_shows_put`, for all flags.
    /// - `table_agrees_with_list`: once ready, and without concurrent writes, it equals `list`, versions included.
    /// - `table_keeps_order`: after concurrent writes it has the last state, never an older one.
    /// - `corrupt_table`: an unreadable value is in the table, with the reason; other flags are not affected.
    fn table(&self) -> &Arc<FlagTable>;

    /// How current they are.
    ///
    /// # Behavior
    ///
    /// - `status_is_live`: once ready it is `Live`, with the time of a sync that is not in the future, and no unreadable flags.
    /// - `corrupt_status`: an unreadable value is named until it is replaced or deleted.
    fn status(&self) -> Status;

    /// Waits for the first complete set of flags.
    ///
    /// # Behavior
    ///
    /// - `ready_again`: it returns for every caller, however often it is called.
    ///
    /// # Errors
    ///
    /// If they can no longer arrive: the store was closed before, or its configuration cannot work.
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
