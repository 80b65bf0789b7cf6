//! What a mirror and its task share: the flags, what is known of their order, and how current they are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedMutexGuard, watch};

use super::health::{First, Following};
use super::order::{Order, Outcome, Read, Seen, Sent, Write};
use super::snapshot::LastKnown;
use crate::error::{Error, Result};
use crate::record::FlagRecord;
use crate::status::{Status, Updates};
use crate::store::{Stored, Version};
use crate::table::FlagTable;
use crate::wrappers::causes;

/// Some tens of microseconds' worth of flags.
const TAKEN_IN_AT_ONCE: usize = 64;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) table: Arc<FlagTable>,
    /// Held from each decision until the table has what was decided, so that no other decision gets between.
    order: Mutex<Order>,
    /// There is a name to read again.
    pub(super) wake: Notify,
    following: Mutex<Following>,
    pub(super) first: watch::Sender<First>,
    has_last_known: bool,
    /// One for each name that was ever written here: own writes to a flag take turns.
    turns: Mutex<HashMap<Box<str>, Arc<AsyncMutex<()>>>>,
    process: u32,
}

impl Shared {
    pub(super) fn new(last_known: Option<LastKnown>) -> Self {
        let (mut order, table) = (Order::default(), FlagTable::new());
        let synced = last_known.as_ref().map(|known| known.synced);
        let has_last_known = last_known.is_some();
        for flag in last_known.into_iter().flat_map(|known| known.flags) {
            order.last_known(&flag.name);
            table.replace(flag);
        }
        Self {
            table: Arc::new(table),
            order: Mutex::new(order),
            wake: Notify::new(),
            following: Mutex::new(Following::new(synced)),
            first: watch::Sender::new(First::Waiting),
            has_last_known,
            turns: Mutex::default(),
            process: std::process::id(),
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        // A panic in there is a defect; the next reset puts right what it left.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn following(&self) -> MutexGuard<'_, Following> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    pub(super) fn status(&self) -> Status {
        let mut following = self.following();
        if self.is_forked() {
            following.ended("the process was forked, and the thread that follows the store is not in this one");
        }
        following.status().with_corrupt(self.table.corrupt())
    }

    /// When the flags here were last known to be the store's; `None` before the store has told them.
    pub(super) fn synced(&self) -> Option<SystemTime> {
        let told = matches!(*self.first.borrow(), First::Synced);
        told.then(|| self.following().last_sync()).flatten()
    }

    /// Waits for the turn to write this flag.
    pub(super) async fn turn(&self, name: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(name.into()).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// Marks an own write as under way, until the guard is told its end or dropped.
    pub(super) fn start_write<'a>(&'a self, name: &'a str) -> InFlight<'a> {
        InFlight { shared: self, name, write: Some(self.order().start_write(name)) }
    }

    fn end_write(&self, name: &str, write: &Write, outcome: Outcome, state: Option<Stored>) {
        let mut order = self.order();
        if order.end_write(name, write, outcome, Instant::now()) {
            self.table.replace_or_remove(name, state);
        }
        drop(order);
        self.wake.notify_one();
    }

    pub(super) fn changed(&self, flag: Stored, read_at: Option<Instant>) {
        let mut order = self.order();
        if order.event(&flag.name, seen(&flag), read_at, Instant::now()) {
            self.table.replace(flag);
        }
        self.settle(order);
    }

    pub(super) fn removed(&self, name: &str, version: Option<&Version>, read_at: Option<Instant>) {
        let gone = Seen { present: false, number: version.and_then(Version::as_ordered) };
        let mut order = self.order();
        if order.event(name, gone, read_at, Instant::now()) {
            self.table.replace_or_remove(name, None);
        }
        self.settle(order);
    }

    pub(super) fn hint(&self, name: &str) {
        self.order().hint(name, Instant::now());
    }

    /// What is held and is not what the store had is read again. A state that came and went between two polls, by an own write or
    /// read, no poll tells of.
    pub(super) fn compared(&self, versions: &BTreeMap<String, Version>) {
        let held = self.table.list();
        let others = held.iter().filter(|flag| versions.get(&flag.name) != Some(&flag.version));
        let names: HashSet<&str> = held.iter().map(|flag| flag.name.as_str()).collect();
        let unheld = versions.keys().map(String::as_str).filter(|name| !names.contains(name));
        for name in others.map(|flag| flag.name.as_str()).chain(unheld) {
            self.hint(name);
        }
    }

    /// A few flags at a time, so that own writes need not wait for all of them.
    pub(super) fn reset(&self, flags: Vec<Stored>, read_at: Option<Instant>) {
        // Whatever is sent from now on is answered after these.
        let now = Instant::now();
        self.order().start_reset(flags.len());
        self.table.make_room(flags.len());
        let mut flags = flags.into_iter().peekable();
        while flags.peek().is_some() {
            let mut order = self.order();
            for flag in flags.by_ref().take(TAKEN_IN_AT_ONCE) {
                if order.listed(&flag.name, seen(&flag), read_at, now) {
                    self.table.replace(flag);
                }
            }
        }
        let missing = self.order().not_listed();
        for name in missing {
            let mut order = self.order();
            if order.missing(&name, read_at, Instant::now()) {
                self.table.replace_or_remove(&name, None);
            }
        }
        self.settle(self.order());
        self.following().synced();
        self.first.send_replace(First::Synced);
    }

    pub(super) fn next_read(&self) -> Option<Read> {
        self.order().start_read(Instant::now())
    }

    /// Takes in what a read found, and says whether it could be made.
    pub(super) fn end_read(&self, read: &Read, found: Result<Option<Stored>>) -> bool {
        let mut order = self.order();
        let now = Instant::now();
        let (state, error) = match found {
            Ok(state) => (Some(state), None),
            Err(error) => (None, Some(error)),
        };
        let what = state.as_ref().map(|state| state.as_ref().map_or(Seen::ABSENT, seen));
        if order.end_read(read, what, now) {
            self.table.replace_or_remove(&read.name, state.flatten());
        }
        let could = error.is_none();
        if !self.settle(order)
            && let Some(error) = error
        {
            let reason = format!("flag {:?} cannot be read again: {}", read.name, causes(&error));
            self.following().unread(Some(reason.into()));
        }
        could
    }

    pub(super) fn sent(&self) -> Sent {
        self.order().sent(Instant::now())
    }

    /// Takes in what a caller's read found.
    pub(super) fn found(&self, name: &str, sent: Sent, state: Option<&Stored>) {
        let mut order = self.order();
        if order.found(name, sent, state.map_or(Seen::ABSENT, seen), Instant::now()) {
            self.table.replace_or_remove(name, state.cloned());
        }
        self.settle(order);
    }

    /// After each decision: where no flag waits for a read that failed, none is reported. Says whether that is so.
    fn settle(&self, order: MutexGuard<'_, Order>) -> bool {
        let all_read = order.failing() == 0;
        drop(order);
        if all_read {
            self.following().unread(None);
        }
        all_read
    }

    pub(super) fn lost(&self, error: &Error) {
        let reason = causes(error);
        self.following().lost(&reason);
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
