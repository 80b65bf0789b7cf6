//! Which of two states of a flag is the newer one, and which flags must be read again: decisions alone, without I/O or a
//! clock, so that a model test can drive them through any interleaving (`tests/mirror_model.rs`).
//!
//! The rules, and why nothing less will do, are in DESIGN.md, "The mirror".

mod name;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use foldhash::fast::RandomState;

pub(crate) use self::name::Verdict;
use self::name::{Name, Source};

/// What is known of every name.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Counts the resets; numbers are compared within one epoch only.
    epoch: u64,
    names: HashMap<Box<str>, Name, RandomState>,
    /// Names to read again, each once.
    queue: VecDeque<Box<str>>,
    /// How many names could not be read when they had to be.
    failing: usize,
    /// Names of which those who follow this mirror may have another state than is held.
    hints: Vec<Box<str>>,
    /// Whether a state with a lower number replaced one of before the last reset: for those who follow this mirror the numbers begin again.
    renumbered: bool,
    /// At so many names, those of flags long gone are forgotten.
    prune_at: usize,
}

/// Not worth forgetting any.
const FEW_NAMES: usize = 1024;

/// A state of a flag, as far as order goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Whether there is a flag.
    pub(crate) present: bool,
    /// The number of its version, or of its absence, where the store counts.
    pub(crate) number: Option<u64>,
}

impl Seen {
    pub(crate) const ABSENT: Self = Self { present: false, number: None };
}

/// An own write in flight.
#[derive(Debug)]
pub(crate) struct Write {
    epoch: u64,
    /// The number before it, if later ones of this epoch can be compared with it.
    before: Option<u64>,
    comparable: bool,
}

/// How an own write ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It is in the store.
    Done(Seen),
    /// It is not, for certain.
    Refused,
    /// Nobody knows: it failed on the way, or nobody waited for its end.
    Unknown,
}

/// When a read of our own was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    at: Instant,
    epoch: u64,
}

/// A read that the order asks for.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) name: Box<str>,
    pub(crate) sent: Sent,
}

impl Order {
    /// A flag from before this process began. Whatever the store says replaces it.
    pub(crate) fn last_known(&mut self, name: &str) {
        self.names.entry(name.into()).or_default().present = true;
    }

    /// Before an own write is sent.
    pub(crate) fn start_write(&mut self, name: &str) -> Write {
        self.prune(Instant::now());
        let epoch = self.epoch;
        let known = self.name(name);
        known.writes += 1;
        let before = known.number.filter(|_| known.epoch == Some(epoch));
        Write { epoch, before, comparable: !known.known || known.epoch.is_some() }
    }

    /// After an own write; says whether what was written is newer than what is held.
    pub(crate) fn end_write(&mut self, name: &str, write: &Write, outcome: Outcome, now: Instant) -> Verdict {
        let epoch = self.epoch;
        let mut renumbered = false;
        let known = self.name(name);
        known.writes = known.writes.saturating_sub(1);
        known.own = Some(now);
        let verdict = match outcome {
            // A list came in meanwhile. It may be of before the write, or of a store that counts anew.
            Outcome::Done(_) if write.epoch != epoch => Verdict::Unclear,
            Outcome::Done(seen) => {
                // A lower number than there was before the write began: the store counts anew, and a reset is to come.
                let went_back = matches!((seen.number, write.before), (Some(new), Some(before)) if new < before);
                // Somebody wrote after us, and the watch was faster than our answer.
                let overtaken = matches!((seen.number, known.number), (Some(new), Some(current)) if new < current)
                    && known.epoch == Some(epoch);
                if went_back || !overtaken {
                    renumbered = known.is_renumbered_by(seen, epoch);
                    known.known = true;
                    known.present = seen.present;
                    known.gone_at_no_number = !seen.present && seen.number.is_none();
                    known.number = seen.number;
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
            known.given_out = true;
        } else if std::mem::take(&mut known.given_out) {
            self.hints.push(name.into());
        }
        self.renumbered |= renumbered;
        self.schedule(name);
        verdict
    }

    /// An event of the watch; says whether the state must be taken in. `read_at` is when the read of it was sent.
    pub(crate) fn event(&mut self, name: &str, seen: Seen, read_at: Option<Instant>, now: Instant) -> bool {
        self.judge(name, seen, read_at, Source::Event, now) == Verdict::Newer
    }

    /// Something happened to this flag.
    pub(crate) fn hint(&mut self, name: &str, now: Instant) {
        self.name(name).mark(now);
        self.schedule(name);
    }

    /// A reset begins, with so many flags; each of them goes to [`listed`](Self::listed), then each of [`not_listed`](Self::not_listed) to
    /// [`missing`](Self::missing).
    pub(crate) fn start_reset(&mut self, flags: usize) {
        self.epoch += 1;
        self.names.reserve(flags.saturating_sub(self.names.len()));
    }

    /// A flag of a reset; says whether it must be taken in.
    pub(crate) fn listed(&mut self, name: &str, seen: Seen, read_at: Option<Instant>, now: Instant) -> bool {
        self.judge(name, seen, read_at, Source::Reset, now) == Verdict::Newer
    }

    /// The flags that are held here and were not in the reset.
    pub(crate) fn not_listed(&self) -> Vec<Box<str>> {
        let missing = self.names.iter().filter(|(_, known)| known.present && known.listed != self.epoch);
        missing.map(|(name, _)| name.clone()).collect()
    }

    /// A flag that the reset did not have; says whether its absence must be taken in.
    pub(crate) fn missing(&mut self, name: &str, read_at: Option<Instant>, now: Instant) -> bool {
        self.judge(name, Seen::ABSENT, read_at, Source::Reset, now) == Verdict::Newer
    }

    /// The next read to be sent.
    pub(crate) fn start_read(&mut self, now: Instant) -> Option<Read> {
        let sent = self.sent(now);
        loop {
            let name = self.queue.pop_front()?;
            let known = self.name(&name);
            known.queued = false;
            if known.marked.is_some() && known.writes == 0 && !known.reading {
                known.reading = true;
                return Some(Read { name, sent });
            }
        }
    }

    /// What a read of [`start_read`](Self::start_read) found, `None` if it failed; says whether it must be taken in.
    pub(crate) fn end_read(&mut self, read: &Read, seen: Option<Seen>, now: Instant) -> bool {
        let epoch = self.epoch;
        let known = self.name(&read.name);
        known.reading = false;
        let newer = match seen {
            // Which epoch the store was in when it answered, nobody knows.
            Some(_) if read.sent.epoch != epoch => false,
            Some(seen) => self.judge(&read.name, seen, Some(read.sent.at), Source::Read, now) == Verdict::Newer,
            // If something else has answered meanwhile, it is not read again, and nothing is wrong.
            None if known.marked.is_none() => false,
            None => {
                if !std::mem::replace(&mut known.failing, true) {
                    self.failing += 1;
                }
                false
            }
        };
        self.schedule(&read.name);
        newer
    }

    /// No read of [`start_read`](Self::start_read) that is under way will end.
    pub(crate) fn abandon_reads(&mut self) {
        let reading = self.names.iter_mut().filter(|(_, known)| known.reading);
        let names: Vec<_> = reading
            .map(|(name, known)| {
                known.reading = false;
                name.clone()
            })
            .collect();
        names.iter().for_each(|name| self.schedule(name));
    }

    /// Notes when a read that somebody else asked for is sent.
    pub(crate) fn sent(&self, now: Instant) -> Sent {
        Sent { at: now, epoch: self.epoch }
    }

    /// What such a read found; says whether it is newer than what is held. The watch reports the same, so that nothing is lost here where
    /// this cannot be decided.
    pub(crate) fn found(&mut self, name: &str, sent: Sent, seen: Seen, now: Instant) -> Verdict {
        let nothing_new = !seen.present && !self.names.contains_key(name);
        if sent.epoch != self.epoch || nothing_new {
            return Verdict::NotNewer;
        }
        let marked = self.name(name).marked;
        let verdict = self.judge(name, seen, Some(sent.at), Source::Read, now);
        if marked.is_none() {
            self.name(name).unmark();
        }
        verdict
    }

    /// Another state than the one held was given to who asked for it: a mirror of this one, perhaps, which learns of changes here only.
    pub(crate) fn give_out(&mut self, name: &str) {
        self.name(name).given_out = true;
    }

    /// Names of which something else may have been given out before than is held, now that this is clear.
    pub(crate) fn take_hints(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.hints)
    }

    /// Whether those who follow this mirror must begin again, since they hold a higher number of before the last reset.
    pub(crate) fn take_renumbered(&mut self) -> bool {
        std::mem::take(&mut self.renumbered)
    }

    /// Whether a read that was sent then belongs to the last list of all flags.
    pub(crate) fn is_of_this_epoch(&self, sent: Sent) -> bool {
        sent.epoch == self.epoch
    }

    /// Whether a read that was sent then leaves open which state is the newest.
    pub(crate) fn is_unclear(&self, name: &str, sent: Sent) -> bool {
        sent.epoch != self.epoch || self.names.get(name).is_some_and(|known| known.marked.is_some())
    }

    /// How many flags are held here.
    pub(crate) fn held(&self) -> usize {
        self.names.values().filter(|known| known.present).count()
    }

    /// Since when the flag that waits longest for a read waits; reads under way count.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        self.names.values().filter_map(|known| known.waiting).min()
    }

    /// Forgets names whose flags are gone for so long that no late word of them can come. Their number is so bounded by that of
    /// the flags.
    fn prune(&mut self, now: Instant) {
        if self.names.len() < self.prune_at.max(FEW_NAMES) {
            return;
        }
        self.names.retain(|_, known| !known.is_forgettable(now));
        self.prune_at = self.names.len() * 2;
    }

    /// How many flags could not be read when they had to be.
    pub(crate) fn failing(&self) -> usize {
        self.failing
    }

    fn judge(&mut self, name: &str, seen: Seen, read_at: Option<Instant>, source: Source, now: Instant) -> Verdict {
        let epoch = self.epoch;
        let known = self.name(name);
        if source == Source::Reset {
            known.listed = epoch;
        }
        let verdict = known.verdict(seen, read_at, source, epoch);
        let mut renumbered = false;
        match verdict {
            Verdict::Newer => {
                // After a reset those who follow this mirror compare no number with one of before.
                renumbered = source != Source::Reset && known.is_renumbered_by(seen, epoch);
                known.enter(seen, read_at, source, epoch, now);
            }
            Verdict::NotNewer => {}
            Verdict::Unclear => known.mark(now),
        }
        let answered = matches!((known.marked, read_at), (Some(marked), Some(at)) if at > marked);
        if verdict != Verdict::Unclear && answered {
            known.unmark();
        }
        let marked = known.marked.is_some();
        // Read after all, whether or not it said anything new; or something else has answered, and no read is wanted any more.
        if (source != Source::Event || !marked) && std::mem::take(&mut known.failing) {
            self.failing -= 1;
        }
        self.renumbered |= renumbered;
        if marked && source != Source::Read {
            self.schedule(name);
        }
        // After a reset those who follow this mirror read all flags.
        if verdict != Verdict::Unclear && std::mem::take(&mut self.name(name).given_out) && source != Source::Reset {
            self.hints.push(name.into());
        }
        verdict
    }

    fn name(&mut self, name: &str) -> &mut Name {
        self.names.entry(name.into()).or_default()
    }

    fn schedule(&mut self, name: &str) {
        let known = self.name(name);
        if known.marked.is_some() && known.writes == 0 && !known.reading && !known.queued {
            known.queued = true;
            self.queue.push_back(name.into());
        }
    }
}
