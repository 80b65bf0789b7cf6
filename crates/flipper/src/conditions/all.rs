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
    more: Vec<ReadyCheck>,
}

impl Variable {
    #[inline(always)]
    fn holds<A: Attributes + ?Sized>(&self, attributes: &A, index: usize) -> bool {
        self.check.holds(attributes, index)
            && (self.more.is_empty() || self.more.iter().all(|check| check.holds(attributes, index)))
    }
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
                Some(variable) => variable.more.push(check),
                None => all.variables.push(Variable { name: Word::new(name), check, more: Vec::new() }),
            }
        }
        if all.variables.len() > FEW {
            all.places = places;
        }
        all
    }

    /// The comparison, if there is no other.
    pub(crate) fn only(&self) -> Option<(&Word, &ReadyCheck)> {
        match self.variables.as_slice() {
            [only] if only.more.is_empty() => Some((&only.name, &only.check)),
            _ => None,
        }
    }

    /// The place of a variable. Attributes often come in the order of the checks, so `guess` is tried first.
    #[inline(always)]
    fn place(&self, name: &str, guess: usize) -> Option<usize> {
        match self.variables.get(guess) {
            Some(guessed) if guessed.name.is(name) => Some(guess),
            Some(_) if self.variables.len() == 1 => None,
            _ => self.search(name),
        }
    }

    /// Inlined it would slow down those who guess right.
    #[inline(never)]
    fn search(&self, name: &str) -> Option<usize> {
        if self.variables.len() > FEW {
            return self.places.get(name).copied();
        }
        self.variables.iter().position(|variable| variable.name.is(name))
    }

    /// Whether all checks hold; one that cannot be compared does not.
    #[inline]
    pub(crate) fn hold<A: Attributes + ?Sized>(&self, attributes: &A) -> bool {
        let mut guess = 0;
        for index in 0..attributes.len() {
            let Some(place) = self.place(attributes.attribute(index).0, guess) else { continue };
            guess = place + 1;
            if !self.variables[place].holds(attributes, index) {
                return false;
            }
        }
        true
    }

    /// If all checks hold: whether there is an attribute for any, or there are no checks. Of attributes with different names, in any order.
    pub(crate) fn hold_for_some<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<bool> {
        let mut is_any_given = self.variables.is_empty();
        let mut holds = |variable: &Variable, index| {
            is_any_given = true;
            variable.holds(attributes, index)
        };
        let hold = if self.variables.len() > FEW {
            (0..attributes.len()).all(|index| match self.search(attributes.attribute(index).0) {
                Some(place) => holds(&self.variables[place], index),
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
        let (mut guess, mut missing) = (0, u64::MAX >> (Self::MOST_NEEDED - self.variables.len()));
        for index in 0..attributes.len() {
            let Some(place) = self.place(attributes.attribute(index).0, guess) else { continue };
            guess = place + 1;
            if missing & (1 << place) == 0 {
                continue;
            }
            missing &= !(1 << place);
            if !self.variables[place].holds(attributes, index) {
                return false;
            }
        }
        missing == 0
    }
}
