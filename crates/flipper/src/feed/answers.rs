//! The times of a server's answer, by this process's clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Change, Delta, Known};
use crate::clock;
use crate::state::WatchEvent;

/// How long a call waits for a change, and so how long flags count as live, since each answer confirms them; but thousands of watches must
/// be cheap for a server.
pub const WAIT: Duration = Duration::from_secs(5);

/// How much later an answer may come.
pub const SLACK: Duration = Duration::from_secs(4);

/// How often a stream of answers has one, if nothing changes.
pub const BEAT: Duration = Duration::from_secs(1);

/// How much later one may come.
pub const STREAM_SLACK: Duration = Duration::from_secs(2);

/// Of the time since a stream began: clocks may differ in speed by so much, which is what NTP corrects at most.
const DRIFT: u32 = 2000;

/// For clocks of different speeds, and for changes ordered by a nanosecond.
const MARGIN: Duration = Duration::from_millis(1);

/// Beyond the requested wait: the server was stopped, or its machine slept.
const OVERSLEPT: Duration = Duration::from_millis(250);

const NAMES: usize = 10_000;

/// When an answer was made.
#[derive(Clone, Copy, Debug)]
pub struct AnswerTime {
    /// A time not after the answer was made.
    answered: Instant,
    /// The store had confirmed the flags.
    pub confirmed: Instant,
    /// Until the next answer has to be there.
    next: Duration,
}

impl AnswerTime {
    /// `called`: before the call was sent.
    #[must_use]
    pub fn new(delta: &Delta, called: Instant) -> Self {
        // The server's wait began after `called`, so the answer is no older.
        let waited = Duration::from_micros(delta.elapsed_us);
        let waited = if waited > WAIT + OVERSLEPT { Duration::ZERO } else { waited };
        Self::at(delta, (called + waited).min(clock::instant()), called, WAIT + SLACK)
    }

    /// An answer of a stream that was asked for after `opened`. `None` if this clock does not run as the server's, as after a sleep:
    /// then the stream has to be opened again.
    #[must_use]
    pub fn in_stream(delta: &Delta, opened: Instant) -> Option<Self> {
        let elapsed = Duration::from_micros(delta.elapsed_us);
        let answered = opened.checked_add(elapsed - elapsed / DRIFT)?;
        (answered <= clock::instant()).then(|| Self::at(delta, answered, opened, BEAT + STREAM_SLACK))
    }

    fn at(delta: &Delta, answered: Instant, earliest: Instant, next: Duration) -> Self {
        let age = Duration::from_millis(delta.confirmed_ms_ago);
        Self { answered, confirmed: answered.checked_sub(age).unwrap_or(earliest), next }
    }

    /// From `confirmed`: without another answer until then, the flags no longer count as live.
    #[must_use]
    pub fn valid_for(&self) -> Duration {
        self.answered.saturating_duration_since(self.confirmed) + self.next
    }
}

/// The last read time per flag: newer states get later times even if the previous answer travelled faster.
#[derive(Debug, Default)]
pub(super) struct Times {
    last: HashMap<String, Instant>,
    list: List,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum List {
    AfterThisAnswer,
    /// This answer may report changes from before the list and from after it.
    AfterTheLastAnswer,
    #[default]
    BeforeThat,
}

impl Times {
    pub(super) fn listed(&mut self) {
        self.last.clear();
        self.list = List::AfterThisAnswer;
    }

    pub(super) fn events(&mut self, changes: Vec<Change>, time: &AnswerTime) -> Vec<WatchEvent> {
        let (changes, next) = match self.list {
            // The list contains them.
            List::AfterThisAnswer => (Vec::new(), List::AfterTheLastAnswer),
            List::AfterTheLastAnswer | List::BeforeThat => (changes, List::BeforeThat),
        };
        let events = changes.into_iter().map(|change| self.event(change, time)).collect();
        self.list = next;
        events
    }

    fn event(&mut self, change: Change, time: &AnswerTime) -> WatchEvent {
        let Change { name, known, read_us_ago } = change;
        let version = match &known {
            Known::Flag(flag) => Some(&flag.version),
            Known::Missing(version) => version.as_ref(),
            Known::Unknown => return WatchEvent::Hint { name },
        };
        let is_ordered = version.is_some_and(|version| version.as_ordered().is_some());
        if self.list == List::AfterTheLastAnswer && !is_ordered {
            return WatchEvent::Hint { name };
        }
        let age = read_us_ago.map(|age| Duration::from_micros(age) + MARGIN);
        let read_at = age.and_then(|age| time.answered.checked_sub(age)).map(|at| self.after_last(&name, at));
        match known {
            Known::Flag(flag) => WatchEvent::Changed { flag, read_at },
            Known::Missing(version) => WatchEvent::Removed { name, version, read_at },
            Known::Unknown => WatchEvent::Hint { name },
        }
    }

    fn after_last(&mut self, name: &str, at: Instant) -> Instant {
        if self.last.len() >= NAMES {
            // At worst, another read of the flag.
            self.last.clear();
        }
        let before = self.last.get(name).map(|before| *before + Duration::from_nanos(1));
        let at = before.map_or(at, |before| before.max(at));
        self.last.insert(name.to_owned(), at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_stream_is_no_newer_than_it_can_be() {
        let opened = clock::instant();
        let delta = |elapsed_us, confirmed_ms_ago| Delta { elapsed_us, confirmed_ms_ago, ..Delta::default() };
        // Made at once, however late it arrives.
        let time = AnswerTime::in_stream(&delta(0, 40), opened).unwrap();
        assert_eq!((time.answered, time.valid_for()), (opened, Duration::from_millis(3040)));
        let earlier = opened - Duration::from_secs(300);
        let time = AnswerTime::in_stream(&delta(299_000_000, 0), earlier).unwrap();
        assert_eq!(opened - time.answered, Duration::from_millis(1000 + 299_000 / 2000) + Duration::from_micros(500));
        // The server's clock ran while ours did not.
        assert!(AnswerTime::in_stream(&delta(60_000_000, 0), opened).is_none());
    }
}
