use flipper::FlagRecord;
use flipper::evaluation::Operator;
use flipper::json::Json;
use flipper::targeting::{Place, Rule, Serve, Test, When};

use super::values::cost;
use crate::failure::message_of;

/// A condition that may turn out to be constant, which a rule cannot have.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cond {
    Always,
    Never,
    When(When),
}

impl Cond {
    pub(super) fn check(attribute: &str, test: Test) -> Self {
        Self::When(When::check(attribute, test))
    }

    /// A check that the library may refuse, with its reason.
    pub(super) fn checked(attribute: &str, test: Test) -> Result<Self, String> {
        let when = When::check(attribute, test);
        let mut record = FlagRecord::new("F", 0);
        record.set_rules(vec![Rule::new(Serve::On).when(when.clone())]);
        match record.validate() {
            Ok(()) => Ok(Self::When(when)),
            Err(error) => {
                let message = message_of(&error);
                let start = message.find(&format!("attribute {attribute:?}: "));
                let length = format!("attribute {attribute:?}: ").len();
                Err(start.map_or(message.clone(), |start| message[start + length..].to_owned()))
            }
        }
    }

    pub(super) fn compare(attribute: &str, operator: Operator, value: impl Into<Json>) -> Self {
        Self::check(attribute, Test::Compare(operator, value.into()))
    }

    pub(super) fn exists(attribute: &str) -> Self {
        Self::check(attribute, Test::Exists)
    }

    /// A text: it can be compared with one.
    pub(super) fn is_text(attribute: &str) -> Self {
        Self::compare(attribute, Operator::Gte, "")
    }

    /// One of these values.
    pub(super) fn one_of(attribute: &str, mut values: Vec<Json>) -> Self {
        match values.len() {
            0 => Self::Never,
            1 => Self::compare(attribute, Operator::Eq, values.remove(0)),
            _ => Self::compare(attribute, Operator::In, Json::Array(values)),
        }
    }

    pub(super) fn text(attribute: &str, place: Place, values: Vec<String>, ignore_case: bool) -> Self {
        if values.is_empty() {
            return Self::Never;
        }
        Self::check(attribute, Test::Text { place, values, ignore_case })
    }

    /// A number other than this one; no text.
    pub(super) fn other_number(attribute: &str, value: &Json) -> Self {
        Self::any([Operator::Lt, Operator::Gt].map(|operator| Self::compare(attribute, operator, value.clone())))
    }

    /// This one, or the attribute is missing.
    pub(super) fn or_missing(self, attribute: &str) -> Self {
        Self::any([Self::exists(attribute).not(), self])
    }

    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::When(When::All(parts)) => all.extend(parts),
                Self::When(when) => all.push(when),
            }
        }
        Self::joined(all, When::All, Self::Always)
    }

    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut any = Vec::new();
        for part in parts {
            match part {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::When(When::Any(parts)) => any.extend(parts),
                Self::When(when) => any.push(when),
            }
        }
        Self::joined(any, When::Any, Self::Never)
    }

    fn joined(mut parts: Vec<When>, join: fn(Vec<When>) -> When, empty: Self) -> Self {
        match parts.len() {
            0 => empty,
            1 => Self::When(parts.remove(0)),
            _ => Self::When(join(parts)),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self::all([self, other])
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::When(When::Not(part)) => Self::When(*part),
            Self::When(when) => Self::When(When::Not(Box::new(when))),
        }
    }

    /// How many parts it has.
    pub(super) fn size(&self) -> usize {
        fn of(when: &When) -> usize {
            match when {
                When::All(parts) | When::Any(parts) => 1 + parts.iter().map(of).sum::<usize>(),
                When::Not(part) => 1 + of(part),
                When::Check { attribute, test } => {
                    let values = match test {
                        Test::Compare(_, value) => cost(value),
                        Test::Text { values, .. } => values.iter().map(|text| text.len() / 1_000).sum(),
                        _ => 0,
                    };
                    1 + attribute.len() / 1_000 + values
                }
                _ => 1,
            }
        }
        match self {
            Self::Always | Self::Never => 1,
            Self::When(when) => of(when),
        }
    }

    /// A text for which this does not hold: of another type the tool may have made one.
    pub(super) fn not_for_text(self, attribute: &str) -> Self {
        match self {
            Self::Never => Self::Always,
            cond => Self::is_text(attribute).and(cond.not()),
        }
    }

    /// A rule with it; `None` if the rule would never hold.
    pub(super) fn rule(self, serve: Serve) -> Option<Rule> {
        match self {
            Self::Always => Some(Rule::new(serve)),
            Self::Never => None,
            Self::When(when) => Some(Rule::new(serve).when(when)),
        }
    }
}

/// What holds for a number where this comparison does not.
pub(super) fn opposite(operator: Operator) -> Operator {
    match operator {
        Operator::Eq => Operator::Ne,
        Operator::Ne => Operator::Eq,
        Operator::Gt => Operator::Lte,
        Operator::Gte => Operator::Lt,
        Operator::Lt => Operator::Gte,
        Operator::Lte => Operator::Gt,
        Operator::In => Operator::NotIn,
        _ => Operator::In,
    }
}
