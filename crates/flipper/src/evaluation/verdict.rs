use super::Reason;
use super::reason::{Share, Unmet};
use crate::bucketing::SaltedPercentageBucketer;
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
    Scheduled {
        at: i64,
        is_over: bool,
    },
    Prerequisite {
        flag: &'a str,
        unmet: Unmet,
    },
    Rule {
        index: usize,
        served: Served<'a>,
    },
    Step {
        enabled: bool,
        by: &'a str,
        percentage: f64,
        bucket: Option<u32>,
    },
}

/// What a rule says.
#[derive(Clone, Copy)]
pub(super) enum Served<'a> {
    On,
    Off,
    /// The place of the variant.
    Variant(usize),
    Share {
        enabled: bool,
        by: &'a str,
        percentage: f64,
        /// `None` without the attribute.
        bucket: Option<u32>,
    },
}

impl Served<'_> {
    fn enabled(self) -> bool {
        match self {
            Self::On | Self::Variant(_) => true,
            Self::Off => false,
            Self::Share { enabled, .. } => enabled,
        }
    }
}

impl Verdict<'_> {
    /// Why a flag that needs this one is off: a cycle is one for all of its flags.
    pub(super) fn passed_on(self) -> Unmet {
        match self {
            Self::Prerequisite { unmet: unmet @ (Unmet::Cycle | Unmet::TooMany), .. } => unmet,
            _ => Unmet::Off,
        }
    }

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
            | Self::TypeMismatch { .. }
            | Self::Scheduled { .. }
            | Self::Prerequisite { .. } => false,
            Self::Rule { served, .. } => served.enabled(),
            Self::Bucket { enabled, .. }
            | Self::Random { enabled, .. }
            | Self::NoBucketAttribute { enabled, .. }
            | Self::Step { enabled, .. }
            | Self::CustomBucketer { enabled, .. } => enabled,
        }
    }

    /// `rule`: the name of the deciding rule.
    pub(super) fn reason(self, score: f64, rule: Option<&str>) -> Reason {
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
            Self::Scheduled { at, is_over } => Reason::Scheduled { at, is_over },
            Self::Prerequisite { flag, unmet } => Reason::Prerequisite { flag: flag.to_owned(), unmet },
            Self::Rule { index, served } => Reason::Rule {
                index,
                name: rule.map(str::to_owned),
                share: match served {
                    Served::Share { by, percentage, bucket, .. } => Some(Share {
                        by: by.to_owned(),
                        percentage,
                        score: bucket.map(SaltedPercentageBucketer::score),
                    }),
                    Served::On | Served::Off | Served::Variant(_) => None,
                },
            },
            Self::Step { by, percentage, bucket, .. } => match bucket {
                Some(bucket) => Reason::Bucket { score: SaltedPercentageBucketer::score(bucket), percentage },
                None => Reason::NoBucketAttribute { attribute: by.to_owned(), percentage },
            },
            Self::CustomBucketer { bucketer_type, .. } => {
                Reason::CustomBucketer { bucketer_type: bucketer_type.to_owned() }
            }
        }
    }
}
