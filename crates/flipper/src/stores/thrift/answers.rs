//! When what an answer of `Watch` says was so, by this process's clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::{FlagState, WatchResult};

use super::convert;
use crate::clock;
use crate::store::WatchEvent;

/// How long a call waits for a change. Each answer is a word of the server, so flags are live for at most this and the next: short
/// enough for that, and long enough that thousands of watches cost a server little.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// How much later than that an answer may be.
pub(crate) const SLACK: Duration = Duration::from_secs(4);

/// For clocks that go at different speeds, and for changes told apart by a nanosecond.
const MARGIN: Duration = Duration::from_millis(1);

/// A server that waited so much longer than it was asked to was stopped, or its machine slept.
const OVERSLEPT: Duration = Duration::from_millis(250);

/// So many names are remembered at once.
const NAMES: usize = 10_000;

/// When an answer was put together, and what it vouches for.
pub(crate) struct Heard {
    /// Not after the answer was put together.
    pub(crate) answered: Instant,
    /// All changes that the store had then have been reported.
    pub(crate) confirmed: Instant,
}

impl Heard {
    /// `called`: before the call was sent.
    pub(crate) fn new(result: &WatchResult, called: Instant) -> Self {
        // The call came after it was sent, so the answer is no older than this.
        let waited = Duration::from_micros(unsigned(result.waited_us));
        let waited = if waited > WAIT + OVERSLEPT { Duration::ZERO } else { waited };
        let answered = (called + waited).min(clock::instant());
        let age = Duration::from_millis(unsigned(result.confirmed_ms_ago));
        Self { answered, confirmed: answered.checked_sub(age).unwrap_or(called) }
    }

    /// How long after `confirmed`: if the server is not heard of for so long after this answer, nothing is known any more.
    pub(crate) fn valid_for(&self) -> Duration {
        self.answered.saturating_duration_since(self.confirmed) + WAIT + SLACK
    }
}

/// When the states that were passed on last were read, so that a later one of the same flag always has a later time: it was read later,
/// also if the answer before it was quicker on its way.
#[derive(Default)]
pub(crate) struct Times {
    last: HashMap<String, Instant>,
    list: List,
}

/// When all flags were read last.
#[derive(Default, PartialEq, Eq)]
enum List {
    AfterThisAnswer,
    /// What the present one reports may have been before that, and after it.
    AfterTheLastAnswer,
    #[default]
    Earlier,
}

impl Times {
    /// All flags have been read, after the answer whose changes come next.
    pub(crate) fn listed(&mut self) {
        self.last.clear();
        self.list = List::AfterThisAnswer;
    }

    /// The changes of an answer.
    pub(crate) fn events(&mut self, states: Vec<FlagState>, heard: &Heard) -> Vec<WatchEvent> {
        let (states, next) = match self.list {
            // The list has them.
            List::AfterThisAnswer => (Vec::new(), List::AfterTheLastAnswer),
            List::AfterTheLastAnswer | List::Earlier => (states, List::Earlier),
        };
        let events = states.into_iter().map(|state| self.event(state, heard)).collect();
        self.list = next;
        events
    }

    fn event(&mut self, state: FlagState, heard: &Heard) -> WatchEvent {
        let name = state.feature_name.clone().unwrap_or_default();
        let is_ordered = state.version.as_ref().is_some_and(|version| version.ordered.is_some());
        let may_be_older = self.list == List::AfterTheLastAnswer && !is_ordered;
        if may_be_older || state.unknown.unwrap_or_default() {
            return WatchEvent::Hint { name };
        }
        let age = state.read_us_ago.map(|age| Duration::from_micros(unsigned(Some(age))) + MARGIN);
        let read_at = age.and_then(|age| heard.answered.checked_sub(age)).map(|at| self.later(&name, at));
        let version = state.version.as_ref().and_then(convert::from_version);
        match convert::from_state(state) {
            Some(flag) => WatchEvent::Changed { flag, read_at },
            None => WatchEvent::Removed { name, version, read_at },
        }
    }

    fn later(&mut self, name: &str, at: Instant) -> Instant {
        if self.last.len() >= NAMES {
            // What is forgotten costs a read of the flag at the worst.
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
