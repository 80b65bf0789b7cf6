use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::{Operator, compare};
use crate::context::Value;
use crate::context::operand::Operand;
use crate::json::Json;

/// Up to this many are compared one by one, which is faster than hashing.
const FEW: usize = 8;

/// A list of values, in which most searches take one step, however long it is.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    texts: HashSet<Box<str>, RandomState>,
    /// Booleans and floats without a fraction too: they equal integers.
    integers: HashSet<i128, RandomState>,
    /// Whatever else there is, and all of a short list.
    rest: Vec<Json>,
}

impl Ids {
    /// Of a list that is worth it: a long one, of nothing but values that can be compared with any other.
    pub(super) fn of_long(list: &Json) -> Option<Self> {
        let values = list.as_array().filter(|values| values.len() > FEW)?;
        let nested = values.iter().any(|value| matches!(value, Json::Array(_) | Json::Object(_)));
        (!nested).then(|| Self::of(values))
    }

    pub(crate) fn of(values: &[Json]) -> Self {
        let mut ids = Self { texts: HashSet::default(), integers: HashSet::default(), rest: Vec::new() };
        if values.len() <= FEW {
            ids.rest = values.to_vec();
            return ids;
        }
        for value in values {
            match value {
                Json::String(text) => {
                    ids.texts.insert(text.as_str().into());
                }
                other => match integer(other.into()) {
                    Some(integer) => {
                        ids.integers.insert(integer);
                    }
                    None => ids.rest.push(other.clone()),
                },
            }
        }
        ids
    }

    /// As the operator `in` of conditions.
    #[inline]
    pub(crate) fn contain(&self, value: Value<'_>) -> bool {
        if let Some(text) = text_of(value) {
            return self.texts.contains(text) || self.rest_contains(value);
        }
        let found = !self.integers.is_empty() && integer(value.into()).is_some_and(|id| self.integers.contains(&id));
        found || self.rest_contains(value)
    }

    fn rest_contains(&self, value: Value<'_>) -> bool {
        self.rest.iter().any(|item| compare::holds(value.into(), Operator::Eq, item.into()) == Ok(true))
    }
}

#[inline]
pub(crate) fn text_of(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Str(text) => Some(text),
        Value::Json(Json::String(text)) => Some(text),
        _ => None,
    }
}

/// Equal numbers are equal integers; those beyond 2⁶³ are compared one by one.
fn integer(operand: Operand<'_>) -> Option<i128> {
    const LARGEST: f64 = 9_223_372_036_854_775_808.0;
    match operand {
        Operand::Bool(value) => Some(value.into()),
        Operand::Int(value) if i64::try_from(value).is_ok() => Some(value),
        Operand::Float(value) if value.trunc() == value && value.abs() < LARGEST => Some(value as i128),
        _ => None,
    }
}
