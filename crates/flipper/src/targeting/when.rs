use std::str::FromStr;

use super::test::Test;
use crate::conditions::{Condition, ParseConditionError};

/// Whom a rule or a segment is about: checks of attributes, joined by `all`, `any` and `not`.
///
/// ```
/// use flipper::targeting::When;
///
/// let when: When = r#"plan = pro and (email ends with "@corp.com" or in segment beta) and not (country in de, fr)"#.parse()?;
/// assert_eq!(when.to_string().parse(), Ok(when));
/// # Ok::<(), flipper::evaluation::ParseConditionError>(())
/// ```
///
/// # Text
///
/// `and` binds closer than `or`; brackets group. A check is an attribute, an operator and a value, which is written as in a
/// [`Condition`]:
///
/// | operator | the attribute |
/// |---|---|
/// | `=` `!=` `<` `<=` `>` `>=`, `in a, b`, `not in a, b` | as in a [`Condition`] |
/// | `starts with`, `ends with`, `contains`, each also with `ignoring case` | is a text that does, for one of the values |
/// | `matches "^a.c$"` | is a text in which the [regular expression](https://docs.rs/regex/latest/regex/#syntax) occurs |
/// | `>= semver 2.1.0`, with any of the six comparisons | is a semantic version; build metadata does not count |
/// | `< date 2026-12-01T09:00Z`, with any of the six comparisons | is a time, as text or as seconds since 1970; a day alone begins at midnight UTC |
/// | `in network 10.0.0.0/8, fd00::/8` | is an address of one of the networks |
/// | `exists` | is given, and not null |
///
/// `in segment NAME` is a whole check.
///
/// # Behavior
///
/// - A check of an attribute that the context lacks does not hold, whatever its operator; neither does one that cannot compare.
/// - `not` holds where its part does not: `not (a = 1)` holds without `a`, and `a != 1` does not.
/// - Of a segment that is missing, unreadable, or within itself it is not known whether it holds. Nor is it of `not`, and of what is joined
///   with it, unless another part decides. What is not known does not hold: so `not in segment beta` is on for no caller without the segment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum When {
    /// All hold. An empty one holds for everybody.
    All(Vec<When>),
    /// At least one holds.
    Any(Vec<When>),
    /// It does not hold.
    Not(Box<When>),
    /// The segment of this name holds.
    Segment(String),
    /// The attribute passes the test.
    Check {
        /// The attribute's name.
        attribute: String,
        /// What its value must be.
        test: Test,
    },
}

impl When {
    /// A check of one attribute.
    #[must_use]
    pub fn check(attribute: impl Into<String>, test: Test) -> Self {
        Self::Check { attribute: attribute.into(), test }
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self::All(vec![self, other.into()])
    }

    /// At least one of both holds.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        Self::Any(vec![self, other.into()])
    }

    /// Calls it with the name of each segment; some more than once.
    pub fn each_segment(&self, found: &mut dyn FnMut(&str)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_segment(found)),
            Self::Not(part) => part.each_segment(found),
            Self::Segment(name) => found(name),
            Self::Check { .. } => {}
        }
    }

    /// How many parts it has, this one among them, and how deep they nest.
    pub(super) fn measure(&self) -> (usize, usize) {
        let (parts, deepest) = match self {
            Self::All(parts) | Self::Any(parts) => parts
                .iter()
                .map(Self::measure)
                .fold((0, 0), |(parts, deepest), (more, depth)| (parts + more, deepest.max(depth))),
            Self::Not(part) => part.measure(),
            Self::Segment(_) | Self::Check { .. } => (0, 0),
        };
        (parts + 1, deepest + 1)
    }

    /// Calls it with each attribute that a check is about; some more than once. Those of segments are not among them.
    pub fn each_attribute<'a>(&'a self, found: &mut dyn FnMut(&'a str)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_attribute(found)),
            Self::Not(part) => part.each_attribute(found),
            Self::Segment(_) => {}
            Self::Check { attribute, .. } => found(attribute),
        }
    }
}

/// All checks, which here need their attributes.
impl From<Condition> for When {
    fn from(condition: Condition) -> Self {
        let check = |(attribute, operator, value): (&str, _, &crate::json::Json)| {
            Self::check(attribute, Test::Compare(operator, value.clone()))
        };
        let mut checks: Vec<_> = condition.checks().map(check).collect();
        match checks.pop() {
            Some(only) if checks.is_empty() => only,
            Some(last) => {
                checks.push(last);
                Self::All(checks)
            }
            None => Self::All(checks),
        }
    }
}

impl FromStr for When {
    type Err = ParseConditionError;

    fn from_str(text: &str) -> Result<Self, ParseConditionError> {
        super::text::parse(text)
    }
}
