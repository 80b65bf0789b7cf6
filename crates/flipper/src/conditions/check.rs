use super::compare::{self, Compared, Mismatch};
use super::{Check, Condition, Operator};
use crate::context::{Attributes, Value};
use crate::json::Json;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome<'a> {
    Holds,
    Fails { variable: &'a str, operator: Operator },
    Mismatch { variable: &'a str, operator: Operator, types: Mismatch },
}

impl Condition {
    /// In the attributes' order the first check that fails or cannot be compared decides.
    pub(crate) fn check<A: Attributes + ?Sized>(&self, attributes: &A) -> Outcome<'_> {
        for index in 0..attributes.len() {
            let (name, value) = attributes.attribute(index);
            let Some(place) = self.variables.place(name) else { continue };
            match self.check_variable(place, value) {
                Outcome::Holds => {}
                decided => return decided,
            }
        }
        Outcome::Holds
    }

    /// A deny condition denies only if it has checks and all its attributes. A check that fails lets the caller pass; one that cannot be
    /// compared does not.
    pub(crate) fn check_deny<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<Outcome<'_>> {
        if self.is_empty() || self.variables.len() > attributes.len() || !self.all_given(attributes) {
            return None;
        }
        let mut denied = Outcome::Holds;
        for index in 0..attributes.len() {
            let (name, value) = attributes.attribute(index);
            let Some(place) = self.variables.place(name) else { continue };
            match self.check_variable(place, value) {
                Outcome::Holds => {}
                Outcome::Fails { .. } => return None,
                mismatch => denied = mismatch,
            }
        }
        Some(denied)
    }

    pub(crate) fn first_missing<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<&str> {
        let mut given = vec![false; self.variables.len()];
        for index in 0..attributes.len() {
            if let Some(place) = self.variables.place(attributes.attribute(index).0) {
                given[place] = true;
            }
        }
        given.iter().position(|given| !given).map(|place| self.variables.get(place))
    }

    /// One pass for each 64 variables.
    pub(crate) fn all_given<A: Attributes + ?Sized>(&self, attributes: &A) -> bool {
        (0..self.variables.len()).step_by(64).all(|first| {
            let count = (self.variables.len() - first).min(64);
            let wanted = u64::MAX >> (64 - count);
            let mut given = 0_u64;
            for index in 0..attributes.len() {
                if let Some(place) = self.variables.place(attributes.attribute(index).0)
                    && (first..first + count).contains(&place)
                {
                    given |= 1 << (place - first);
                }
            }
            given == wanted
        })
    }

    fn check_variable(&self, place: usize, value: Value<'_>) -> Outcome<'_> {
        for check in &self.checks[place] {
            let (variable, operator) = (self.variables.get(place), check.operator);
            match check.holds(value) {
                Ok(true) => {}
                Ok(false) => return Outcome::Fails { variable, operator },
                Err(types) => return Outcome::Mismatch { variable, operator, types },
            }
        }
        Outcome::Holds
    }
}

impl Check {
    #[inline]
    pub(super) fn holds(&self, value: Value<'_>) -> Compared {
        match self.holds_plainly(value) {
            Some(holds) => Ok(holds),
            None => compare::holds(value.into(), self.operator, (&self.value).into()),
        }
    }

    /// The most frequent comparisons.
    #[inline]
    fn holds_plainly(&self, value: Value<'_>) -> Option<bool> {
        match (value, &self.value) {
            (Value::Int(left), Json::Number(right)) => compare::by_order(left.cmp(&right.as_i64()?), self.operator),
            (Value::Bool(left), Json::Bool(right)) => compare::by_order(left.cmp(right), self.operator),
            (Value::Str(left), Json::String(right)) => match self.operator {
                Operator::Eq => Some(left == right),
                Operator::Ne => Some(left != right),
                _ => None,
            },
            _ => None,
        }
    }
}
