use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::__words::needs_of;
use flipper::store::{Corrupt, Stored, Updates, Watch, WatchEvent};
use flipper::{Error, FlagRecord};
use futures_util::StreamExt;

use crate::failure::message_of;
use crate::store::Store;

pub(crate) type State = Result<Arc<FlagRecord>, Corrupt>;

pub(crate) enum Event {
    /// All flags are known.
    Started,
    Change {
        name: String,
        before: Option<State>,
        after: Option<State>,
        /// When the store reported it, if known.
        reported_at: Option<Instant>,
        /// Found by the first comparison after an outage: the store may have been replaced or emptied.
        after_loss: bool,
    },
    Lost(Error),
    /// It can be reached again, after this long.
    Restored(Duration),
    Following(Updates),
    /// The watch ended, which it never should.
    Ended,
}

/// Turns a store's watch into differences from the state before.
pub(crate) struct Follow<'a> {
    store: &'a Store,
    events: Watch<'a>,
    /// The flags as last reported; `None` before the first list.
    held: Option<BTreeMap<String, State>>,
    queue: VecDeque<Event>,
    /// Flags to read again, the last one first. They survive if the future of `next` is dropped.
    hinted: Vec<String>,
    /// What flags of the queue need, and was read for them; only with [`in_order`](Self::in_order).
    asked: Option<HashSet<String>>,
    lost: Option<Instant>,
    /// The reason of the outage, as last reported.
    reason: Option<String>,
    /// There was an outage, and no full list since.
    in_doubt: bool,
    updates: Option<Updates>,
}

impl<'a> Follow<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        let events = store.inner.watch();
        Self {
            store,
            events,
            held: None,
            queue: VecDeque::new(),
            hinted: Vec::new(),
            asked: None,
            lost: None,
            reason: None,
            in_doubt: false,
            updates: None,
        }
    }

    /// A flag's change comes after those of the segments and flags that it needs.
    pub(crate) fn in_order(mut self) -> Self {
        self.asked = Some(HashSet::new());
        self
    }

    pub(crate) fn state(&self, name: &str) -> Option<&State> {
        self.held.as_ref()?.get(name)
    }

    pub(crate) fn held(&self) -> impl Iterator<Item = (&str, &State)> {
        self.held.iter().flatten().map(|(name, state)| (name.as_str(), state))
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The next event. Cancel safe.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(name) = self.hinted.last().cloned() {
                let reported_at = Instant::now();
                // A flag that cannot be read now is reported by the watch after the outage.
                if let Ok(stored) = self.store.inner.get(&name).await {
                    self.set(&name, stored.map(|stored| stored.record), Some(reported_at), false);
                }
                self.hinted.pop();
                self.bring_forward(&name);
                continue;
            }
            if let Some(event) = self.queue.pop_front() {
                self.hinted = self.still_to_ask(&event);
                if self.hinted.is_empty() {
                    return event;
                }
                self.queue.push_front(event);
                continue;
            }
            self.asked.iter_mut().for_each(HashSet::clear);
            match self.events.next().await {
                None => return Event::Ended,
                Some(event) => self.take(event),
            }
        }
    }

    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset { flags, read_at, .. } => self.reset(flags, read_at),
            WatchEvent::Changed { flag, read_at } => self.set(&flag.name, Some(flag.record), read_at, false),
            WatchEvent::Removed { name, read_at, .. } => self.set(&name, None, read_at, false),
            WatchEvent::Hint { name } => self.hinted.push(name),
            WatchEvent::Lost(error) => {
                self.in_doubt = true;
                self.lost.get_or_insert_with(Instant::now);
                let reason = message_of(&error);
                if self.reason.as_ref() != Some(&reason) {
                    self.reason = Some(reason);
                    self.queue.push_back(Event::Lost(error));
                }
            }
            WatchEvent::Restored => self.restored(),
            WatchEvent::Following(updates) if self.updates != Some(updates) => {
                self.updates = Some(updates);
                self.queue.push_back(Event::Following(updates));
            }
            _ => {}
        }
    }

    /// What this flag needs. A watch may report, or read, the flag before that.
    fn still_to_ask(&mut self, event: &Event) -> Vec<String> {
        match (&mut self.asked, event) {
            (Some(asked), Event::Change { after: Some(Ok(record)), .. }) => {
                needs_of(record).into_iter().filter(|needed| asked.insert(needed.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The last change of this flag in the queue becomes the next one.
    fn bring_forward(&mut self, name: &str) {
        let is_it = |event: &Event| matches!(event, Event::Change { name: changed, .. } if changed == name);
        let (mut its, mut others): (VecDeque<_>, VecDeque<_>) = self.queue.drain(..).partition(is_it);
        if let Some(last) = its.pop_back() {
            others.push_front(last);
        }
        self.queue = others;
    }

    fn restored(&mut self) {
        self.reason = None;
        if let Some(lost) = self.lost.take() {
            self.queue.push_back(Event::Restored(lost.elapsed()));
        }
    }

    fn reset(&mut self, flags: Vec<Stored>, read_at: Option<Instant>) {
        // Some stores report the end of an outage only by this event.
        self.restored();
        let after_loss = std::mem::take(&mut self.in_doubt);
        let Some(held) = &self.held else {
            self.held = Some(flags.into_iter().map(|flag| (flag.name, flag.record)).collect());
            self.queue.push_back(Event::Started);
            return;
        };
        let mut removed: BTreeSet<String> = held.keys().cloned().collect();
        for flag in flags {
            removed.remove(&flag.name);
            self.set(&flag.name, Some(flag.record), read_at, after_loss);
        }
        for name in removed {
            self.set(&name, None, read_at, after_loss);
        }
    }

    fn set(&mut self, name: &str, after: Option<State>, reported_at: Option<Instant>, after_loss: bool) {
        let Some(held) = &mut self.held else { return };
        let before = match &after {
            Some(state) => held.insert(name.to_owned(), state.clone()),
            None => held.remove(name),
        };
        if before != after {
            self.queue.push_back(Event::Change { name: name.to_owned(), before, after, reported_at, after_loss });
        }
    }
}
