//! The answer to a check with its reason, and what it depends on: operators, clock, chance.

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

/// The answer to a check, and why it is that.
///
/// # Which rule decides
///
/// The first of these that applies:
///
/// | | rule | answer |
/// |---|---|---|
/// | 1 | the flag does not exist, or what is stored cannot be read | the default of the check |
/// | 2 | the flag is disabled | off |
/// | 3 | the context meets a deny condition | off |
/// | 4 | the context has attributes, or the flag is strict, and it has conditions | on if **all** conditions hold, else off |
/// | 5 | the flag has a bucketer | what the bucketer says |
/// | 6 | | on |
///
/// - Rule 4 ends the matter: the bucketer is not asked, even if no condition names an attribute of the context. With
///   the conditions `is_admin == true` and a bucketer of 10 %, the context `user_id: 2` is on, for nothing it has
///   fails. Only a check without attributes comes to the bucketer of such a flag.
/// - In a condition all checks must hold whose attribute the context has; the others are not looked at, unless the flag is
///   [strict](crate::FlagRecord::is_strict): then they do not hold. **The Python library does not know strict flags.** Attributes are
///   looked at in the context's order, and the first that fails, or that cannot be compared, is the reason.
/// - A deny condition denies when the context has all of its attributes and all of its checks hold. One that cannot be
///   compared denies too: nobody gets past it by a wrong type. **The Python library does not know deny conditions**: it
///   does not obey them, and drops them when it writes the flag.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The answer.
    pub is_enabled: bool,
    /// Why.
    pub reason: Reason,
    /// The attributes that the flag looks at and the context lacks, in order: a condition on one of them was **not looked at**. The
    /// bucketer's attributes are among them where it is asked.
    pub not_given: Vec<String>,
    /// Where the caller stands with the flag's bucketer, even if something else decided; for bucketers that hash.
    pub bucket: Option<Bucket>,
}

/// Where a caller stands with a bucketer that hashes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bucket {
    /// The caller's place: 0.00 to 0.99, or 0.00000 to 0.99999 with a
    /// [`SaltedPercentageBucketer`](crate::bucketing::SaltedPercentageBucketer).
    pub score: f64,
    /// The percentage now. It is as stored, and should be a number; a ramp's is computed.
    pub percentage: Json,
    /// Whether the context has nothing to hash: all such callers have this score, and are switched together.
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
            f.write_str(", which all callers have that give nothing to hash")?;
        }
        for (index, name) in self.not_given.iter().enumerate() {
            write!(f, "{}{name:?}", if index == 0 { "; not given: " } else { ", " })?;
        }
        Ok(())
    }
}

/// What an evaluation takes from outside.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
}
