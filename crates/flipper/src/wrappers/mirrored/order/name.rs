//! What is known of one name, and how a state of it is judged.

use std::time::{Duration, Instant};

use super::Seen;

#[derive(Debug, Default)]
pub(super) struct Name {
    /// Whether any state of the store's was taken in.
    pub(super) known: bool,
    /// Whether the state that was taken in last is a flag, not its absence.
    pub(super) present: bool,
    /// The ordered version of what was taken in last, or of what was there before it was gone.
    pub(super) number: Option<u64>,
    /// The epoch that `number` belongs to; `None` if it can be compared with no other.
    pub(super) epoch: Option<u64>,
    /// Whether a read found it gone, which no number says the time of.
    pub(super) gone_at_no_number: bool,
    /// Own writes in flight.
    pub(super) writes: u32,
    /// When the last own write ended, or the result of the last own read was taken in.
    pub(super) own: Option<Instant>,
    told: Option<Told>,
    /// The last reset that had this name, or was found not to have it.
    pub(super) listed: u64,
    /// When it was found out that the name must be read again.
    pub(super) marked: Option<Instant>,
    /// When that was found out first, of what no read has answered yet.
    pub(super) waiting: Option<Instant>,
    pub(super) reading: bool,
    pub(super) queued: bool,
    pub(super) failing: bool,
    /// Whether another state was given to who asked, and nothing said since which is the newer one.
    pub(super) given_out: bool,
}

/// The last event of the watch that was taken in.
#[derive(Clone, Copy, Debug)]
struct Told {
    read_at: Instant,
    at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Event,
    Reset,
    Read,
}

/// Whether a state is newer than the one held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Newer,
    NotNewer,
    /// Only a read that is sent from now on says.
    Unclear,
}

/// Longer than any read or event can be under way.
const LATE: Duration = Duration::from_secs(120);

impl Name {
    /// It must be read again.
    pub(super) fn mark(&mut self, now: Instant) {
        // Not earlier than it was: a write may have ended since `now`.
        self.marked = self.marked.max(Some(now));
        self.waiting.get_or_insert(now);
    }

    pub(super) fn unmark(&mut self) {
        (self.marked, self.waiting) = (None, None);
    }

    /// Whether there is no flag, nothing is under way for it, and nothing late can come.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let busy =
            self.present || self.writes > 0 || self.reading || self.queued || self.failing || self.marked.is_some();
        let last = self.own.max(self.told.map(|told| told.at));
        !busy && last.is_none_or(|last| now.saturating_duration_since(last) > LATE)
    }

    /// Whether a state is newer than what was taken in.
    pub(super) fn verdict(&self, seen: Seen, read_at: Option<Instant>, source: Source, epoch: u64) -> Verdict {
        let newer_if = |newer| if newer { Verdict::Newer } else { Verdict::Unclear };
        if let (Some(new), Some(old)) = (seen.number, self.number)
            && self.epoch == Some(epoch)
        {
            return match new > old {
                // It may be of before it was gone, unless it was read after that was known.
                true if self.gone_at_no_number && !self.is_later_read(read_at, source) => Verdict::Unclear,
                true => Verdict::Newer,
                false => Verdict::NotNewer,
            };
        }
        if !self.known {
            // Nothing of the store's is here that could be newer; an own write that is under way will compare.
            let untouched = self.writes == 0 && self.own.is_none();
            if seen.number.is_some() || (untouched && (read_at.is_some() || source == Source::Reset)) {
                return Verdict::Newer;
            }
        }
        let Some(at) = read_at else {
            // A number of an earlier epoch: if it is lower now, the store may be counting anew. After a read found no flag, no number
            // says whether the event is of before that.
            let higher = matches!((seen.number, self.number), (Some(new), Some(old)) if new >= old);
            return newer_if(higher && self.epoch.is_some() && !self.gone_at_no_number);
        };
        let after_told = self.told.is_none_or(|told| match source {
            // The watch's events are in order among themselves, as the reads behind them are.
            Source::Event | Source::Reset => at > told.read_at,
            Source::Read => at > told.at,
        });
        newer_if(self.writes == 0 && after_told && self.own.is_none_or(|own| at > own))
    }

    /// Whether it was read after everything else was taken in.
    fn is_later_read(&self, read_at: Option<Instant>, source: Source) -> bool {
        let last = self.own.max(self.told.map(|told| told.at));
        source == Source::Read && read_at > last
    }

    /// Whether a number of an earlier epoch is held, which this state's numbers cannot be compared with.
    pub(super) fn is_renumbered_by(&self, seen: Seen, epoch: u64) -> bool {
        self.epoch != Some(epoch) && self.number.is_some_and(|old| seen.number.is_none_or(|new| new <= old))
    }

    /// Notes that a state was taken in.
    pub(super) fn enter(&mut self, seen: Seen, read_at: Option<Instant>, source: Source, epoch: u64, now: Instant) {
        self.known = true;
        self.present = seen.present;
        self.gone_at_no_number = !seen.present && seen.number.is_none();
        // An absence without a number keeps the one before it: as a tombstone, for what is told late.
        if seen.number.is_some() || self.epoch != Some(epoch) {
            self.number = seen.number;
        }
        self.epoch = Some(epoch);
        match source {
            Source::Read => self.own = Some(now),
            Source::Event | Source::Reset => self.told = Some(Told { read_at: read_at.unwrap_or(now), at: now }),
        }
    }
}
