use std::num::{NonZeroI64, NonZeroU32};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::Observed;

#[derive(Debug, Default)]
pub(super) struct Name {
    /// Any state of the store was taken in.
    pub(super) known: bool,
    pub(super) present: bool,
    /// By a read, at a time that no number shows.
    pub(super) deleted_at_unknown_number: bool,
    /// The last reset that had this name, or was found not to.
    pub(super) listed: Epoch,
    /// `None` if `number` cannot be compared with any other.
    pub(super) epoch: Option<Epoch>,
    has_number: bool,
    number: u64,
    last_event: Option<EventTimes>,
    /// Boxed: most flags have none of it, and so take half of the memory.
    own: Option<Box<Own>>,
}

/// Own calls about a name, and reads that the mirror needs.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) writes: u32,
    /// When the last own write ended, or the last own read was taken in.
    pub(super) last: Option<Instant>,
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

static NONE: Own = Own {
    writes: 0,
    last: None,
    marked: None,
    waiting: None,
    reading: false,
    queued: false,
    failing: false,
    given_out: false,
};

/// Counts the resets.
pub(super) type Epoch = u32;

#[derive(Clone, Copy, Debug)]
struct EventTimes {
    read_at: Moment,
    at: Moment,
}

/// An [`Instant`] in half of its memory: nanoseconds since this was first used, of which 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(NonZeroI64);

impl Moment {
    fn since(self, earlier: Self) -> Duration {
        let nanos = self.0.get().saturating_sub(earlier.0.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

impl From<Instant> for Moment {
    fn from(at: Instant) -> Self {
        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let since = match at.checked_duration_since(*FIRST) {
            Some(since) => nanos(since),
            None => -nanos(FIRST.saturating_duration_since(at)),
        };
        Self(NonZeroI64::new(since).unwrap_or(NonZeroU32::MIN.into()))
    }
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
    /// Of a name that no state is known of.
    pub(super) fn listed(state: Observed, read_at: Option<Instant>, epoch: Epoch, now: Instant) -> Self {
        let mut name = Self { listed: epoch, ..Self::default() };
        name.enter(state, read_at, Source::Reset, epoch, now);
        name
    }

    /// Of the state, or the last one before a deletion without a number.
    pub(super) fn number(&self) -> Option<u64> {
        self.has_number.then_some(self.number)
    }

    pub(super) fn set_number(&mut self, number: Option<u64>) {
        (self.has_number, self.number) = (number.is_some(), number.unwrap_or(0));
    }

    pub(super) fn own(&self) -> &Own {
        self.own.as_deref().unwrap_or(&NONE)
    }

    pub(super) fn own_mut(&mut self) -> &mut Own {
        self.own.get_or_insert_with(|| Box::new(Own { ..NONE }))
    }

    pub(super) fn mark(&mut self, now: Instant) {
        let own = self.own_mut();
        // Never earlier than before: a write may have ended since `now`.
        own.marked = own.marked.max(Some(now));
        own.waiting.get_or_insert(now);
    }

    pub(super) fn unmark(&mut self) {
        if let Some(own) = &mut self.own {
            (own.marked, own.waiting) = (None, None);
        }
    }

    /// Returns whether its last read had failed, which no longer matters.
    pub(super) fn take_failing(&mut self) -> bool {
        self.own.as_mut().is_some_and(|own| std::mem::take(&mut own.failing))
    }

    pub(super) fn take_given_out(&mut self) -> bool {
        self.own.as_mut().is_some_and(|own| std::mem::take(&mut own.given_out))
    }

    /// The flag is deleted, and nothing pending or late can bring it back.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let own = self.own();
        let busy = self.present || own.writes > 0 || own.reading || own.queued || own.failing || own.marked.is_some();
        !busy && self.last().is_none_or(|last| Moment::from(now).since(last) > LATE)
    }

    pub(super) fn verdict(&self, state: Observed, read_at: Option<Instant>, source: Source, epoch: Epoch) -> Verdict {
        let newer_if = |newer| if newer { Verdict::Newer } else { Verdict::Unclear };
        if let (Some(new), Some(old)) = (state.number, self.number())
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
            let untouched = self.own().writes == 0 && self.own().last.is_none();
            if state.number.is_some() || (untouched && (read_at.is_some() || source == Source::Reset)) {
                return Verdict::Newer;
            }
        }
        let Some(at) = read_at else {
            // Below the number of an earlier epoch, the store may count from a lower one. After a read found the flag deleted, no number
            // shows whether the event is from before that.
            let higher = matches!((state.number, self.number()), (Some(new), Some(old)) if new >= old);
            return newer_if(higher && self.epoch.is_some() && !self.deleted_at_unknown_number);
        };
        let after_event = self.last_event.is_none_or(|event| match source {
            // The watch's events are ordered among themselves, as are the reads behind them.
            Source::Event | Source::Reset => Moment::from(at) > event.read_at,
            Source::Read => Moment::from(at) > event.at,
        });
        newer_if(self.own().writes == 0 && after_event && self.own().last.is_none_or(|own| at > own))
    }

    /// After everything else was taken in.
    fn is_later_read(&self, read_at: Option<Instant>, source: Source) -> bool {
        source == Source::Read && read_at.map(Moment::from) > self.last()
    }

    /// When a state was last taken in.
    fn last(&self) -> Option<Moment> {
        self.own().last.map(Moment::from).max(self.last_event.map(|event| event.at))
    }

    /// It has a number of an earlier epoch that is not below this state's.
    pub(super) fn is_renumbered_by(&self, state: Observed, epoch: Epoch) -> bool {
        self.epoch != Some(epoch) && self.number().is_some_and(|old| state.number.is_none_or(|new| new <= old))
    }

    pub(super) fn enter(
        &mut self,
        state: Observed,
        read_at: Option<Instant>,
        source: Source,
        epoch: Epoch,
        now: Instant,
    ) {
        self.known = true;
        self.present = state.present;
        self.deleted_at_unknown_number = !state.present && state.number.is_none();
        // As a tombstone against late events, an absence without a number keeps the previous one.
        if state.number.is_some() || self.epoch != Some(epoch) {
            self.set_number(state.number);
        }
        self.epoch = Some(epoch);
        match source {
            Source::Read => self.own_mut().last = Some(now),
            Source::Event | Source::Reset => {
                self.last_event = Some(EventTimes { read_at: read_at.unwrap_or(now).into(), at: now.into() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_little_memory() {
        assert_eq!(size_of::<Name>(), 48);
    }

    #[test]
    fn moments_have_the_order_of_their_instants() {
        let first = Instant::now();
        let (nano, hour) = (Duration::from_nanos(1), Duration::from_secs(3600));
        let moments = [first - hour, first, first + 2 * nano, first + 3 * nano, first + hour, first + 100_000 * hour];
        let moments = moments.map(Moment::from);
        assert!(moments.is_sorted_by(|one, next| one < next));
        assert_eq!((moments[4].since(moments[1]), moments[1].since(moments[4])), (hour, Duration::ZERO));
        assert_eq!(moments[3].since(moments[2]), nano);
    }
}
