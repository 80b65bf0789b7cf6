use std::time::{Duration, Instant};

use super::Observed;

#[derive(Debug, Default)]
pub(super) struct Name {
    /// Any state of the store was taken in.
    pub(super) known: bool,
    pub(super) present: bool,
    /// Of the state, or the last one before a deletion without a number.
    pub(super) number: Option<u64>,
    /// `None` if `number` cannot be compared with any other.
    pub(super) epoch: Option<u64>,
    /// By a read, at a time that no number shows.
    pub(super) deleted_at_unknown_number: bool,
    pub(super) writes: u32,
    /// When the last own write ended, or the last own read was taken in.
    pub(super) own: Option<Instant>,
    last_event: Option<EventTimes>,
    /// The last reset that had this name, or was found not to.
    pub(super) listed: u64,
    /// When a read last became necessary.
    pub(super) marked: Option<Instant>,
    /// When it first became necessary, since the last answer.
    pub(super) waiting: Option<Instant>,
    pub(super) reading: bool,
    pub(super) queued: bool,
    pub(super) failing: bool,
    /// A caller received another state, and it is unclear which is newer.
    pub(super) given_out: bool,
}

#[derive(Clone, Copy, Debug)]
struct EventTimes {
    read_at: Instant,
    at: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Event,
    Reset,
    Read,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Newer,
    NotNewer,
    /// Only a read sent from now on decides.
    Unclear,
}

/// No read or event is pending for longer.
const LATE: Duration = Duration::from_secs(120);

impl Name {
    pub(super) fn mark(&mut self, now: Instant) {
        // Never earlier than before: a write may have ended since `now`.
        self.marked = self.marked.max(Some(now));
        self.waiting.get_or_insert(now);
    }

    pub(super) fn unmark(&mut self) {
        (self.marked, self.waiting) = (None, None);
    }

    /// The flag is deleted, and nothing pending or late can bring it back.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let busy =
            self.present || self.writes > 0 || self.reading || self.queued || self.failing || self.marked.is_some();
        let last = self.own.max(self.last_event.map(|event| event.at));
        !busy && last.is_none_or(|last| now.saturating_duration_since(last) > LATE)
    }

    pub(super) fn verdict(&self, state: Observed, read_at: Option<Instant>, source: Source, epoch: u64) -> Verdict {
        let newer_if = |newer| if newer { Verdict::Newer } else { Verdict::Unclear };
        if let (Some(new), Some(old)) = (state.number, self.number)
            && self.epoch == Some(epoch)
        {
            return match new > old {
                // It may be from before the deletion, unless read after the deletion was known.
                true if self.deleted_at_unknown_number && !self.is_later_read(read_at, source) => Verdict::Unclear,
                true => Verdict::Newer,
                false => Verdict::NotNewer,
            };
        }
        if !self.known {
            // No state that could be newer is held. A pending own write will compare.
            let untouched = self.writes == 0 && self.own.is_none();
            if state.number.is_some() || (untouched && (read_at.is_some() || source == Source::Reset)) {
                return Verdict::Newer;
            }
        }
        let Some(at) = read_at else {
            // Below the number of an earlier epoch, the store may count from a lower one. After a read found the flag deleted, no number
            // shows whether the event is from before that.
            let higher = matches!((state.number, self.number), (Some(new), Some(old)) if new >= old);
            return newer_if(higher && self.epoch.is_some() && !self.deleted_at_unknown_number);
        };
        let after_event = self.last_event.is_none_or(|event| match source {
            // The watch's events are ordered among themselves, as are the reads behind them.
            Source::Event | Source::Reset => at > event.read_at,
            Source::Read => at > event.at,
        });
        newer_if(self.writes == 0 && after_event && self.own.is_none_or(|own| at > own))
    }

    /// After everything else was taken in.
    fn is_later_read(&self, read_at: Option<Instant>, source: Source) -> bool {
        let last = self.own.max(self.last_event.map(|event| event.at));
        source == Source::Read && read_at > last
    }

    /// It has a number of an earlier epoch that is not below this state's.
    pub(super) fn is_renumbered_by(&self, state: Observed, epoch: u64) -> bool {
        self.epoch != Some(epoch) && self.number.is_some_and(|old| state.number.is_none_or(|new| new <= old))
    }

    pub(super) fn enter(
        &mut self,
        state: Observed,
        read_at: Option<Instant>,
        source: Source,
        epoch: u64,
        now: Instant,
    ) {
        self.known = true;
        self.present = state.present;
        self.deleted_at_unknown_number = !state.present && state.number.is_none();
        // As a tombstone against late events, an absence without a number keeps the previous one.
        if state.number.is_some() || self.epoch != Some(epoch) {
            self.number = state.number;
        }
        self.epoch = Some(epoch);
        match source {
            Source::Read => self.own = Some(now),
            Source::Event | Source::Reset => {
                self.last_event = Some(EventTimes { read_at: read_at.unwrap_or(now), at: now });
            }
        }
    }
}
