//! Calls of users' code, whose panic must not unwind into this crate.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::SystemTime;

use crate::clock::{Clock, RandomSource, SystemClock, ThreadRandom};
use crate::warn_once::WarnOnce;

static LOGGED: LazyLock<WarnOnce> = LazyLock::new(WarnOnce::default);

pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    // Only the user's code sees what is half changed.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| panic_text(&*panic).to_owned())
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// As [`guarded`], for code that checks call: after a panic, logged once, they use `instead`.
pub(crate) fn guarded_or<T>(what: impl FnOnce() -> String, call: impl FnOnce() -> T, instead: impl FnOnce() -> T) -> T {
    guarded(call).unwrap_or_else(|panic| {
        let what = guarded(what).unwrap_or_else(|_| "code of the program".to_owned());
        if LOGGED.is_due(&what) {
            tracing::error!(panic, "{what} panicked; logged once");
        }
        instead()
    })
}

/// A user's clock or random source; after a panic the system's.
#[derive(Debug)]
pub(crate) struct Guarded<T>(pub(crate) T);

impl<C: Clock> Clock for Guarded<C> {
    fn now(&self) -> SystemTime {
        guarded_or(|| format!("the clock {:?}", self.0), || self.0.now(), || SystemClock.now())
    }

    fn recent(&self) -> SystemTime {
        guarded_or(|| format!("the clock {:?}", self.0), || self.0.recent(), || SystemClock.recent())
    }
}

impl<R: RandomSource> RandomSource for Guarded<R> {
    fn next(&self) -> f64 {
        guarded_or(|| format!("the random source {:?}", self.0), || self.0.next(), || ThreadRandom.next())
    }
}
