//! How current the flags in memory are.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::identity::Identity;
use crate::store::Corrupt;

/// How current the flags in memory are; see [`FeatureFlagClient::status`](crate::FeatureFlagClient::status).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Whether the store is being followed.
    pub health: Health,
    /// When the flags in memory were last known to be those of the store; `None` before the first time.
    pub last_sync: Option<SystemTime>,
    /// How changes that others make arrive.
    pub updates: Updates,
    /// The flags whose stored value cannot be read, by name, and why.
    pub corrupt: Vec<(String, Corrupt)>,
    /// Whose flags these are; with the epoch of the server where the store tells it.
    pub identity: Option<Identity>,
}

impl Status {
    /// A status with no corrupt flags.
    #[must_use]
    pub fn new(health: Health, last_sync: Option<SystemTime>, updates: Updates) -> Self {
        Self { health, last_sync, updates, corrupt: Vec::new(), identity: None }
    }

    /// Sets the corrupt flags.
    #[must_use]
    pub fn with_corrupt(mut self, corrupt: Vec<(String, Corrupt)>) -> Self {
        self.corrupt = corrupt;
        self
    }

    /// Sets whose flags these are.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Whether the store is being followed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.health, Health::Live)
    }
}

/// Whether the store is being followed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Memory has the store's flags.
    Live,
    /// Memory has the last known flags; the store cannot be followed.
    Stale {
        /// Since when.
        since: SystemTime,
        /// Why, for a person.
        reason: Arc<str>,
    },
}

/// How changes that others make arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Updates {
    /// Nobody else can change these flags.
    Local,
    /// The store tells of each change.
    Push,
    /// The store tells of each change of a flag, but not of all being deleted at once; that is asked for, so often.
    Notifications {
        /// The time between two questions.
        check_every: Duration,
    },
    /// The store is asked, so often.
    Poll {
        /// The time between two questions.
        every: Duration,
    },
}
