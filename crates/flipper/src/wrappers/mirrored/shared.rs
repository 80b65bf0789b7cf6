//! What a mirror and its task share: the flags, what is known of their order, and how current they are.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::{self, Stream, StreamExt};

use tokio::sync::{Notify, watch};

use super::doubt::Doubt;
use super::health::{First, Following, Turn, Word};
use super::order::{Order, Outcome, Read, Seen, Sent, Write};
use super::snapshot::LastKnown;
use super::turns::{Turn as WriteTurn, Turns};
use crate::changes::{About, Told};
use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::record::FlagRecord;
use crate::status::{Status, Updates};
use crate::store::{Stored, Version, WatchEvent};
use crate::table::{BY_LIST, FlagTable, warn_of_vanished};

/// Some tens of microseconds' worth of flags.
const TAKEN_IN_AT_ONCE: usize = 64;

/// How a change came here, in the log.
const BY_WATCH: &str = "watch";
const BY_READ: &str = "read";
const BY_WRITE: &str = "own write";

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) table: Arc<FlagTable>,
    /// Held from each decision until the table has what was decided, so that no other decision gets between.
    order: Mutex<Order>,
    /// There is a name to read again.
    pub(super) wake: Notify,
    /// Locked with `order` held, or alone.
    doubt: Mutex<Option<Doubt>>,
    /// How long flags are kept that the store came back without.
    doubt_for: Duration,
    following: Mutex<Following>,
    pub(super) first: watch::Sender<First>,
    has_last_known: bool,
    turns: Turns,
    process: u32,
    /// What the store prints, for the log.
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
        let has_last_known = last_known.is_some();
        for flag in last_known.into_iter().flat_map(|known| known.flags) {
            order.last_known(&flag.name);
            table.replace(flag, "snapshot file");
        }
        Self {
            table: Arc::new(table),
            order: Mutex::new(order),
            wake: Notify::new(),
            doubt: Mutex::default(),
            doubt_for,
            following: Mutex::new(Following::new(synced, identity)),
            first: watch::Sender::new(First::Waiting),
            has_last_known,
            turns: Turns::default(),
            process: std::process::id(),
            store,
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // A panic in there is a defect; the next reset puts right what it left.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubt(&self) -> MutexGuard<'_, Option<Doubt>> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn following(&self) -> MutexGuard<'_, Following> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.following().status().with_corrupt(self.table.corrupt())
    }

    /// Whether the store's last word still holds; while it does, when that has to be looked at again.
    pub(super) fn look(&self) -> Option<Instant> {
        let (turn, due) = self.following().look();
        self.note(turn);
        due
    }

    /// When the flags here were last known to be the store's; `None` before the store has told them, and while it is in doubt that
    /// it still has them.
    pub(super) fn synced(&self) -> Option<SystemTime> {
        let told = matches!(*self.first.borrow(), First::Synced) && self.doubt().is_none();
        told.then(|| self.following().last_sync()).flatten()
    }

    /// Waits for the turn to write this flag.
    pub(super) async fn turn(&self, name: &str) -> WriteTurn<'_> {
        self.turns.take(name).await
    }

    /// The events of a watch, out of memory: what is told, a read of memory shows.
    pub(super) fn watch(self: Arc<Self>) -> impl Stream<Item = WatchEvent> + Send {
        let (_, receiver) = self.table.snapshot_and_changes();
        // In this order: a list of before the first flags came would be an empty one.
        let has_flags = self.first.borrow().has_flags();
        let first = has_flags.then(|| {
            // In this order: the list has all that was confirmed by then.
            let read_at = self.following().word();
            WatchEvent::Reset { flags: self.table.list(), read_at }
        });
        let shared = self.clone();
        // Who comes after the loss was reported hears of it too.
        let lost = if has_flags { None } else { self.following().reported_loss() };
        let first = first.or_else(|| Some(About::Lost(ErrorKind::Unavailable, lost?).into()));
        let mut begun = false;
        let events = self.table.events(receiver, move || shared.following().word());
        stream::iter(first).chain(events).flat_map(move |event| {
            let is_reset = matches!(event, WatchEvent::Reset { .. });
            let begins = is_reset && !begun;
            begun |= is_reset;
            // The first reset will have the rest.
            let event = (begun || matches!(event, WatchEvent::Lost(_))).then_some(event);
            let following = self.following();
            let updates = begins.then_some(WatchEvent::Following(following.updates));
            // Who lagged may have missed that the store was lost.
            let stale = is_reset.then(|| following.stale()).flatten();
            let lost = stale.map(|(_, reason)| About::Lost(ErrorKind::Unavailable, reason).into());
            stream::iter(event.into_iter().chain(updates).chain(lost))
        })
    }

    /// Logs that the flags became stale or current, and passes it on.
    fn note(&self, turn: Turn) {
        match turn {
            Turn::None => {}
            Turn::Doubt => {
                let Some((since, reason)) = self.following().stale() else { return };
                let last_word_seconds_ago =
                    clock::time_of_day().duration_since(since).unwrap_or_default().as_secs_f64();
                let flags = self.order().held();
                tracing::warn!(store = self.store, %reason, last_word_seconds_ago, flags, "flags are stale");
                self.table.pass_on(Told::Store(About::Lost(ErrorKind::Unavailable, reason)));
            }
            Turn::Current => {
                let flags = self.order().held();
                tracing::info!(store = self.store, flags, "flags are current");
                self.table.pass_on(Told::Store(About::Restored));
                self.table.pass_on(Told::Reset);
            }
        }
    }

    pub(super) fn ended(&self, reason: &str) {
        let turn = self.following().ended(reason);
        // An orderly end is none to warn of.
        if turn == Turn::Doubt {
            self.table.pass_on(Told::Store(About::Lost(ErrorKind::Unavailable, reason.into())));
        }
    }

    /// Marks an own write as under way, until the guard is told its end or dropped.
    pub(super) fn start_write<'a>(&'a self, name: &'a str) -> InFlight<'a> {
        InFlight { shared: self, name, write: Some(self.order().start_write(name)) }
    }

    fn end_write(&self, name: &str, write: &Write, outcome: Outcome, state: Option<Stored>) {
        let mut order = self.order();
        let settled = matches!(outcome, Outcome::Done(_)) && self.settle_doubt(name);
        if order.end_write(name, write, outcome, clock::instant()) {
            match (state, outcome) {
                (None, Outcome::Done(seen)) => self.table.take_away(name, seen.number, BY_WRITE),
                (state, _) => self.table.replace_or_remove(name, state, BY_WRITE),
            }
        }
        drop(order);
        self.end_doubt_if(settled);
        self.take_words();
        self.wake.notify_one();
    }

    pub(super) fn changed(&self, flag: Stored, read_at: Option<Instant>) {
        let mut order = self.order();
        let settled = self.settle_doubt(&flag.name);
        if order.event(&flag.name, seen(&flag), read_at, clock::instant()) {
            self.table.replace(flag, BY_WATCH);
        }
        self.settle(order);
        self.end_doubt_if(settled);
    }

    pub(super) fn removed(&self, name: &str, version: Option<&Version>, read_at: Option<Instant>) {
        let gone = Seen { present: false, number: version.and_then(Version::as_ordered) };
        let mut order = self.order();
        let settled = self.settle_doubt(name);
        if order.event(name, gone, read_at, clock::instant()) {
            self.table.take_away(name, gone.number, BY_WATCH);
        }
        self.settle(order);
        self.end_doubt_if(settled);
    }

    pub(super) fn hint(&self, name: &str) {
        let mut order = self.order();
        let settled = self.settle_doubt(name);
        order.hint(name, clock::instant());
        drop(order);
        self.end_doubt_if(settled);
    }

    /// Something happened to the flag since the store came back. Says whether no flag is in doubt any more.
    fn settle_doubt(&self, name: &str) -> bool {
        self.doubt().as_mut().is_some_and(|doubt| doubt.settle(name))
    }

    fn end_doubt_if(&self, settled: bool) {
        if settled {
            *self.doubt() = None;
            // The turn is that of the words that came meanwhile.
            let turn = self.following().doubted(None);
            self.note(turn);
            self.take_words();
        }
    }

    fn is_doubted(&self, name: &str) -> bool {
        self.doubt().as_ref().is_some_and(|doubt| doubt.is_of(name))
    }

    /// Until when flags are kept that the store came back without.
    pub(super) fn doubt_ends(&self) -> Option<Instant> {
        self.doubt().as_ref().map(|doubt| doubt.until)
    }

    /// Whether those were kept for long enough, and the store can say once more what it has.
    pub(super) fn is_doubt_over(&self) -> bool {
        !self.following().is_lost() && self.doubt_ends().is_some_and(|end| end <= clock::instant())
    }

    /// What is held and is not what the store had is read again. A state that came and went between two polls, by an own write or
    /// read, no poll tells of.
    pub(super) fn compared(&self, versions: &BTreeMap<String, Version>) {
        let held = self.table.list();
        let others = held.iter().filter(|flag| versions.get(&flag.name) != Some(&flag.version));
        let others = others.filter(|flag| versions.contains_key(&flag.name) || !self.is_doubted(&flag.name));
        let names: HashSet<&str> = held.iter().map(|flag| flag.name.as_str()).collect();
        let unheld = versions.keys().map(String::as_str).filter(|name| !names.contains(name));
        for name in others.map(|flag| flag.name.as_str()).chain(unheld) {
            self.hint(name);
        }
    }

    /// A few flags at a time, so that own writes need not wait for all of them.
    pub(super) fn reset(&self, flags: Vec<Stored>, read_at: Option<Instant>) {
        // Whatever is sent from now on is answered after these.
        let now = clock::instant();
        let after_loss = self.following().is_lost();
        let held = {
            let mut order = self.order();
            let held = order.held();
            order.start_reset(flags.len());
            held
        };
        self.table.make_room(flags.len());
        let mut flags = flags.into_iter().peekable();
        while flags.peek().is_some() {
            let mut order = self.order();
            for flag in flags.by_ref().take(TAKEN_IN_AT_ONCE) {
                if order.listed(&flag.name, seen(&flag), read_at, now) {
                    self.table.replace(flag, BY_LIST);
                }
            }
        }
        let missing = self.order().not_listed();
        let kept_long_enough = self.doubt_for.is_zero() || self.doubt_ends().is_some_and(|end| end <= now);
        if after_loss && !kept_long_enough && Doubt::is_due(held, missing.len()) {
            self.begin_doubt(missing, held, read_at.unwrap_or(now));
        } else {
            *self.doubt() = None;
            warn_of_vanished(held, missing.len());
            for name in missing {
                let mut order = self.order();
                if order.missing(&name, read_at, clock::instant()) {
                    self.table.replace_or_remove(&name, None, BY_LIST);
                }
            }
            let turn = {
                let order = self.order();
                let mut following = self.following();
                if order.failing() == 0 {
                    following.unread(None);
                }
                following.synced();
                following.heard(read_at.unwrap_or(now), None);
                following.settle(order.waiting_since()).0
            };
            self.first.send_replace(First::Synced);
            match turn {
                // The versions may have begun again.
                Turn::None => self.table.pass_on(Told::Reset),
                turn => self.note(turn),
            }
        }
    }

    fn begin_doubt(&self, missing: Vec<Box<str>>, held: usize, read_at: Instant) {
        let mut doubt = self.doubt();
        let until = doubt.as_ref().map_or_else(|| clock::instant() + self.doubt_for, |doubt| doubt.until);
        let reason = doubt.insert(Doubt::new(missing, held, until)).reason();
        drop(doubt);
        self.settle(self.order());
        tracing::error!(store = self.store, reason, "flags vanished while the store was away");
        let turn = {
            let mut following = self.following();
            let turn = following.doubted(Some(&reason));
            // Counts when the doubt is over.
            following.heard(read_at, None);
            turn
        };
        // Who waits for the first flags has those of the snapshot file, without which none could be missing.
        self.first.send_if_modified(|first| {
            let waiting = !matches!(first, First::Synced);
            if waiting {
                *first = First::LastKnown;
            }
            waiting
        });
        self.table.pass_on(Told::Reset);
        match turn {
            Turn::None => self.table.pass_on(Told::Store(About::Lost(ErrorKind::Unavailable, reason.into()))),
            turn => self.note(turn),
        }
    }

    /// The store's word that all changes up to then were reported.
    pub(super) fn confirmed(&self, at: Instant, valid_for: Duration) {
        self.following().heard(at, Some(valid_for));
        self.take_words();
    }

    /// What was reported before a word and is not read yet is not here.
    fn take_words(&self) {
        if !self.following().has_words() {
            return;
        }
        let (turn, word) = {
            let order = self.order();
            self.following().settle(order.waiting_since())
        };
        self.note(turn);
        if let Some(Word { at, valid_for: Some(valid_for), .. }) = word {
            self.table.pass_on(Told::Store(About::Confirmed { at, valid_for }));
        }
    }

    pub(super) fn serving(&self, identity: Identity) {
        let before = std::mem::replace(&mut self.following().identity, identity.clone());
        if before.epoch().is_some() && before != identity {
            tracing::info!(store = self.store, %before, now = %identity, "another server answers, or the same one started again");
        }
        self.table.pass_on(Told::Store(About::Serving(identity)));
    }

    /// The watch begins anew, and the reads under way were dropped.
    pub(super) fn abandon_reads(&self) {
        self.order().abandon_reads();
    }

    /// While the store is lost nothing is read: what it answers before it has said what it has may be of any time.
    pub(super) fn next_read(&self) -> Option<Read> {
        if self.following().is_lost() {
            return None;
        }
        self.order().start_read(clock::instant())
    }

    /// Takes in what a read found, and says whether it could be made.
    pub(super) fn end_read(&self, read: &Read, found: Result<Option<Stored>>) -> bool {
        let mut order = self.order();
        let now = clock::instant();
        let lost = self.following().is_lost();
        let (state, error) = match found {
            Ok(_) if lost => (None, None),
            Ok(state) => (Some(state), None),
            Err(error) => (None, Some(error)),
        };
        let what = state.as_ref().map(|state| state.as_ref().map_or(Seen::ABSENT, seen));
        let is_kept = |state: &Option<Stored>| state.is_none() && self.is_doubted(&read.name);
        if order.end_read(read, what, now) {
            if state.as_ref().is_some_and(is_kept) {
                // It is still held, and goes when the doubt is over.
                order.last_known(&read.name);
            } else {
                self.table.replace_or_remove(&read.name, state.flatten(), BY_READ);
            }
        }
        let could = error.is_none();
        if !self.settle(order)
            && let Some(error) = error
        {
            let reason = format!("flag {:?} cannot be read again: {}", read.name, error.chain());
            let turn = self.following().unread(Some(reason.into()));
            self.note(turn);
        }
        could
    }

    pub(super) fn sent(&self) -> Sent {
        self.order().sent(clock::instant())
    }

    /// Takes in what a caller's read found.
    pub(super) fn found(&self, name: &str, sent: Sent, state: Option<&Stored>) {
        let mut order = self.order();
        if self.following().is_lost() || (state.is_none() && self.is_doubted(name)) {
            return;
        }
        if order.found(name, sent, state.map_or(Seen::ABSENT, seen), clock::instant()) {
            self.table.replace_or_remove(name, state.cloned(), BY_READ);
        }
        self.settle(order);
    }

    /// After each decision: where no flag waits for a read that failed, none is reported. Says whether that is so.
    fn settle(&self, order: MutexGuard<'_, Order>) -> bool {
        let all_read = order.failing() == 0;
        drop(order);
        if all_read {
            let turn = self.following().unread(None);
            self.note(turn);
        }
        self.take_words();
        all_read
    }

    pub(super) fn lost(&self, error: &Error) {
        let reason = error.chain();
        let (turn, is_first) = {
            let mut following = self.following();
            (following.lost(&reason), following.last_sync().is_none())
        };
        match turn {
            Turn::None if is_first => {
                tracing::warn!(store = self.store, reason, "the store cannot be followed yet, and there are no flags");
            }
            Turn::None => tracing::info!(store = self.store, reason, "the store still cannot be followed"),
            turn => self.note(turn),
        }
        if turn == Turn::None {
            self.table.pass_on(Told::Store(About::Lost(error.kind(), reason.as_str().into())));
        }
        self.first.send_if_modified(|first| match first {
            First::Waiting | First::Failed(..) if self.has_last_known => {
                *first = First::LastKnown;
                true
            }
            First::Waiting if !error.is_transient() => {
                *first = First::Failed(error.kind(), reason.as_str().into());
                true
            }
            _ => false,
        });
    }

    pub(super) fn updates(&self, updates: Updates) {
        self.following().updates = updates;
        self.table.pass_on(Told::Store(About::Following(updates)));
    }
}

/// An own write under way. Dropped, its outcome is unknown, and the flag is read again.
pub(super) struct InFlight<'a> {
    shared: &'a Shared,
    name: &'a str,
    write: Option<Write>,
}

impl InFlight<'_> {
    pub(super) fn put(mut self, record: &FlagRecord, version: &Version) {
        let flag =
            Stored { name: self.name.to_owned(), version: version.clone(), record: Ok(Arc::new(record.clone())) };
        self.end(Outcome::Done(seen(&flag)), Some(flag));
    }

    pub(super) fn deleted(mut self, version: &Version) {
        self.end(Outcome::Done(Seen { present: false, number: version.as_ordered() }), None);
    }

    pub(super) fn refused(mut self) {
        self.end(Outcome::Refused, None);
    }

    fn end(&mut self, outcome: Outcome, state: Option<Stored>) {
        if let Some(write) = self.write.take() {
            self.shared.end_write(self.name, &write, outcome, state);
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.end(Outcome::Unknown, None);
    }
}

fn seen(flag: &Stored) -> Seen {
    Seen { present: true, number: flag.version.as_ordered() }
}
