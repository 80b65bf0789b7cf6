//! Flags missing when a lost store comes back, perhaps without its data: kept for a while, unless the store shows that they were deleted.

use std::collections::HashSet;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::clock;

pub(super) const KEPT_FOR: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Doubt {
    missing: HashSet<Box<str>>,
    held: usize,
    pub(super) until: Instant,
}

impl Doubt {
    pub(super) fn new(missing: impl IntoIterator<Item = Box<str>>, held: usize, until: Instant) -> Self {
        Self { missing: missing.into_iter().collect(), held, until }
    }

    pub(super) fn is_of(&self, name: &str) -> bool {
        self.missing.contains(name)
    }

    /// A newer state of this flag arrived; returns whether it was the last.
    pub(super) fn settle(&mut self, name: &str) -> bool {
        self.missing.remove(name) && self.missing.is_empty()
    }

    pub(super) fn reason(&self) -> String {
        let until = clock::time_of_day() + self.until.saturating_duration_since(clock::instant());
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (hour, minute, second) = (until / 3600 % 24, until / 60 % 60, until % 60);
        format!(
            "the store came back without {} of {} flags; they are kept until {hour:02}:{minute:02}:{second:02} UTC, or until \
             the store has them again or reports that they were deleted",
            self.missing.len(),
            self.held,
        )
    }
}
