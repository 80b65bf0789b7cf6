use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::super::doubt::Doubt;
use super::super::health::{First, Turn};
use super::{Shared, observed};
use crate::clock;
use crate::state::{Stored, Version};
use crate::table::{BY_LIST, TableEvent, lacks_most, warn_of_vanished};

/// Some tens of microseconds.
const TAKEN_IN_AT_ONCE: usize = 64;

impl Shared {
    /// A few at a time, so that own writes need not wait for all.
    pub(in crate::wrappers::mirrored) fn reset(
        &self,
        flags: Vec<Stored>,
        read_at: Option<Instant>,
        valid_for: Option<Duration>,
    ) {
        if self.is_outdated(read_at, valid_for) {
            return;
        }
        // Anything sent from now on is answered after these.
        let now = clock::instant();
        let after_loss = self.following.lock().is_lost();
        let held = {
            let mut order = self.order.lock();
            let held = order.held();
            order.start_reset(flags.len());
            held
        };
        self.table.make_room(flags.len());
        let mut flags = flags.into_iter().peekable();
        while flags.peek().is_some() {
            let mut order = self.order.lock();
            for flag in flags.by_ref().take(TAKEN_IN_AT_ONCE) {
                let observed = observed(&flag);
                if let Some(name) = order.listed(flag.name, observed, read_at, now) {
                    self.table.replace(name, flag.version, flag.record, BY_LIST);
                }
            }
        }
        let missing = self.order.lock().not_listed();
        let kept_long_enough = self.doubt_for.is_zero() || self.doubt_ends().is_some_and(|end| end <= now);
        let lacks_most = after_loss && lacks_most(held, missing.len());
        // What an earlier list lacked stays in doubt.
        let is_kept = |name: &str| !kept_long_enough && (lacks_most || self.is_doubted(name));
        let (kept, deleted): (Vec<_>, Vec<_>) = missing.into_iter().partition(|name| is_kept(name));
        if kept.is_empty() {
            *self.doubt.lock() = None;
        }
        warn_of_vanished(held, deleted.len());
        for name in deleted {
            let mut order = self.order.lock();
            if order.missing(&name, read_at, clock::instant()) {
                self.table.replace_or_remove(&name, None, BY_LIST);
            }
        }
        if !kept.is_empty() {
            return self.begin_doubt(kept, held, read_at.unwrap_or(now), valid_for);
        }
        let turn = {
            let order = self.order.lock();
            let mut following = self.following.lock();
            if order.failing() == 0 {
                following.unread(None);
            }
            following.synced();
            following.heard(read_at.unwrap_or(now), valid_for);
            following.settle(order.waiting_since()).0
        };
        self.first.send_replace(First::Synced);
        if turn != Turn::Current {
            // The versions may have started again.
            self.table.emit(TableEvent::Reset);
        }
        self.note(turn);
    }

    /// Whether a server in doubt lists flags older than the snapshot file's: it may have begun with an older file.
    pub(in crate::wrappers::mirrored) fn is_outdated(
        &self,
        read_at: Option<Instant>,
        valid_for: Option<Duration>,
    ) -> bool {
        let (Some(saved), Some(read_at)) = (self.saved.get().copied(), read_at) else { return false };
        let is_synced = matches!(*self.first.borrow(), First::Synced);
        !is_synced
            && valid_for == Some(Duration::ZERO)
            && clock::time_of_day().checked_sub(clock::age(read_at)) < Some(saved)
    }

    pub(super) fn begin_doubt(
        &self,
        missing: Vec<Box<str>>,
        held: usize,
        read_at: Instant,
        valid_for: Option<Duration>,
    ) {
        let mut doubt = self.doubt.lock();
        let until = doubt.as_ref().map_or_else(|| clock::instant() + self.doubt_for, |doubt| doubt.until);
        let reason = doubt.insert(Doubt::new(missing, held, until)).reason();
        drop(doubt);
        self.settle(self.order.lock());
        tracing::error!(store = self.store, reason, "flags are missing since the store was lost");
        let turn = {
            let mut following = self.following.lock();
            let turn = following.doubted(Some(&reason));
            // Takes effect when the doubt ends.
            following.heard(read_at, valid_for);
            turn
        };
        // `ready` returns with the snapshot file's flags: without it no flag could be missing before the first list.
        self.first.send_if_modified(|first| {
            let waiting = !matches!(first, First::Synced);
            if waiting {
                *first = First::LastKnown;
            }
            waiting
        });
        self.table.emit(TableEvent::Reset);
        if turn == Turn::None {
            // A write of another thread may have ended it.
            self.announce();
        }
        self.note(turn);
    }

    /// After the store came back. Returns whether that ends the doubt.
    pub(super) fn settle_doubt(&self, name: &str) -> bool {
        self.doubt.lock().as_mut().is_some_and(|doubt| doubt.settle(name))
    }

    pub(super) fn end_doubt_if(&self, settled: bool) {
        if settled {
            *self.doubt.lock() = None;
            // Now for the confirmations that arrived meanwhile.
            let turn = self.following.lock().doubted(None);
            self.note(turn);
            self.take_confirmations();
        }
    }

    pub(super) fn is_doubted(&self, name: &str) -> bool {
        self.doubt.lock().as_ref().is_some_and(|doubt| doubt.is_of(name))
    }

    pub(in crate::wrappers::mirrored) fn doubt_ends(&self) -> Option<Instant> {
        self.doubt.lock().as_ref().map(|doubt| doubt.until)
    }

    /// The flags in doubt were kept for long enough, and the store can send its flags.
    pub(in crate::wrappers::mirrored) fn is_doubt_over(&self) -> bool {
        !self.following.lock().is_lost() && self.doubt_ends().is_some_and(|end| end <= clock::instant())
    }

    /// If a flag's version differs from the poll, it is read again: a state that vanished between two polls is in none.
    pub(in crate::wrappers::mirrored) fn compared(&self, versions: &BTreeMap<String, Version>) {
        let held = self.table.list();
        let others = held.iter().filter(|flag| versions.get(&flag.name) != Some(&flag.version));
        let others = others.filter(|flag| versions.contains_key(&flag.name) || !self.is_doubted(&flag.name));
        let names: HashSet<&str> = held.iter().map(|flag| flag.name.as_str()).collect();
        let unheld = versions.keys().map(String::as_str).filter(|name| !names.contains(name));
        for name in others.map(|flag| flag.name.as_str()).chain(unheld) {
            self.hint(name);
        }
    }
}
