use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Operator, ReadyCheck, Word};
use crate::context::Attributes;
use crate::json::Json;

/// Up to this many names are compared one by one, which is faster than hashing.
const FEW: usize = 8;

/// All checks of a flag, by variable: for whether all hold, their order does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllChecks {
    variables: Vec<Variable>,
    /// Empty while there are few.
    places: HashMap<Box<str>, usize, RandomState>,
}

#[derive(Clone, Debug)]
struct Variable {
    name: Word,
    check: ReadyCheck,
}

impl AllChecks {
    /// As many variables as a number has bits.
    pub(crate) const MOST_NEEDED: usize = 64;

    pub(crate) fn of<'a>(checks: impl IntoIterator<Item = (&'a str, Operator, &'a Json)>) -> Self {
        let mut all = Self::default();
        let mut places = HashMap::<_, _, RandomState>::default();
        for (name, operator, value) in checks {
            let check = ReadyCheck::new(operator, value);
            let place = *places.entry(Box::from(name)).or_insert(all.variables.len());
            match all.variables.get_mut(place) {
                Some(variable) => variable.check.add(check),
                None => all.variables.push(Variable { name: Word::new(name), check }),
            }
        }
        if all.variables.len() > FEW {
            all.places = places;
        }
        all
    }

    /// The check of the only variable, if there is no other.
    pub(crate) fn only(&self) -> Option<(&Word, &ReadyCheck)> {
        match self.variables.as_slice() {
            [only] => Some((&only.name, &only.check)),
            _ => None,
        }
    }

    /// A variable, and those after it. Attributes often come in the order of the checks, so the first of `next` is tried first.
    #[inline(always)]
    fn find<'a>(&'a self, name: &str, next: &'a [Variable]) -> Option<(&'a Variable, &'a [Variable])> {
        match next.split_first() {
            Some(found) if found.0.name.is(name) => Some(found),
            Some(_) if self.variables.len() == 1 => None,
            _ => self.search(name),
        }
    }

    /// Inlined it would slow down those who guess right.
    #[inline(never)]
    fn search(&self, name: &str) -> Option<(&Variable, &[Variable])> {
        let place = if self.variables.len() > FEW {
            self.places.get(name).copied()
        } else {
            self.variables.iter().position(|variable| variable.name.is(name))
        };
        self.variables.get(place?..)?.split_first()
    }

    /// Whether all checks hold; one that cannot be compared does not.
    #[inline]
    pub(crate) fn hold<A: Attributes + ?Sized>(&self, attributes: &A) -> bool {
        self.hold_in_order(attributes).is_some_and(|done| done == attributes.len() || self.hold_from(done, attributes))
    }

    /// Of the first attributes, as far as they have the order of the variables: how many, or `None` if a check does not hold.
    ///
    /// A loop of its own: one that may also search for a variable takes nearly twice as long.
    #[inline(always)]
    fn hold_in_order<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<usize> {
        let mut done = 0;
        for (variable, index) in self.variables.iter().zip(0..attributes.len()) {
            if !variable.name.is(attributes.attribute(index).0) {
                break;
            }
            if !variable.check.holds(attributes, index) {
                return None;
            }
            done += 1;
        }
        Some(done)
    }

    #[inline(never)]
    fn hold_from<A: Attributes + ?Sized>(&self, first: usize, attributes: &A) -> bool {
        let mut next = self.variables.get(first..).unwrap_or_default();
        for index in first..attributes.len() {
            let Some((variable, after)) = self.find(attributes.attribute(index).0, next) else { continue };
            if !variable.check.holds(attributes, index) {
                return false;
            }
            next = after;
        }
        true
    }

    /// If all checks hold: whether there is an attribute for any, or there are no checks. Of attributes with different names, in any order.
    pub(crate) fn hold_for_some<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<bool> {
        let mut is_any_given = self.variables.is_empty();
        let mut holds = |variable: &Variable, index| {
            is_any_given = true;
            variable.check.holds(attributes, index)
        };
        let hold = if self.variables.len() > FEW {
            (0..attributes.len()).all(|index| match self.search(attributes.attribute(index).0) {
                Some((variable, _)) => holds(variable, index),
                None => true,
            })
        } else {
            self.variables.iter().all(|variable| match variable.name.place_in(attributes) {
                Some(index) => holds(variable, index),
                None => true,
            })
        };
        hold.then_some(is_any_given)
    }

    /// As [`hold`](Self::hold), where each variable is needed, and of a repeated attribute the first counts. Up to [`MOST_NEEDED`](Self::MOST_NEEDED).
    #[inline]
    pub(crate) fn hold_for_first<A: Attributes + ?Sized>(&self, attributes: &A) -> bool {
        let held = self.hold_in_order(attributes);
        held.is_some_and(|done| done == self.variables.len() || self.hold_for_first_from(done, attributes))
    }

    #[inline(never)]
    fn hold_for_first_from<A: Attributes + ?Sized>(&self, first: usize, attributes: &A) -> bool {
        let mut next = self.variables.get(first..).unwrap_or_default();
        // The last variable is the lowest bit.
        let mut missing = u64::MAX >> (Self::MOST_NEEDED - next.len());
        for index in first..attributes.len() {
            let Some((variable, after)) = self.find(attributes.attribute(index).0, next) else { continue };
            next = after;
            let bit = 1 << after.len();
            if missing & bit == 0 {
                continue;
            }
            missing &= !bit;
            if !variable.check.holds(attributes, index) {
                return false;
            }
        }
        missing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Value;

    const WRONG: Value<'static> = Value::Int(7);

    /// Few and many, short and long names; attributes that are moved, repeated, missing or unknown, some of them with another value.
    #[test]
    fn attributes_of_any_order_are_found() {
        let names: Vec<String> = (0..12).map(|at| format!("{}{at}", "n".repeat(2 * at))).collect();
        let (one, none, text) = (Json::from(1), Json::from(0), Json::from("a"));
        let mut random = fastrand::Rng::with_seed(20);
        let mut answers = [0; 4];
        for _ in 0..5_000 {
            let wanted = &names[..random.usize(1..11)];
            let values: Vec<_> = (0..wanted.len()).map(|at| if at % 2 == 0 { &one } else { &text }).collect();
            let equal = wanted.iter().zip(&values).map(|(name, value)| (name.as_str(), Operator::Eq, *value));
            let all = AllChecks::of(equal.chain([(wanted[0].as_str(), Operator::Gt, &none)]));
            let mut given: Vec<_> =
                wanted.iter().zip(&values).map(|(name, value)| (name.as_str(), Value::plainest(value))).collect();
            for _ in 0..random.usize(..4) {
                let last = given.len() - 1;
                let (from, to) = (random.usize(..=last), random.usize(..=last));
                match random.u8(..6) {
                    0 | 1 => given.insert(to, given[from]),
                    2 => given.insert(to, (given[from].0, WRONG)),
                    3 => given.insert(to, ("unknown", WRONG)),
                    4 => given.swap(from, to),
                    _ if last > 0 => _ = given.remove(from),
                    _ => {}
                }
            }
            let is_right = |value: &Value<'_>| !matches!(value, Value::Int(7));
            let hold = given.iter().all(|(name, value)| *name == "unknown" || is_right(value));
            let mut first = wanted.iter().map(|name| given.iter().find(|(given, _)| given == name));
            let hold_for_first = first.all(|found| found.is_some_and(|(_, value)| is_right(value)));
            assert_eq!(all.hold(&given), hold, "{wanted:?} {given:?}");
            assert_eq!(all.hold_for_first(&given), hold_for_first, "{wanted:?} {given:?}");
            answers[usize::from(hold) + 2 * usize::from(hold_for_first)] += 1;
        }
        assert!(answers.iter().all(|count| *count > 100), "{answers:?}");
    }
}
