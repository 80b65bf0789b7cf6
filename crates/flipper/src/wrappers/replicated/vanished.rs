//! Deletions in the primary: a few are repeated in a replica, more than half of all flags at once are not.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::table::lacks_most;

/// Deletions within this time are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Flags deleted at once are reported one by one.
const SETTLE: Duration = Duration::from_millis(300);
/// So few may be all flags of a small store.
const FEW: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Vanished {
    waiting: BTreeMap<String, Instant>,
    recent: VecDeque<Instant>,
}

impl Vanished {
    pub(super) fn add(&mut self, name: &str) {
        self.waiting.entry(name.to_owned()).or_insert_with(Instant::now);
    }

    /// It exists again, or was deleted on purpose.
    pub(super) fn remove(&mut self, name: &str) {
        self.waiting.remove(name);
    }

    /// When the first of those that wait may be decided.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().min().map(|first| *first + SETTLE)
    }

    /// The flags that are due, and whether they may be deleted; `left`: how many the primary still has.
    pub(super) fn decide(&mut self, left: usize) -> Option<(Vec<String>, bool)> {
        let now = Instant::now();
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        self.recent.retain(|at| now.duration_since(*at) < WINDOW);
        let names: Vec<_> = std::mem::take(&mut self.waiting).into_keys().collect();
        self.recent.extend(names.iter().map(|_| now));
        let gone = self.recent.len();
        Some((names, gone <= FEW || !lacks_most(left + gone, gone)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(vanished: &mut Vanished, names: &[&str], left: usize) -> bool {
        names.iter().for_each(|name| vanished.add(name));
        vanished.waiting.values_mut().for_each(|at| *at -= SETTLE);
        vanished.decide(left).is_some_and(|(_, may)| may)
    }

    #[test]
    fn few_are_deleted_and_most_are_not() {
        for (names, left, expected) in
            [(&["A", "B"][..], 0, true), (&["A", "B", "C"], 3, true), (&["A", "B", "C"], 2, false)]
        {
            assert_eq!(decide(&mut Vanished::default(), names, left), expected, "{names:?} {left}");
        }
        let mut one_by_one = Vanished::default();
        let decided = ["A", "B", "C"].map(|name| decide(&mut one_by_one, &[name], 1));
        assert_eq!(decided, [true, true, false], "they count together");
    }

    #[test]
    fn nothing_is_decided_before_it_settles() {
        let mut vanished = Vanished::default();
        vanished.add("A");
        assert!(vanished.decide(9).is_none() && vanished.due().is_some());
        vanished.remove("A");
        assert!(vanished.due().is_none());
    }
}
