use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;

use super::Plan;

/// How many flags and segments may be entered within each other. It bounds the stack.
pub(crate) const DEEPEST: usize = 64;
/// How many may be entered in one check. It bounds the time, where flags share prerequisites.
pub(crate) const MOST: u32 = 1_000;

/// Another flag, or a segment, as it is at the time of a check.
pub(crate) trait Linked: Debug + Send + Sync {
    /// Calls it with the plan; with `None` if it is missing or unreadable.
    fn read(&self, with: &mut dyn FnMut(Option<&Plan>));

    /// The answer to checks with or without attributes, if it is the same for all; `false` if it is missing.
    fn settled(&self, with_attributes: bool) -> Option<bool>;
}

/// Where other flags are found by their stored names. A missing one is found once it is there.
pub(crate) trait Links {
    fn link(&self, name: &str) -> Arc<dyn Linked>;
}

/// Without other flags: all are missing.
pub(crate) struct NoLinks;

#[derive(Debug)]
struct Missing;

impl Linked for Missing {
    fn read(&self, with: &mut dyn FnMut(Option<&Plan>)) {
        with(None);
    }

    fn settled(&self, _with_attributes: bool) -> Option<bool> {
        Some(false)
    }
}

impl Links for NoLinks {
    fn link(&self, _name: &str) -> Arc<dyn Linked> {
        Arc::new(Missing)
    }
}

/// The plans that a check has entered. It is on the stack, so that a check allocates nothing.
pub(crate) struct Visit<'a> {
    plan: *const Plan,
    outer: Option<&'a Visit<'a>>,
    depth: usize,
    left: &'a Cell<u32>,
}

/// Why a plan is not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has been entered already.
    Cycle,
    TooMany,
}

impl<'a> Visit<'a> {
    pub(crate) fn first(plan: &Plan, left: &'a Cell<u32>) -> Self {
        Self { plan, outer: None, depth: 0, left }
    }

    pub(crate) fn enter(&self, plan: &Plan) -> Result<Visit<'_>, Refused> {
        let mut outer = Some(self);
        while let Some(visit) = outer {
            if std::ptr::eq(visit.plan, plan) {
                return Err(Refused::Cycle);
            }
            outer = visit.outer;
        }
        let left = self.left.get();
        if self.depth >= DEEPEST || left == 0 {
            return Err(Refused::TooMany);
        }
        self.left.set(left - 1);
        Ok(Visit { plan, outer: Some(self), depth: self.depth + 1, left: self.left })
    }
}
