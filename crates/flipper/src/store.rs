//! The contract between flags and whatever keeps them.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::Stream;

use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::inspection::{Check, Finding};
use crate::many::{FlagStream, give_up, whole};
use crate::polling::watch_by_polling;
use crate::record::{self, FlagRecord};
use crate::status::{Status, Updates};
use crate::table::FlagTable;

/// How often [`FeatureFlagStore::watch`] asks a store that cannot tell of changes.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Keeps flags. Four methods make a store: [`get`](Self::get), [`put`](Self::put), [`delete`](Self::delete) and
/// [`list`](Self::list); the others have a default.
///
/// Every sentence under `# Behavior` has a test of that name in the conformance suite (feature `conformance`), which proves
/// a store right: see `store_conformance_tests!`. Those that begin with `corrupt_` are about values that somebody else put
/// where the flags are, and `corrupt_conformance_tests!` has them.
///
/// A store is shared by threads and tasks. Futures may be dropped at any point: a write that was under way then either
/// happened whole or not at all, be it a little later. No method may wait without a limit, or hold up its thread for long.
///
/// `Display` prints what a person should read in a log, without secrets: `Redis(features)`; a wrapper prints what it wraps
/// too: `Mirrored(Redis(features))`.
#[async_trait]
pub trait FeatureFlagStore: Debug + Display + Send + Sync + 'static {
    /// The flag of this name, or `None`.
    ///
    /// # Behavior
    ///
    /// - `get_missing`: a flag that does not exist is `None`, not an error.
    /// - `get_after_put`: what was put is read back equal, in every field and to the digit, unknown fields included.
    /// - `get_is_authoritative`: a `get` that begins after a write has returned sees that write, from any thread and through
    ///   any clone or connection.
    /// - `get_is_whole`: a `get` while others write the flag is one of the flags they put, whole, and never `None`.
    /// - `get_foreign_name`: a name that is odd, such as an empty one or one with a slash, is `None` where no flag has it, not an
    ///   error.
    /// - `corrupt_get`: a value that cannot be read as a flag is there, with a version, and its record is the reason.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Unauthorized` as the store has it. A value that cannot be read is no error of the call: it is in
    /// [`Stored::record`].
    async fn get(&self, name: &str) -> Result<Option<Stored>>;

    /// Writes the whole flag if `when` holds, and tells its new version.
    ///
    /// # Behavior
    ///
    /// - `put_any`: with [`Precondition::Any`] the flag is created or replaced.
    /// - `put_absent`: with [`Precondition::Absent`] it is created; if it exists, that is a `Conflict` and nothing changes.
    /// - `put_unchanged`: with [`Precondition::Unchanged`] it is replaced if it still has that version; otherwise, or if it is
    ///   gone, that is a `Conflict` and nothing changes.
    /// - `put_same_again`: a put of what is there already succeeds as any other, and its version holds.
    /// - `put_version_is_read_back`: the version returned is the one that `get` and `list` give until the next write.
    /// - `put_new_version`: a put that makes the flag another one than before gives another version than before.
    /// - `put_aba`: a version read before a delete and a new creation with other content does not hold any more.
    /// - `put_is_atomic`: of several writers with the same version, or that want to create the same flag, one succeeds and
    ///   the others get a `Conflict`.
    /// - `put_no_lost_update`: writers that read, change and put, and retry on `Conflict`, lose nothing.
    /// - `put_invalid_name`: a name over 4 KiB is `InvalidName` and nothing is written.
    /// - `put_names_of_python`: a name of any other text, as the Python library may have given it, is kept byte for byte, or is
    ///   `InvalidName` and nothing is written.
    /// - `put_touches_one`: other flags, and their versions, stay as they are.
    /// - `put_unicode_and_long_names`: names that can be created, of up to 255 bytes, are kept apart, byte for byte.
    /// - `put_large_record`: a flag with 200 KiB of client data is kept whole.
    /// - `corrupt_put`: a value that cannot be read is there for the precondition, and is replaced as any other.
    /// - `put_dropped`: a put that is dropped half-way happened whole or not at all, and others can write the flag then.
    ///
    /// # Errors
    ///
    /// `Conflict` if `when` does not hold, `InvalidName`, `InvalidInput` for a record over the store's limits, `Unavailable`,
    /// `Unauthorized`. After `Unavailable` the outcome is unknown: read the flag again.
    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version>;

    /// Deletes the flag if `when` holds, and tells the version of its absence (of use to ordered stores only).
    ///
    /// # Behavior
    ///
    /// - `delete_existing`: the flag is gone from `get` and `list`.
    /// - `delete_missing`: with [`Precondition::Any`] a missing flag is no error, and nothing changes.
    /// - `delete_unchanged`: with [`Precondition::Unchanged`] it is deleted if it still has that version; otherwise, or if it is
    ///   gone, that is a `Conflict` and nothing changes.
    /// - `delete_absent`: with [`Precondition::Absent`] an existing flag is a `Conflict` and a missing one is no error.
    /// - `delete_aba`: as `put_aba`.
    /// - `delete_is_atomic`: of several deletes and puts with the same version one succeeds and the others get a `Conflict`.
    /// - `delete_then_create`: the name can be created anew, and has nothing of the old flag.
    /// - `delete_touches_one`: other flags, and their versions, stay as they are.
    /// - `delete_foreign_name`: a name that is odd, and that no flag has, is as a missing flag.
    /// - `delete_dropped`: a delete that is dropped half-way happened or did not, and others can write the flag then.
    /// - `corrupt_delete`: a value that cannot be read is deleted as any other.
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
    /// - `list_is_complete`: a `list` while others write has every flag that is there all the time, once.
    /// - `list_many`: the list has no greatest length; 1,100 flags are there.
    /// - `corrupt_list`: a value that cannot be read is in the list, as `get` gives it, and does not keep the others from it.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Unauthorized`. One flag that cannot be read does not fail the list: see [`Stored::record`].
    async fn list(&self) -> Result<Vec<Stored>>;

    /// Tells of changes, whoever makes them. The default compares `list` once a second.
    ///
    /// Errors are told as [`WatchEvent::Lost`], and the stream goes on trying.
    ///
    /// # Behavior
    ///
    /// - `watch_begins_with_reset`: the first event is [`WatchEvent::Reset`] with all flags, or `Serving` and then that; of a
    ///   wrapper that holds flags, with all that it holds.
    /// - `watch_put`: a put is told as [`WatchEvent::Changed`], or as a [`WatchEvent::Hint`] or a new `Reset`.
    /// - `watch_delete`: a delete is told as [`WatchEvent::Removed`], or as a `Hint` or a new `Reset`.
    /// - `watch_no_gap`: what is written after the call of `watch` is told, be it in the first `Reset`.
    /// - `watch_last_state`: changes in a row may be told as one, but the last state is always told.
    /// - `watch_is_independent`: each watch is told of every change; that one is dropped does not concern the others.
    /// - `watch_never_ends`: the stream goes on for as long as it is held.
    fn watch(&self) -> Watch<'_> {
        watch_by_polling(self, POLL_EVERY)
    }

    /// Like [`get`](Self::get), but a cache may answer from its copy. `fetch_enabled` uses it.
    ///
    /// # Behavior
    ///
    /// - `get_cached_asks_the_store`: a flag that no copy is held of is what `get` gives.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.get(name).await
    }

    /// Whether the Python library `flipper-client` may read and write the same flags. If so, a write warns (by `tracing`) of
    /// what Python cannot load or would drop. `false` by default; a wrapper says what its store says.
    fn is_shared_with_python(&self) -> bool {
        false
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

    /// All flags one by one, in no order: of many flags only a part is in memory at once. An error ends the stream. The default
    /// reads [`list`](Self::list) whole.
    ///
    /// # Behavior
    ///
    /// - `stream_agrees_with_list`: every flag is there once, as `list` gives it, however many there are.
    /// - `stream_is_complete`: a stream while others write has every flag that is there all the time, once.
    /// - `corrupt_stream`: a value that cannot be read is there, as `get` gives it, and does not keep the others from it.
    ///
    /// # Errors
    ///
    /// Its items' are those of [`list`](Self::list).
    fn stream(&self) -> FlagStream<'_> {
        whole(self)
    }

    /// Which store this is, without asking it: no epoch. The default is what it prints, which is enough where that names the
    /// whole place.
    fn identity(&self) -> Identity {
        Identity::new(self.to_string())
    }

    /// Asks the store what an operator wants to know: whether it can be reached and by which rights, what kind of server it is,
    /// how changes arrive, how its clock goes. It changes nothing that is kept. The default lists all flags.
    async fn inspect(&self) -> Vec<Check> {
        vec![match self.list().await {
            Ok(flags) => Check::new("flags", Finding::Fine, flags.len().to_string()),
            Err(error) => Check::new("reachable", Finding::Fault, error.chain()),
        }]
    }
}

/// A store that holds all its flags in this process, in a [`FlagTable`], and keeps that table current: what
/// [`FeatureFlagClient::new`](crate::FeatureFlagClient::new) needs, so that checks are reads of memory.
///
/// The sentences under `# Behavior` are proved by `local_store_conformance_tests!`.
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

    /// Ends the background work and releases connections and files. Checks go on with the last known flags; writes are
    /// `Unavailable` from then on.
    ///
    /// # Behavior
    ///
    /// - `close_keeps_flags`: the table has the flags that it had.
    /// - `close_refuses_writes`: puts and deletes are `Unavailable` from then on, and the table stays as it is.
    /// - `close_is_stale`: the status is `Stale` from then on.
    /// - `close_twice`: closing twice is no error.
    ///
    /// # Errors
    ///
    /// If something could not be released in good order.
    async fn close(&self) -> Result<()>;
}

/// Under what condition a write happens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// Always.
    Any,
    /// If there is no such flag.
    Absent,
    /// If the flag exists and has this version.
    Unchanged(Version),
}

impl Precondition {
    /// Whether it holds for a flag of this version; `None` where there is no flag.
    ///
    /// ```
    /// use flipper::{Precondition, Version};
    ///
    /// let version = Version::ordered(7);
    /// assert!(Precondition::Unchanged(version.clone()).holds(Some(&version)));
    /// assert!(!Precondition::Absent.holds(Some(&version)));
    /// assert!(Precondition::Any.holds(None));
    /// ```
    #[must_use]
    pub fn holds(&self, current: Option<&Version>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Unchanged(version) => current == Some(version),
        }
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

/// One state of one flag, as its store tells states apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Version(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Ordered(u64),
    /// Up to so many bytes, and their number: a digest has no memory of its own.
    Short(u8, [u8; SHORT]),
    Long(Arc<[u8]>),
}

/// With these a version is no larger than without.
const SHORT: usize = 22;

impl Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Ordered(number) => write!(f, "Ordered({number})"),
            _ => write!(f, "Opaque(b\"{}\")", self.as_opaque().unwrap_or_default().escape_ascii()),
        }
    }
}

impl Version {
    /// For stores that count their writes: the greater is the newer. A number must never be used twice for one name, across
    /// deletion and re-creation too: count for the store, not for the flag.
    #[must_use]
    pub const fn ordered(number: u64) -> Self {
        Self(Repr::Ordered(number))
    }

    /// For stores that can only compare content: equal bytes mean equal content, and nothing says which is newer.
    #[must_use]
    pub fn opaque(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut short = [0; SHORT];
        match (u8::try_from(bytes.len()), short.get_mut(..bytes.len())) {
            (Ok(length), Some(start)) => {
                start.copy_from_slice(bytes);
                Self(Repr::Short(length, short))
            }
            _ => Self(Repr::Long(Arc::from(bytes))),
        }
    }

    /// The number of an ordered version.
    #[must_use]
    pub const fn as_ordered(&self) -> Option<u64> {
        match self.0 {
            Repr::Ordered(number) => Some(number),
            Repr::Short(..) | Repr::Long(_) => None,
        }
    }

    /// The bytes of an opaque version.
    #[must_use]
    pub fn as_opaque(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Ordered(_) => None,
            Repr::Short(length, bytes) => bytes.get(..usize::from(*length)),
            Repr::Long(bytes) => Some(bytes),
        }
    }
}

/// A flag as a store holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The name that it is stored under.
    pub name: String,
    /// Which of its states this is.
    pub version: Version,
    /// The flag, or why what is stored cannot be read as one. That is this flag's problem alone.
    pub record: Result<Arc<FlagRecord>, Corrupt>,
}

impl Stored {
    /// Reads a stored value; one that is no flag becomes a [`Corrupt`] record.
    #[must_use]
    pub fn from_json(name: impl Into<String>, version: Version, value: &[u8]) -> Self {
        let record = FlagRecord::from_json(value).map(Arc::new).map_err(|error| Corrupt::new(error.to_string()));
        Self { name: name.into(), version, record }
    }

    /// The record, for a caller who cannot do without.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with the flag's name.
    pub fn readable(&self) -> Result<&Arc<FlagRecord>> {
        self.record.as_ref().map_err(|corrupt| Error::from(corrupt.clone()).with_flag(&self.name))
    }
}

/// Why a stored value cannot be read as a flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Corrupt {
    reason: Arc<str>,
}

impl Corrupt {
    /// The reason says what was wrong and where; lower case, no full stop.
    #[must_use]
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self { reason: Arc::from(reason.as_ref()) }
    }

    /// What was wrong, and where.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(crate::ErrorKind::Corrupt).with_source(corrupt)
    }
}

/// The events of [`FeatureFlagStore::watch`].
pub type Watch<'a> = Pin<Box<dyn Stream<Item = WatchEvent> + Send + 'a>>;

/// One event of [`FeatureFlagStore::watch`].
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// These are all the flags; forget the others.
    Reset {
        /// All flags, in no order. Of two with the same name the later one counts.
        flags: Vec<Stored>,
        /// When the read of them was sent, at the earliest; needed with opaque versions.
        read_at: Option<Instant>,
        /// How long after `read_at` they may be called current without a [`WatchEvent::Confirmed`], where the store sends those.
        valid_for: Option<Duration>,
    },
    /// This flag is new or has changed.
    Changed {
        /// Its new state.
        flag: Stored,
        /// When the read of it was sent, at the earliest. With an opaque version and no such time, the event is only a hint.
        read_at: Option<Instant>,
    },
    /// This flag is gone.
    Removed {
        /// Its name.
        name: String,
        /// The version of its absence, where the store counts.
        version: Option<Version>,
        /// As in [`WatchEvent::Changed`].
        read_at: Option<Instant>,
    },
    /// Something happened to this flag: read it again.
    Hint {
        /// Its name.
        name: String,
    },
    /// A doubt begins: what was told before may not be so any more. The connection is lost, an index went back, another server
    /// answers. The watch goes on trying. Told again when the reason is another one.
    Lost(Error),
    /// The store can be followed again, and a [`WatchEvent::Reset`] comes next.
    Restored,
    /// A store that polls has read all flags: these are their versions, and every difference from what it had read before was
    /// told. Who holds something else read it in between, or wrote it, and reads that flag again.
    Compared {
        /// The versions by the flags' names.
        versions: Arc<BTreeMap<String, Version>>,
    },
    /// Every change that was made before `at` has been told. A store that pushes says so each time it hears of its server,
    /// changes or not; who holds flags calls them stale once `valid_for` is over without the next such word.
    Confirmed {
        /// When the request was sent, or the push came, that shows it.
        at: Instant,
        /// How long that may be taken to hold.
        valid_for: Duration,
    },
    /// Which server answers from here on, its epoch included; told before a [`WatchEvent::Reset`].
    Serving(Identity),
    /// This is how changes arrive from here on; told after a [`WatchEvent::Reset`] by stores that have several ways.
    Following(Updates),
}

macro_rules! forward_store {
    ($($pointer:ident),+) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: FeatureFlagStore + ?Sized> FeatureFlagStore for $pointer<S> {
            async fn get(&self, name: &str) -> Result<Option<Stored>> {
                (**self).get(name).await
            }
            async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
                (**self).put(record, when).await
            }
            async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
                (**self).delete(name, when).await
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
            fn is_shared_with_python(&self) -> bool {
                (**self).is_shared_with_python()
            }
            async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
                (**self).put_all(records, when).await
            }
            fn stream(&self) -> FlagStream<'_> {
                (**self).stream()
            }
            fn identity(&self) -> Identity {
                (**self).identity()
            }
            async fn inspect(&self) -> Vec<Check> {
                (**self).inspect().await
            }
        }

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
            async fn close(&self) -> Result<()> {
                (**self).close().await
            }
        }
    )+};
}

forward_store!(Arc, Box);
