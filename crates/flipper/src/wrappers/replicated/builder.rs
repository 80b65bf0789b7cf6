use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::replica::Replica;
use super::{Inner, ReplicatedFeatureFlagStore, task};
use crate::background;
use crate::store::FeatureFlagStore;
use crate::wrappers::mirrored::{MirrorBuilder, MirroredFeatureFlagStore};

/// Replicas that are in step are compared this often, for changes made in a replica.
const COMPARE_EVERY: Duration = Duration::from_secs(300);

/// The settings of a [`ReplicatedFeatureFlagStore`].
#[derive(Debug)]
pub struct ReplicatedBuilder<P, S> {
    primary: MirrorBuilder<P>,
    replicas: Vec<S>,
    wait: Duration,
    compare_every: Duration,
}

impl<P: FeatureFlagStore, S: FeatureFlagStore> ReplicatedBuilder<P, S> {
    pub(super) fn new(primary: P) -> Self {
        let primary = MirroredFeatureFlagStore::builder(primary);
        Self { primary, replicas: Vec::new(), wait: Duration::ZERO, compare_every: COMPARE_EVERY }
    }

    /// Adds a replica. The flags of the first one that answers are used when the primary is away at the start.
    #[must_use]
    pub fn replica(mut self, replica: S) -> Self {
        self.replicas.push(replica);
        self
    }

    /// How long a write waits until all replicas have it; not at all by default. It succeeds all the same after that time.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.wait = time;
        self
    }

    /// How often all flags of a replica are compared, though nothing was missed; 5 minutes by default.
    #[must_use]
    pub fn compare_every(mut self, time: Duration) -> Self {
        self.compare_every = time;
        self
    }

    /// As [`MirrorBuilder::snapshot_file`]; its flags come before a replica's.
    #[must_use]
    pub fn snapshot_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.primary = self.primary.snapshot_file(path);
        self
    }

    /// As [`MirrorBuilder::doubt_for`]. Nothing is copied while the primary's flags are in doubt.
    #[must_use]
    pub fn doubt_for(mut self, time: Duration) -> Self {
        self.primary = self.primary.doubt_for(time);
        self
    }

    /// Follows the primary, and copies from now on.
    #[must_use]
    pub fn build(self) -> ReplicatedFeatureFlagStore<P, S> {
        let mirror = self.primary.build();
        let replicas: Vec<_> = self.replicas.into_iter().map(|store| Arc::new(Replica::new(store))).collect();
        let (closing, _) = watch::channel(false);
        match background::handle() {
            Ok(handle) => {
                let every = self.compare_every;
                for replica in &replicas {
                    handle.spawn(task::run(mirror.clone(), replica.clone(), every, closing.subscribe()));
                }
                handle.spawn(task::begin_with_replica(mirror.clone(), replicas.clone(), closing.subscribe()));
            }
            Err(error) => {
                let reason = format!("the thread that copies flags cannot be started: {error}");
                replicas.iter().for_each(|replica| replica.failed(&reason));
            }
        }
        ReplicatedFeatureFlagStore { inner: Arc::new(Inner { mirror, replicas, wait: self.wait, closing }) }
    }
}
