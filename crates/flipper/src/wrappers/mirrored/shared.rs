mod announce;
mod reset;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, watch};

use super::doubt::Doubt;
use super::health::{First, Following};
use super::order::{Observed, Order, Outcome, Read, Sent, Verdict, Write};
use super::snapshot::LastKnown;
use crate::clock;
use crate::error::Result;
use crate::identity::Identity;
use crate::lock::Mutex;
use crate::record::FlagRecord;
use crate::state::{Status, Stored, Version};
use crate::table::{FlagTable, TableEvent};
use crate::turns::{Turn as WriteTurn, Turns};

/// For the log.
const BY_WATCH: &str = "watch";
const BY_READ: &str = "read";
const BY_WRITE: &str = "own write";

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) table: Arc<FlagTable>,
    /// Held until the table has a decision's result, so that no other comes in between.
    order: Mutex<Order>,
    /// A name must be read again.
    pub(super) wake: Notify,
    /// Locked alone, or with `order` held.
    doubt: Mutex<Option<Doubt>>,
    doubt_for: Duration,
    following: Mutex<Following>,
    /// Held while it is announced whether the flags are current. Locked before `following`.
    announcing: Mutex<()>,
    pub(super) first: watch::Sender<First>,
    /// When the snapshot file was written that this process began with.
    saved: OnceLock<SystemTime>,
    /// Flags of another store were taken for these.
    adopted: AtomicBool,
    turns: Turns,
    process: u32,
    /// For the log.
    store: String,
}

impl Shared {
    pub(super) fn new(store: String, identity: Identity, last_known: Option<LastKnown>, doubt_for: Duration) -> Self {
        Self::in_table(FlagTable::new(), store, identity, last_known, doubt_for)
    }

    pub(super) fn in_table(
        table: FlagTable,
        store: String,
        identity: Identity,
        last_known: Option<LastKnown>,
        doubt_for: Duration,
    ) -> Self {
        let mut order = Order::default();
        let synced = last_known.as_ref().map(|known| known.synced);
        let saved = last_known.as_ref().map(|known| known.saved).map_or_else(OnceLock::new, OnceLock::from);
        for flag in last_known.into_iter().flat_map(|known| known.flags) {
            order.last_known(&flag.name);
            table.replace(&flag.name, flag.version, flag.record, "snapshot file");
        }
        Self {
            table: Arc::new(table),
            order: Mutex::new(order),
            wake: Notify::new(),
            doubt: Mutex::default(),
            doubt_for,
            following: Mutex::new(Following::new(synced, identity)),
            announcing: Mutex::default(),
            first: watch::Sender::new(First::Waiting),
            saved,
            adopted: AtomicBool::new(false),
            turns: Turns::default(),
            process: std::process::id(),
            store,
        }
    }

    pub(super) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    pub(super) fn status(&self) -> Status {
        if self.is_forked() {
            self.ended("the process was forked, and the thread that follows the store is not in this one");
        }
        self.present_status()
    }

    pub(super) fn present_status(&self) -> Status {
        self.look();
        self.following.lock().status().with_corrupt(self.table.corrupt())
    }

    pub(super) fn is_live(&self) -> bool {
        self.look();
        self.following.lock().stale().is_none()
    }

    /// Flags of a store that is a copy of this one, while this one has not been reached: as those of a snapshot file, of unknown age.
    /// Returns whether they were taken.
    pub(super) fn adopt(&self, flags: Vec<Stored>) -> bool {
        if self.first.borrow().has_flags() || self.following.lock().reported_loss().is_none() {
            return false;
        }
        let age = SystemTime::UNIX_EPOCH;
        {
            let mut order = self.order.lock();
            for flag in flags {
                order.last_known(&flag.name);
                self.table.replace(&flag.name, flag.version, flag.record, "a replica");
            }
        }
        self.following.lock().adopted(age);
        let _ = self.saved.set(age);
        self.adopted.store(true, Ordering::Release);
        self.first.send_replace(First::LastKnown);
        self.table.emit(TableEvent::Reset);
        true
    }

    pub(super) fn is_adopted(&self) -> bool {
        self.adopted.load(Ordering::Acquire) && !matches!(*self.first.borrow(), First::Synced)
    }

    /// If the store's last confirmation still holds, when to check again.
    pub(super) fn look(&self) -> Option<Instant> {
        let (turn, due) = self.following.lock().look();
        self.note(turn);
        due
    }

    /// When the flags here were last known to be the store's; `None` before the first list, and in doubt.
    pub(super) fn synced(&self) -> Option<SystemTime> {
        let synced = matches!(*self.first.borrow(), First::Synced) && self.doubt.lock().is_none();
        synced.then(|| self.following.lock().last_sync()).flatten()
    }

    pub(super) async fn turn(&self, name: &str) -> WriteTurn<'_> {
        self.turns.take(name).await
    }

    pub(super) fn start_write<'a>(&'a self, name: &'a str) -> InFlight<'a> {
        InFlight { shared: self, name, write: Some(self.order.lock().start_write(name)) }
    }

    /// Returns whether the flag must be read before the write is done.
    fn end_write(&self, name: &str, write: &Write, outcome: Outcome, state: Option<Stored>) -> bool {
        let mut order = self.order.lock();
        let verdict = order.end_write(name, write, outcome, clock::instant());
        let is_new = matches!(outcome, Outcome::Done(observed) if verdict != Verdict::Unclear || !observed.present);
        let settled = is_new && self.settle_doubt(name);
        if verdict == Verdict::Newer {
            match (state, outcome) {
                (None, Outcome::Done(observed)) => self.table.take_away(name, observed.number, BY_WRITE),
                (state, _) => self.table.replace_or_remove(name, state, BY_WRITE),
            }
        }
        self.pass_hints(&mut order);
        drop(order);
        self.end_doubt_if(settled);
        self.take_confirmations();
        self.wake.notify_one();
        verdict == Verdict::Unclear
    }

    /// A read sent then does not decide which state is the newest, or a flag in doubt is kept.
    pub(super) fn is_unclear(&self, name: &str, sent: Sent) -> bool {
        self.following.lock().is_lost() || self.order.lock().is_unclear(name, sent) || self.is_doubted(name)
    }

    fn pass_hints(&self, order: &mut Order) {
        for name in order.take_hints() {
            self.table.emit(TableEvent::Hint(name));
        }
        if order.take_renumbered() {
            self.table.emit(TableEvent::Reset);
        }
    }

    pub(super) fn changed(&self, flag: Stored, read_at: Option<Instant>) {
        let mut order = self.order.lock();
        let settled = self.settle_doubt(&flag.name);
        if order.event(&flag.name, observed(&flag), read_at, clock::instant()) {
            self.table.replace(&flag.name, flag.version, flag.record, BY_WATCH);
        }
        self.settle(order);
        self.end_doubt_if(settled);
    }

    pub(super) fn removed(&self, name: &str, version: Option<&Version>, read_at: Option<Instant>) {
        let gone = Observed { present: false, number: version.and_then(Version::as_ordered) };
        let mut order = self.order.lock();
        let settled = self.settle_doubt(name);
        if order.event(name, gone, read_at, clock::instant()) {
            self.table.take_away(name, gone.number, BY_WATCH);
        }
        self.settle(order);
        self.end_doubt_if(settled);
    }

    pub(super) fn hint(&self, name: &str) {
        let mut order = self.order.lock();
        let settled = self.settle_doubt(name);
        order.hint(name, clock::instant());
        drop(order);
        self.end_doubt_if(settled);
    }

    /// The pending reads were dropped.
    pub(super) fn abandon_reads(&self) {
        self.order.lock().abandon_reads();
    }

    /// `None` while the store is lost: its answers may be of any age.
    pub(super) fn next_read(&self) -> Option<Read> {
        if self.following.lock().is_lost() {
            return None;
        }
        self.order.lock().start_read(clock::instant())
    }

    /// Returns whether the read succeeded.
    pub(super) fn end_read(&self, read: &Read, found: Result<Option<Stored>>) -> bool {
        let mut order = self.order.lock();
        let now = clock::instant();
        let lost = self.following.lock().is_lost();
        let (state, error) = match found {
            Ok(_) if lost => (None, None),
            Ok(state) => (Some(state), None),
            Err(error) => (None, Some(error)),
        };
        let what = state.as_ref().map(|state| state.as_ref().map_or(Observed::ABSENT, observed));
        let is_kept = |state: &Option<Stored>| state.is_none() && self.is_doubted(&read.name);
        if order.end_read(read, what, now) {
            if state.as_ref().is_some_and(is_kept) {
                // It is still held until the doubt ends.
                order.last_known(&read.name);
            } else {
                self.table.replace_or_remove(&read.name, state.clone().flatten(), BY_READ);
            }
        }
        let is_held = state.flatten().is_some_and(|found| self.holds(&read.name, Some(&found)));
        let settled = is_held && order.is_of_this_epoch(read.sent) && self.settle_doubt(&read.name);
        let could = error.is_none();
        if !self.settle(order)
            && let Some(error) = error
        {
            let reason = format!("flag {:?} cannot be read again: {}", read.name, error.chain());
            let turn = self.following.lock().unread(Some(reason.into()));
            self.note(turn);
        }
        self.end_doubt_if(settled);
        could
    }

    pub(super) fn sent(&self) -> Sent {
        self.order.lock().sent(clock::instant())
    }

    pub(super) fn found(&self, name: &str, sent: Sent, state: Option<&Stored>) {
        let mut order = self.order.lock();
        if self.following.lock().is_lost() || (state.is_none() && self.is_doubted(name)) {
            return;
        }
        let verdict = order.found(name, sent, state.map_or(Observed::ABSENT, observed), clock::instant());
        if verdict == Verdict::Newer {
            self.table.replace_or_remove(name, state.cloned(), BY_READ);
        }
        if verdict == Verdict::Unclear && !self.holds(name, state) {
            order.give_out(name);
        }
        let is_confirmed = order.is_of_this_epoch(sent) && self.is_doubted(name) && self.holds(name, state);
        let settled = is_confirmed && self.settle_doubt(name);
        self.settle(order);
        self.end_doubt_if(settled);
    }

    /// After a restart of the store an equal number may be another state's.
    fn holds(&self, name: &str, state: Option<&Stored>) -> bool {
        match (self.table.get(name), state) {
            (None, None) => true,
            (Some(held), Some(state)) => {
                held.version == state.version
                    && matches!((&held.record, &state.record), (Ok(held), Ok(state)) if held == state)
            }
            _ => false,
        }
    }

    /// After each decision. Returns whether no flag waits for a failed read.
    fn settle(&self, mut order: MutexGuard<'_, Order>) -> bool {
        self.pass_hints(&mut order);
        let all_read = order.failing() == 0;
        drop(order);
        if all_read {
            let turn = self.following.lock().unread(None);
            self.note(turn);
        }
        self.take_confirmations();
        all_read
    }
}

/// If it is dropped, the outcome is unknown, and the flag is read again.
pub(super) struct InFlight<'a> {
    shared: &'a Shared,
    name: &'a str,
    write: Option<Write>,
}

impl InFlight<'_> {
    /// As does `deleted`, returns whether the flag must be read before the write is done.
    pub(super) fn put(mut self, record: &FlagRecord, version: &Version) -> bool {
        let flag =
            Stored { name: self.name.to_owned(), version: version.clone(), record: Ok(Arc::new(record.clone())) };
        self.end(Outcome::Done(observed(&flag)), Some(flag))
    }

    pub(super) fn deleted(mut self, version: &Version) -> bool {
        self.end(Outcome::Done(Observed { present: false, number: version.as_ordered() }), None)
    }

    pub(super) fn refused(mut self) {
        self.end(Outcome::Refused, None);
    }

    fn end(&mut self, outcome: Outcome, state: Option<Stored>) -> bool {
        self.write.take().is_some_and(|write| self.shared.end_write(self.name, &write, outcome, state))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.end(Outcome::Unknown, None);
    }
}

fn observed(flag: &Stored) -> Observed {
    Observed { present: true, number: flag.version.as_ordered() }
}
