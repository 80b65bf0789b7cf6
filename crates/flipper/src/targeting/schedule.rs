use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use crate::{Error, Result};

/// When an enabled flag is on, decided by the clock of each check. Times are seconds since 1970, in UTC.
///
/// ```
/// use flipper::targeting::Schedule;
///
/// let schedule = Schedule { enable_at: Some(1_796_112_000), ..Schedule::default() };
/// assert_eq!(schedule.to_string(), "on from 2026-12-01T08:00:00Z");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Off before this time.
    pub enable_at: Option<i64>,
    /// Off from this time on.
    pub disable_at: Option<i64>,
    /// A rollout in steps, in the order of their times. They replace the bucketer: off before the first, then the share of the last one
    /// that has begun.
    pub steps: Vec<Step>,
    /// The attribute by which the steps choose callers.
    pub by: String,
}

/// A share of callers from a time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// When it begins.
    pub at: i64,
    /// From 0 to 1.
    pub share: f64,
}

impl Schedule {
    /// The next time after `now` at which the answer may turn.
    #[must_use]
    pub fn next_turn(&self, now: i64) -> Option<i64> {
        self.turns().filter(|at| *at > now).min()
    }

    /// Whether it turns the flag on or off, rather than raise a share.
    pub(crate) fn turns_whole_flag(&self) -> bool {
        self.enable_at.is_some() || self.disable_at.is_some()
    }

    /// All times, in no order.
    pub(crate) fn turns(&self) -> impl Iterator<Item = i64> {
        self.enable_at.into_iter().chain(self.disable_at).chain(self.steps.iter().map(|step| step.at))
    }

    /// Whether nothing is left of it but the last share.
    pub(crate) fn is_empty(&self) -> bool {
        self.enable_at.is_none() && self.disable_at.is_none() && self.steps.is_empty()
    }

    /// What turns the flag on at once: without a later start, and without an end that has passed.
    pub(crate) fn begin(&mut self, now: i64) {
        self.enable_at = None;
        self.disable_at = self.disable_at.filter(|at| *at > now);
    }

    /// The share of the steps; `None` without steps.
    pub(crate) fn share(&self, now: i64) -> Option<f64> {
        let begun = self.steps.partition_point(|step| step.at <= now);
        let before = Some(0.0).filter(|_| !self.steps.is_empty());
        begun.checked_sub(1).and_then(|last| self.steps.get(last)).map_or(before, |step| Some(step.share))
    }

    /// Refuses times that have passed, but for those that the flag had before.
    ///
    /// # Errors
    ///
    /// `InvalidInput`.
    pub fn check_new(&self, before: Option<&Self>, now: SystemTime) -> Result<()> {
        let now = seconds(now);
        let known: Vec<i64> = before.into_iter().flat_map(Self::turns).collect();
        match self.turns().find(|at| *at <= now && !known.contains(at)) {
            Some(at) => Err(Error::invalid_input(format!("the schedule's time {} has passed", time(at)))),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<_> = self.enable_at.iter().map(|at| format!("on from {}", time(*at))).collect();
        parts.extend(self.steps.iter().map(|step| {
            let share = crate::bucketing::AnyPercentage::from(step.share);
            format!("{share} by {} from {}", self.by, time(step.at))
        }));
        parts.extend(self.disable_at.iter().map(|at| format!("off from {}", time(*at))));
        f.write_str(&parts.join(", "))
    }
}

/// Seconds since 1970; times before are 0.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// As RFC 3339 has it.
pub(crate) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("second {seconds}"), |time| time.to_string())
}
