use super::Reason;
use crate::conditions::Operator;
use crate::conditions::compare::Mismatch;
use crate::context::ValueType;

/// A decision that owns nothing; [`Reason`] is made of it on demand.
#[derive(Clone, Copy)]
pub(super) enum Verdict<'a> {
    Disabled,
    Enabled,
    ConditionsMet,
    /// `evaluate` replaces it by the first failing check.
    ConditionsNotMet,
    ConditionFailed {
        variable: &'a str,
        operator: Operator,
    },
    /// Of a strict flag.
    NotGiven {
        variable: &'a str,
    },
    Denied {
        index: usize,
    },
    TypeMismatch {
        variable: &'a str,
        operator: Operator,
        types: Mismatch,
    },
    Bucket {
        enabled: bool,
        percentage: f64,
    },
    Random {
        enabled: bool,
        percentage: f64,
    },
    NoBucketAttribute {
        enabled: bool,
        attribute: &'a str,
        percentage: f64,
    },
    CustomBucketer {
        enabled: bool,
        bucketer_type: &'a str,
    },
}

impl Verdict<'_> {
    pub(super) fn not_a_number(actual: ValueType) -> Self {
        let types = Mismatch { actual, expected: ValueType::Float };
        Self::TypeMismatch { variable: "percentage", operator: Operator::Gte, types }
    }

    #[inline]
    pub(super) fn enabled(self) -> bool {
        match self {
            Self::Enabled | Self::ConditionsMet => true,
            Self::Disabled
            | Self::ConditionsNotMet
            | Self::ConditionFailed { .. }
            | Self::NotGiven { .. }
            | Self::Denied { .. }
            | Self::TypeMismatch { .. } => false,
            Self::Bucket { enabled, .. }
            | Self::Random { enabled, .. }
            | Self::NoBucketAttribute { enabled, .. }
            | Self::CustomBucketer { enabled, .. } => enabled,
        }
    }

    pub(super) fn reason(self, score: f64) -> Reason {
        match self {
            Self::Disabled => Reason::Disabled,
            Self::Enabled => Reason::Enabled,
            Self::ConditionsMet => Reason::ConditionsMet,
            // Unreachable.
            Self::ConditionsNotMet => Reason::ConditionFailed { variable: String::new(), operator: Operator::Eq },
            Self::ConditionFailed { variable, operator } => {
                Reason::ConditionFailed { variable: variable.to_owned(), operator }
            }
            Self::NotGiven { variable } => Reason::NotGiven { variable: variable.to_owned() },
            Self::Denied { index } => Reason::Denied { index },
            Self::TypeMismatch { variable, operator, types: Mismatch { actual, expected } } => {
                Reason::TypeMismatch { variable: variable.to_owned(), operator, actual, expected }
            }
            Self::Bucket { percentage, .. } => Reason::Bucket { score, percentage },
            Self::Random { percentage, .. } => Reason::Random { percentage },
            Self::NoBucketAttribute { attribute, percentage, .. } => {
                Reason::NoBucketAttribute { attribute: attribute.to_owned(), percentage }
            }
            Self::CustomBucketer { bucketer_type, .. } => {
                Reason::CustomBucketer { bucketer_type: bucketer_type.to_owned() }
            }
        }
    }
}
