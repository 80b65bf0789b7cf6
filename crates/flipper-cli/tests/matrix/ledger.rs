//! What was written, by when, and so what may be seen.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One write of a flag; each has a greater number than the one before, and the flag's client data say it.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) number: u64,
    /// It is a flag, or its absence.
    pub(crate) present: bool,
    sent: Instant,
    pub(crate) acknowledged: Option<Instant>,
    /// No other write comes before all have seen it.
    pub(crate) stands: bool,
    /// The store was as always.
    pub(crate) calm: bool,
}

#[derive(Debug, Default)]
struct Flag {
    writes: Vec<Write>,
    /// Whether a write was done is not known, so it is written no more.
    set_aside: bool,
    /// The store itself went back to this number.
    back: Option<(u64, Instant)>,
}

/// All writes of all flags.
#[derive(Debug)]
pub(crate) struct Ledger {
    flags: Vec<Mutex<Flag>>,
    emptied: Mutex<Option<Instant>>,
    away: Mutex<Option<Instant>>,
}

/// The name of a flag by its number.
pub(crate) fn name(flag: usize) -> String {
    format!("FLAG_{flag}")
}

/// The number of a flag by its name.
pub(crate) fn flag_of(name: &str) -> Option<usize> {
    name.strip_prefix("FLAG_")?.parse().ok()
}

impl Ledger {
    pub(crate) fn new(flags: usize) -> Self {
        Self {
            flags: (0..flags).map(|_| Mutex::default()).collect(),
            emptied: Mutex::default(),
            away: Mutex::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flags.len()
    }

    pub(crate) fn send(&self, flag: usize, present: bool, stands: bool, calm: bool) -> u64 {
        let mut flag = self.flags[flag].lock().unwrap();
        let number = flag.writes.last().map_or(1, |write| write.number + 1);
        flag.writes.push(Write { number, present, sent: Instant::now(), acknowledged: None, stands, calm });
        number
    }

    pub(crate) fn acknowledge(&self, flag: usize) {
        self.flags[flag].lock().unwrap().writes.last_mut().unwrap().acknowledged = Some(Instant::now());
    }

    /// It was certainly not done.
    pub(crate) fn refuse(&self, flag: usize) {
        // The number stays used: it must never be seen.
        self.flags[flag].lock().unwrap().writes.last_mut().unwrap().stands = false;
    }

    pub(crate) fn set_aside(&self, flag: usize) {
        self.flags[flag].lock().unwrap().set_aside = true;
    }

    pub(crate) fn is_set_aside(&self, flag: usize) -> bool {
        self.flags[flag].lock().unwrap().set_aside
    }

    /// The last write that was acknowledged.
    pub(crate) fn last(&self, flag: usize) -> Option<Write> {
        self.flags[flag].lock().unwrap().writes.iter().rev().find(|write| write.acknowledged.is_some()).cloned()
    }

    pub(crate) fn writes(&self, flag: usize) -> Vec<Write> {
        self.flags[flag].lock().unwrap().writes.clone()
    }

    /// The store has gone back to these numbers, or is about to.
    pub(crate) fn went_back(&self, numbers: impl IntoIterator<Item = (usize, u64)>) {
        for (flag, number) in numbers {
            self.flags[flag].lock().unwrap().back = Some((number, Instant::now()));
        }
    }

    /// The store has lost all, or is about to.
    pub(crate) fn empty(&self, emptied: bool) {
        *self.emptied.lock().unwrap() = emptied.then(Instant::now);
    }

    pub(crate) fn emptied_for(&self) -> Option<Duration> {
        self.emptied.lock().unwrap().map(|at| at.elapsed())
    }

    /// The store cannot be asked, from now on or until now.
    pub(crate) fn away(&self, away: bool) {
        *self.away.lock().unwrap() = away.then(Instant::now);
    }

    pub(crate) fn away_for(&self) -> Option<Duration> {
        self.away.lock().unwrap().map(|at| at.elapsed())
    }

    /// Takes in that a flag was seen with this number, or absent, after it was seen with `before`; gives the number that this state
    /// has, or what is wrong with it.
    pub(crate) fn saw(&self, flag: usize, seen: Option<u64>, before: u64, may_be_empty: bool) -> Result<u64, String> {
        let (name, flag) = (name(flag), self.flags[flag].lock().unwrap());
        let Some(number) = seen else {
            // As the last deletion that was sent.
            let deleted = flag.writes.iter().rev().find(|write| !write.present && write.number >= before);
            return match deleted {
                Some(write) => Ok(write.number),
                None if before == 0 || may_be_empty && self.emptied_for().is_some() => Ok(before),
                None => Err(format!("{name} vanished after {before}")),
            };
        };
        let write = flag.writes.iter().find(|write| write.number == number);
        if !write.is_some_and(|write| write.present) {
            return Err(format!("{name} has {number}, which is no state that was written"));
        }
        if number >= before || flag.back.is_some_and(|(back, _)| back == number) {
            return Ok(number);
        }
        Err(format!("{name} went back from {before} to {number}"))
    }

    /// How long a newer state than this one has been there, acknowledged and not undone.
    pub(crate) fn overdue(&self, flag: usize, number: u64) -> Option<Duration> {
        let flag = self.flags[flag].lock().unwrap();
        if flag.set_aside || flag.back.is_some() {
            return None;
        }
        let newer = flag.writes.iter().find(|write| write.number > number && write.acknowledged.is_some())?;
        Some(newer.acknowledged?.elapsed())
    }

    /// How long a flag has been there for sure.
    pub(crate) fn missing(&self, flag: usize) -> Option<Duration> {
        if self.is_set_aside(flag) || self.emptied_for().is_some() {
            return None;
        }
        let last = self.last(flag).filter(|write| write.present)?;
        // A deletion under way may be done already.
        let is_on_its_way = |write: &Write| write.number > last.number && !write.present;
        if self.flags[flag].lock().unwrap().writes.iter().any(is_on_its_way) {
            return None;
        }
        last.acknowledged.map(|at| at.elapsed())
    }

    /// How long after it was acknowledged a write was seen.
    pub(crate) fn took(write: &Write, seen: Instant) -> Duration {
        seen.saturating_duration_since(write.acknowledged.unwrap_or(write.sent))
    }
}
