//! Deletions in the source: a few are repeated in the target, too many are not.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::args::Limit;

/// Deletions within this time are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Wait after each deletion: flags deleted at once are reported one by one.
const SETTLE: Duration = Duration::from_millis(300);
/// Longest wait after the first deletion.
const LONGEST: Duration = Duration::from_secs(2);

pub(super) struct Deletions {
    limit: Limit,
    waiting: BTreeSet<String>,
    first: Option<Instant>,
    last: Instant,
    /// Times of the deletions within [`WINDOW`], kept ones included.
    recent: VecDeque<Instant>,
    /// Flags kept because too many were deleted.
    pub(super) kept: BTreeSet<String>,
}

pub(super) enum Verdict {
    Destroy(BTreeSet<String>),
    /// These are too many: the second number of the third were deleted within a minute.
    Keep(BTreeSet<String>, usize, usize),
}

impl Deletions {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            limit,
            waiting: BTreeSet::new(),
            first: None,
            last: Instant::now(),
            recent: VecDeque::new(),
            kept: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, name: String) {
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.waiting.insert(name);
    }

    /// The flag exists again.
    pub(super) fn remove(&mut self, name: &str) {
        self.waiting.remove(name);
        self.kept.remove(name);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn due(&self) -> Instant {
        (self.last + SETTLE).min(self.first.unwrap_or(self.last) + LONGEST)
    }

    /// `left`: flags that still exist.
    pub(super) fn decide(&mut self, left: usize) -> Verdict {
        let now = Instant::now();
        self.recent.retain(|at| now.duration_since(*at) < WINDOW);
        let waiting = std::mem::take(&mut self.waiting);
        self.first = None;
        self.recent.extend(waiting.iter().map(|_| now));
        let (destroyed, all) = (self.recent.len(), left + self.recent.len());
        if !self.limit.is_exceeded(destroyed, all) {
            return Verdict::Destroy(waiting);
        }
        self.kept.extend(waiting.iter().cloned());
        Verdict::Keep(waiting, destroyed, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(limit: Limit, names: &[&str], left: usize, deletions: &mut Option<Deletions>) -> bool {
        let deletions = deletions.get_or_insert_with(|| Deletions::new(limit));
        names.iter().for_each(|name| deletions.add((*name).to_owned()));
        matches!(deletions.decide(left), Verdict::Destroy(_))
    }

    #[test]
    fn few_are_destroyed_and_many_are_kept() {
        for (limit, destroyed, left, expected) in [
            (Limit::USUAL, 1, 0, true),
            (Limit::USUAL, 2, 0, true),
            (Limit::USUAL, 3, 0, false),
            (Limit::USUAL, 3, 3, true),
            (Limit::USUAL, 4, 3, false),
            (Limit::Share(20.0), 1, 3, false),
            (Limit::Share(100.0), 9, 0, true),
            (Limit::Share(0.0), 1, 99, false),
            (Limit::Number(1), 1, 0, true),
            (Limit::Number(1), 2, 99, false),
        ] {
            let names: Vec<_> = ["A", "B", "C", "D", "E", "F", "G", "H", "I"][..destroyed].to_vec();
            assert_eq!(decide(limit, &names, left, &mut None), expected, "{limit} {destroyed} {left}");
        }
    }

    #[test]
    fn deletions_within_a_minute_count_together() {
        let mut deletions = None;
        let names = ["A", "B", "C", "D"];
        let done = [0, 1, 2, 3].map(|place| decide(Limit::USUAL, &names[place..=place], 3 - place, &mut deletions));
        assert_eq!(done, [true, true, false, false]);
        let mut deletions = deletions.unwrap();
        deletions.remove("C");
        assert_eq!(deletions.kept.iter().collect::<Vec<_>>(), ["D"]);
    }
}
