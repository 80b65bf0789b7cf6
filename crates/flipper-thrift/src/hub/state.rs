//! Pure decisions, which the model of the chain in `flipper-client` also runs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::__thrift as convert;
use flipper::store::{Stored, Version, WatchEvent};
use flipper_thrift_protocol::feature_flag_store::{FlagState, WatchResult};

use super::doubt::Doubt;

#[derive(Debug)]
pub(crate) struct State {
    /// New after each reset and start of a server; 0 until the store is followed.
    epoch: u64,
    first: u64,
    /// `None` if only the doubt changed.
    changes: VecDeque<Option<Arc<str>>>,
    last: HashMap<Arc<str>, Change>,
    pub(super) doubt: Doubt,
    pub(super) store: Option<String>,
    pub(super) closed: bool,
    kept: usize,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Now(Box<WatchResult>),
    Later(Instant),
    Unavailable(String),
}

#[derive(Debug)]
struct Change {
    number: u64,
    what: What,
    /// A lower bound of when the read was sent.
    read_at: Option<Instant>,
}

#[derive(Debug)]
enum What {
    Flag(Stored),
    Missing(Option<Version>),
    Unknown,
}

impl State {
    pub(crate) fn new(kept: usize) -> Self {
        let (changes, last) = (VecDeque::new(), HashMap::new());
        Self { epoch: 0, first: 0, changes, last, doubt: Doubt::default(), store: None, closed: false, kept }
    }

    pub(crate) fn answer(&self, cursor: Option<&str>, came: Instant, deadline: Instant, now: Instant) -> Answer {
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
        let (reset, changes) = match place {
            Some((seen, _)) => (None, self.since(seen, now)),
            None => (Some(true), None),
        };
        Answer::Now(Box::new(WatchResult {
            cursor: Some(self.cursor(lost.is_some())),
            reset,
            changes,
            lost,
            server: None,
            waited_us: Some(micros(now.saturating_duration_since(came))),
            confirmed_ms_ago: Some(self.doubt.confirmed_ms_ago(now)),
            store: self.store.clone(),
        }))
    }

    pub(crate) fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset { read_at, valid_for, .. } => {
                self.new_epoch();
                self.doubt.reset(read_at, valid_for);
            }
            WatchEvent::Changed { flag, read_at } => {
                let name = Arc::from(&*flag.name);
                // Content without a time or an ordered version shows only that the flag changed.
                let is_known = read_at.is_some() || flag.version.as_ordered().is_some();
                self.push(name, if is_known { What::Flag(flag) } else { What::Unknown }, read_at);
            }
            WatchEvent::Removed { name, version, read_at } => {
                let is_known = read_at.is_some() || version.as_ref().is_some_and(|it| it.as_ordered().is_some());
                self.push(name.into(), if is_known { What::Missing(version) } else { What::Unknown }, read_at);
            }
            WatchEvent::Hint { name } => self.push(name.into(), What::Unknown, None),
            WatchEvent::Lost(error) => {
                let reason = convert::to_exception(&error).message.unwrap_or_default();
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
            // A reset covers any event that this version does not know.
            _ => self.new_epoch(),
        }
    }

    fn new_epoch(&mut self) {
        self.epoch = if self.epoch == 0 { random() } else { self.epoch.wrapping_add(1).max(1) };
        self.first = 0;
        self.changes.clear();
        self.last.clear();
    }

    fn push(&mut self, name: Arc<str>, what: What, read_at: Option<Instant>) {
        // Before the first reset no client has a cursor.
        if self.epoch != 0 {
            self.note(Some(name.clone()));
            self.last.insert(name, Change { number: self.next() - 1, what, read_at });
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

    fn since(&self, seen: u64, now: Instant) -> Option<Vec<FlagState>> {
        let skipped = usize::try_from(seen - self.first).unwrap_or(usize::MAX);
        let names = self.changes.iter().zip(self.first..).skip(skipped);
        // Only the last change of each flag counts.
        let last = names.filter_map(|(name, number)| {
            let name = name.as_ref()?;
            self.last.get(name).filter(|change| change.number == number).map(|change| change.to_state(name, now))
        });
        let changes: Vec<_> = last.collect();
        (!changes.is_empty()).then_some(changes)
    }
}

impl Change {
    fn to_state(&self, name: &str, now: Instant) -> FlagState {
        let state = match &self.what {
            What::Flag(flag) => convert::to_state(flag),
            What::Missing(version) => convert::absent_state(name.to_owned(), version.as_ref()),
            What::Unknown => FlagState { unknown: Some(true), ..convert::absent_state(name.to_owned(), None) },
        };
        FlagState { read_us_ago: self.read_at.map(|at| micros(now.saturating_duration_since(at))), ..state }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// No earlier server on this address has the same.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now()).max(1)
}
