//! Time and chance, injected so that ramps and random buckets can be tested.

use std::fmt::Debug;
use std::time::SystemTime;

/// Tells the time of day.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use flipper::Clock;
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
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Gives numbers in `0.0..1.0`.
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
