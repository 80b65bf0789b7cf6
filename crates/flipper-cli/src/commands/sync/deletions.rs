//! Flags that were destroyed in the store that is read: few are destroyed in the other one too, many are kept.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::args::Limit;

/// The deletions within this count together.
const WINDOW: Duration = Duration::from_secs(60);
/// What is destroyed at once is told one by one: so long after one, another may come.
const SETTLE: Duration = Duration::from_millis(300);
/// So long the first of them waits at the most.
const LONGEST: Duration = Duration::from_secs(2);

pub(super) struct Deletions {
    limit: Limit,
    /// Not decided yet.
    waiting: BTreeSet<String>,
    first: Option<Instant>,
    last: Instant,
    /// When flags were destroyed in the last minute, those that were kept included.
    recent: VecDeque<Instant>,
    /// Those that were too many.
    pub(super) kept: BTreeSet<String>,
}

/// What becomes of those that waited.
pub(super) enum Verdict {
    Destroy(BTreeSet<String>),
    /// They are too many: so many of so many within a minute.
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

    /// The flag is there again.
    pub(super) fn remove(&mut self, name: &str) {
        self.waiting.remove(name);
        self.kept.remove(name);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When those that wait are decided.
    pub(super) fn due(&self) -> Instant {
        (self.last + SETTLE).min(self.first.unwrap_or(self.last) + LONGEST)
    }

    /// `left`: how many flags there are.
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
    fn those_of_a_minute_count_together() {
        let mut deletions = None;
        let names = ["A", "B", "C", "D"];
        let done = [0, 1, 2, 3].map(|place| decide(Limit::USUAL, &names[place..=place], 3 - place, &mut deletions));
        assert_eq!(done, [true, true, false, false]);
        let mut deletions = deletions.unwrap();
        deletions.remove("C");
        assert_eq!(deletions.kept.iter().collect::<Vec<_>>(), ["D"]);
    }
}
