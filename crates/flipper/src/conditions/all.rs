use super::{Check, Condition, Ids, Operator};
use crate::context::{Attributes, Value};
use crate::names::Names;

/// All checks of a flag, by variable: for whether all hold, their order does not matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllChecks {
    variables: Names,
    checks: Vec<Vec<Ready>>,
}

#[derive(Clone, Debug)]
enum Ready {
    Check(Check),
    /// Whether it is in the list, and whether it should be.
    List(Ids, bool),
}

impl Ready {
    fn of(check: &Check) -> Self {
        let wanted = match check.operator {
            Operator::In => true,
            Operator::NotIn => false,
            _ => return Self::Check(check.clone()),
        };
        Ids::of_long(&check.value).map_or_else(|| Self::Check(check.clone()), |ids| Self::List(ids, wanted))
    }

    #[inline(always)]
    fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Self::Check(check) => check.holds(value) == Ok(true),
            Self::List(ids, wanted) => ids.contain(value) == *wanted,
        }
    }
}

impl AllChecks {
    pub(crate) fn of(conditions: &[Condition]) -> Self {
        let mut all = Self::default();
        for condition in conditions {
            for (variable, checks) in condition.variables.iter().zip(&condition.checks) {
                let place = all.variables.add(variable);
                if place == all.checks.len() {
                    all.checks.push(Vec::new());
                }
                all.checks[place].extend(checks.iter().map(Ready::of));
            }
        }
        all
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
            if !self.checks[place].iter().all(|check| check.holds(value)) {
                return false;
            }
        }
        true
    }
}
