use std::sync::Arc;

use async_trait::async_trait;

use super::FeatureFlagStore;
use crate::error::Result;
use crate::state::Status;
use crate::table::FlagTable;

/// A store with all its flags in a [`FlagTable`] that it keeps current for checks: the memory store, or a mirror. Its `# Behavior` is
/// proved by `local_store_conformance_tests!`.
///
/// # Behavior
///
/// - `close_keeps_flags`: after [`close`](FeatureFlagStore::close) the table has the same flags.
/// - `close_refuses_writes`: then puts and deletes are `Unavailable`, and change nothing.
/// - `close_is_stale`: then the status is `Stale`.
#[async_trait]
pub trait LocalFeatureFlagStore: FeatureFlagStore {
    /// The flags in this process's memory.
    ///
    /// # Behavior
    ///
    /// - `table_is_one`: it is the same table each time.
    /// - `table_shows_put`: own puts are in the table, with their version, before they return.
    /// - `table_shows_delete`: so are own deletes.
    /// - `table_shows_put_all`: and all flags of a `put_all`.
    /// - `table_agrees_with_list`: once ready, and without concurrent writes, it equals `list`, versions included.
    /// - `table_keeps_order`: after concurrent writes it has the last state.
    /// - `corrupt_table`: an unreadable value is there, with the reason, and affects no other flag.
    fn table(&self) -> &Arc<FlagTable>;

    /// How current they are.
    ///
    /// # Behavior
    ///
    /// - `status_is_live`: once ready it is `Live`, its sync not in the future, without unreadable flags.
    /// - `corrupt_status`: an unreadable value is named until it is replaced or deleted.
    fn status(&self) -> Status;

    /// Waits for the first complete set of flags.
    ///
    /// # Behavior
    ///
    /// - `ready_again`: it returns for every caller, any number of times.
    ///
    /// # Errors
    ///
    /// If they can no longer arrive: the store is closed, or its configuration cannot work.
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
