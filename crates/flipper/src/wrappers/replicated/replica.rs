//! One replica, and how a flag gets there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::sync::{Notify, watch};

use super::progress::ReplicaStatus;
use super::vanished::Vanished;
use crate::error::{Error, ErrorKind, Result};
use crate::inspection::{Check, Finding};
use crate::lock::Mutex;
use crate::pause::Pause;
use crate::record::exchange::named;
use crate::state::{Cause, Precondition, Stored, WriteOptions};
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore};
use crate::wrappers::mirrored::MirroredFeatureFlagStore;

/// Flags that are copied at once.
const AT_ONCE: usize = 16;
/// More missing flags than this are put in batches.
const MANY: usize = 100;
const BATCH: usize = 500;
/// Other processes copy too; one of them succeeds each time.
const ATTEMPTS: usize = 20;
/// The deletion of a flag that we wrote so recently is repeated at once.
const OURS_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Replica<S> {
    pub(super) store: S,
    progress: Mutex<Progress>,
    /// The replica lacks something.
    pub(super) wake: Notify,
    in_step: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Progress {
    status: ReplicaStatus,
    vanished: Vanished,
    /// Each call of `lacks`, so that a copy which began before it does not count as its copy.
    calls: u64,
    since: HashMap<String, u64>,
    /// Our own writes of late.
    ours: HashMap<String, Instant>,
    /// Memory has its flags: the primary was away at the start.
    is_source: bool,
}

impl Progress {
    fn lacks(&mut self, name: &str) {
        self.calls += 1;
        self.since.insert(name.to_owned(), self.calls);
        self.status.pending.insert(name.to_owned());
        self.status.kept.remove(name);
        self.vanished.remove(name);
    }
}

impl<S: FeatureFlagStore> Replica<S> {
    pub(super) fn new(store: S) -> Self {
        let status = ReplicaStatus { store: store.to_string(), comparing: true, ..ReplicaStatus::default() };
        let progress = Mutex::new(Progress { status, ..Progress::default() });
        Self { store, progress, wake: Notify::new(), in_step: watch::Sender::new(false) }
    }

    pub(super) fn status(&self) -> ReplicaStatus {
        self.progress.lock().status.clone()
    }

    pub(super) fn is_source(&self) -> bool {
        self.progress.lock().is_source
    }

    pub(super) fn set_source(&self, is_source: bool) {
        self.progress.lock().is_source = is_source;
    }

    pub(super) async fn in_step(&self) {
        // The sender is in `self`.
        let _ = self.in_step.subscribe().wait_for(|in_step| *in_step).await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        let mut progress = self.progress.lock();
        let result = change(&mut progress);
        let in_step = progress.status.is_in_step() && progress.vanished.due().is_none();
        if in_step {
            progress.status.in_step_at = Some(SystemTime::now());
        }
        self.in_step.send_if_modified(|before| std::mem::replace(before, in_step) != in_step);
        result
    }

    /// `by_us`: a write of this store, whose deletions are always repeated.
    pub(super) fn lacks(&self, name: &str, by_us: bool) {
        self.change(|progress| {
            progress.lacks(name);
            if by_us {
                let now = Instant::now();
                progress.ours.retain(|_, at| now.duration_since(*at) < OURS_FOR);
                progress.ours.insert(name.to_owned(), now);
            }
        });
        self.wake.notify_one();
    }

    /// It was deleted in the primary.
    pub(super) fn vanished(&self, name: &str) {
        if self.progress.lock().ours.contains_key(name) {
            return self.lacks(name, false);
        }
        self.change(|progress| progress.vanished.add(name));
        self.wake.notify_one();
    }

    pub(super) fn must_compare(&self) {
        self.change(|progress| progress.status.comparing = true);
        self.wake.notify_one();
    }

    pub(super) fn failed(&self, why: &str) {
        self.change(|progress| progress.status.error = Some(why.into()));
    }

    /// When there is something to do.
    pub(super) fn next_work(&self) -> Option<Instant> {
        let progress = self.progress.lock();
        let at_once = progress.status.comparing || !progress.status.pending.is_empty();
        if at_once { Some(Instant::now()) } else { progress.vanished.due() }
    }

    /// Copies what the replica lacks. Ends early while the primary's flags are not certain.
    pub(super) async fn catch_up<P: FeatureFlagStore>(&self, primary: &MirroredFeatureFlagStore<P>) -> Result<()> {
        let done = async {
            if self.progress.lock().status.comparing {
                self.compare(primary).await?;
            }
            self.decide(primary);
            let pending: Vec<_> = self.progress.lock().status.pending.iter().cloned().collect();
            let mut copies = iter(pending).map(|name| self.copy_one(primary, name)).buffer_unordered(AT_ONCE);
            while let Some(copied) = copies.next().await {
                copied?;
            }
            Ok(())
        };
        let result: Result<()> = done.await;
        match &result {
            Ok(()) => self.change(|progress| progress.status.error = None),
            Err(error) => {
                let why: Arc<str> = error.chain().into();
                // It may come back with other flags.
                self.change(|progress| {
                    progress.status.error = Some(why);
                    progress.status.comparing = true;
                });
            }
        }
        result
    }

    /// What `catch_up` does, from memory, for a primary that is gone. Nothing is deleted.
    pub(super) async fn copy_all<P: FeatureFlagStore>(&self, primary: &MirroredFeatureFlagStore<P>) -> Result<()> {
        let there = by_name(self.store.list().await?);
        for held in primary.table().list() {
            let Ok(record) = &held.record else { continue };
            if !is_same(Some(&held), there.get(&held.name)) {
                self.store.put(&named(record, &held.name), copied(Precondition::Any)).await?;
            }
        }
        Ok(())
    }

    async fn compare<P: FeatureFlagStore>(&self, primary: &MirroredFeatureFlagStore<P>) -> Result<()> {
        let before = self.progress.lock().calls;
        // First: what memory then lacks of it was deleted before.
        let there = by_name(self.store.list().await?);
        let here = by_name(primary.table().list());
        if !primary.is_live() {
            return Err(Error::unavailable("primary was lost during the comparison"));
        }
        let differ: Vec<_> = here.values().filter(|flag| !is_same(Some(flag), there.get(&flag.name))).collect();
        let missing: Vec<_> = differ.iter().filter(|flag| !there.contains_key(&flag.name)).collect();
        if missing.len() > MANY {
            let records: Vec<_> = missing
                .iter()
                .filter_map(|flag| Some(named(flag.record.as_ref().ok()?, &flag.name).into_owned()))
                .collect();
            for batch in records.chunks(BATCH) {
                let put = self.store.put_all(batch, copied(Precondition::Absent)).await;
                if let Some(Err(error)) = put.iter().find(|put| is_outage(put)) {
                    return Err(error.copy());
                }
                // Those that could not be put are copied, or refused, one by one.
                let done = batch.iter().zip(put).filter(|(_, put)| put.is_ok()).map(|(record, _)| record.name());
                let done: std::collections::HashSet<_> = done.collect();
                batch
                    .iter()
                    .filter(|record| !done.contains(record.name()))
                    .for_each(|record| self.lacks(record.name(), false));
            }
            let put = |name: &str| !there.contains_key(name) && here.get(name).is_some_and(|flag| flag.record.is_ok());
            differ.iter().filter(|flag| !put(&flag.name)).for_each(|flag| self.lacks(&flag.name, false));
        } else {
            differ.iter().for_each(|flag| self.lacks(&flag.name, false));
        }
        self.change(|progress| {
            progress.status.comparing = false;
            progress.status.refused.retain(|name, _| here.contains_key(name));
            progress.status.kept.retain(|name| there.contains_key(name) && !here.contains_key(name));
            for name in there.keys().filter(|name| !here.contains_key(*name)) {
                let written_since = progress.since.get(name).is_some_and(|call| *call > before);
                if !written_since && !progress.status.kept.contains(name) && !progress.status.pending.contains(name) {
                    progress.vanished.add(name);
                }
            }
        });
        Ok(())
    }

    /// About flags that only the replica has.
    fn decide<P: FeatureFlagStore>(&self, primary: &MirroredFeatureFlagStore<P>) {
        if self.progress.lock().vanished.due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        let left = primary.table().list().len();
        // At once: in between, the replica would seem to be in step.
        self.change(|progress| {
            let Some((names, may_delete)) = progress.vanished.decide(left) else { return };
            if may_delete {
                return names.iter().for_each(|name| progress.lacks(name));
            }
            let (replica, flags) = (&self.store, names.len());
            tracing::error!(%replica, flags, left, "more than half of the flags vanished from the primary; the replica keeps them");
            progress.status.kept.extend(names);
        });
    }

    async fn copy_one<P: FeatureFlagStore>(&self, primary: &MirroredFeatureFlagStore<P>, name: String) -> Result<()> {
        let began = self.progress.lock().since.get(&name).copied();
        let copied = self.copy(primary, &name).await;
        let refused = match copied {
            Ok(why) => why,
            Err(error) if is_outage(&Err::<(), _>(error.copy())) => return Err(error),
            Err(error) => Some(error.chain().into()),
        };
        self.change(|progress| {
            // Else it has changed again meanwhile.
            if progress.since.get(&name).copied() == began {
                progress.since.remove(&name);
                progress.status.pending.remove(&name);
            }
            match refused {
                Some(why) => {
                    if progress.status.refused.insert(name.clone(), Arc::clone(&why)).as_ref() != Some(&why) {
                        tracing::warn!(flag = name, replica = %self.store, %why, "a flag cannot be copied");
                    }
                }
                None => _ = progress.status.refused.remove(&name),
            }
        });
        Ok(())
    }

    /// Returns why the flag cannot be copied. The replica is read before the primary, and changed only if it is as it was then: so of
    /// several processes none puts back an older state.
    async fn copy<P: FeatureFlagStore>(
        &self,
        primary: &MirroredFeatureFlagStore<P>,
        name: &str,
    ) -> Result<Option<Arc<str>>> {
        let mut pause = Pause::default();
        for _ in 0..ATTEMPTS {
            let there = self.store.get(name).await?;
            let here = primary.get(name).await?;
            if !primary.is_live() {
                return Err(Error::unavailable("primary is away"));
            }
            if is_same(here.as_ref(), there.as_ref()) {
                return Ok(None);
            }
            let when = there.map_or(Precondition::Absent, |there| Precondition::Unchanged(there.version));
            let done = match &here {
                Some(Stored { record: Ok(record), .. }) => self.store.put(&named(record, name), copied(when)).await,
                Some(Stored { record: Err(corrupt), .. }) => {
                    return Ok(Some(format!("it cannot be read in the primary: {}", corrupt.reason()).into()));
                }
                None => self.store.delete(name, copied(when)).await,
            };
            match done {
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Conflict => crate::background::sleep(pause.next()).await,
                Err(error) => return Err(error),
            }
        }
        Err(Error::unavailable("other writers change the flag in the replica all the time").with_flag(name))
    }

    pub(super) fn named(&self, mut check: Check) -> Check {
        check.text = format!("replica {}: {}", self.store, check.text);
        check
    }

    pub(super) fn check(&self) -> Check {
        let status = self.status();
        let finding = if status.is_in_step() { Finding::Fine } else { Finding::Problem };
        Check::new("replica", finding, status.to_string())
    }
}

fn by_name(flags: Vec<Stored>) -> HashMap<String, Stored> {
    flags.into_iter().map(|flag| (flag.name.clone(), flag)).collect()
}

fn is_outage<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unauthorized))
}

fn is_same(here: Option<&Stored>, there: Option<&Stored>) -> bool {
    match (here, there) {
        (None, None) => true,
        (Some(Stored { record: Ok(here), name, .. }), Some(Stored { record: Ok(there), .. })) => {
            *named(here, name) == *named(there, name)
        }
        _ => false,
    }
}

/// The primary's history has who and why.
fn copied(when: Precondition) -> WriteOptions {
    WriteOptions { cause: Cause::stored(Some("replication"), None, None).map(Arc::new), ..when.into() }
}
