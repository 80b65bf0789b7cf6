use super::{Check, Condition, Ids, Operator};
use crate::context::Attributes;
use crate::names::Names;

/// All checks of a flag, by variable: for whether all hold, their order does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllChecks {
    variables: Names,
    checks: Vec<Vec<Check>>,
    /// Those with a long list. Apart, so that flags without one pay nothing.
    lists: Vec<ListCheck>,
}

#[derive(Clone, Debug)]
struct ListCheck {
    variable: Box<str>,
    ids: Ids,
    /// Whether the attribute should be in the list.
    wanted: bool,
}

impl ListCheck {
    fn of(variable: &str, check: &Check) -> Option<Self> {
        let wanted = match check.operator {
            Operator::In => true,
            Operator::NotIn => false,
            _ => return None,
        };
        Some(Self { variable: variable.into(), ids: Ids::of_long(&check.value)?, wanted })
    }

    fn holds<A: Attributes + ?Sized>(&self, attributes: &A) -> bool {
        let mut given = (0..attributes.len()).map(|index| attributes.attribute(index));
        given.all(|(name, value)| *name != *self.variable || self.ids.contain(value) == self.wanted)
    }
}

impl AllChecks {
    pub(crate) fn of(conditions: &[Condition]) -> Self {
        let mut all = Self::default();
        for condition in conditions {
            for (variable, checks) in condition.variables.iter().zip(&condition.checks) {
                for check in checks {
                    match ListCheck::of(variable, check) {
                        Some(list) => all.lists.push(list),
                        None => all.add(variable, check),
                    }
                }
            }
        }
        all
    }

    fn add(&mut self, variable: &str, check: &Check) {
        let place = self.variables.add(variable);
        if place == self.checks.len() {
            self.checks.push(Vec::new());
        }
        self.checks[place].push(check.clone());
    }

    /// Whether all checks hold; one that cannot be compared does not.
    #[inline]
    pub(crate) fn hold<A: Attributes + ?Sized>(&self, attributes: &A) -> bool {
        // Attributes often come in the order of the conditions.
        let mut guess = 0;
        for index in 0..attributes.len() {
            let (name, value) = attributes.attribute(index);
            let Some(place) = self.variables.place_near(name, guess) else { continue };
            guess = place + 1;
            if !self.checks[place].iter().all(|check| check.holds(value) == Ok(true)) {
                return false;
            }
        }
        self.lists.is_empty() || self.lists.iter().all(|list| list.holds(attributes))
    }
}
