//! Records the writes, and so which states a watcher may see.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::dependents::is_segment;

/// One write of a flag. Its number, greater than the one before, is in the flag's client data.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) number: u64,
    /// `false`: the write deletes the flag.
    pub(crate) present: bool,
    sent: Instant,
    pub(crate) acknowledged: Option<Instant>,
    /// By this library, which enters it in the history.
    pub(crate) ours: bool,
    /// The next write waits until all watchers have seen this one.
    pub(crate) stands: bool,
    /// There was no fault.
    pub(crate) calm: bool,
}

#[derive(Debug, Default)]
struct Flag {
    writes: Vec<Write>,
    /// A write has an unknown outcome, so there are no more.
    set_aside: bool,
    /// The store went back to this number.
    back: Option<(u64, Instant)>,
}

/// Well above the expiration of the cache.
const CACHED_FOR: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Ledger {
    flags: Vec<Mutex<Flag>>,
    emptied: Mutex<Option<Instant>>,
    /// How many flags were sent to it since.
    sent_again: AtomicUsize,
    /// The end of the last emptiness.
    refilled: Mutex<Option<Instant>>,
    away: Mutex<Option<Instant>>,
}

pub(crate) fn name(flag: usize) -> String {
    if is_segment(flag) { format!("segments/FLAG_{flag}") } else { format!("FLAG_{flag}") }
}

pub(crate) fn flag_of(name: &str) -> Option<usize> {
    name.strip_prefix("segments/").unwrap_or(name).strip_prefix("FLAG_")?.parse().ok()
}

impl Ledger {
    pub(crate) fn new(flags: usize) -> Self {
        Self {
            flags: (0..flags).map(|_| Mutex::default()).collect(),
            emptied: Mutex::default(),
            sent_again: AtomicUsize::default(),
            refilled: Mutex::default(),
            away: Mutex::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.flags.len()
    }

    pub(crate) fn send(&self, flag: usize, present: bool, stands: bool, calm: bool) -> u64 {
        self.sent_again.fetch_add(1, Ordering::AcqRel);
        let mut flag = self.flags[flag].lock().unwrap();
        let number = flag.writes.last().map_or(1, |write| write.number + 1);
        flag.writes.push(Write {
            number,
            present,
            sent: Instant::now(),
            acknowledged: None,
            ours: false,
            stands,
            calm,
        });
        number
    }

    pub(crate) fn acknowledge(&self, flag: usize, ours: bool) {
        let mut flag = self.flags[flag].lock().unwrap();
        let write = flag.writes.last_mut().unwrap();
        (write.acknowledged, write.ours) = (Some(Instant::now()), ours);
    }

    /// The last write was certainly not done.
    pub(crate) fn refuse(&self, flag: usize) {
        // The number stays used: no watcher may see it.
        self.flags[flag].lock().unwrap().writes.last_mut().unwrap().stands = false;
    }

    pub(crate) fn set_aside(&self, flag: usize) {
        self.flags[flag].lock().unwrap().set_aside = true;
    }

    /// The next write decides.
    pub(crate) fn take_up(&self, flag: usize) {
        self.flags[flag].lock().unwrap().set_aside = false;
    }

    pub(crate) fn is_set_aside(&self, flag: usize) -> bool {
        self.flags[flag].lock().unwrap().set_aside
    }

    pub(crate) fn last(&self, flag: usize) -> Option<Write> {
        self.flags[flag].lock().unwrap().writes.iter().rev().find(|write| write.acknowledged.is_some()).cloned()
    }

    /// The number of the last write of each flag.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.flags.iter().map(|flag| flag.lock().unwrap().writes.last().map_or(0, |write| write.number)).collect()
    }

    /// How many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        let of = |flag: &Mutex<Flag>| {
            flag.lock().unwrap().writes.iter().filter(|write| write.acknowledged.is_some()).count()
        };
        self.flags.iter().map(of).sum::<usize>() as u64
    }

    pub(crate) fn writes(&self, flag: usize) -> Vec<Write> {
        self.flags[flag].lock().unwrap().writes.clone()
    }

    pub(crate) fn went_back(&self, numbers: impl IntoIterator<Item = (usize, u64)>) {
        for (flag, number) in numbers {
            self.flags[flag].lock().unwrap().back = Some((number, Instant::now()));
        }
    }

    /// All have seen newer states since.
    pub(crate) fn went_forward(&self) {
        self.flags.iter().for_each(|flag| flag.lock().unwrap().back = None);
    }

    pub(crate) fn empty(&self, emptied: bool) {
        if emptied {
            self.sent_again.store(0, Ordering::Release);
        } else {
            *self.refilled.lock().unwrap() = Some(Instant::now());
        }
        *self.emptied.lock().unwrap() = emptied.then(Instant::now);
    }

    pub(crate) fn emptied_for(&self) -> Option<Duration> {
        self.emptied.lock().unwrap().map(|at| at.elapsed())
    }

    /// Whether a read may miss a flag because the store was empty; a cache shows that until its answer expires. `keeps`: a mirror, which believes
    /// a store that comes back with half of its flags.
    fn may_be_empty(&self, keeps: bool) -> bool {
        let refilled = self.refilled.lock().unwrap().is_some_and(|at| at.elapsed() < CACHED_FOR);
        let is_half = self.sent_again.load(Ordering::Acquire) * 2 >= self.len();
        refilled || self.emptied_for().is_some() && (!keeps || is_half)
    }

    /// Whether the store can be reached, from now on.
    pub(crate) fn away(&self, away: bool) {
        *self.away.lock().unwrap() = away.then(Instant::now);
    }

    pub(crate) fn away_for(&self) -> Option<Duration> {
        self.away.lock().unwrap().map(|at| at.elapsed())
    }

    /// Checks an observed number, or absence, that follows `before`. Returns the number of this state, or what is wrong with it.
    pub(crate) fn check(&self, flag: usize, observed: Option<u64>, before: u64, keeps: bool) -> Result<u64, String> {
        let (name, flag) = (name(flag), self.flags[flag].lock().unwrap());
        let Some(number) = observed else {
            // Counts as the last deletion.
            let deleted = flag.writes.iter().rev().find(|write| !write.present && write.number >= before);
            return match deleted {
                Some(write) => Ok(write.number),
                None if flag.back.is_some_and(|(back, _)| back == 0) => Ok(0),
                None if before == 0 || self.may_be_empty(keeps) => Ok(before),
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

    /// How long ago a newer state was acknowledged.
    pub(crate) fn overdue(&self, flag: usize, number: u64) -> Option<Duration> {
        let flag = self.flags[flag].lock().unwrap();
        if flag.set_aside {
            return None;
        }
        let counts = |at: &Instant| flag.back.is_none_or(|(_, back)| *at > back);
        let newer = flag.writes.iter().filter(|write| write.number > number);
        Some(newer.filter_map(|write| write.acknowledged).find(counts)?.elapsed())
    }

    /// How long a flag has certainly existed.
    pub(crate) fn missing(&self, flag: usize) -> Option<Duration> {
        if self.is_set_aside(flag) || self.emptied_for().is_some() {
            return None;
        }
        let last = self.last(flag).filter(|write| write.present)?;
        // A pending deletion may be done already.
        let is_pending = |write: &Write| write.number > last.number && !write.present;
        if self.flags[flag].lock().unwrap().writes.iter().any(is_pending) {
            return None;
        }
        last.acknowledged.map(|at| at.elapsed())
    }

    /// Time from the acknowledgement to the observation.
    pub(crate) fn took(write: &Write, at: Instant) -> Duration {
        at.saturating_duration_since(write.acknowledged.unwrap_or(write.sent))
    }
}
