mod cell;
mod changes;
mod dependents;
mod generation;
mod growth;
mod index;
mod slot;
mod slots;
mod timer;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::broadcast;

pub(crate) use self::changes::About;
pub use self::changes::{Change, Changes};
pub(crate) use self::changes::{TableEvent, table_events};
use self::dependents::Dependents;
use self::growth::Growth;
use self::index::Index;
pub(crate) use self::slot::{Answer, Entry, Slot, State};
pub(crate) use self::slots::{SlotHandle, SlotRef};
use self::timer::{Scheduled, Timer};
use crate::evaluation::{Linked, Links};
use crate::lock::Mutex;
use crate::record::{FlagRecord, Kept};
use crate::state::{Corrupt, Stored, Version, Watch, WatchEvent};

/// For the log.
pub(crate) const BY_LIST: &str = "list of all flags";
/// For a deletion of unknown version; older than any other.
const UNKNOWN: Version = Version::ordered(0);
/// A receiver further behind than this lags.
const CHANGES_KEPT: usize = 1024;

/// The flags in memory: checks read it, and a [`LocalFeatureFlagStore`] keeps it current.
///
/// Reads take no lock and write to no shared memory. Writers take turns. A write costs the same for any number of flags: the
/// table grows in small steps. With one exception: while a mirror makes room for more flags than twice the table's, a new name that finds the
/// table full makes all the rest of that room.
///
/// Names are never removed: each takes 130 to 180 bytes, plus its length if over 38, and with flags that one comparison decides up to
/// 48 more. Reading a missing name adds nothing.
///
/// ```
/// use flipper::FlagRecord;
/// use flipper::store::{FlagTable, Stored, Version};
///
/// let table = FlagTable::new();
/// let record = FlagRecord::new("CHECKOUT", 1_700_000_000);
/// let stored = |number| Stored { name: "CHECKOUT".into(), version: Version::ordered(number), record: Ok(record.clone().into()) };
///
/// assert!(table.apply(stored(7)));
/// assert!(!table.apply(stored(6)), "older than the present state");
/// assert_eq!(table.get("CHECKOUT").unwrap().version, Version::ordered(7));
/// ```
///
/// [`LocalFeatureFlagStore`]: crate::store::LocalFeatureFlagStore
pub struct FlagTable {
    index: Index,
    writer: Mutex<Writer>,
    changes: broadcast::Sender<TableEvent>,
    revision: AtomicU64,
    timer: Timer,
}

#[derive(Default)]
struct Writer {
    /// Changed while other flags are linked, so in a cell.
    growth: RefCell<Growth>,
    corrupt: BTreeMap<String, Corrupt>,
    scheduled: Scheduled,
    dependents: Dependents,
    strict: bool,
}

impl FlagTable {
    /// A table without flags.
    #[must_use]
    pub fn new() -> Self {
        Self {
            index: Index::new(),
            writer: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES_KEPT),
            revision: AtomicU64::new(0),
            timer: Timer::default(),
        }
    }

    #[cfg(all(test, feature = "thrift"))]
    pub(crate) fn keeping(changes: usize) -> Self {
        Self {
            index: Index::new(),
            writer: Mutex::default(),
            changes: broadcast::Sender::new(changes),
            revision: AtomicU64::new(0),
            timer: Timer::default(),
        }
    }

    /// The flag of this name, if there is one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Stored> {
        self.index.get(name)?.entry().as_ref()?.to_stored(name)
    }

    /// As [`get`](Self::get), without making a record.
    pub(crate) fn kept(&self, name: &str) -> Option<(Version, Result<Kept, Corrupt>)> {
        let entry = self.index.get(name)?.get().entry();
        let entry = entry.as_ref()?;
        Some((entry.version.clone(), entry.state.kept()?))
    }

    /// All flags, ordered by name.
    #[must_use]
    pub fn list(&self) -> Vec<Stored> {
        let mut all: Vec<_> = self.slots().filter_map(|slot| slot.entry().as_ref()?.to_stored(slot.name())).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Takes in a state of a flag, if its version is opaque, or newer than the table's; returns whether it did. Of opaque ones the caller
    /// knows which is newer.
    pub fn apply(&self, stored: Stored) -> bool {
        let Stored { name, version, record } = stored;
        self.take_newer(&name, version, Some(record))
    }

    /// Takes in a deletion, as [`apply`](Self::apply).
    pub fn remove(&self, name: &str, version: Version) -> bool {
        self.take_newer(name, version, None)
    }

    /// Takes in a state that the caller knows is newer. `way`: for the log.
    pub(crate) fn replace(
        &self,
        name: &str,
        version: Version,
        record: Result<Arc<FlagRecord>, Corrupt>,
        way: &'static str,
    ) {
        let mut writer = self.writer.lock();
        let entry = self.entry(&writer, name, version, record);
        self.put(&mut writer, name, entry, way);
    }

    pub(crate) fn read_strictly(&self) {
        let mut writer = self.writer.lock();
        writer.strict = true;
        for slot in self.index.slots() {
            let strict = slot.entry().as_ref().and_then(|entry| entry.to_stored(slot.name()));
            if let Some(Stored { version, record, .. }) = strict {
                let entry = self.entry(&writer, slot.name(), version, record);
                writer.dependents.set(slot, Some(Arc::new(entry)));
            }
        }
        self.revision.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn make_room(&self, flags: usize) {
        while !self.index.make_room(&mut self.writer.lock().growth.borrow_mut(), flags) {
            // A writer that waits may go first, though the lock does not promise it.
            std::thread::yield_now();
        }
    }

    pub(crate) fn replace_or_remove(&self, name: &str, state: Option<Stored>, way: &'static str) {
        match state {
            Some(flag) => self.replace(&flag.name, flag.version, flag.record, way),
            None => self.take_away(name, None, way),
        }
    }

    /// Removes the flag whatever its version. `number`: of the deletion, if known.
    pub(crate) fn take_away(&self, name: &str, number: Option<u64>, way: &'static str) {
        // An unknown name needs no tombstone.
        if let Some(slot) = self.index.get(name) {
            let version = number.map_or(UNKNOWN, Version::ordered);
            self.set(&mut self.writer.lock(), slot, Entry::absent(version), way);
        }
    }

    pub(crate) fn emit(&self, event: TableEvent) {
        let _writer = self.writer.lock();
        self.send(|| event);
    }

    /// Replaces all flags, whatever their versions: the store was replaced or restarted empty, and its numbers start again.
    pub fn reset(&self, flags: Vec<Stored>) {
        let mut writer = self.writer.lock();
        let kept: HashSet<&str, RandomState> = flags.iter().map(|flag| flag.name.as_str()).collect();
        let gone = Entry::absent(UNKNOWN);
        let (mut held, mut vanished) = (0, 0);
        for slot in self.index.slots() {
            let existed = slot.exists();
            held += usize::from(existed);
            if kept.contains(slot.name()) {
                continue;
            }
            // No tombstone: the store's next number could be lower.
            writer.dependents.set(slot, None);
            if existed {
                vanished += 1;
                self.report(&mut writer, slot.name(), &gone, BY_LIST);
            }
        }
        drop(kept);
        for Stored { name, version, record } in flags {
            let entry = self.entry(&writer, &name, version, record);
            self.put(&mut writer, &name, entry, BY_LIST);
        }
        warn_of_vanished(held, vanished);
        self.send(|| TableEvent::Reset);
    }

    /// Counts changes: what is made from these flags is current as long as the number that was read before is the same.
    #[doc(hidden)]
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// The unreadable flags, by name.
    #[must_use]
    pub fn corrupt(&self) -> Vec<(String, Corrupt)> {
        self.writer.lock().corrupt.iter().map(|(name, corrupt)| (name.clone(), corrupt.clone())).collect()
    }

    #[inline]
    pub(crate) fn slot(&self, name: &str) -> Option<SlotRef<'_>> {
        self.index.get(name)
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotRef<'_>> {
        self.index.slots()
    }

    pub(crate) fn changes(self: &Arc<Self>) -> Changes {
        Changes::new(Arc::downgrade(self), self.changes.subscribe())
    }

    /// For [`FeatureFlagStore::watch`](crate::FeatureFlagStore::watch) of a store whose table is always current.
    pub(crate) fn watch(self: &Arc<Self>) -> Watch<'static> {
        let (flags, receiver) = self.snapshot_and_changes();
        Box::pin(
            stream::iter([WatchEvent::Reset { flags, read_at: None, valid_for: None }])
                .chain(self.events(receiver, || (None, None))),
        )
    }

    /// A receiver's events as those of a watch. Each shows the table's state when it is received, never an older one.
    ///
    /// `confirmed`: up to when the table has all changes, and how long that holds.
    pub(crate) fn events<F: Fn() -> (Option<Instant>, Option<Duration>) + Send>(
        self: &Arc<Self>,
        receiver: broadcast::Receiver<TableEvent>,
        confirmed: F,
    ) -> impl Stream<Item = WatchEvent> + Send + use<F> {
        let table = Arc::downgrade(self);
        table_events(table.clone(), receiver).filter_map(move |event| {
            let event = match event {
                // After a reset versions start again.
                TableEvent::Change(Change::Snapshot(_)) | TableEvent::Reset => {
                    // Before the list, which then has everything confirmed.
                    let (read_at, valid_for) = confirmed();
                    table.upgrade().map(|table| WatchEvent::Reset { flags: table.list(), read_at, valid_for })
                }
                TableEvent::Change(Change::Lagged { .. }) => None,
                TableEvent::Hint(name) => Some(WatchEvent::Hint { name: name.into() }),
                TableEvent::Store(about) => Some(about.into()),
                TableEvent::Change(
                    Change::Set { name, .. } | Change::Corrupt { name, .. } | Change::Removed { name },
                ) => table.upgrade().and_then(|table| table.event(name)),
            };
            std::future::ready(event)
        })
    }

    fn event(&self, name: String) -> Option<WatchEvent> {
        let entry = self.index.get(&name)?.get().entry();
        let entry = entry.as_ref()?;
        Some(match entry.to_stored(&name) {
            Some(flag) => WatchEvent::Changed { flag, read_at: None },
            None => {
                // It is no number of the store's.
                let version = Some(entry.version.clone()).filter(|version| *version != UNKNOWN);
                WatchEvent::Removed { name, version, read_at: None }
            }
        })
    }

    pub(crate) fn snapshot_and_changes(&self) -> (Vec<Stored>, broadcast::Receiver<TableEvent>) {
        let _no_change_in_between = self.writer.lock();
        (self.list(), self.changes.subscribe())
    }

    /// `record`: `None` for a deletion.
    fn take_newer(&self, name: &str, version: Version, record: Option<Result<Arc<FlagRecord>, Corrupt>>) -> bool {
        let mut writer = self.writer.lock();
        let old = self.index.get(name).map(|slot| slot.entry());
        let old = old.as_ref().and_then(|old| old.as_ref());
        if old.is_some_and(|old| is_older_or_same(&version, &old.version)) {
            return false;
        }
        let entry = match record {
            Some(record) => self.entry(&writer, name, version, record),
            None => Entry::absent(version),
        };
        self.put(&mut writer, name, entry, "store");
        true
    }

    fn put(&self, writer: &mut Writer, name: &str, entry: Entry, way: &'static str) {
        if let Some(slot) = self.index.get(name) {
            return self.set(writer, slot, entry, way);
        }
        let entry = Arc::new(entry);
        // A flag that needs it would have added the name.
        let slot = self.add(writer, name, Some(entry.clone()));
        writer.dependents.add(slot, &entry);
        if !entry.is_absent() {
            self.report(writer, name, &entry, way);
        }
    }

    fn entry(&self, writer: &Writer, name: &str, version: Version, record: Result<Arc<FlagRecord>, Corrupt>) -> Entry {
        Entry::new(name, version, record, writer.strict, &Linker { table: self, writer })
    }

    fn add(&self, writer: &Writer, name: &str, entry: Option<Arc<Entry>>) -> SlotRef<'_> {
        self.index.insert(&mut writer.growth.borrow_mut(), name, entry)
    }

    fn set(&self, writer: &mut Writer, slot: SlotRef<'_>, entry: Entry, way: &'static str) {
        let unchanged = slot.entry().as_ref().map_or(entry.is_absent(), |old| old.is_same_state(&entry));
        let entry = Arc::new(entry);
        writer.dependents.set(slot, Some(entry.clone()));
        if !unchanged {
            self.report(writer, slot.name(), &entry, way);
        }
    }

    fn report(&self, writer: &mut Writer, name: &str, entry: &Entry, way: &'static str) {
        let was_corrupt = !writer.corrupt.is_empty() && writer.corrupt.remove(name).is_some();
        match &entry.state {
            State::Corrupt(corrupt) => {
                writer.corrupt.insert(name.to_owned(), corrupt.clone());
                tracing::warn!(flag = name, reason = corrupt.reason(), "flag cannot be read, and is off");
            }
            _ if was_corrupt => tracing::info!(flag = name, "flag can be read again, or was deleted"),
            _ => {}
        }
        tracing::debug!(flag = name, state = entry.state.describe(), way, "flag has changed");
        self.schedule(&mut writer.scheduled, name, &entry.state);
        // After the flag itself, before the event.
        self.revision.fetch_add(1, Ordering::Release);
        self.send(|| TableEvent::Change(Change::of(name, entry)));
    }

    fn send(&self, event: impl FnOnce() -> TableEvent) {
        if self.changes.receiver_count() > 0 {
            // The last receiver may be dropped by now.
            let _ = self.changes.send(event());
        }
    }
}

/// Finds the flags that another one needs, while the table is locked. A missing one gets its slot, in which it will appear.
struct Linker<'a> {
    table: &'a FlagTable,
    writer: &'a Writer,
}

impl Links for Linker<'_> {
    fn link(&self, name: &str) -> Arc<dyn Linked> {
        let slot = self.table.index.get(name).unwrap_or_else(|| self.table.add(self.writer, name, None));
        Arc::new(slot.to_handle())
    }
}

/// Flags that need each other in a circle hold each other, too.
impl Drop for FlagTable {
    fn drop(&mut self) {
        self.index.slots().filter(|slot| slot.has_links()).for_each(|slot| slot.set(None));
    }
}

/// A store that lost its data, rather than one whose flags were deleted.
pub(crate) fn lacks_most(held: usize, missing: usize) -> bool {
    missing * 2 > held
}

pub(crate) fn warn_of_vanished(held: usize, vanished: usize) {
    if lacks_most(held, vanished) {
        tracing::warn!(held, vanished, "more than half of the flags are missing");
    }
}

fn is_older_or_same(new: &Version, old: &Version) -> bool {
    matches!((new.as_ordered(), old.as_ordered()), (Some(new), Some(old)) if new <= old)
}

impl Default for FlagTable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FlagTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagTable").field("names", &self.writer.lock().growth.borrow().len()).finish_non_exhaustive()
    }
}
