//! Decides which of two states of a flag is newer, and which flags must be read again (DESIGN.md, "The mirror"). Without I/O and clock, so
//! that a model test can run any interleaving (`tests/mirror_model.rs`).

mod name;

use std::collections::VecDeque;
use std::time::Instant;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;

pub(crate) use self::name::Verdict;
use self::name::{Epoch, Name, Source};

#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Counts the resets; numbers are compared within one.
    epoch: Epoch,
    names: IndexMap<Box<str>, Name, RandomState>,
    queue: VecDeque<Box<str>>,
    failing: usize,
    /// Watchers of this mirror may have other states.
    hints: Vec<Box<str>>,
    /// A lower number replaced one from before the last reset.
    renumbered: bool,
    /// At this many names, flags deleted long ago are forgotten.
    prune_at: usize,
}

const FEW_NAMES: usize = 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed {
    pub(crate) present: bool,
    /// Of its version, or of its absence, if the store counts.
    pub(crate) number: Option<u64>,
}

impl Observed {
    pub(crate) const ABSENT: Self = Self { present: false, number: None };
}

#[derive(Debug)]
pub(crate) struct Write {
    epoch: Epoch,
    /// The number before it, if newer ones of this epoch can be compared with it.
    before: Option<u64>,
    comparable: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Done(Observed),
    /// Certainly not in the store.
    Refused,
    /// Without an answer, or its future was dropped.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    at: Instant,
    epoch: Epoch,
}

#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) name: Box<str>,
    pub(crate) sent: Sent,
}

impl Order {
    /// From before this process began. Any state from the store replaces it.
    pub(crate) fn last_known(&mut self, name: &str) {
        self.names.entry(name.into()).or_default().present = true;
    }

    pub(crate) fn start_write(&mut self, name: &str) -> Write {
        self.prune(Instant::now());
        let epoch = self.epoch;
        let known = self.name(name);
        known.own_mut().writes += 1;
        let before = known.number().filter(|_| known.epoch == Some(epoch));
        Write { epoch, before, comparable: !known.known || known.epoch.is_some() }
    }

    /// Returns whether it is newer than the held state.
    pub(crate) fn end_write(&mut self, name: &str, write: &Write, outcome: Outcome, now: Instant) -> Verdict {
        let epoch = self.epoch;
        let mut renumbered = false;
        let known = self.name(name);
        let own = known.own_mut();
        own.writes = own.writes.saturating_sub(1);
        own.last = Some(now);
        let verdict = match outcome {
            // A list arrived meanwhile. It may be older than the write, or of a store that counts from a lower number.
            Outcome::Done(_) if write.epoch != epoch => Verdict::Unclear,
            Outcome::Done(state) => {
                // The store counts from a lower number, and a reset will come.
                let went_back = matches!((state.number, write.before), (Some(new), Some(before)) if new < before);
                // The watch reported a later foreign write before our answer came.
                let overtaken = matches!((state.number, known.number()), (Some(new), Some(current)) if new < current)
                    && known.epoch == Some(epoch);
                if went_back || !overtaken {
                    renumbered = known.is_renumbered_by(state, epoch);
                    known.known = true;
                    known.present = state.present;
                    known.deleted_at_unknown_number = !state.present && state.number.is_none();
                    known.set_number(state.number);
                    known.epoch = (write.comparable && !went_back).then_some(epoch);
                    Verdict::Newer
                } else {
                    Verdict::NotNewer
                }
            }
            Outcome::Refused | Outcome::Unknown => Verdict::NotNewer,
        };
        if matches!(outcome, Outcome::Unknown) || write.epoch != epoch {
            known.mark(now);
        }
        if verdict == Verdict::Unclear {
            known.own_mut().given_out = true;
        } else if known.take_given_out() {
            self.hints.push(name.into());
        }
        self.renumbered |= renumbered;
        self.schedule(name);
        verdict
    }

    /// Returns whether to take it in. `read_at`: when its read was sent.
    pub(crate) fn event(&mut self, name: &str, state: Observed, read_at: Option<Instant>, now: Instant) -> bool {
        self.judge(name, state, read_at, Source::Event, now) == Verdict::Newer
    }

    pub(crate) fn hint(&mut self, name: &str, now: Instant) {
        self.name(name).mark(now);
        self.schedule(name);
    }

    /// Pass each of its flags to [`listed`](Self::listed), then those of `not_listed` to `missing`.
    pub(crate) fn start_reset(&mut self, flags: usize) {
        self.epoch += 1;
        self.names.reserve(flags.saturating_sub(self.names.len()));
    }

    /// Takes the name, so that a start copies none, and returns it if the flag is to be taken in.
    pub(crate) fn listed(
        &mut self,
        name: impl Into<Box<str>>,
        state: Observed,
        read_at: Option<Instant>,
        now: Instant,
    ) -> Option<&str> {
        let entry = self.names.entry(name.into());
        let at = entry.index();
        let is_newer = match entry {
            // Any state is newer than none. Written once, since the line is in no cache yet.
            Entry::Vacant(entry) => {
                entry.insert(Name::listed(state, read_at, self.epoch, now));
                true
            }
            Entry::Occupied(_) => self.judge_at(at, state, read_at, Source::Reset, now) == Verdict::Newer,
        };
        self.names.get_index(at).filter(|_| is_newer).map(|(name, _)| &**name)
    }

    pub(crate) fn not_listed(&self) -> Vec<Box<str>> {
        let missing = self.names.iter().filter(|(_, known)| known.present && known.listed != self.epoch);
        missing.map(|(name, _)| name.clone()).collect()
    }

    /// Returns whether to take in its absence.
    pub(crate) fn missing(&mut self, name: &str, read_at: Option<Instant>, now: Instant) -> bool {
        self.judge(name, Observed::ABSENT, read_at, Source::Reset, now) == Verdict::Newer
    }

    pub(crate) fn start_read(&mut self, now: Instant) -> Option<Read> {
        let sent = self.sent(now);
        loop {
            let name = self.queue.pop_front()?;
            let known = self.name(&name);
            let own = known.own_mut();
            own.queued = false;
            if own.marked.is_some() && own.writes == 0 && !own.reading {
                own.reading = true;
                return Some(Read { name, sent });
            }
        }
    }

    /// `state`: `None` if the read failed. Returns whether to take it in.
    pub(crate) fn end_read(&mut self, read: &Read, state: Option<Observed>, now: Instant) -> bool {
        let epoch = self.epoch;
        let own = self.name(&read.name).own_mut();
        own.reading = false;
        let newer = match state {
            // The read spans a reset, so its epoch is unknown.
            Some(_) if read.sent.epoch != epoch => false,
            Some(state) => self.judge(&read.name, state, Some(read.sent.at), Source::Read, now) == Verdict::Newer,
            // Another state has arrived meanwhile, so the failure does not matter.
            None if own.marked.is_none() => false,
            None => {
                if !std::mem::replace(&mut own.failing, true) {
                    self.failing += 1;
                }
                false
            }
        };
        self.schedule(&read.name);
        newer
    }

    pub(crate) fn abandon_reads(&mut self) {
        let reading = self.names.iter_mut().filter(|(_, known)| known.own().reading);
        let names: Vec<_> = reading
            .map(|(name, known)| {
                known.own_mut().reading = false;
                name.clone()
            })
            .collect();
        names.iter().for_each(|name| self.schedule(name));
    }

    pub(crate) fn sent(&self, now: Instant) -> Sent {
        Sent { at: now, epoch: self.epoch }
    }

    /// After a caller's read; returns whether it is newer than the held state. If unclear, the watch reports it too.
    pub(crate) fn found(&mut self, name: &str, sent: Sent, state: Observed, now: Instant) -> Verdict {
        let nothing_new = !state.present && !self.names.contains_key(name);
        if sent.epoch != self.epoch || nothing_new {
            return Verdict::NotNewer;
        }
        let marked = self.name(name).own().marked;
        let verdict = self.judge(name, state, Some(sent.at), Source::Read, now);
        if marked.is_none() {
            self.name(name).unmark();
        }
        verdict
    }

    /// A caller received another state than the held one. It may be a mirror, which learns of changes only from here.
    pub(crate) fn give_out(&mut self, name: &str) {
        self.name(name).own_mut().given_out = true;
    }

    /// Callers received other states of these, and the newest is clear now.
    pub(crate) fn take_hints(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.hints)
    }

    /// Watchers of this mirror hold a higher number from before the last reset, and must start over.
    pub(crate) fn take_renumbered(&mut self) -> bool {
        std::mem::take(&mut self.renumbered)
    }

    /// Whether no list of all flags arrived since.
    pub(crate) fn is_of_this_epoch(&self, sent: Sent) -> bool {
        sent.epoch == self.epoch
    }

    /// Whether a read that was sent then decides nothing.
    pub(crate) fn is_unclear(&self, name: &str, sent: Sent) -> bool {
        sent.epoch != self.epoch || self.names.get(name).is_some_and(|known| known.own().marked.is_some())
    }

    pub(crate) fn held(&self) -> usize {
        self.names.values().filter(|known| known.present).count()
    }

    /// Of the flag that waits longest for a read, pending ones included.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.names.values().filter_map(|known| known.own().waiting).min()
    }

    /// Forgets flags deleted so long ago that no late event can come.
    fn prune(&mut self, now: Instant) {
        if self.names.len() < self.prune_at.max(FEW_NAMES) {
            return;
        }
        self.names.retain(|_, known| !known.is_forgettable(now));
        self.prune_at = self.names.len() * 2;
    }

    pub(crate) fn failing(&self) -> usize {
        self.failing
    }

    fn judge(
        &mut self,
        name: &str,
        state: Observed,
        read_at: Option<Instant>,
        source: Source,
        now: Instant,
    ) -> Verdict {
        let at = self.at(name);
        self.judge_at(at, state, read_at, source, now)
    }

    fn judge_at(
        &mut self,
        at: usize,
        state: Observed,
        read_at: Option<Instant>,
        source: Source,
        now: Instant,
    ) -> Verdict {
        let epoch = self.epoch;
        let known = &mut self.names[at];
        if source == Source::Reset {
            known.listed = epoch;
        }
        let verdict = known.verdict(state, read_at, source, epoch);
        let mut renumbered = false;
        match verdict {
            Verdict::Newer => {
                // Watchers of this mirror compare no number with one from before a reset.
                renumbered = source != Source::Reset && known.is_renumbered_by(state, epoch);
                known.enter(state, read_at, source, epoch, now);
            }
            Verdict::NotNewer => {}
            Verdict::Unclear => known.mark(now),
        }
        let answered = matches!((known.own().marked, read_at), (Some(marked), Some(at)) if at > marked);
        if verdict != Verdict::Unclear && answered {
            known.unmark();
        }
        let marked = known.own().marked.is_some();
        let recovers = (source != Source::Event || !marked) && known.take_failing();
        // Watchers of this mirror read all flags then.
        let hints = verdict != Verdict::Unclear && known.take_given_out() && source != Source::Reset;
        self.failing -= usize::from(recovers);
        self.renumbered |= renumbered;
        if hints {
            self.hints.extend(self.names.get_index(at).map(|(name, _)| name.clone()));
        }
        if marked && source != Source::Read {
            self.schedule_at(at);
        }
        verdict
    }

    fn name(&mut self, name: &str) -> &mut Name {
        let at = self.at(name);
        &mut self.names[at]
    }

    fn at(&mut self, name: &str) -> usize {
        // `entry` takes a copy of the name each time.
        let at = self.names.get_index_of(name);
        at.unwrap_or_else(|| self.names.insert_full(name.into(), Name::default()).0)
    }

    fn schedule(&mut self, name: &str) {
        let at = self.at(name);
        self.schedule_at(at);
    }

    fn schedule_at(&mut self, at: usize) {
        let Some((name, known)) = self.names.get_index_mut(at) else { return };
        let own = known.own_mut();
        if own.marked.is_some() && own.writes == 0 && !own.reading && !own.queued {
            own.queued = true;
            self.queue.push_back(name.clone());
        }
    }
}
