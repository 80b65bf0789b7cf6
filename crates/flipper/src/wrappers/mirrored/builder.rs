//! How a mirror is made and its background work started.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::watch;

use super::doubt::KEPT_FOR;
use super::shared::Shared;
use super::snapshot::{self, SnapshotFile};
use super::{Inner, MirroredFeatureFlagStore, task};
use crate::background;
use crate::store::FeatureFlagStore;

/// Makes a [`MirroredFeatureFlagStore`] with other than the default settings.
#[derive(Debug)]
pub struct MirrorBuilder<S> {
    store: S,
    snapshot_file: Option<PathBuf>,
    doubt_for: Duration,
}

impl<S: FeatureFlagStore> MirrorBuilder<S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, snapshot_file: None, doubt_for: KEPT_FOR }
    }

    /// Keeps the last known flags in this file too, so that a process which starts while the store is down has them; none
    /// by default. The file is read by [`build`](Self::build), replaced as a whole within about a second of a change, and
    /// holds up to 64 MiB. One that is broken, or of another store, is ignored with a warning.
    ///
    /// The flags of the file are there at once, and `Stale`.
    /// [`ready`](crate::store::LocalFeatureFlagStore::ready) still waits for those of the store, but returns when the store cannot be
    /// reached.
    #[must_use]
    pub fn snapshot_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot_file = Some(path.into());
        self
    }

    /// How long flags are kept that are missing when the store comes back after an outage without more than half of them; 5
    /// minutes by default, and zero for not at all. Until then the status is `Stale`, and the snapshot file stays as it is. It ends
    /// sooner when the store has them again, when they are deleted, or all of them at once, while it is followed.
    #[must_use]
    pub fn doubt_for(mut self, time: Duration) -> Self {
        self.doubt_for = time;
        self
    }

    /// The mirror, which starts to follow the store at once.
    #[must_use]
    pub fn build(self) -> MirroredFeatureFlagStore<S> {
        let Self { store, snapshot_file, doubt_for } = self;
        let identity = store.identity();
        let file = snapshot_file.map(|path| SnapshotFile::new(path, store.to_string(), &identity));
        let last_known = file.as_ref().and_then(SnapshotFile::load);
        let shared = Arc::new(Shared::new(store.to_string(), identity, last_known, doubt_for));
        let (closing, closing_told) = watch::channel(false);
        let (ended_teller, ended) = watch::channel(false);
        let store = Arc::new(store);
        match background::handle() {
            Ok(handle) => {
                let mut also_closing = closing_told.clone();
                let task = task::run(store.clone(), shared.clone(), closing_told);
                let (keeping, over) = (shared.clone(), shared.clone());
                let mut work = Box::pin(async move {
                    let _ended = Ended(over, ended_teller);
                    let closed = async move {
                        // An error says that the last handle is gone.
                        let _ = also_closing.wait_for(|closing| *closing).await;
                    };
                    let keep = async {
                        if let Some(file) = file {
                            snapshot::keep(file, keeping.table.clone(), || keeping.synced(), closed).await;
                        }
                    };
                    join(task, keep).await;
                });
                // Its first step is taken here: the flags that the store has at hand are in memory when this returns.
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

/// Says that the background work is over, whatever ended it.
struct Ended(Arc<Shared>, watch::Sender<bool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.ended("the thread that follows the store has ended");
        self.1.send_replace(true);
    }
}
