use std::mem;

use super::compare;
use super::{Check, Ids, Operator, Word};
use crate::context::Attributes;
use crate::context::operand::Operand;
use crate::json::Json;

/// A check, ready to be asked: the most frequent ones apart.
#[derive(Clone, Debug)]
pub(crate) enum ReadyCheck {
    /// Whether it is this text, or is not.
    Text {
        text: Word,
        wanted: bool,
    },
    /// Whether it is one of these, or is not.
    Ints {
        ints: Ints,
        wanted: bool,
        /// For values that are no integers.
        check: Box<Check>,
    },
    /// Whether it is in the list, or is not.
    OneOf {
        ids: Box<Ids>,
        wanted: bool,
    },
    Other(Box<Check>),
    /// Whether all of them hold.
    All(Vec<ReadyCheck>),
}

/// The integers between two, with both; none if the first is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ints {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Ints {
    /// Those for which the comparison holds, or with `false` does not.
    fn of(operator: Operator, value: i64) -> Option<(Self, bool)> {
        let (up_to, from) = (Self { from: i64::MIN, to: value }, Self { from: value, to: i64::MAX });
        Some(match operator {
            Operator::Eq => (Self { from: value, to: value }, true),
            Operator::Ne => (Self { from: value, to: value }, false),
            Operator::Gt => (up_to, false),
            Operator::Lte => (up_to, true),
            Operator::Lt => (from, false),
            Operator::Gte => (from, true),
            Operator::In | Operator::NotIn => return None,
        })
    }

    #[inline(always)]
    pub(super) fn contain(self, value: i64) -> bool {
        (self.from <= value) & (value <= self.to)
    }
}

impl ReadyCheck {
    pub(crate) fn new(operator: Operator, value: &Json) -> Self {
        let check = || Box::new(Check { operator, value: value.clone() });
        match (operator, value) {
            (Operator::Eq | Operator::Ne, Json::String(text)) => {
                Self::Text { text: Word::new(text), wanted: operator == Operator::Eq }
            }
            (Operator::In | Operator::NotIn, Json::Array(values)) if !values.iter().any(is_nested) => {
                Self::OneOf { ids: Box::new(Ids::of(values)), wanted: operator == Operator::In }
            }
            _ => match value.as_i64().and_then(|value| Ints::of(operator, value)) {
                Some((ints, wanted)) => Self::Ints { ints, wanted, check: check() },
                None => Self::Other(check()),
            },
        }
    }

    /// Both have to hold.
    pub(super) fn add(&mut self, check: Self) {
        if let Self::All(checks) = self {
            checks.push(check);
        } else {
            let first = mem::replace(self, Self::All(Vec::new()));
            *self = Self::All(vec![first, check]);
        }
    }

    /// Whether it holds for the attribute at this index; one that cannot be compared does not.
    ///
    /// A frequent value is never copied: it may have been written in parts just before, which a load of more than one part waits for.
    #[inline(always)]
    pub(crate) fn holds<A: Attributes + ?Sized>(&self, attributes: &A, index: usize) -> bool {
        if let Self::Text { text, wanted } = self
            && let Some(given) = attributes.text_at(index)
        {
            return text.is(given) == *wanted;
        }
        if let Self::Ints { ints, wanted, .. } = self
            && let Some(given) = attributes.int_at(index)
        {
            return ints.contain(given) == *wanted;
        }
        self.holds_for_any(attributes, index)
    }

    /// Of values of all types.
    #[inline(never)]
    fn holds_for_any<A: Attributes + ?Sized>(&self, attributes: &A, index: usize) -> bool {
        let given = attributes.attribute(index).1;
        match self {
            Self::Text { text, wanted } => {
                let operator = if *wanted { Operator::Eq } else { Operator::Ne };
                compare::holds(given.into(), operator, Operand::Str(text.as_str())) == Ok(true)
            }
            Self::OneOf { ids, wanted } => ids.contain(given) == *wanted,
            Self::Ints { check, .. } | Self::Other(check) => check.holds(given) == Ok(true),
            Self::All(checks) => checks.iter().all(|check| check.holds(attributes, index)),
        }
    }
}

/// Comparing with it may fail.
fn is_nested(value: &Json) -> bool {
    matches!(value, Json::Array(_) | Json::Object(_))
}
