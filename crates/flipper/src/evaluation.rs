//! The answer to a check, with its reason.

mod plan;
mod reason;
mod verdict;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(crate) use plan::{NO_ATTRIBUTES, Plan};
pub use reason::Reason;

pub use crate::clock::{Clock, RandomSource, SystemClock, ThreadRandom};
pub use crate::conditions::{Operator, ParseConditionError};
use crate::json::Json;

/// The answer to a check, with its reason.
///
/// # Which rule decides
///
/// The first that applies:
///
/// | | rule | answer |
/// |---|---|---|
/// | 1 | the flag is missing or unreadable | the check's default |
/// | 2 | the flag is disabled | off |
/// | 3 | the context meets a deny condition | off |
/// | 4 | it has conditions, and the context has attributes or the flag is strict | on if **all** hold, else off |
/// | 5 | the flag has a bucketer | the bucketer's |
/// | 6 | | on |
///
/// - Rule 4 is final, even if no condition names an attribute of the context. With the condition `is_admin == true` and a bucketer of 10 %,
///   the context `user_id: 2` is on, since no check on its attributes fails: only a check without attributes reaches the bucketer.
/// - Of a condition, all checks on attributes of the context must hold. Others are ignored, or fail if the flag is
///   [strict](crate::FlagRecord::is_strict). **Python has no strict flags.** The reason is the first check, in the context's order, that
///   fails or cannot compare.
/// - A deny condition denies when the context has all of its attributes and all of its checks hold, or cannot compare: a wrong type lets no
///   caller pass. **Python has no deny conditions**: it ignores them, and drops them on a write.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The answer.
    pub is_enabled: bool,
    /// Why.
    pub reason: Reason,
    /// Attributes that conditions, or the deciding bucketer, use and the context lacks: conditions on them were **ignored**.
    pub not_given: Vec<String>,
    /// The caller's place in a bucketer that hashes, even if something else decided.
    pub bucket: Option<Bucket>,
}

/// A caller's place in a bucketer that hashes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bucket {
    /// 0.00 to 0.99, or 0.00000 to 0.99999 with a [`SaltedPercentageBucketer`](crate::bucketing::SaltedPercentageBucketer).
    pub score: f64,
    /// The percentage now: as stored, or computed for a ramp. It should be a number.
    pub percentage: Json,
    /// Whether the context has nothing to hash: such callers share a score, and are switched together.
    pub is_shared: bool,
}

impl Evaluation {
    pub(crate) fn of(is_enabled: bool, reason: Reason) -> Self {
        Self { is_enabled, reason, not_given: Vec::new(), bucket: None }
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.is_enabled { "on" } else { "off" }, self.reason)?;
        if matches!(self.reason, Reason::Bucket { .. }) && self.bucket.as_ref().is_some_and(|bucket| bucket.is_shared) {
            f.write_str(", shared by all callers with nothing to hash")?;
        }
        for (index, name) in self.not_given.iter().enumerate() {
            write!(f, "{}{name:?}", if index == 0 { "; not given: " } else { ", " })?;
        }
        Ok(())
    }
}

/// For bindings to languages where some checks raise an error.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exact {
    /// On.
    On,
    /// Off.
    Off,
    /// No flag that can be read.
    Missing,
    /// A value cannot be compared, a percentage is no number, or a custom bucketer decides.
    Undecided,
}

#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
}
