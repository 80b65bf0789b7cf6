//! Lists the objects with their ETags at each period, and reads those that are new or changed. Between two lists it looks for a hint.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{sleep_until, timeout_at};

use super::S3FeatureFlagStore;
use super::hints::{self, Hinted, Seen};
use super::reading::{self, Listed, PAGE, Read};
use crate::error::Error;
use crate::pause::Pause;
use crate::state::{Updates, Version, WatchEvent};
use crate::store::FeatureFlagStore;
use crate::stores::event_sender::{EventSender, Unwatched};

/// Lists cost money, for each process and each thousand flags.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// So long may a list and its reads take before the previous one expires.
const SLOW: Duration = Duration::from_secs(10);

pub(super) async fn follow(store: S3FeatureFlagStore, events: EventSender) {
    let mut follower =
        Follower { store, events, known: BTreeMap::new(), seen: Seen::default(), may_hurry_from: Instant::now() };
    let mut pause = Pause::default();
    loop {
        let error = match follower.once(&mut pause).await {
            Err(End::Unwatched) => return,
            Err(End::Failed(error)) => error.with_store(&follower.store),
        };
        tracing::debug!(store = %follower.store, %error, "changes of flags cannot be followed");
        if follower.events.lose(error).await.is_err() {
            return;
        }
        tokio::time::sleep(pause.next()).await;
    }
}

enum End {
    Unwatched,
    Failed(Error),
}

impl From<Unwatched> for End {
    fn from(_: Unwatched) -> Self {
        Self::Unwatched
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Follower {
    store: S3FeatureFlagStore,
    events: EventSender,
    known: BTreeMap<String, Known>,
    seen: Seen,
    /// Before then, a hint of many flags brings no list forward.
    may_hurry_from: Instant,
}

/// An object as it was read last.
struct Known {
    version: Version,
    is_flag: bool,
}

impl Follower {
    async fn once(&mut self, pause: &mut Pause) -> Result<Infallible, End> {
        // Before the list, which has what these name.
        let _ = hints::look(&self.store, &mut self.seen).await;
        let mut read_at = Instant::now();
        let mut listed = self.reset(read_at).await?;
        pause.reset();
        loop {
            let every = period(self.store.poll, listed);
            self.events.following(Updates::Poll { every }).await?;
            self.events.confirm((read_at, valid_for(every))).await?;
            self.hinted_until(read_at + every, listed).await?;
            read_at = Instant::now();
            listed = self.compare(read_at).await?;
        }
    }

    /// Returns how many objects there are.
    async fn reset(&mut self, read_at: Instant) -> Result<usize, End> {
        let listed = reading::list(&self.store).await?;
        let (count, read) = (listed.len(), reading::read_all(&self.store, listed, None).await?);
        self.known = read.iter().filter_map(|(name, read)| Some((name.clone(), Known::of(read)?))).collect();
        let every = period(self.store.poll, count);
        self.events.serving(self.store.identity(), None);
        let confirmed = (read_at, valid_for(every));
        self.events.reset(reading::flags(read), read_at, confirmed, Updates::Poll { every }).await?;
        Ok(count)
    }

    async fn compare(&mut self, read_at: Instant) -> Result<usize, End> {
        let listed = reading::list(&self.store).await?;
        let count = listed.len();
        let mut old = std::mem::take(&mut self.known);
        let mut changed = Vec::new();
        for object in listed {
            match old.remove(&object.name) {
                Some(known) if known.version == object.version => {
                    self.known.insert(object.name, known);
                }
                known => {
                    // Until it is read, and if the read fails.
                    self.known.extend(known.map(|known| (object.name.clone(), known)));
                    changed.push(object);
                }
            }
        }
        for (name, known) in old {
            if known.is_flag {
                self.events.send(WatchEvent::Removed { name, version: None, read_at: Some(read_at) }).await?;
            }
        }
        self.read(changed).await?;
        let versions = self.known.iter().filter(|(_, known)| known.is_flag);
        let versions = Arc::new(versions.map(|(name, known)| (name.clone(), known.version.clone())).collect());
        self.events.send(WatchEvent::Compared { versions }).await?;
        Ok(count)
    }

    async fn read(&mut self, changed: Vec<Listed>) -> Result<(), End> {
        let read_at = Instant::now();
        let names: HashSet<_> = changed.iter().map(|object| &object.name).collect();
        let readable = self.known.keys().find(|name| !names.contains(name)).cloned();
        for (name, read) in reading::read_all(&self.store, changed, readable.as_deref()).await? {
            self.emit(name, read, read_at).await?;
        }
        Ok(())
    }

    async fn emit(&mut self, name: String, read: Read, read_at: Instant) -> Result<(), End> {
        let before = match Known::of(&read) {
            Some(known) => self.known.insert(name.clone(), known),
            None => self.known.remove(&name),
        };
        let flag = match read {
            Read::Flag(flag) if before.is_some_and(|known| known.is_flag && known.version == flag.version) => {
                return Ok(());
            }
            Read::Flag(flag) => Some(flag),
            Read::Missing | Read::Foreign(_) => None,
        };
        Ok(self.events.emit_read(name, flag, read_at).await?)
    }

    async fn hinted_until(&mut self, mut due: Instant, listed: usize) -> Result<(), End> {
        let has_hints = self.store.keys.hint().is_some();
        loop {
            let next = (Instant::now() + hints::EVERY).min(due);
            sleep_until(if has_hints { next } else { due }.into()).await;
            if Instant::now() >= due {
                return Ok(());
            }
            // The list does not wait for answers, and has what they would say.
            let Ok(hinted) = timeout_at(due.into(), hints::look(&self.store, &mut self.seen)).await else {
                return Ok(());
            };
            match hinted {
                None => {}
                Some(Hinted::All) if self.may_hurry_from < due => {
                    due = self.may_hurry_from.max(Instant::now());
                    self.may_hurry_from = due + period(None, listed);
                }
                Some(Hinted::All) => {}
                Some(Hinted::Flags(names)) => {
                    let read_at = Instant::now();
                    let store = &self.store;
                    let reads = names.into_iter().filter_map(|name| Some((store.keys.of(&name)?, name)));
                    let reads = reads.map(|(key, name)| async move { (reading::read(store, &name, &key).await, name) });
                    let Ok(reads) = timeout_at(due.into(), join_all(reads)).await else { return Ok(()) };
                    for (read, name) in reads {
                        if let Ok(read) = read {
                            self.emit(name, read, read_at).await?;
                        }
                    }
                }
            }
        }
    }
}

impl Known {
    fn of(read: &Read) -> Option<Self> {
        match read {
            Read::Missing => None,
            Read::Flag(flag) => Some(Self { version: flag.version.clone(), is_flag: true }),
            Read::Foreign(version) => Some(Self { version: version.clone(), is_flag: false }),
        }
    }
}

/// From the start of one list to the start of the next: a second for each of its requests.
pub(super) fn period(chosen: Option<Duration>, objects: usize) -> Duration {
    let pages = u32::try_from(objects.div_ceil(PAGE)).unwrap_or(u32::MAX);
    chosen.unwrap_or_else(|| Duration::from_secs(pages.into()).clamp(SHORTEST, LONGEST))
}

fn valid_for(every: Duration) -> Duration {
    every * 2 + SLOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_flags_are_listed_less_often() {
        let seconds = |objects| period(None, objects).as_secs();
        assert_eq!([0, 5_000, 10_000, 1_000_000].map(seconds), [5, 5, 10, 60]);
        assert_eq!(period(Some(Duration::from_millis(50)), 10_000), Duration::from_millis(50));
    }
}
