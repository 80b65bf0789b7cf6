//! The changes of the store, followed once for all clients that wait in `Watch`.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper::__thrift as convert;
use flipper::{Error, ErrorKind, FeatureFlagStore, Result, Stored, Version, WatchEvent};
use flipper_thrift_protocol::feature_flag_store::{FlagState, WatchResult};
use futures_util::{FutureExt, StreamExt};

use crate::doubt::Doubt;

/// So many changes are kept; a client further behind reads all flags anew.
const KEPT: usize = 4096;

/// After the watch of the store broke off, which it never should.
const RESTART: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Hub {
    /// This start of the server; another one has another.
    id: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Another one after each reset, and for each start of a server; 0 until the store is followed.
    epoch: u64,
    /// The number of the oldest change kept.
    first: u64,
    /// The names that changed; none where only the doubt did.
    changes: VecDeque<Option<Arc<str>>>,
    /// The last change of each name in `changes`.
    last: HashMap<Arc<str>, Change>,
    doubt: Doubt,
    store: Option<String>,
    closed: bool,
}

#[derive(Debug)]
struct Change {
    number: u64,
    what: What,
    /// When the read of it was sent, at the earliest.
    read_at: Option<Instant>,
}

#[derive(Debug)]
enum What {
    Flag(Stored),
    Gone(Option<Version>),
    Unknown,
}

impl Default for Hub {
    fn default() -> Self {
        Self { id: format!("{:016x}", random()), state: Mutex::default(), changed: Condvar::new() }
    }
}

impl Hub {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Follows the store, and anew should its watch break off.
    pub(crate) async fn follow(&self, store: &dyn FeatureFlagStore) {
        loop {
            let mut events = store.watch();
            let taken = async {
                while let Some(event) = events.next().await {
                    // What is ready belongs together: flags, and that they are doubted.
                    let mut state = self.lock();
                    state.take(event);
                    while let Some(Some(event)) = events.next().now_or_never() {
                        state.take(event);
                    }
                    drop(state);
                    self.changed.notify_all();
                }
            };
            let message = match AssertUnwindSafe(taken).catch_unwind().await {
                Ok(()) => "watch of the store has ended",
                Err(_) => "watch of the store has panicked",
            };
            self.lock().take(WatchEvent::Lost(Error::new(ErrorKind::Unavailable).with_message(message)));
            self.changed.notify_all();
            tokio::time::sleep(RESTART).await;
        }
    }

    /// Answers `Watch`: at once if there is something to report, else after `timeout`.
    pub(crate) fn watch(&self, cursor: Option<&str>, timeout: Duration) -> Result<WatchResult> {
        let came = Instant::now();
        let deadline = came + timeout;
        let mut state = self.lock();
        while state.epoch == 0 {
            if let Some(reason) = state.doubt.reason(Instant::now()) {
                return Err(unavailable(reason));
            }
            state = self.wait(state, deadline).ok_or_else(|| unavailable("store cannot be followed yet".to_owned()))?;
        }
        let seen = loop {
            let Some((seen, doubted)) = cursor.and_then(|cursor| state.place(cursor)) else { break None };
            let now = Instant::now();
            let over = state.next() > seen || doubted != state.doubt.reason(now).is_some();
            if over || now >= deadline || state.closed {
                break Some(seen);
            }
            // A word of the store that grows too old is a doubt, which nothing else would wake us for.
            let until =
                state.doubt.begins().filter(|begins| *begins > now).map_or(deadline, |begins| begins.min(deadline));
            state = self.wait(state, until).unwrap_or_else(|| self.lock());
        };
        let now = Instant::now();
        let (reset, changes) = match seen {
            Some(seen) => (None, state.since(seen, now)),
            None => (Some(true), None),
        };
        let lost = state.doubt.reason(now);
        Ok(WatchResult {
            cursor: Some(state.cursor(lost.is_some())),
            reset,
            changes,
            lost,
            server: Some(self.id.clone()),
            waited_us: Some(micros(now.duration_since(came))),
            confirmed_ms_ago: Some(state.doubt.confirmed_ms_ago(now)),
            store: state.store.clone(),
        })
    }

    /// Which store is behind, why its flags are doubted, and how old its last word is.
    pub(crate) fn describe(&self) -> (Option<String>, Option<String>, i64) {
        let (state, now) = (self.lock(), Instant::now());
        (state.store.clone(), state.doubt.reason(now), state.doubt.confirmed_ms_ago(now))
    }

    /// Says which store is behind, until the store itself does.
    pub(crate) fn set_store(&self, store: String) {
        self.lock().store.get_or_insert(store);
    }

    /// Lets all waiting calls return.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// None if the time is over, or the server closes.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, deadline: Instant) -> Option<MutexGuard<'a, State>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if state.closed || left.is_zero() {
            return None;
        }
        Some(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Reset { read_at, .. } => {
                // The flags are read when a client asks for them.
                self.new_epoch();
                self.doubt.reset(read_at);
            }
            WatchEvent::Changed { flag, read_at } => {
                let name = Arc::from(&*flag.name);
                // Content that no time goes with says that something happened, and not what is there now.
                let is_known = read_at.is_some() || flag.version.as_ordered().is_some();
                self.push(name, if is_known { What::Flag(flag) } else { What::Unknown }, read_at);
            }
            WatchEvent::Removed { name, version, read_at } => {
                let is_known = read_at.is_some() || version.as_ref().is_some_and(|it| it.as_ordered().is_some());
                self.push(name.into(), if is_known { What::Gone(version) } else { What::Unknown }, read_at);
            }
            WatchEvent::Hint { name } => self.push(name.into(), What::Unknown, None),
            WatchEvent::Lost(error) => {
                let reason = convert::to_exception(&error).message.unwrap_or_default();
                if self.doubt.lost(&reason) {
                    tracing::warn!(%reason, "store cannot be followed");
                    self.note(None);
                }
            }
            // The reset that comes next ends the doubt.
            WatchEvent::Restored => tracing::info!("store can be followed again"),
            WatchEvent::Confirmed { at, valid_for } => self.doubt.confirmed(at, valid_for),
            WatchEvent::Serving(identity) => self.store = Some(identity.to_string()),
            // How the server hears of changes is nothing to its clients: they wait in `Watch` either way.
            WatchEvent::Following(_) | WatchEvent::Compared { .. } => {}
            // Of a kind that this version does not know: whatever it was, a reset covers it.
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
        // Before the first reset nobody has a cursor yet.
        if self.epoch != 0 {
            self.note(Some(name.clone()));
            self.last.insert(name, Change { number: self.next() - 1, what, read_at });
        }
    }

    fn note(&mut self, name: Option<Arc<str>>) {
        if self.changes.len() == KEPT {
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

    /// Where in the changes the cursor stands, and whether its holder knows of a doubt; none if it is of another epoch, or what came
    /// after it is forgotten.
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
        // Of several changes of a flag the last counts.
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
            What::Gone(version) => convert::absent_state(name.to_owned(), version.as_ref()),
            What::Unknown => FlagState { unknown: Some(true), ..convert::absent_state(name.to_owned(), None) },
        };
        FlagState { read_us_ago: self.read_at.map(|at| micros(now.saturating_duration_since(at))), ..state }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn unavailable(reason: String) -> Error {
    Error::new(ErrorKind::Unavailable).with_message(reason)
}

/// Unlike that of any server before on this address.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now()).max(1)
}
