//! The answer to a check, and why it is that.

mod plan;
mod reason;
mod verdict;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(crate) use plan::{NO_ATTRIBUTES, Plan};
pub use reason::Reason;

use crate::clock::{Clock, RandomSource};
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
/// | 4 | the context has attributes, and the flag has conditions | on if **all** conditions hold, else off |
/// | 5 | the flag has a bucketer | what the bucketer says |
/// | 6 | | on |
///
/// - Rule 4 ends the matter: the bucketer is not asked, even if no condition names an attribute of the context. With
///   the conditions `is_admin == true` and a bucketer of 10 %, the context `user_id: 2` is on, for nothing it has
///   fails. Only a check without attributes comes to the bucketer of such a flag.
/// - In a condition all checks must hold whose attribute the context has; the others are not looked at. Attributes are
///   looked at in the context's order, and the first that fails, or that cannot be compared, is the reason.
/// - A deny condition denies when the context has all of its attributes and all of its checks hold. One that cannot be
///   compared denies too: nobody gets past it by a wrong type. **The Python library does not know deny conditions**: it
///   does not obey them, and drops them when it writes the flag.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The answer.
    pub enabled: bool,
    /// Why.
    pub reason: Reason,
    /// Where the caller stands with the flag's bucketer, even if something else decided; for bucketers that hash.
    pub bucket: Option<Bucket>,
}

/// Where a caller stands with a bucketer that hashes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bucket {
    /// The caller's place: 0.00 to 0.99, or 0.00000 to 0.99999 with a
    /// [`SaltedPercentageBucketer`](crate::SaltedPercentageBucketer).
    pub score: f64,
    /// The percentage now. It is as stored, and should be a number; a ramp's is computed.
    pub percentage: Json,
}

impl Evaluation {
    pub(crate) fn of(enabled: bool, reason: Reason) -> Self {
        Self { enabled, reason, bucket: None }
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.enabled { "on" } else { "off" }, self.reason)
    }
}

/// What an evaluation takes from outside.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
}
