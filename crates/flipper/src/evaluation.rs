//! The answer to a check, with its reason.

mod chosen;
mod extra;
mod link;
mod matcher;
mod plan;
mod quick;
mod reason;
mod verdict;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use chosen::{Chosen, FlagValue, FromJson, Text};
pub(crate) use link::{DEEPEST, Linked, Links, MOST, NoLinks};
pub(crate) use plan::{NO_ATTRIBUTES, Plan};
#[doc(hidden)]
pub use quick::{Brief, Ready};
pub use reason::{Reason, Share, Unmet};

pub use crate::clock::{Clock, RandomSource, SystemClock, ThreadRandom};
pub use crate::conditions::{Operator, ParseConditionError};
use crate::json::Json;

/// The answer to a check, with its reason. The guide has [the rules](crate::_guide::evaluation); besides:
///
/// - The reason for a condition is its first check, in the context's order, that fails or cannot compare.
/// - A deny condition denies when the context has all of its attributes and all of its checks hold, or cannot compare: a wrong type lets no
///   caller pass.
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
    /// The variant, if the flag has some: of a flag that is off the one for that.
    pub variant: Option<Chosen>,
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
        Self { is_enabled, reason, not_given: Vec::new(), bucket: None, variant: None }
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.is_enabled { "on" } else { "off" }, self.reason)?;
        self.variant.iter().try_for_each(|variant| write!(f, "; variant {:?}", variant.name()))?;
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
