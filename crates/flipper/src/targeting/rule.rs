use std::fmt;

use super::When;
use crate::bucketing::AnyPercentage;

/// One of a flag's rules. The first whose `when` holds decides; without one of them the conditions and the bucketer do.
///
/// ```
/// use flipper::targeting::{Rule, Serve};
///
/// let rule = Rule::new(Serve::share(0.25, "user_id")).when(r#"plan = "pro""#.parse::<flipper::targeting::When>()?);
/// assert_eq!(rule.to_string(), r#"if plan = "pro": on for 25% by user_id"#);
/// # Ok::<(), flipper::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// For people.
    pub name: Option<String>,
    /// Whom it is about; without one everybody, and checks without attributes.
    pub when: Option<When>,
    /// What they get.
    pub serve: Serve,
}

/// What a rule answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Serve {
    /// On.
    On,
    /// Off.
    Off,
    /// On for a share of callers: the same ones as a [`SaltedPercentageBucketer`](crate::bucketing::SaltedPercentageBucketer) of this flag
    /// chooses. Without the attribute it is on at 100 % only.
    Share {
        /// How many.
        percentage: AnyPercentage,
        /// The attribute that distinguishes callers.
        by: String,
    },
    /// On, with this variant.
    Variant(String),
}

impl Serve {
    /// On for this share of callers, from 0 to 1, distinguished by this attribute.
    #[must_use]
    pub fn share(percentage: impl Into<AnyPercentage>, by: impl Into<String>) -> Self {
        Self::Share { percentage: percentage.into(), by: by.into() }
    }
}

impl Rule {
    /// A rule for everybody.
    #[must_use]
    pub fn new(serve: Serve) -> Self {
        Self { name: None, when: None, serve }
    }

    /// Limits the rule. A [`Condition`](crate::Condition) is a `When` whose attributes must be given.
    #[must_use]
    pub fn when(mut self, when: impl Into<When>) -> Self {
        self.when = Some(when.into());
        self
    }

    /// Names the rule, for people.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            Some(when) => write!(f, "if {when}: {}", self.serve),
            None => write!(f, "{}", self.serve),
        }
    }
}

impl fmt::Display for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Off => f.write_str("off"),
            Self::Share { percentage, by } => write!(f, "on for {percentage} by {by}"),
            Self::Variant(name) => write!(f, "variant {name}"),
        }
    }
}
