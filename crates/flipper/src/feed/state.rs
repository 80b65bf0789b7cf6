//! Pure decisions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::doubt::Doubt;
use super::{Change, Delta, Known};
use crate::state::WatchEvent;

/// The changes that clients may not have yet, and whether the store is in doubt.
#[derive(Debug)]
pub struct State {
    /// New after each reset and start of a server; 0 until the store is followed.
    epoch: u64,
    first: u64,
    /// `None` if only the doubt changed.
    changes: VecDeque<Option<Arc<str>>>,
    last: HashMap<Arc<str>, Last>,
    doubt: Doubt,
    store: Option<String>,
    closed: bool,
    kept: usize,
}

/// To a client that has a cursor.
#[derive(Debug)]
pub enum Answer {
    /// There is something to report, or the time is over.
    Now(Box<Delta>),
    /// Ask again then, or when an event was taken.
    Later(Instant),
    /// The store cannot be followed yet.
    Unavailable(String),
}

#[derive(Debug)]
struct Last {
    number: u64,
    known: Known,
    /// A lower bound of when the read was sent.
    read_at: Option<Instant>,
}

impl State {
    /// Clients that are more than `kept` changes behind read all flags.
    #[must_use]
    pub fn new(kept: usize) -> Self {
        let (changes, last) = (VecDeque::new(), HashMap::new());
        Self { epoch: 0, first: 0, changes, last, doubt: Doubt::default(), store: None, closed: false, kept }
    }

    /// `came`: when the client's request did; `deadline`: when it wants an answer without a change.
    #[must_use]
    pub fn answer(&self, cursor: Option<&str>, came: Instant, deadline: Instant, now: Instant) -> Answer {
        let is_over = now >= deadline || self.closed;
        let lost = self.doubt.reason(now);
        if self.epoch == 0 {
            return match lost {
                Some(reason) => Answer::Unavailable(reason),
                None if is_over => Answer::Unavailable("store cannot be followed yet".to_owned()),
                None => Answer::Later(deadline),
            };
        }
        let place = cursor.and_then(|cursor| self.place(cursor));
        if let Some((seen, doubted)) = place
            && self.next() <= seen
            && doubted == lost.is_some()
            && !is_over
        {
            // An expired confirmation is a doubt, and no event wakes the call for it.
            let begins = self.doubt.begins().filter(|begins| *begins > now);
            return Answer::Later(begins.map_or(deadline, |begins| begins.min(deadline)));
        }
        Answer::Now(Box::new(Delta {
            server: None,
            cursor: Some(self.cursor(lost.is_some())),
            reset: place.is_none(),
            changes: place.map(|(seen, _)| self.since(seen, now)).unwrap_or_default(),
            lost,
            elapsed_us: micros(now.saturating_duration_since(came)),
            confirmed_ms_ago: self.doubt.confirmed_ms_ago(now),
            store: self.store.clone(),
        }))
    }

    /// The store's identity, unless one is known.
    pub fn set_store(&mut self, store: String) {
        self.store.get_or_insert(store);
    }

    /// Identity of the store, reason of a doubt, milliseconds since the last confirmation.
    #[must_use]
    pub fn describe(&self, now: Instant) -> (Option<String>, Option<String>, u64) {
        (self.store.clone(), self.doubt.reason(now), self.doubt.confirmed_ms_ago(now))
    }

    /// All waits end.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether all waits have to end.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Differs after whatever clients have to know at once.
    #[must_use]
    pub fn place_of_next(&self) -> (u64, u64) {
        (self.epoch, self.next())
    }

    /// An event of the store's watch.
    pub fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset { read_at, valid_for, .. } => {
                self.new_epoch();
                self.doubt.reset(read_at, valid_for);
            }
            WatchEvent::Changed { flag, read_at } => {
                let name = Arc::from(&*flag.name);
                // Content without a time or an ordered version shows only that the flag changed.
                let is_known = read_at.is_some() || flag.version.as_ordered().is_some();
                self.push(name, if is_known { Known::Flag(flag) } else { Known::Unknown }, read_at);
            }
            WatchEvent::Removed { name, version, read_at } => {
                let is_known = read_at.is_some() || version.as_ref().is_some_and(|it| it.as_ordered().is_some());
                self.push(name.into(), if is_known { Known::Missing(version) } else { Known::Unknown }, read_at);
            }
            WatchEvent::Hint { name } => self.push(name.into(), Known::Unknown, None),
            WatchEvent::Lost(error) => {
                let reason = error.chain();
                if self.doubt.lost(&reason) {
                    tracing::warn!(%reason, "store cannot be followed");
                    self.note(None);
                }
            }
            // The following reset ends the doubt.
            WatchEvent::Restored => tracing::info!("store can be followed again"),
            WatchEvent::Confirmed { at, valid_for } => self.doubt.confirmed(at, valid_for),
            WatchEvent::Serving(identity) => self.store = Some(identity.to_string()),
            WatchEvent::Following(_) | WatchEvent::Compared { .. } => {}
        }
    }

    fn new_epoch(&mut self) {
        self.epoch = if self.epoch == 0 { random() } else { self.epoch.wrapping_add(1).max(1) };
        self.first = 0;
        self.changes.clear();
        self.last.clear();
    }

    fn push(&mut self, name: Arc<str>, known: Known, read_at: Option<Instant>) {
        // Before the first reset no client has a cursor.
        if self.epoch != 0 {
            self.note(Some(name.clone()));
            self.last.insert(name, Last { number: self.next() - 1, known, read_at });
        }
    }

    fn note(&mut self, name: Option<Arc<str>>) {
        if self.changes.len() == self.kept {
            let oldest = self.changes.pop_front().flatten();
            if let Some(name) = oldest.filter(|name| self.last.get(name).is_some_and(|it| it.number == self.first)) {
                self.last.remove(&name);
            }
            self.first += 1;
        }
        self.changes.push_back(name);
    }

    fn next(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    fn cursor(&self, doubted: bool) -> String {
        format!("{:x}:{:x}{}", self.epoch, self.next(), if doubted { "?" } else { "" })
    }

    /// Also whether the client was informed of a doubt; `None` if it is of another epoch or too old.
    fn place(&self, cursor: &str) -> Option<(u64, bool)> {
        let (epoch, seen) = cursor.split_once(':')?;
        let (seen, doubted) = seen.strip_suffix('?').map_or((seen, false), |seen| (seen, true));
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        let seen = u64::from_str_radix(seen, 16).ok()?;
        (epoch == self.epoch && (self.first..=self.next()).contains(&seen)).then_some((seen, doubted))
    }

    fn since(&self, seen: u64, now: Instant) -> Vec<Change> {
        let skipped = usize::try_from(seen - self.first).unwrap_or(usize::MAX);
        let names = self.changes.iter().zip(self.first..).skip(skipped);
        // Only the last change of each flag counts.
        let last = names.filter_map(|(name, number)| {
            let name = name.as_ref()?;
            self.last.get(name).filter(|last| last.number == number).map(|last| last.to_change(name, now))
        });
        last.collect()
    }
}

impl Last {
    fn to_change(&self, name: &str, now: Instant) -> Change {
        let read_us_ago = self.read_at.map(|at| micros(now.saturating_duration_since(at)));
        Change { name: name.to_owned(), known: self.known.clone(), read_us_ago }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// No earlier server on this address has the same.
#[must_use]
pub fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now()).max(1)
}
