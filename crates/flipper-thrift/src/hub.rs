//! One watch of the store for all clients that wait in `Watch`.

use std::panic::AssertUnwindSafe;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper::__feed::{Answer, State, random};
use flipper::__thrift as convert;
use flipper::store::WatchEvent;
use flipper::{Error, ErrorKind, FeatureFlagStore, Result};
use flipper_thrift_protocol::feature_flag_store::WatchResult;
use futures_util::{FutureExt, StreamExt};

/// Clients further behind read all flags.
const KEPT: usize = 4096;

/// A watch should never end.
const RESTART: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) id: String,
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Hub {
    fn default() -> Self {
        let state = Mutex::new(State::new(KEPT));
        Self { id: format!("{:016x}", random()), state, changed: Condvar::new() }
    }
}

impl Hub {
    /// Restarts a watch that ends.
    pub(crate) async fn follow(&self, store: &dyn FeatureFlagStore) {
        loop {
            let mut events = store.watch();
            let taken = async {
                while let Some(event) = events.next().await {
                    // Ready events belong together, such as flags and the doubt about them.
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

    /// At once if there is something to report, else after `timeout`.
    pub(crate) fn watch(&self, cursor: Option<&str>, timeout: Duration) -> Result<WatchResult> {
        let came = Instant::now();
        let deadline = came + timeout;
        let mut state = self.lock();
        loop {
            match state.answer(cursor, came, deadline, Instant::now()) {
                Answer::Now(mut delta) => {
                    delta.server = Some(self.id.clone());
                    return Ok(convert::to_result(*delta));
                }
                Answer::Unavailable(reason) => return Err(Error::new(ErrorKind::Unavailable).with_message(reason)),
                Answer::Later(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Identity of the store, reason of a doubt, milliseconds since the last confirmation.
    pub(crate) fn describe(&self) -> (Option<String>, Option<String>, u64) {
        self.lock().describe(Instant::now())
    }

    pub(crate) fn set_store(&self, store: String) {
        self.lock().set_store(store);
    }

    pub(crate) fn close(&self) {
        self.lock().close();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
