use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::{Operator, Word, compare};
use crate::context::Value;
use crate::context::operand::Operand;
use crate::json::Json;

/// Up to this many are compared one by one, which is faster than hashing.
const FEW: usize = 8;

/// A list of values, in which most searches take one step, however long it is.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    texts: Texts,
    /// Booleans and floats without a fraction too: they equal integers.
    integers: HashSet<i128, RandomState>,
    /// Whatever else there is, and of a short list all but texts.
    rest: Vec<Json>,
}

#[derive(Clone, Debug)]
enum Texts {
    Few(Vec<Word>),
    Many(HashSet<Box<str>, RandomState>),
}

impl Ids {
    pub(crate) fn of(values: &[Json]) -> Self {
        let texts = values.iter().filter_map(|value| text_of(value.into()));
        let texts = if texts.clone().count() <= FEW {
            Texts::Few(texts.map(Word::new).collect())
        } else {
            Texts::Many(texts.map(Box::from).collect())
        };
        let mut ids = Self { texts, integers: HashSet::default(), rest: Vec::new() };
        for value in values.iter().filter(|value| text_of((*value).into()).is_none()) {
            match integer(value.into()).filter(|_| values.len() > FEW) {
                Some(integer) => {
                    ids.integers.insert(integer);
                }
                None => ids.rest.push(value.clone()),
            }
        }
        ids
    }

    /// As the operator `in` of conditions.
    pub(crate) fn contain(&self, value: Value<'_>) -> bool {
        if let Some(text) = text_of(value) {
            return self.contain_text(text);
        }
        let is_there = |id| self.integers.contains(&id);
        !self.integers.is_empty() && integer(value.into()).is_some_and(is_there) || self.rest_contains(value)
    }

    /// No text equals a value of another type.
    #[inline]
    pub(crate) fn contain_text(&self, text: &str) -> bool {
        match &self.texts {
            Texts::Few(texts) => texts.iter().any(|known| known.is(text)),
            Texts::Many(texts) => texts.contains(text),
        }
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
        Operand::Float(value) if value.trunc() == value && (-LARGEST..LARGEST).contains(&value) => Some(value as i128),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of `i64`, as an integer and as a float, among enough values to be hashed.
    #[test]
    fn the_largest_numbers_are_found_in_a_long_list() {
        let smallest = -9_223_372_036_854_775_808.0;
        for (listed, given) in [
            (Json::from(i64::MIN), Value::Float(smallest)),
            (Json::from(i64::MIN), Value::Int(i64::MIN)),
            (Json::parse("-9223372036854775808.0").unwrap(), Value::Int(i64::MIN)),
            (Json::parse("-9223372036854775808.0").unwrap(), Value::Float(smallest)),
            (Json::from(i64::MAX), Value::Int(i64::MAX)),
            (Json::parse("9223372036854775808").unwrap(), Value::Float(-smallest)),
        ] {
            let mut values: Vec<_> = (0..8).map(Json::from).collect();
            values.push(listed.clone());
            let ids = Ids::of(&values);
            assert!(ids.contain(given) && !ids.contain(Value::Int(9)), "{listed}, {given:?}");
        }
        let ids = Ids::of(&(0..9).map(Json::from).chain([Json::from(i64::MAX)]).collect::<Vec<_>>());
        assert!(!ids.contain(Value::Float(-smallest)), "it is one more");
    }
}
