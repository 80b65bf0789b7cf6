use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream;

use super::FeatureFlagStore;
use crate::background;
use crate::state::{Stored, Updates, Version, Watch, WatchEvent};

/// So long may a list take before the previous one expires.
const SLOW_LIST: Duration = Duration::from_secs(10);

/// Polls [`list`](FeatureFlagStore::list) once in `every`, and emits the differences; for a [`watch`](FeatureFlagStore::watch) with another
/// interval than a second:
///
/// ```
/// # use flipper::FeatureFlagStore;
/// # use flipper::store::Watch;
/// # use std::time::Duration;
/// fn watch<S: FeatureFlagStore>(store: &S) -> Watch<'_> {
///     flipper::store::watch_by_polling(store, Duration::from_millis(200))
/// }
/// ```
pub fn watch_by_polling<S: FeatureFlagStore + ?Sized>(store: &S, every: Duration) -> Watch<'_> {
    let polling = Polling { store, every, known: None, lost: false, queue: VecDeque::new() };
    Box::pin(stream::unfold(polling, |mut polling| async move {
        let event = polling.next().await;
        Some((event, polling))
    }))
}

struct Polling<'a, S: ?Sized> {
    store: &'a S,
    every: Duration,
    known: Option<Arc<BTreeMap<String, Version>>>,
    lost: bool,
    queue: VecDeque<WatchEvent>,
}

impl<S: FeatureFlagStore + ?Sized> Polling<'_, S> {
    async fn next(&mut self) -> WatchEvent {
        let mut first = self.known.is_none() && !self.lost;
        loop {
            if let Some(event) = self.queue.pop_front() {
                return event;
            }
            if !std::mem::take(&mut first) {
                background::sleep(self.every).await;
            }
            let read_at = Instant::now();
            match self.store.list().await {
                Ok(flags) => self.compare(flags, read_at),
                Err(error) if !self.lost => {
                    self.lost = true;
                    return WatchEvent::Lost(error);
                }
                Err(_) => {}
            }
        }
    }

    fn compare(&mut self, flags: Vec<Stored>, read_at: Instant) {
        let restored = std::mem::take(&mut self.lost);
        let valid_for = self.every * 2 + SLOW_LIST;
        if restored {
            self.queue.push_back(WatchEvent::Restored);
        }
        match &mut self.known {
            Some(known) if !restored => self.queue.extend(differences(known, flags, read_at)),
            known => {
                *known = Some(Arc::new(versions(&flags)));
                self.queue.push_back(WatchEvent::Reset { flags, read_at: Some(read_at), valid_for: Some(valid_for) });
                self.queue.push_back(WatchEvent::Following(Updates::Poll { every: self.every }));
            }
        }
        self.queue.push_back(WatchEvent::Confirmed { at: read_at, valid_for });
    }
}

pub(crate) fn versions(flags: &[Stored]) -> BTreeMap<String, Version> {
    flags.iter().map(|flag| (flag.name.clone(), flag.version.clone())).collect()
}

/// `known` then becomes these flags.
pub(crate) fn differences(
    known: &mut Arc<BTreeMap<String, Version>>,
    flags: Vec<Stored>,
    read_at: Instant,
) -> Vec<WatchEvent> {
    let read_at = Some(read_at);
    let versions = Arc::new(versions(&flags));
    let old = std::mem::replace(known, versions.clone());
    let changed = flags.into_iter().filter(|flag| old.get(&flag.name) != Some(&flag.version));
    let changed = changed.map(|flag| WatchEvent::Changed { flag, read_at });
    let removed = old.keys().filter(|name| !versions.contains_key(*name));
    let removed = removed.map(|name| WatchEvent::Removed { name: name.clone(), version: None, read_at });
    let mut events: Vec<_> = changed.chain(removed).collect();
    events.push(WatchEvent::Compared { versions });
    events
}
