//! How to open an SQLite store.

use std::path::Path;
use std::time::Duration;

use super::SqliteFeatureFlagStore;
use super::errors::Named;
use crate::error::Result;

/// What SQLite can count in milliseconds, and clocks can add, with room to spare.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
const SHORTEST_POLL: Duration = Duration::from_millis(1);

/// Options of a [`SqliteFeatureFlagStore`]; see [`SqliteFeatureFlagStore::options`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteOptions {
    pub(super) busy_timeout: Duration,
    pub(super) poll_every: Option<Duration>,
}

impl SqliteOptions {
    /// How long a write waits while another program holds the file; 5 seconds if not set, a day at most.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout.min(LONGEST_WAIT);
        self
    }

    /// How often the file is looked at without a reason. If not set, that is every 50 ms while the file system tells of
    /// changes, and every 3 ms where it does not. A millisecond at least.
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = Some(every.clamp(SHORTEST_POLL, LONGEST_WAIT));
        self
    }

    /// Opens the file as [`SqliteFeatureFlagStore::open`] does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SqliteFeatureFlagStore> {
        let path = path.as_ref();
        SqliteFeatureFlagStore::start(path, self).map_err(|error| error.with_store(Named(path)))
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), poll_every: None }
    }
}
