//! Calls of users' code from places that a panic of it must not tear down.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::clock::{Clock, RandomSource, SystemClock, ThreadRandom};

/// So many different things are said once each.
const MOST_SAID: usize = 1000;

static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What the call gives, or what it panicked with.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    // What the call leaves half changed is the user's, and seen by the user's code alone.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| text(&*panic).to_owned())
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// As [`guarded`] for what checks call: they go on with `instead`, and it is said once.
pub(crate) fn guarded_or<T>(who: impl FnOnce() -> String, call: impl FnOnce() -> T, instead: impl FnOnce() -> T) -> T {
    guarded(call).unwrap_or_else(|panic| {
        let who = guarded(who).unwrap_or_else(|_| "code of the program".to_owned());
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < MOST_SAID && said.insert(who.clone()) {
            tracing::error!(panic, "{who} panicked; said once");
        }
        drop(said);
        instead()
    })
}

/// A clock or a source of chance of the program's own; where it panics the system's stands in.
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
        guarded_or(|| format!("the source of chance {:?}", self.0), || self.0.next(), || ThreadRandom.next())
    }
}
