//! A store's watch, told as what is another than before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::store::{Corrupt, Stored, Updates, Watch, WatchEvent};
use flipper::{Error, FlagRecord};
use futures_util::StreamExt;

use crate::failure::said;
use crate::store::Store;

pub(crate) type State = Result<Arc<FlagRecord>, Corrupt>;

/// What happened.
pub(crate) enum News {
    /// All flags were read for the first time.
    Begins,
    /// A flag is another.
    Change {
        name: String,
        before: Option<State>,
        after: Option<State>,
        /// When the store's word of it came, where that is known.
        told: Option<Instant>,
        /// Found by comparing all flags after the store was away: it may have been replaced or emptied.
        after_loss: bool,
    },
    /// The store cannot be followed.
    Lost(Error),
    /// It can again, after so long.
    Restored(Duration),
    /// How changes arrive.
    Following(Updates),
    /// The watch is over, which it never should be.
    Ended,
}

pub(crate) struct Follow<'a> {
    store: &'a Store,
    events: Watch<'a>,
    /// The flags as they were told; `None` before the first time.
    known: Option<BTreeMap<String, State>>,
    queue: VecDeque<News>,
    /// A flag to read again. Kept here, so that a caller may stop waiting for it.
    hinted: Option<String>,
    lost: Option<Instant>,
    /// Why it is away, as it was told.
    reason: Option<String>,
    /// It was away, and all flags have not been read since.
    in_doubt: bool,
    /// How changes arrive, as it was told.
    updates: Option<Updates>,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        let events = store.inner.watch();
        Self {
            store,
            events,
            known: None,
            queue: VecDeque::new(),
            hinted: None,
            lost: None,
            reason: None,
            in_doubt: false,
            updates: None,
        }
    }

    /// A flag as it was told.
    pub(crate) fn state(&self, name: &str) -> Option<&State> {
        self.known.as_ref()?.get(name)
    }

    /// The flags as they were told.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&str, &State)> {
        self.known.iter().flatten().map(|(name, state)| (name.as_str(), state))
    }

    /// Whether more is known already.
    pub(crate) fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What happens next. Nothing is lost when it is dropped before.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.queue.pop_front() {
                return news;
            }
            if let Some(name) = self.hinted.clone() {
                let told = Instant::now();
                // What cannot be read now, the watch tells of when it is back.
                if let Ok(stored) = self.store.inner.get(&name).await {
                    self.set(&name, stored.map(|stored| stored.record), Some(told), false);
                }
                self.hinted = None;
                continue;
            }
            match self.events.next().await {
                None => return News::Ended,
                Some(event) => self.take(event),
            }
        }
    }

    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset { flags, read_at, .. } => self.reset(flags, read_at),
            WatchEvent::Changed { flag, read_at } => self.set(&flag.name, Some(flag.record), read_at, false),
            WatchEvent::Removed { name, read_at, .. } => self.set(&name, None, read_at, false),
            WatchEvent::Hint { name } => self.hinted = Some(name),
            WatchEvent::Lost(error) => {
                self.in_doubt = true;
                self.lost.get_or_insert_with(Instant::now);
                let reason = said(&error);
                // The same is told once, another reason too.
                if self.reason.as_ref() != Some(&reason) {
                    self.reason = Some(reason);
                    self.queue.push_back(News::Lost(error));
                }
            }
            WatchEvent::Restored => self.restored(),
            WatchEvent::Following(updates) if self.updates != Some(updates) => {
                self.updates = Some(updates);
                self.queue.push_back(News::Following(updates));
            }
            _ => {}
        }
    }

    fn restored(&mut self) {
        self.reason = None;
        if let Some(lost) = self.lost.take() {
            self.queue.push_back(News::Restored(lost.elapsed()));
        }
    }

    fn reset(&mut self, flags: Vec<Stored>, read_at: Option<Instant>) {
        // A store may say only so that it is back.
        self.restored();
        let after_loss = std::mem::take(&mut self.in_doubt);
        let Some(known) = &self.known else {
            self.known = Some(flags.into_iter().map(|flag| (flag.name, flag.record)).collect());
            self.queue.push_back(News::Begins);
            return;
        };
        let mut gone: BTreeMap<String, ()> = known.keys().map(|name| (name.clone(), ())).collect();
        for flag in flags {
            gone.remove(&flag.name);
            self.set(&flag.name, Some(flag.record), read_at, after_loss);
        }
        for name in gone.into_keys() {
            self.set(&name, None, read_at, after_loss);
        }
    }

    fn set(&mut self, name: &str, after: Option<State>, told: Option<Instant>, after_loss: bool) {
        let Some(known) = &mut self.known else { return };
        let before = match &after {
            Some(state) => known.insert(name.to_owned(), state.clone()),
            None => known.remove(name),
        };
        if before != after {
            self.queue.push_back(News::Change { name: name.to_owned(), before, after, told, after_loss });
        }
    }
}
