use super::compare::{self, by_order};
use super::{Check, Ids, Operator, Word};
use crate::context::operand::Operand;
use crate::context::{Attributes, Value};
use crate::json::Json;

/// A check, ready to be asked: the most frequent ones apart.
#[derive(Clone, Debug)]
pub(crate) enum ReadyCheck {
    /// Whether it is this text, or is not.
    Text {
        text: Word,
        wanted: bool,
    },
    Int {
        value: i64,
        operator: Operator,
    },
    /// Whether it is in the list, or is not.
    OneOf {
        ids: Box<Ids>,
        wanted: bool,
    },
    Other(Box<Check>),
}

impl ReadyCheck {
    pub(crate) fn new(operator: Operator, value: &Json) -> Self {
        match (operator, value) {
            (Operator::Eq | Operator::Ne, Json::String(text)) => {
                Self::Text { text: Word::new(text), wanted: operator == Operator::Eq }
            }
            (Operator::In | Operator::NotIn, Json::Array(values)) if !values.iter().any(is_nested) => {
                Self::OneOf { ids: Box::new(Ids::of(values)), wanted: operator == Operator::In }
            }
            (Operator::In | Operator::NotIn, _) => Self::other(operator, value),
            (operator, value) => match value.as_i64() {
                Some(value) => Self::Int { value, operator },
                None => Self::other(operator, value),
            },
        }
    }

    fn other(operator: Operator, value: &Json) -> Self {
        Self::Other(Box::new(Check { operator, value: value.clone() }))
    }

    /// Whether it holds for the attribute at this index; one that cannot be compared does not.
    ///
    /// A frequent value is never copied: it may have been written in parts just before, which a load of more than one part waits for.
    #[inline(always)]
    pub(crate) fn holds<A: Attributes + ?Sized>(&self, attributes: &A, index: usize) -> bool {
        let given = attributes.attribute(index).1;
        if let (Self::Text { text, wanted }, Value::Str(given)) = (self, given) {
            return text.is(given) == *wanted;
        }
        if let (Self::Int { value, operator }, Value::Int(given)) = (self, given) {
            return by_order(given.cmp(value), *operator).unwrap_or_default();
        }
        self.holds_for_any(attributes, index)
    }

    /// Of values of all types.
    #[inline(never)]
    fn holds_for_any<A: Attributes + ?Sized>(&self, attributes: &A, index: usize) -> bool {
        let given = attributes.attribute(index).1;
        let (operator, wanted) = match self {
            Self::Text { text, wanted } => {
                (if *wanted { Operator::Eq } else { Operator::Ne }, Operand::Str(text.as_str()))
            }
            Self::Int { value, operator } => (*operator, Operand::Int((*value).into())),
            Self::OneOf { ids, wanted } => return ids.contain(given) == *wanted,
            Self::Other(check) => return check.holds(given) == Ok(true),
        };
        compare::holds(given.into(), operator, wanted) == Ok(true)
    }
}

/// Comparing with it may fail.
fn is_nested(value: &Json) -> bool {
    matches!(value, Json::Array(_) | Json::Object(_))
}
