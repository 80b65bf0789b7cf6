//! Pauses between attempts.

use std::time::{Duration, Instant};

/// Pauses that double up to the longest, each of random length below that: clients that failed together do not retry together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    first: Duration,
    longest: Duration,
    next: Duration,
}

/// To follow a store, or read it again.
impl Default for Pause {
    fn default() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }
}

impl Pause {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let most = self.next;
        self.next = (most * 2).min(self.longest);
        most.mul_f64(fastrand::f64())
    }

    /// `None` after the deadline, and never beyond it.
    pub(crate) fn next_before(&mut self, deadline: Instant) -> Option<Duration> {
        let left = deadline.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| self.next().min(left))
    }

    /// After a success, or before another operation.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }
}

/// The time of the next attempt, for all callers that attempt the same.
#[cfg(any(feature = "redis", feature = "thrift"))]
#[derive(Debug)]
pub(crate) struct NextAttempt {
    pause: Pause,
    at: Option<Instant>,
}

#[cfg(any(feature = "redis", feature = "thrift"))]
impl NextAttempt {
    pub(crate) const fn new(pause: Pause) -> Self {
        Self { pause, at: None }
    }

    /// `None`: at once.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(crate) fn failed(&mut self) {
        self.at = Some(Instant::now() + self.pause.next());
    }

    pub(crate) fn succeeded(&mut self) {
        self.pause.reset();
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let (first, longest) = (Duration::from_millis(1), Duration::from_millis(100));
        let mut pause = Pause::new(first, longest);
        let mut most = first;
        for _ in 0..1000 {
            assert!(pause.next() <= most);
            most = (most * 2).min(longest);
        }
        assert!((0..1000).any(|_| pause.next() > longest / 2));
        pause.reset();
        assert!(pause.next() <= first);
    }

    #[test]
    fn pauses_end_with_the_deadline() {
        let mut pause = Pause::new(Duration::from_secs(60), Duration::from_secs(60));
        let soon = Instant::now() + Duration::from_millis(1);
        assert!((0..100).filter_map(|_| pause.next_before(soon)).all(|pause| pause <= Duration::from_millis(1)));
        assert_eq!(pause.next_before(Instant::now()), None);
    }
}
