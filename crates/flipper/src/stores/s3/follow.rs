//! Lists the objects with their ETags at each period, and reads those that are new or changed. Between two lists it looks for a hint.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use super::S3FeatureFlagStore;
use super::hints::{self, Hinted, Seen};
use super::reading::{self, Listed, PAGE, Read};
use crate::error::Error;
use crate::pause::Pause;
use crate::state::{Updates, Version, WatchEvent};
use crate::store::FeatureFlagStore;

/// Lists cost money, for each process and each thousand flags.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// So long may a list and its reads take before the previous one expires.
const SLOW: Duration = Duration::from_secs(10);

pub(super) async fn follow(store: S3FeatureFlagStore, events: Sender<WatchEvent>, lost: bool) {
    let mut follower = Follower {
        store,
        events,
        lost: lost.then(String::new),
        following: None,
        known: BTreeMap::new(),
        seen: Seen::default(),
    };
    let mut pause = Pause::default();
    loop {
        let error = match follower.once(&mut pause).await {
            Err(End::Unwatched) => return,
            Err(End::Failed(error)) => error,
        };
        if follower.lose(error).await.is_err() {
            return;
        }
        tokio::time::sleep(pause.next()).await;
    }
}

enum End {
    Unwatched,
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Follower {
    store: S3FeatureFlagStore,
    events: Sender<WatchEvent>,
    /// While the store is lost.
    lost: Option<String>,
    following: Option<Updates>,
    known: BTreeMap<String, Known>,
    seen: Seen,
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
            self.following_by(every).await?;
            self.send(WatchEvent::Confirmed { at: read_at, valid_for: valid_for(every) }).await?;
            self.hinted_until(read_at + every).await?;
            read_at = Instant::now();
            listed = self.compare(read_at).await?;
        }
    }

    /// Returns how many objects there are.
    async fn reset(&mut self, read_at: Instant) -> Result<usize, End> {
        let listed = reading::list(&self.store).await?;
        let (count, read) = (listed.len(), reading::read_all(&self.store, listed, None).await?);
        self.known = read.iter().filter_map(|(name, read)| Some((name.clone(), Known::of(read)?))).collect();
        self.send(WatchEvent::Serving(self.store.identity())).await?;
        if self.lost.take().is_some() {
            self.send(WatchEvent::Restored).await?;
        }
        let valid_for = Some(valid_for(period(self.store.poll, count)));
        self.following = None;
        self.send(WatchEvent::Reset { flags: reading::flags(read), read_at: Some(read_at), valid_for }).await?;
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
                self.send(WatchEvent::Removed { name, version: None, read_at: Some(read_at) }).await?;
            }
        }
        self.read(changed).await?;
        let versions = self.known.iter().filter(|(_, known)| known.is_flag);
        let versions = Arc::new(versions.map(|(name, known)| (name.clone(), known.version.clone())).collect());
        self.send(WatchEvent::Compared { versions }).await?;
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
        let read_at = Some(read_at);
        match read {
            Read::Flag(flag) if before.is_some_and(|known| known.is_flag && known.version == flag.version) => Ok(()),
            Read::Flag(flag) => self.send(WatchEvent::Changed { flag, read_at }).await,
            Read::Missing | Read::Foreign(_) => self.send(WatchEvent::Removed { name, version: None, read_at }).await,
        }
    }

    async fn hinted_until(&mut self, due: Instant) -> Result<(), End> {
        let has_hints = self.store.keys.hint().is_some();
        loop {
            let next = (Instant::now() + hints::EVERY).min(due);
            tokio::time::sleep_until(if has_hints { next } else { due }.into()).await;
            if Instant::now() >= due {
                return Ok(());
            }
            match hints::look(&self.store, &mut self.seen).await {
                None => {}
                Some(Hinted::All) => return Ok(()),
                Some(Hinted::Flags(names)) => {
                    for name in names {
                        let Some(key) = self.store.keys.of(&name) else { continue };
                        let read_at = Instant::now();
                        // If it fails, the list decides.
                        if let Ok(read) = reading::read(&self.store, &name, &key).await {
                            self.emit(name, read, read_at).await?;
                        }
                    }
                }
            }
        }
    }

    async fn following_by(&mut self, every: Duration) -> Result<(), End> {
        let by = Updates::Poll { every };
        match self.following.replace(by) {
            Some(before) if before == by => Ok(()),
            _ => self.send(WatchEvent::Following(by)).await,
        }
    }

    async fn send(&self, event: WatchEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Unwatched)
    }

    async fn lose(&mut self, error: Error) -> Result<(), End> {
        let error = error.with_store(&self.store);
        let reason = error.chain();
        tracing::debug!(store = %self.store, %error, "changes of flags cannot be followed");
        if self.lost.as_ref() == Some(&reason) {
            return Ok(());
        }
        self.lost = Some(reason);
        self.send(WatchEvent::Lost(error)).await
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
