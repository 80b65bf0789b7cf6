use std::fmt;
use std::sync::Arc;

/// Which store this is: where its flags are, and which start of the server answers. Snapshot files, positions in a watch, and versions are
/// valid for one identity only. It has no secrets.
///
/// ```
/// use flipper::store::Identity;
///
/// let redis = Identity::new("redis://10.0.0.7:6379/3?base_key=features");
/// assert_eq!(redis.to_string(), "redis://10.0.0.7:6379/3?base_key=features");
/// let restarted = redis.clone().with_epoch("8a1f");
/// assert_eq!(restarted.place(), redis.place());
/// assert_ne!(restarted, redis);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    place: Arc<str>,
    epoch: Option<Arc<str>>,
}

impl Identity {
    /// `place`: what determines the flags, without secrets: kind, address, database, datacenter, namespace, base key; a file's path.
    #[must_use]
    pub fn new(place: impl AsRef<str>) -> Self {
        Self { place: place.as_ref().into(), epoch: None }
    }

    /// Sets what distinguishes one start of the server from the next: Redis's `run_id`, a file's inode, a Thrift server's start id.
    #[must_use]
    pub fn with_epoch(mut self, epoch: impl AsRef<str>) -> Self {
        self.epoch = Some(epoch.as_ref().into());
        self
    }

    /// Where the flags are.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Which start of the server answers, if known.
    #[must_use]
    pub fn epoch(&self) -> Option<&str> {
        self.epoch.as_deref()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        match &self.epoch {
            Some(epoch) => write!(f, " ({epoch})"),
            None => Ok(()),
        }
    }
}
