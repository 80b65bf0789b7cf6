use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Corrupt;
use crate::identity::Identity;

/// How current the flags in memory are; see [`FeatureFlagClient::status`](crate::FeatureFlagClient::status).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Whether the store is being followed.
    pub health: Health,
    /// When memory was last known to be the store's; `None` before the first time.
    pub last_sync: Option<SystemTime>,
    /// How foreign changes arrive.
    pub updates: Updates,
    /// The unreadable flags by name, with the reason.
    pub corrupt: BTreeMap<String, Corrupt>,
    /// The store of these flags; with the server's epoch, if there is one.
    pub identity: Option<Identity>,
}

impl Status {
    /// A status without corrupt flags.
    #[must_use]
    pub fn new(health: Health, last_sync: Option<SystemTime>, updates: Updates) -> Self {
        Self { health, last_sync, updates, corrupt: BTreeMap::new(), identity: None }
    }

    /// Sets the unreadable flags.
    #[must_use]
    pub fn with_corrupt(mut self, corrupt: impl IntoIterator<Item = (String, Corrupt)>) -> Self {
        self.corrupt = corrupt.into_iter().collect();
        self
    }

    /// Sets the store.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The time since `last_sync`; `None` before the first. Mostly below a second while the store is followed.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        // A clock that was set back makes no flag older.
        self.last_sync.map(|at| at.elapsed().unwrap_or_default())
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

/// How foreign changes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Updates {
    /// Only this process can change these flags.
    Local,
    /// The store reports each change.
    Push,
    /// The store reports each change of a flag; it is polled for the deletion of all.
    Notifications {
        /// The time between two polls.
        check_every: Duration,
    },
    /// The store is polled.
    Poll {
        /// The time between two polls.
        every: Duration,
    },
}

/// For status pages: `health` (`live` or `stale`), `stale_since` and why, `last_sync` (both in seconds of Unix time), how changes arrive,
/// the unreadable flags, and the store.
impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (health, since, reason) = match &self.health {
            Health::Live => ("live", None, None),
            Health::Stale { since, reason } => ("stale", Some(*since), Some(&**reason)),
        };
        let updates = match self.updates {
            Updates::Local => "local",
            Updates::Push => "push",
            Updates::Notifications { .. } => "notifications",
            Updates::Poll { .. } => "poll",
        };
        let corrupt: BTreeMap<_, _> = self.corrupt.iter().map(|(name, why)| (name, why.reason())).collect();
        let mut fields = serializer.serialize_struct("Status", 7)?;
        fields.serialize_field("health", health)?;
        fields.serialize_field("stale_since", &since.map(unix_time))?;
        fields.serialize_field("reason", &reason)?;
        fields.serialize_field("last_sync", &self.last_sync.map(unix_time))?;
        fields.serialize_field("updates", updates)?;
        fields.serialize_field("corrupt", &corrupt)?;
        fields.serialize_field("identity", &self.identity.as_ref().map(ToString::to_string))?;
        fields.end()
    }
}

fn unix_time(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_json_and_has_an_age() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        let health = Health::Stale { since, reason: "the connection was closed".into() };
        let status = Status::new(health, Some(since), Updates::Push)
            .with_corrupt([("BROKEN".to_owned(), Corrupt::new("no JSON"))]);
        assert!(status.age().unwrap() > Duration::from_secs(1_700_000_000));
        let expected = r#"{"health":"stale","stale_since":1.5,"reason":"the connection was closed","last_sync":1.5,"updates":"push","corrupt":{"BROKEN":"no JSON"},"identity":null}"#;
        assert_eq!(serde_json::to_string(&status).unwrap(), expected);
        let live = Status::new(Health::Live, None, Updates::Local);
        assert_eq!(live.age(), None);
        assert!(serde_json::to_string(&live).unwrap().starts_with(r#"{"health":"live","stale_since":null,"#));
    }
}
