use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use futures_util::future::join;
use tokio::sync::watch;

use super::doubt::KEPT_FOR;
use super::shared::Shared;
use super::snapshot::{self, LastKnown, SnapshotFile};
use super::{Inner, MirroredFeatureFlagStore, task};
use crate::background;
use crate::state::Stored;
use crate::store::FeatureFlagStore;

/// The settings of a [`MirroredFeatureFlagStore`].
#[derive(Debug)]
pub struct MirrorBuilder<S> {
    store: S,
    snapshot_file: Option<PathBuf>,
    doubt_for: Duration,
    inherited: Option<Vec<Stored>>,
}

impl<S: FeatureFlagStore> MirrorBuilder<S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, snapshot_file: None, doubt_for: KEPT_FOR, inherited: None }
    }

    /// Stores the last known flags in this file too, for a process that starts while the store is unreachable; none by default.
    /// [`build`](Self::build) reads it. It is replaced whole within about a second of a change, and holds up to 64 MiB. If it is invalid or
    /// of another store, it is ignored with a warning.
    ///
    /// Its flags are in memory at once, `Stale`. [`ready`](crate::store::LocalFeatureFlagStore::ready) waits for the store's, unless it is
    /// unreachable.
    #[must_use]
    pub fn snapshot_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot_file = Some(path.into());
        self
    }

    /// How long missing flags are kept when the store comes back from an outage without more than half of them; 5 minutes by default, zero
    /// for not at all. Until then the status is `Stale`, and the snapshot file is not written. It ends sooner when the store has them
    /// again, or reports their deletion.
    #[must_use]
    pub fn doubt_for(mut self, time: Duration) -> Self {
        self.doubt_for = time;
        self
    }

    /// As if from a snapshot file: a forked process has the flags of its parent in memory.
    #[doc(hidden)]
    #[must_use]
    pub fn inherited(mut self, flags: Vec<Stored>) -> Self {
        self.inherited = Some(flags);
        self
    }

    /// Follows the store from now on.
    #[must_use]
    pub fn build(self) -> MirroredFeatureFlagStore<S> {
        let Self { store, snapshot_file, doubt_for, inherited } = self;
        let identity = store.identity();
        let file = snapshot_file.map(|path| SnapshotFile::new(path, store.to_string(), &identity));
        let now = SystemTime::now();
        let inherited = inherited.map(|flags| LastKnown { flags, synced: now, saved: now });
        let last_known = inherited.or_else(|| file.as_ref().and_then(SnapshotFile::load));
        let shared = Arc::new(Shared::new(store.to_string(), identity, last_known, doubt_for));
        let (closing, closing_receiver) = watch::channel(false);
        let (ended_teller, ended) = watch::channel(false);
        let store = Arc::new(store);
        match background::handle() {
            Ok(handle) => {
                let closed = task::until(closing_receiver.clone());
                let task = task::run(store.clone(), shared.clone(), closing_receiver);
                let (keeping, over) = (shared.clone(), shared.clone());
                let mut work = Box::pin(async move {
                    let _ended = Ended(over, ended_teller);
                    let keep = async {
                        if let Some(file) = file {
                            snapshot::keep(file, keeping.table.clone(), || keeping.synced(), closed).await;
                        }
                    };
                    join(task, keep).await;
                });
                // The first step runs here: flags that the store has at hand are in memory when this returns.
                let first = {
                    let _entered = handle.enter();
                    work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                };
                if first.is_pending() {
                    handle.spawn(work);
                }
            }
            Err(error) => {
                let reason = format!("the thread that follows the store cannot be started: {error}");
                shared.ended(&reason);
                ended_teller.send_replace(true);
            }
        }
        MirroredFeatureFlagStore {
            inner: Arc::new(Inner { store, shared, closing, ended, closed: AtomicBool::new(false) }),
        }
    }
}

struct Ended(Arc<Shared>, watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended("the thread that follows the store has ended");
        self.1.send_replace(true);
    }
}
