use std::sync::Arc;

use super::Plan;
use crate::bucketing::{AnyPercentage, Bucketer, ReadyHash, ReadyShare};
use crate::conditions::AllChecks;
use crate::context::Attributes;
use crate::record::FlagRecord;

/// The outcome of a check that attributes alone decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brief {
    /// All conditions hold.
    ConditionsMet {
        /// Whether there is an attribute for any of them, or they check nothing.
        is_any_given: bool,
    },
    /// The caller's bucket decided.
    Bucket {
        /// The answer.
        is_enabled: bool,
    },
}

/// A flag as it was once, if attributes alone decide most of its checks. Equal to itself alone, not to one of an equal flag.
#[derive(Clone, Debug)]
pub struct Ready(Arc<Plan>);

impl Ready {
    pub(crate) fn of(plan: &Arc<Plan>) -> Option<Self> {
        plan.is_quick().then(|| Self(plan.clone()))
    }

    pub(crate) fn brief<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<Brief> {
        self.0.brief(attributes)
    }
}

impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What alone decides most checks.
#[derive(Clone, Debug)]
pub(super) enum Quick {
    /// Conditions, with attributes.
    Conditions,
    Share(Box<ReadyShare>),
    /// Of most values. It answers if the percentage is fixed, and has the score in any case.
    Hash(Box<ReadyHash>),
    Nothing,
}

impl Quick {
    /// Of an enabled flag without what Python does not have.
    pub(super) fn of(record: &FlagRecord, strict: bool, seed: u64) -> Self {
        if !record.deny_conditions().is_empty() {
            return Self::Nothing;
        }
        if !record.conditions().is_empty() {
            return if strict { Self::Nothing } else { Self::Conditions };
        }
        let bucketer = record.bucketer();
        let fixed = bucketer.percentage().and_then(AnyPercentage::fixed).and_then(Result::ok);
        match (bucketer, fixed) {
            (Bucketer::Salted(salted), Some(percentage)) => {
                Self::Share(Box::new(ReadyShare::new(salted.bucket_by(), seed, percentage)))
            }
            (Bucketer::ConsistentHash(hash), fixed) => {
                ReadyHash::new(hash, fixed).map_or(Self::Nothing, |ready| Self::Hash(Box::new(ready)))
            }
            _ => Self::Nothing,
        }
    }

    /// `None`: everything has to be asked.
    #[inline(always)]
    pub(super) fn answer<A: Attributes + ?Sized>(&self, conditions: &AllChecks, attributes: &A) -> Option<bool> {
        // First, as conditions are the most frequent.
        if matches!(self, Self::Conditions) {
            return (!attributes.is_empty()).then(|| conditions.hold(attributes));
        }
        match self {
            Self::Share(share) => Some(share.takes(attributes)),
            Self::Hash(hash) => hash.takes(attributes),
            Self::Conditions | Self::Nothing => None,
        }
    }

    /// As [`answer`](Self::answer), with the reason, unless that needs a search.
    pub(super) fn brief<A: Attributes + ?Sized>(&self, conditions: &AllChecks, attributes: &A) -> Option<Brief> {
        match self {
            Self::Conditions if attributes.is_empty() => None,
            Self::Conditions => {
                conditions.hold_for_some(attributes).map(|is_any_given| Brief::ConditionsMet { is_any_given })
            }
            Self::Share(share) => share.takes_given(attributes).map(|is_enabled| Brief::Bucket { is_enabled }),
            Self::Hash(hash) => hash.takes(attributes).map(|is_enabled| Brief::Bucket { is_enabled }),
            Self::Nothing => None,
        }
    }

    /// The score of the consistent hash.
    pub(super) fn score<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<f64> {
        match self {
            Self::Hash(hash) => hash.score(attributes),
            Self::Conditions | Self::Share(_) | Self::Nothing => None,
        }
    }
}
