//! The changes of the store, followed once for all clients that wait in `Watch`.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper::__thrift as convert;
use flipper::{Error, ErrorKind, FeatureFlagStore, Result, Stored, Version, WatchEvent};
use flipper_thrift_protocol::feature_flag_store::{FlagState, WatchResult};
use futures_util::{FutureExt, StreamExt};

/// So many changes are kept; a client further behind reads all flags anew.
const KEPT: usize = 4096;

/// After the watch of the store broke off, which it never should.
const RESTART: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Another one after each reset, and for each start of a server; 0 until the store is followed.
    epoch: u64,
    /// The number of the oldest change kept.
    first: u64,
    changes: VecDeque<Entry>,
    lost: Option<String>,
    closed: bool,
}

#[derive(Clone, Debug)]
enum Entry {
    Change(FlagState),
    Lost(String),
}

impl Hub {
    /// Follows the store, and anew should its watch break off.
    pub(crate) async fn follow(&self, store: &dyn FeatureFlagStore) {
        loop {
            let mut events = store.watch();
            let taken = async {
                while let Some(event) = events.next().await {
                    self.take(event);
                }
            };
            let message = match AssertUnwindSafe(taken).catch_unwind().await {
                Ok(()) => "watch of the store has ended",
                Err(_) => "watch of the store has panicked",
            };
            self.take(WatchEvent::Lost(Error::new(ErrorKind::Unavailable).with_message(message)));
            tokio::time::sleep(RESTART).await;
        }
    }

    fn take(&self, event: WatchEvent) {
        let mut state = self.lock();
        match event {
            WatchEvent::Reset { .. } => {
                // The flags are read when a client asks for them.
                state.new_epoch();
                state.first = 0;
                state.changes.clear();
                state.lost = None;
            }
            WatchEvent::Changed { flag, .. } => state.push(Entry::Change(changed(&flag))),
            WatchEvent::Removed { name, version, .. } => state.push(Entry::Change(removed(name, version))),
            WatchEvent::Hint { name } => state.push(Entry::Change(hint(name))),
            WatchEvent::Lost(error) => {
                let reason = convert::to_exception(&error).message.unwrap_or_default();
                tracing::warn!(%reason, "store cannot be followed");
                state.lost = Some(reason.clone());
                state.push(Entry::Lost(reason));
            }
            WatchEvent::Restored => {
                tracing::info!("store can be followed again");
                state.lost = None;
            }
            // How the server hears of changes is nothing to its clients: they wait in `Watch` either way.
            WatchEvent::Following(_)
            | WatchEvent::Compared { .. }
            | WatchEvent::Confirmed { .. }
            | WatchEvent::Serving(_) => return,
            // Of a kind that this version does not know: whatever it was, a reset covers it.
            _ => state.new_epoch(),
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Answers `Watch`: at once if there is something to tell, else after `timeout`.
    pub(crate) fn watch(&self, cursor: Option<&str>, timeout: Duration) -> Result<WatchResult> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while state.epoch == 0 {
            if let Some(reason) = &state.lost {
                return Err(unavailable(reason.clone()));
            }
            state = self.wait(state, deadline).ok_or_else(|| unavailable("store cannot be followed yet".to_owned()))?;
        }
        let Some(seen) = cursor.and_then(|cursor| state.place(cursor)) else {
            return Ok(state.reset());
        };
        let epoch = state.epoch;
        while state.epoch == epoch && state.next() <= seen {
            state = match self.wait(state, deadline) {
                Some(state) => state,
                None => {
                    let cursor = cursor.map(str::to_owned);
                    return Ok(WatchResult { cursor, reset: None, changes: None, lost: None });
                }
            };
        }
        if state.epoch != epoch || seen < state.first {
            return Ok(state.reset());
        }
        Ok(state.since(seen))
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
    fn new_epoch(&mut self) {
        self.epoch = if self.epoch == 0 { start_epoch() } else { self.epoch.wrapping_add(1).max(1) };
    }

    /// That all flags are to be read, from a store that is perhaps not followed at the moment.
    fn reset(&self) -> WatchResult {
        WatchResult { cursor: Some(self.cursor()), reset: Some(true), changes: None, lost: self.lost.clone() }
    }

    fn push(&mut self, entry: Entry) {
        // Before the first reset nobody has a cursor yet.
        if self.epoch == 0 {
            return;
        }
        if self.changes.len() == KEPT {
            self.changes.pop_front();
            self.first += 1;
        }
        self.changes.push_back(entry);
    }

    fn next(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    fn cursor(&self) -> String {
        format!("{:x}:{:x}", self.epoch, self.next())
    }

    /// Where in the changes the cursor stands; none if it is of another epoch, or what came after it is forgotten.
    fn place(&self, cursor: &str) -> Option<u64> {
        let (epoch, seen) = cursor.split_once(':')?;
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        let seen = u64::from_str_radix(seen, 16).ok()?;
        (epoch == self.epoch && (self.first..=self.next()).contains(&seen)).then_some(seen)
    }

    fn since(&self, seen: u64) -> WatchResult {
        let mut changes = Vec::new();
        let mut lost = None;
        let mut told = HashSet::new();
        let new = usize::try_from(self.next() - seen).unwrap_or(usize::MAX);
        // Backwards, since of several changes of a flag the last counts.
        for entry in self.changes.iter().rev().take(new) {
            match entry {
                Entry::Change(flag) if told.insert(flag.feature_name.as_deref()) => changes.push(flag.clone()),
                Entry::Change(_) => {}
                Entry::Lost(reason) if lost.is_none() => lost = Some(reason.clone()),
                Entry::Lost(_) => {}
            }
        }
        changes.reverse();
        WatchResult { cursor: Some(self.cursor()), reset: None, changes: Some(changes), lost }
    }
}

/// A version that says which state is the newer speaks for itself. Equal content does not: the client has to read again.
fn changed(flag: &Stored) -> FlagState {
    if flag.version.as_ordered().is_some() { convert::to_state(flag) } else { hint(flag.name.clone()) }
}

fn removed(name: String, version: Option<Version>) -> FlagState {
    match version {
        Some(version) if version.as_ordered().is_some() => convert::absent_state(name, Some(&version)),
        _ => hint(name),
    }
}

fn hint(name: String) -> FlagState {
    FlagState { unknown: Some(true), ..convert::absent_state(name, None) }
}

fn unavailable(reason: String) -> Error {
    Error::new(ErrorKind::Unavailable).with_message(reason)
}

/// Unlike that of any server before on this address.
fn start_epoch() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now()).max(1)
}
