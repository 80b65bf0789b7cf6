//! The place of one flag, which handles keep and checks read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use arc_swap::{ArcSwapOption, Guard};

use crate::evaluation::Plan;
use crate::record::FlagRecord;
use crate::store::{Corrupt, Stored, Version};

/// What a check finds out by one atomic load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Answer {
    /// No flag that could be read: the default of the call.
    Absent = 0,
    Off = 1,
    On = 2,
    /// It depends: on the attributes, the time, or chance.
    Evaluate = 3,
}

impl Answer {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Absent,
            1 => Self::Off,
            2 => Self::On,
            _ => Self::Evaluate,
        }
    }

    fn settled(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Self::On,
            Some(false) => Self::Off,
            None => Self::Evaluate,
        }
    }
}

/// One state of a flag, never changed after it was made.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) version: Version,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Deleted. The version stays, so that an older state that arrives late is known as such.
    Absent,
    Present {
        record: Arc<FlagRecord>,
        plan: Plan,
    },
    Corrupt(Corrupt),
}

impl Entry {
    pub(crate) fn new(stored: Stored) -> Self {
        let state = match stored.record {
            Ok(record) => State::Present { plan: Plan::new(&record), record },
            Err(corrupt) => State::Corrupt(corrupt),
        };
        Self { version: stored.version, state }
    }

    pub(crate) fn record(&self) -> Option<&Arc<FlagRecord>> {
        match &self.state {
            State::Present { record, .. } => Some(record),
            State::Absent | State::Corrupt(_) => None,
        }
    }

    pub(crate) fn to_stored(&self, name: &str) -> Option<Stored> {
        let record = match &self.state {
            State::Absent => return None,
            State::Present { record, .. } => Ok(record.clone()),
            State::Corrupt(corrupt) => Err(corrupt.clone()),
        };
        Some(Stored { name: name.to_owned(), version: self.version.clone(), record })
    }

    fn answers(&self) -> u8 {
        let (without, with) = match &self.state {
            State::Absent | State::Corrupt(_) => (Answer::Absent, Answer::Absent),
            State::Present { plan, .. } => {
                (Answer::settled(plan.settled_without_context()), Answer::settled(plan.settled_with_context()))
            }
        };
        without as u8 | ((with as u8) << 2)
    }
}

/// The state of one name. `answers` follows `entry`: a check that needs the entry may find a newer one than its word was
/// made from, never an older one.
#[derive(Debug)]
pub(crate) struct Slot {
    answers: AtomicU8,
    entry: ArcSwapOption<Entry>,
    name: Box<str>,
}

impl Slot {
    pub(crate) fn new(name: &str) -> Self {
        Self { answers: AtomicU8::new(0), entry: ArcSwapOption::empty(), name: name.into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is a flag, be it that it cannot be read.
    pub(crate) fn exists(&self) -> bool {
        self.entry().as_ref().is_some_and(|entry| !matches!(entry.state, State::Absent))
    }

    pub(crate) fn answer_without_context(&self) -> Answer {
        Answer::from_bits(self.answers.load(Ordering::Acquire))
    }

    pub(crate) fn answer_with_context(&self) -> Answer {
        Answer::from_bits(self.answers.load(Ordering::Acquire) >> 2)
    }

    pub(crate) fn entry(&self) -> Guard<Option<Arc<Entry>>> {
        self.entry.load()
    }

    /// One writer at a time.
    pub(super) fn set(&self, entry: Arc<Entry>) {
        let answers = entry.answers();
        self.entry.store(Some(entry));
        self.answers.store(answers, Ordering::Release);
    }
}
