use std::fmt;
use std::time::{Duration, Instant};

use super::wait::wait_until;
use crate::table;
use crate::table::Change;

/// Every change, own or foreign: an iterator that waits for the next one, and ends with the last client.
///
/// ```
/// use flipper::events::Change;
///
/// # let features = flipper::blocking::connect("memory:")?;
/// let mut changes = features.changes();
/// features.create("MY_FEATURE").wait()?;
/// assert!(matches!(changes.next(), Some(Change::Set { name, .. }) if name == "MY_FEATURE"));
/// # Ok::<(), flipper::Error>(())
/// ```
///
/// On flipper's own thread it ends at once; see the [module](super).
#[must_use = "an iterator does nothing unless it is read"]
pub struct Changes {
    changes: table::Changes,
}

impl Changes {
    pub(super) fn new(changes: table::Changes) -> Self {
        Self { changes }
    }

    /// The next change; `None` after this time, or once the last client is dropped.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Change> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Option<Change> {
        wait_until(deadline, self.changes.recv()).ok().flatten().flatten()
    }
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        self.next_until(None)
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("blocking::Changes").finish_non_exhaustive()
    }
}
