//! The contract of stores, and what they exchange: stored flags, versions, events, status.

mod forward;
mod local;
mod many;
mod polling;

use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::local::LocalFeatureFlagStore;
pub use self::many::FlagStream;
#[cfg(any(
    feature = "consul",
    feature = "postgres",
    feature = "redis",
    feature = "s3",
    feature = "sqlite",
    feature = "thrift"
))]
pub(crate) use self::many::pages;
pub(crate) use self::many::{give_up, whole};
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) use self::polling::differences;
#[cfg(feature = "redis")]
pub(crate) use self::polling::versions;
pub use self::polling::watch_by_polling;
use crate::error::{Error, ErrorKind, Result};
pub use crate::identity::Identity;
pub use crate::inspection::{Check, Finding};
use crate::record::{self, FlagRecord};
pub use crate::state::{
    Capabilities, Corrupt, Health, Precondition, Status, Stored, Updates, Version, Watch, WatchEvent, WriteOptions,
};
use crate::state::{HistoryPage, HistoryQuery};
pub use crate::table::FlagTable;

/// How often the default [`FeatureFlagStore::watch`] lists.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Keeps flags. Four methods make a store: [`get`](Self::get), [`put`](Self::put), [`delete`](Self::delete) and [`list`](Self::list). The
/// others have defaults:
///
/// | method | what it adds |
/// |---|---|
/// | [`watch`](Self::watch) | changes are emitted when they happen, not once a second |
/// | [`capabilities`](Self::capabilities) | what sets this store apart |
/// | [`history`](Self::history) | who changed what, when and why |
/// | [`stream`](Self::stream), [`put_all`](Self::put_all) | many flags with little memory, or in few round trips |
/// | [`identity`](Self::identity), [`inspect`](Self::inspect) | what operators read |
/// | [`get_cached`](Self::get_cached), [`local`](Self::local) | for wrappers: a copy, or all flags in memory |
/// | [`close`](Self::close) | an orderly end |
///
/// Each sentence under `# Behavior` has a test of that name in `store_conformance_tests!`, or for foreign values (`corrupt_…`) in
/// `corrupt_conformance_tests!`.
///
/// Threads and tasks share a store. A dropped write is applied whole, possibly later, or has no effect. No method waits without a limit, or
/// blocks its thread for long.
///
/// `Display` is for logs, without secrets: `Redis(features)`, or `Mirrored(Redis(features))`.
#[async_trait]
pub trait FeatureFlagStore: Debug + Display + Send + Sync + 'static {
    /// The flag of this name, or `None`.
    ///
    /// # Behavior
    ///
    /// - `get_missing`: a missing flag is `None`, not an error.
    /// - `get_after_put`: what was put is read back equal, to the digit, with unknown fields.
    /// - `get_is_authoritative`: a `get` that begins after a write has returned sees it, from any thread, clone or connection.
    /// - `get_is_whole`: during puts of the flag a `get` returns one of them, whole, and never `None`.
    /// - `get_foreign_name`: an unusual name that no flag has, such as an empty one or one with a slash, is `None`, not an error.
    /// - `corrupt_get`: an unreadable value is returned with its version; its record is the error.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Unauthorized`. An unreadable value is no error of the call: it is in [`Stored::record`].
    async fn get(&self, name: &str) -> Result<Option<Stored>>;

    /// Writes the whole flag if [`options.when`](WriteOptions::when) holds, and returns its new version.
    ///
    /// # Behavior
    ///
    /// - `put_any`: [`Precondition::Any`] creates or replaces the flag.
    /// - `put_absent`: [`Precondition::Absent`] creates it; an existing one is a `Conflict`, and nothing changes.
    /// - `put_unchanged`: [`Precondition::Unchanged`] replaces it in that version; else that is a `Conflict`, and nothing changes.
    /// - `put_same_again`: putting the stored content again succeeds, with a valid version.
    /// - `put_version_is_read_back`: `get` and `list` return that version until the next write.
    /// - `put_new_version`: a put that changes the flag returns a new version.
    /// - `put_ordered_versions`: if [`capabilities`](Self::capabilities) has ordered versions, each put that changes the flag returns a
    ///   higher number, even after a delete.
    /// - `put_aba`: a version from before a delete and a creation with other content no longer holds.
    /// - `put_is_atomic`: of writers with the same version, or that create the same flag, one succeeds; the others get a `Conflict`.
    /// - `put_no_lost_update`: writers that read, change and put, and retry on `Conflict`, lose nothing.
    /// - `put_invalid_name`: a name over 4 KiB is `InvalidName`, and nothing is written.
    /// - `put_names_of_python`: any other name is kept to the byte, or is `InvalidName` and nothing is written.
    /// - `put_touches_one`: other flags, and their versions, stay as they are.
    /// - `put_unicode_and_long_names`: names of up to 255 bytes are kept apart, byte for byte. Those with a backslash may be
    ///   `InvalidName`.
    /// - `put_large_record`: 200 KiB of client data are kept whole.
    /// - `corrupt_put`: an unreadable value counts as existing, and is replaced as any other.
    /// - `put_dropped`: a dropped put is applied whole or not at all, and blocks no other write of the flag.
    /// - `reopen_keeps_flags`: a store that outlives the process has its flags when it is opened again, and no deleted ones.
    /// - `reopen_keeps_versions`: then a version holds if it did before.
    ///
    /// # Errors
    ///
    /// `Conflict`, `InvalidName`, `InvalidInput` for a record over the store's limits, `Unauthorized`, `Unavailable`. After the last the
    /// outcome is unknown: read the flag again.
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version>;

    /// Deletes the flag if [`options.when`](WriteOptions::when) holds, and returns the version of its absence, for ordered stores.
    ///
    /// # Behavior
    ///
    /// - `delete_existing`: `get` and `list` no longer have the flag.
    /// - `delete_missing`: with [`Precondition::Any`] a missing flag is no error, and nothing changes.
    /// - `delete_unchanged`: [`Precondition::Unchanged`] deletes it in that version; else that is a `Conflict`, and nothing changes.
    /// - `delete_absent`: with [`Precondition::Absent`] an existing flag is a `Conflict`, and a missing one no error.
    /// - `delete_aba`: as `put_aba`.
    /// - `delete_is_atomic`: of deletes and puts with the same version one succeeds; the others get a `Conflict`.
    /// - `delete_then_create`: the name can be created again, without anything of the deleted flag.
    /// - `delete_touches_one`: as `put_touches_one`.
    /// - `delete_foreign_name`: an unusual name that no flag has is a missing flag.
    /// - `delete_dropped`: as `put_dropped`.
    /// - `corrupt_delete`: an unreadable value is deleted as any other.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version>;

    /// All flags, ordered by name (by bytes).
    ///
    /// # Behavior
    ///
    /// - `list_empty`: without flags it is empty, not an error.
    /// - `list_ordered`: the order is that of the names' bytes.
    /// - `list_agrees_with_get`: every flag is there once, as `get` returns it.
    /// - `list_is_authoritative`: a `list` that begins after a write has returned sees it.
    /// - `list_is_complete`: during writes it has every flag that exists throughout, once.
    /// - `list_many`: it has no greatest length; 1,100 flags are there.
    /// - `corrupt_list`: an unreadable value is there, as `get` returns it, and hides no other flag.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Unauthorized`. An unreadable flag does not fail the list: see [`Stored::record`].
    async fn list(&self) -> Result<Vec<Stored>>;

    /// Emits changes, by any writer. The default compares `list` once a second. An error is [`WatchEvent::Lost`]; then the stream goes on
    /// trying.
    ///
    /// # Behavior
    ///
    /// - `watch_begins_with_reset`: first, or after `Serving`, comes [`WatchEvent::Reset`] with all flags, or all that a wrapper holds.
    /// - `watch_put`: a put is [`WatchEvent::Changed`], [`WatchEvent::Hint`] or a new `Reset`.
    /// - `watch_delete`: a delete is [`WatchEvent::Removed`], `Hint` or a new `Reset`.
    /// - `watch_no_gap`: every write after the call of `watch` is emitted, at the latest in the first `Reset`.
    /// - `watch_no_gap_at_start`: so is a write while the watch begins, as between a list and a subscription.
    /// - `watch_removes_nothing_else`: a flag that changes is never reported as deleted in between.
    /// - `watch_last_state`: changes in a row may be one event, but the last state is always emitted.
    /// - `watch_is_independent`: each watch emits every change, also after another one is dropped.
    /// - `watch_never_ends`: the stream never ends by itself.
    fn watch(&self) -> Watch<'_> {
        watch_by_polling(self, POLL_EVERY)
    }

    /// Like [`get`](Self::get), but a cache may answer from its copy. `fetch_enabled` uses it.
    ///
    /// # Behavior
    ///
    /// - `get_cached_asks_the_store`: without a copy the answer is that of `get`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.get(name).await
    }

    /// What this store offers, and who shares its flags. A wrapper returns its store's.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Puts many flags with the same options, one result each. Once one is `Unavailable`, the rest may be left alone with the same error:
    /// to wait for each could take hours. The default is a loop.
    ///
    /// # Behavior
    ///
    /// - `put_all_each`: each flag is put or refused on its own.
    /// - `put_all_results`: the results are in the order given, each with the version that is read back.
    ///
    /// # Errors
    ///
    /// Each as [`put`](Self::put).
    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            results.push(self.put(record, options.clone()).await);
            if give_up(&mut results, records) {
                break;
            }
        }
        results
    }

    /// All flags, unordered, with only a part in memory. An error ends the stream. The default reads [`list`](Self::list).
    ///
    /// # Behavior
    ///
    /// - `stream_agrees_with_list`: every flag is there once, as `list` returns it.
    /// - `stream_is_complete`: as `list_is_complete`.
    /// - `corrupt_stream`: as `corrupt_list`.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list), as items.
    fn stream(&self) -> FlagStream<'_> {
        whole(self)
    }

    /// Entries of the store's history, the newest first. A write and its entry are one step: neither is there without the other.
    ///
    /// # Behavior
    ///
    /// - `history_each_write`: a put and a delete are an entry each, with the flag before and after; a write that was refused or found
    ///   nothing to delete is no entry.
    /// - `history_cause`: an entry has the verb and the cause that were given, to the byte. Without them it has no cause, and the verb is
    ///   that of [`Entry::new`](crate::history::Entry::new).
    /// - `history_put_all`: each flag that a `put_all` writes is an entry of its own.
    /// - `history_of_one`: with a name it has the entries of that flag alone, also from before the flag was deleted.
    /// - `history_pages`: pages of any length have each entry once.
    /// - `history_since`: with a time it leaves out the entries whose time is before.
    /// - `history_replays`: of concurrent writers each write is there once, in the order in which they were applied.
    /// - `history_unsupported`: it is `Unsupported` if [`capabilities`](Self::capabilities) has no history.
    /// - `reopen_keeps_history`: a store that outlives the process has its history when it is opened again.
    ///
    /// # Errors
    ///
    /// `Unsupported` without a history, which is the default; `InvalidInput` for an entry's id that is not this store's, and those of
    /// [`get`](Self::get).
    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let _ = query;
        Err(no_history().with_store(self))
    }

    /// This store, if it holds its flags in this process: a client checks these, and puts a
    /// [`MirroredFeatureFlagStore`](crate::MirroredFeatureFlagStore) around any other. A wrapper that holds nothing wraps its store's.
    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        None
    }

    /// Releases connections and files, and ends the background work, of all clones. Wrappers close their store. The default does nothing:
    /// mostly the last clone's drop releases all.
    ///
    /// # Behavior
    ///
    /// - `close_twice`: closing twice is no error.
    ///
    /// # Errors
    ///
    /// If something could not be released cleanly.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// Which store this is, without a request, so without an epoch. The default is its `Display`, enough where that names the whole place.
    fn identity(&self) -> Identity {
        Identity::new(self.to_string())
    }

    /// What an operator wants to know: reachability, rights, the kind of server, how changes arrive, its clock. It writes nothing. The
    /// default lists all flags.
    async fn inspect(&self) -> Vec<Check> {
        vec![match self.list().await {
            Ok(flags) => Check::fine("flags", flags.len().to_string()),
            Err(error) => Check::fault("reachable", error.chain()),
        }]
    }
}

/// Whether a stored flag can have this name: any text of at most 4 KiB, as Python takes any. A store calls it first in
/// [`put`](FeatureFlagStore::put).
///
/// # Errors
///
/// `InvalidName`, with what is wrong.
pub fn validate_name(name: &str) -> Result<()> {
    record::validate_name(name)
}

/// Whether a flag can be created under this name: 1 to 255 bytes, without `/` and control characters. Flags with other names, from Python,
/// can be used in all other ways.
///
/// # Errors
///
/// `InvalidName`, with what is wrong and where.
pub fn validate_new_name(name: &str) -> Result<()> {
    record::validate_new_name(name)
}

pub(crate) fn no_history() -> Error {
    Error::new(ErrorKind::Unsupported).with_message("store keeps no history")
}
