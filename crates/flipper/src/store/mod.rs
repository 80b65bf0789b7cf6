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
#[cfg(any(feature = "sqlite", feature = "redis", feature = "consul", feature = "thrift"))]
pub(crate) use self::many::pages;
pub(crate) use self::many::{give_up, whole};
pub use self::polling::watch_by_polling;
#[cfg(feature = "redis")]
pub(crate) use self::polling::{differences, versions};
use crate::error::Result;
pub use crate::identity::Identity;
pub use crate::inspection::{Check, Finding};
use crate::record::{self, FlagRecord};
pub use crate::state::{
    Capabilities, Corrupt, Health, Precondition, Status, Stored, Updates, Version, Watch, WatchEvent,
};
pub use crate::table::FlagTable;

/// How often [`FeatureFlagStore::watch`] asks a store that does not report changes.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Keeps flags. Four methods make a store: [`get`](Self::get), [`put`](Self::put), [`delete`](Self::delete) and
/// [`list`](Self::list). Each of the others has a default, and adds one thing:
///
/// | method | what it adds |
/// |---|---|
/// | [`watch`](Self::watch) | changes are emitted when they happen, not once a second |
/// | [`capabilities`](Self::capabilities) | what sets this store apart |
/// | [`stream`](Self::stream), [`put_all`](Self::put_all) | many flags with little memory, or in few round trips |
/// | [`identity`](Self::identity), [`inspect`](Self::inspect) | what operators read |
/// | [`get_cached`](Self::get_cached), [`local`](Self::local) | for wrappers: a copy, or all flags in memory |
/// | [`close`](Self::close) | an orderly end |
///
/// Every sentence under `# Behavior` has a test of that name in the conformance suite (feature `conformance`): see
/// `store_conformance_tests!`. Those that begin with `corrupt_` are about foreign values in the place of flags: see
/// `corrupt_conformance_tests!`.
///
/// A store is shared by threads and tasks. Futures may be dropped at any point: a pending write is then either
/// applied whole, possibly later, or has no effect. No method may wait without a limit, or block its thread for long.
///
/// `Display` prints what a person should read in a log, without secrets: `Redis(features)`, or in a wrapper `Mirrored(Redis(features))`.
#[async_trait]
pub trait FeatureFlagStore: Debug + Display + Send + Sync + 'static {
    /// The flag of this name, or `None`.
    ///
    /// # Behavior
    ///
    /// - `get_missing`: a flag that does not exist is `None`, not an error.
    /// - `get_after_put`: what was put is read back equal, in every field and to the digit, unknown fields included.
    /// - `get_is_authoritative`: a `get` that begins after a write has returned sees that write, from any thread, clone or connection.
    /// - `get_is_whole`: a `get` concurrent with puts of the flag returns one of the flags put, whole, and never `None`.
    /// - `get_foreign_name`: an unusual name, such as an empty one or one with a slash, is `None` if no flag has it, not an error.
    /// - `corrupt_get`: an unreadable value is returned with its version; its record is the error.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Unauthorized`. A value that cannot be read is no error of the call: it is in [`Stored::record`].
    async fn get(&self, name: &str) -> Result<Option<Stored>>;

    /// Writes the whole flag if `when` holds, and gives its new version.
    ///
    /// # Behavior
    ///
    /// - `put_any`: with [`Precondition::Any`] the flag is created or replaced.
    /// - `put_absent`: with [`Precondition::Absent`] it is created; if it exists, that is a `Conflict` and nothing changes.
    /// - `put_unchanged`: with [`Precondition::Unchanged`] it is replaced if it has that version; else that is a `Conflict`: nothing
    ///   changes.
    /// - `put_same_again`: putting the stored content again succeeds and returns a valid version.
    /// - `put_version_is_read_back`: the version returned is the one that `get` and `list` give until the next write.
    /// - `put_new_version`: a put that changes the flag returns a new version.
    /// - `put_ordered_versions`: if [`capabilities`](Self::capabilities) has ordered versions, each put of a flag that changes it returns a
    ///   higher number than the one before, even if it was deleted in between.
    /// - `put_aba`: a version read before a delete and a new creation with other content does not hold any more.
    /// - `put_is_atomic`: of several writers with the same version, or that create the same flag, one succeeds; the others get a
    ///   `Conflict`.
    /// - `put_no_lost_update`: writers that read, change and put, and retry on `Conflict`, lose nothing.
    /// - `put_invalid_name`: a name over 4 KiB is `InvalidName` and nothing is written.
    /// - `put_names_of_python`: any other name, as the Python library may give it, is kept to the byte, or is `InvalidName`: nothing is
    ///   written.
    /// - `put_touches_one`: other flags, and their versions, stay as they are.
    /// - `put_unicode_and_long_names`: names that can be created, of up to 255 bytes, are kept apart, byte for byte.
    /// - `put_large_record`: a flag with 200 KiB of client data is kept whole.
    /// - `corrupt_put`: an unreadable value counts as existing for the precondition, and is replaced as any other.
    /// - `put_dropped`: a put that is dropped half-way is applied whole or not at all, and does not block other writes of the flag.
    /// - `reopen_keeps_flags`: a store that keeps flags beyond the process has them when it is opened again, without the deleted ones.
    /// - `reopen_keeps_versions`: a version read before still holds then, and one that did not hold does not.
    ///
    /// # Errors
    ///
    /// `Conflict` if `when` does not hold, `InvalidName`, `InvalidInput` for a record over the store's limits, `Unavailable`,
    /// `Unauthorized`. After `Unavailable` the outcome is unknown: read the flag again.
    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version>;

    /// Deletes the flag if `when` holds, and gives the version of its absence (of use to ordered stores only).
    ///
    /// # Behavior
    ///
    /// - `delete_existing`: the flag is gone from `get` and `list`.
    /// - `delete_missing`: with [`Precondition::Any`] a missing flag is no error, and nothing changes.
    /// - `delete_unchanged`: with [`Precondition::Unchanged`] it is deleted if it has that version; else that is a `Conflict`: nothing
    ///   changes.
    /// - `delete_absent`: with [`Precondition::Absent`] an existing flag is a `Conflict` and a missing one is no error.
    /// - `delete_aba`: as `put_aba`.
    /// - `delete_is_atomic`: of several deletes and puts with the same version one succeeds and the others get a `Conflict`.
    /// - `delete_then_create`: the name can be created again, without anything of the deleted flag.
    /// - `delete_touches_one`: other flags, and their versions, stay as they are.
    /// - `delete_foreign_name`: an unusual name that no flag has is treated as a missing flag.
    /// - `delete_dropped`: a delete that is dropped half-way is applied or not, and does not block other writes of the flag.
    /// - `corrupt_delete`: an unreadable value is deleted as any other.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    async fn delete(&self, name: &str, when: Precondition) -> Result<Version>;

    /// All flags, ordered by name (by bytes).
    ///
    /// # Behavior
    ///
    /// - `list_empty`: a store without flags gives an empty list, not an error.
    /// - `list_ordered`: the order is that of the names' bytes.
    /// - `list_agrees_with_get`: every flag is there once, as `get` gives it.
    /// - `list_is_authoritative`: a `list` that begins after a write has returned sees that write.
    /// - `list_is_complete`: a `list` concurrent with writes has every flag that exists throughout, once.
    /// - `list_many`: the list has no greatest length; 1,100 flags are there.
    /// - `corrupt_list`: an unreadable value is in the list, as `get` returns it, and hides no other flag.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Unauthorized`. One flag that cannot be read does not fail the list: see [`Stored::record`].
    async fn list(&self) -> Result<Vec<Stored>>;

    /// Reports changes, no matter who makes them. The default compares `list` once a second.
    ///
    /// Errors are reported as [`WatchEvent::Lost`], and the stream goes on trying.
    ///
    /// # Behavior
    ///
    /// - `watch_begins_with_reset`: first, or after `Serving`, comes [`WatchEvent::Reset`] with all flags, or all that a wrapper holds.
    /// - `watch_put`: a put is reported as [`WatchEvent::Changed`], or as a [`WatchEvent::Hint`] or a new `Reset`.
    /// - `watch_delete`: a delete is reported as [`WatchEvent::Removed`], or as a `Hint` or a new `Reset`.
    /// - `watch_no_gap`: every write made after the call of `watch` is reported, at the latest in the first `Reset`.
    /// - `watch_no_gap_at_start`: so is a write made while the watch begins, for example between a list and a subscription.
    /// - `watch_removes_nothing_else`: a flag that changes is never reported as gone in between.
    /// - `watch_last_state`: changes in a row may be reported as one, but the last state is always reported.
    /// - `watch_is_independent`: each watch reports every change, also after another one is dropped.
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

    /// What this store offers, and who shares its flags. A wrapper returns what its store does.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Puts many flags under one precondition, one result each, in order. Once one finds the store `Unavailable`, the rest may be
    /// left alone, with the same error: to wait for each could take hours. The default is a loop.
    ///
    /// # Behavior
    ///
    /// - `put_all_each`: each flag is put or refused on its own; one refusal does not keep the others from being written.
    /// - `put_all_results`: there is one result for each flag, in the order given, with the version that is read back.
    ///
    /// # Errors
    ///
    /// Each as [`put`](Self::put).
    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            results.push(self.put(record, when.clone()).await);
            if give_up(&mut results, records) {
                break;
            }
        }
        results
    }

    /// All flags one by one, unordered, with only a part in memory. An error ends the stream. The default reads [`list`](Self::list).
    ///
    /// # Behavior
    ///
    /// - `stream_agrees_with_list`: every flag is there once, as `list` gives it, however many there are.
    /// - `stream_is_complete`: a stream concurrent with writes has every flag that exists throughout, once.
    /// - `corrupt_stream`: an unreadable value is in the stream, as `get` returns it, and hides no other flag.
    ///
    /// # Errors
    ///
    /// Its items' are those of [`list`](Self::list).
    fn stream(&self) -> FlagStream<'_> {
        whole(self)
    }

    /// This store as one that holds its flags in this process, if it does: a client then checks these, and wraps any other store in a
    /// [`MirroredFeatureFlagStore`](crate::MirroredFeatureFlagStore). `None` by default; a wrapper that holds nothing wraps what its store
    /// gives.
    fn local(&self) -> Option<Arc<dyn LocalFeatureFlagStore>> {
        None
    }

    /// Releases connections and files, and ends the background work, of all clones. Wrappers close the store that they wrap. The default
    /// does nothing: most stores release all that they have when the last clone is dropped.
    ///
    /// # Behavior
    ///
    /// - `close_twice`: closing twice is no error.
    ///
    /// # Errors
    ///
    /// If something could not be released in good order.
    async fn close(&self) -> Result<()> {
        Ok(())
    }

    /// Which store this is, without asking it: no epoch. The default is what it prints, which is enough where that names the whole place.
    fn identity(&self) -> Identity {
        Identity::new(self.to_string())
    }

    /// Asks the store what an operator wants to know: whether it can be reached and by which rights, what kind of server it is,
    /// how changes arrive, how its clock goes. It changes nothing that is kept. The default lists all flags.
    async fn inspect(&self) -> Vec<Check> {
        vec![match self.list().await {
            Ok(flags) => Check::fine("flags", flags.len().to_string()),
            Err(error) => Check::fault("reachable", error.chain()),
        }]
    }
}

/// Whether a stored flag can have this name: the Python library takes any text, and here it may have up to 4 KiB. A store calls
/// it in [`put`](FeatureFlagStore::put), before anything else.
///
/// # Errors
///
/// `InvalidName`, with what is wrong.
pub fn validate_name(name: &str) -> Result<()> {
    record::validate_name(name)
}

/// Whether a flag can be created under this name: 1 to 255 bytes, with no `/` and no control character.
/// [`FeatureFlagClient::create`](crate::FeatureFlagClient::create) asks. Flags that have another name, from the Python library,
/// can be checked, changed, moved and destroyed like all others.
///
/// # Errors
///
/// `InvalidName`, with what is wrong and where.
pub fn validate_new_name(name: &str) -> Result<()> {
    record::validate_new_name(name)
}
