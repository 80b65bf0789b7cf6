use std::fmt;

use crate::conditions::Operator;
use crate::context::ValueType;
use crate::targeting::time;

/// Why a check gave its answer. `Display` is for people and may change; the [code](Self::code) does not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no such flag: the check's default.
    NoSuchFlag,
    /// The stored flag is unreadable: the check's default.
    Corrupt,
    /// The flag is disabled.
    Disabled,
    /// It is enabled, and nothing limits it.
    Enabled,
    /// All conditions hold.
    ConditionsMet,
    /// This check of a condition does not hold.
    ConditionFailed {
        /// The attribute.
        variable: String,
        /// The operator.
        operator: Operator,
    },
    /// The context lacks an attribute of a condition, and the flag is [strict](crate::FlagRecord::is_strict).
    NotGiven {
        /// The attribute.
        variable: String,
    },
    /// A deny condition holds.
    Denied {
        /// Its index among the deny conditions, from 0.
        index: usize,
    },
    /// The values cannot be compared, or the percentage is no number; Python raises `TypeError`.
    TypeMismatch {
        /// The attribute, or `percentage`.
        variable: String,
        /// The operator.
        operator: Operator,
        /// The type of the attribute, or the percentage; within lists, of the element.
        actual: ValueType,
        /// The type of the condition's value; for a percentage, of the score.
        expected: ValueType,
    },
    /// The caller's score decided.
    Bucket {
        /// The score.
        score: f64,
        /// The percentage now.
        percentage: f64,
    },
    /// A random number decided.
    Random {
        /// The percentage now.
        percentage: f64,
    },
    /// The context lacks the attribute that distinguishes callers: on at 100 % only.
    NoBucketAttribute {
        /// The attribute.
        attribute: String,
        /// The percentage now.
        percentage: f64,
    },
    /// A bucketer of your own decided.
    CustomBucketer {
        /// Its type.
        bucketer_type: String,
    },
    /// The schedule: the flag is not on yet, or no longer.
    Scheduled {
        /// When it turns, or turned; in seconds of Unix time.
        at: i64,
        /// Whether that has passed.
        is_over: bool,
    },
    /// A flag that must be on is not.
    Prerequisite {
        /// The other flag.
        flag: String,
        /// Why.
        unmet: Unmet,
    },
    /// A rule of the flag decided.
    Rule {
        /// Its index, from 0.
        index: usize,
        /// Its name.
        name: Option<String>,
        /// If it is on for a share of callers.
        share: Option<Share>,
    },
    /// A test overrides the flag (feature `testing`).
    Overridden,
}

/// Why a prerequisite does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unmet {
    /// It is off.
    Off,
    /// There is no such flag, or it is unreadable.
    Missing,
    /// It has another variant, or none.
    OtherVariant,
    /// It is in a circle of flags that need each other, or needs one of them: all are off.
    Cycle,
    /// More than 64 flags need each other in a row, or a check would ask more than 1,000.
    TooMany,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "is off",
            Self::Missing => "is missing or cannot be read",
            Self::OtherVariant => "has another variant",
            Self::Cycle => "leads into a circle of flags that need each other",
            Self::TooMany => "needs too many others",
        })
    }
}

/// The share of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The attribute that distinguishes callers.
    pub by: String,
    /// The share now, from 0 to 1.
    pub percentage: f64,
    /// The caller's place, from 0.00000 to 0.99999; `None` without the attribute, which is on at 100 % only.
    pub score: Option<f64>,
}

impl Reason {
    /// The stable name, for logs and programs: the variant's, in `snake_case`. Newer versions may add others.
    ///
    /// ```
    /// use flipper::evaluation::Reason;
    ///
    /// assert_eq!(Reason::ConditionsMet.code(), "conditions_met");
    /// ```
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchFlag => "no_such_flag",
            Self::Corrupt => "corrupt",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::ConditionsMet => "conditions_met",
            Self::ConditionFailed { .. } => "condition_failed",
            Self::NotGiven { .. } => "not_given",
            Self::Denied { .. } => "denied",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::Bucket { .. } => "bucket",
            Self::Random { .. } => "random",
            Self::NoBucketAttribute { .. } => "no_bucket_attribute",
            Self::CustomBucketer { .. } => "custom_bucketer",
            Self::Scheduled { .. } => "scheduled",
            Self::Prerequisite { .. } => "prerequisite",
            Self::Rule { .. } => "rule",
            Self::Overridden => "overridden",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchFlag => f.write_str("there is no such flag"),
            Self::Corrupt => f.write_str("the stored flag cannot be read"),
            Self::Disabled => f.write_str("the flag is disabled"),
            Self::Enabled => f.write_str("the flag is enabled"),
            Self::ConditionsMet => f.write_str("all conditions hold"),
            Self::ConditionFailed { variable, operator } => {
                write!(f, "the condition on {variable:?} ({operator}) does not hold")
            }
            Self::NotGiven { variable } => write!(f, "the condition on {variable:?} does not hold, as it is not given"),
            Self::Denied { index } => write!(f, "deny condition {index} holds"),
            Self::TypeMismatch { variable, operator, actual, expected } => {
                write!(f, "{variable:?} is {actual} and cannot be compared ({operator}) with {expected}")
            }
            Self::Bucket { score, percentage } => write!(f, "score {score} at a percentage of {percentage}"),
            Self::Random { percentage } => write!(f, "drawn at random at a percentage of {percentage}"),
            Self::NoBucketAttribute { attribute, percentage } => {
                write!(f, "the context has no {attribute:?} to choose by, at a percentage of {percentage}")
            }
            Self::CustomBucketer { bucketer_type } => write!(f, "the bucketer {bucketer_type:?} decided"),
            Self::Scheduled { at, is_over: false } => write!(f, "it is on from {}", time(*at)),
            Self::Scheduled { at, is_over: true } => write!(f, "it is off since {}", time(*at)),
            Self::Prerequisite { flag, unmet } => write!(f, "the flag {flag:?}, which must be on, {unmet}"),
            Self::Rule { index, name, share } => {
                write!(f, "rule {index}")?;
                name.iter().try_for_each(|name| write!(f, " ({name:?})"))?;
                match share {
                    Some(Share { percentage, score: Some(score), .. }) => {
                        write!(f, ": score {score} at a percentage of {percentage}")
                    }
                    Some(Share { percentage, by, score: None }) => {
                        write!(f, ": the context has no {by:?} to choose by, at a percentage of {percentage}")
                    }
                    None => Ok(()),
                }
            }
            Self::Overridden => f.write_str("a test overrides the flag"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_names_of_the_variants() {
        let (variable, operator) = (String::new(), Operator::Eq);
        let (actual, expected) = (ValueType::Int, ValueType::Str);
        for reason in [
            Reason::NoSuchFlag,
            Reason::Corrupt,
            Reason::Disabled,
            Reason::Enabled,
            Reason::ConditionsMet,
            Reason::ConditionFailed { variable: variable.clone(), operator },
            Reason::NotGiven { variable: variable.clone() },
            Reason::Denied { index: 0 },
            Reason::TypeMismatch { variable, operator, actual, expected },
            Reason::Bucket { score: 0.0, percentage: 0.0 },
            Reason::Random { percentage: 0.0 },
            Reason::NoBucketAttribute { attribute: String::new(), percentage: 0.0 },
            Reason::CustomBucketer { bucketer_type: String::new() },
            Reason::Scheduled { at: 0, is_over: true },
            Reason::Prerequisite { flag: String::new(), unmet: Unmet::Cycle },
            Reason::Rule { index: 0, name: None, share: None },
            Reason::Overridden,
        ] {
            let debug = format!("{reason:?}");
            let variant = debug.split([' ', '{']).next().unwrap_or_default();
            assert_eq!(reason.code().replace('_', ""), variant.to_lowercase());
        }
    }
}
