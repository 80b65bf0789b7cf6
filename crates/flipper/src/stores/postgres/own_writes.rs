//! Whether a notification is likely that of a write of this process, whose memory has it already.

use std::time::{Duration, Instant};

use crate::lock::Mutex;

/// So long such a notification waits for others: many writes of this process are one question of its follower, which would else compete with
/// those of the processes that do not know the change yet.
pub(super) const TOGETHER: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(super) struct OwnWrites(Mutex<Writes>);

#[derive(Default)]
struct Writes {
    running: usize,
    ended: Option<Instant>,
}

pub(super) struct Running<'a>(&'a OwnWrites);

impl OwnWrites {
    pub(super) fn begin(&self) -> Running<'_> {
        self.0.lock().running += 1;
        Running(self)
    }

    /// Notifications come at the commit, just before its answer or after it.
    pub(super) fn are_recent(&self) -> bool {
        let writes = self.0.lock();
        writes.running > 0 || writes.ended.is_some_and(|at| at.elapsed() < TOGETHER)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut writes = self.0.0.lock();
        writes.running -= 1;
        writes.ended = Some(Instant::now());
    }
}
