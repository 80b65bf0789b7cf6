//! Time and randomness, injected for tests.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

/// A source of the time of day.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use flipper::evaluation::Clock;
///
/// #[derive(Debug)]
/// struct Frozen;
///
/// impl Clock for Frozen {
///     fn now(&self) -> SystemTime {
///         SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
///     }
/// }
/// ```
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> SystemTime;

    /// The time for checks: `now`, or one that is cheaper to read and at most some milliseconds old.
    fn recent(&self) -> SystemTime {
        self.now()
    }
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// The time of Linux's last tick, at most 10 ms ago, is read from memory; `now` waits for a counter of the CPU.
    #[cfg(target_os = "linux")]
    #[inline]
    fn recent(&self) -> SystemTime {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        match (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec)) {
            (Ok(seconds), Ok(nanos)) => SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos),
            _ => self.now(),
        }
    }
}

/// The current time, which the model of the chain sets.
#[inline]
pub(crate) fn instant() -> Instant {
    #[cfg(test)]
    if let Some((now, _)) = model::now() {
        return now;
    }
    Instant::now()
}

#[inline]
pub(crate) fn time_of_day() -> SystemTime {
    #[cfg(test)]
    if let Some((_, now)) = model::now() {
        return now;
    }
    SystemTime::now()
}

pub(crate) fn age(at: Instant) -> Duration {
    instant().saturating_duration_since(at)
}

#[cfg(test)]
pub(crate) mod model {
    use std::cell::Cell;
    use std::time::{Instant, SystemTime};

    thread_local!(static NOW: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) });

    pub(crate) fn now() -> Option<(Instant, SystemTime)> {
        NOW.get()
    }

    pub(crate) fn set(now: Option<(Instant, SystemTime)>) {
        NOW.set(now);
    }
}

/// A source of random numbers in `0.0..1.0`.
pub trait RandomSource: Debug + Send + Sync + 'static {
    /// The next number, at least 0 and less than 1.
    fn next(&self) -> f64;
}

/// A generator for each thread, seeded by the system. Not for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRandom;

impl RandomSource for ThreadRandom {
    fn next(&self) -> f64 {
        fastrand::f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_is_recent() {
        let before = SystemClock.now();
        let recent = SystemClock.recent();
        assert!(recent <= SystemClock.now());
        // A hundred ticks: a virtual machine's may be late.
        assert!(recent >= before - std::time::Duration::from_secs(1));
    }
}
