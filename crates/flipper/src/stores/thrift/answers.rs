//! The times of a `Watch` answer, by this process's clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::{FlagState, WatchResult};

use super::convert;
use crate::clock;
use crate::state::WatchEvent;

/// How long a call waits for a change, and so how long flags count as live, since each answer confirms them; but thousands of watches must
/// be cheap for a server.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

pub(crate) const SLACK: Duration = Duration::from_secs(4);

/// For clocks of different speeds, and for changes ordered by a nanosecond.
const MARGIN: Duration = Duration::from_millis(1);

/// Beyond the requested wait: the server was stopped, or its machine slept.
const OVERSLEPT: Duration = Duration::from_millis(250);

const NAMES: usize = 10_000;

pub(crate) struct AnswerTime {
    /// A time not after the answer was made.
    pub(crate) answered: Instant,
    pub(crate) confirmed: Instant,
}

impl AnswerTime {
    /// `called`: before the call was sent.
    pub(crate) fn new(result: &WatchResult, called: Instant) -> Self {
        // The server's wait began after `called`, so the answer is no older.
        let waited = Duration::from_micros(unsigned(result.waited_us));
        let waited = if waited > WAIT + OVERSLEPT { Duration::ZERO } else { waited };
        let answered = (called + waited).min(clock::instant());
        let age = Duration::from_millis(unsigned(result.confirmed_ms_ago));
        Self { answered, confirmed: answered.checked_sub(age).unwrap_or(called) }
    }

    /// From `confirmed`: without another answer until then, the flags no longer count as live.
    pub(crate) fn valid_for(&self) -> Duration {
        self.answered.saturating_duration_since(self.confirmed) + WAIT + SLACK
    }
}

/// The last read time per flag: newer states get later times even if the previous answer travelled faster.
#[derive(Default)]
pub(crate) struct Times {
    last: HashMap<String, Instant>,
    list: List,
}

#[derive(Default, PartialEq, Eq)]
enum List {
    AfterThisAnswer,
    /// This answer may report changes from before the list and from after it.
    AfterTheLastAnswer,
    #[default]
    BeforeThat,
}

impl Times {
    pub(crate) fn listed(&mut self) {
        self.last.clear();
        self.list = List::AfterThisAnswer;
    }

    pub(crate) fn events(&mut self, states: Vec<FlagState>, time: &AnswerTime) -> Vec<WatchEvent> {
        let (states, next) = match self.list {
            // The list contains them.
            List::AfterThisAnswer => (Vec::new(), List::AfterTheLastAnswer),
            List::AfterTheLastAnswer | List::BeforeThat => (states, List::BeforeThat),
        };
        let events = states.into_iter().map(|state| self.event(state, time)).collect();
        self.list = next;
        events
    }

    fn event(&mut self, state: FlagState, time: &AnswerTime) -> WatchEvent {
        let name = state.feature_name.clone().unwrap_or_default();
        let is_ordered = state.version.as_ref().is_some_and(|version| version.ordered.is_some());
        let may_be_older = self.list == List::AfterTheLastAnswer && !is_ordered;
        if may_be_older || state.unknown.unwrap_or_default() {
            return WatchEvent::Hint { name };
        }
        let age = state.read_us_ago.map(|age| Duration::from_micros(unsigned(Some(age))) + MARGIN);
        let read_at = age.and_then(|age| time.answered.checked_sub(age)).map(|at| self.after_last(&name, at));
        let version = state.version.as_ref().and_then(convert::from_version);
        match convert::from_state(state) {
            Some(flag) => WatchEvent::Changed { flag, read_at },
            None => WatchEvent::Removed { name, version, read_at },
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

fn unsigned(number: Option<i64>) -> u64 {
    u64::try_from(number.unwrap_or_default()).unwrap_or_default()
}
