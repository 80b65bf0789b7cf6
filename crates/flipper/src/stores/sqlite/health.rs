//! Whether memory has what the file has.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::broadcast::{self, error::RecvError};

use super::errors::{Named, closed, unavailable};
use crate::error::Error;
use crate::status::{Health, Status, Updates};
use crate::store::{Watch, WatchEvent};
use crate::table::FlagTable;

/// So many changes of health may a watch be behind; it needs only the last one.
const KEPT: usize = 8;

/// The health, and those who want to hear of it.
#[derive(Debug)]
pub(super) struct Pulse {
    main: PathBuf,
    state: Mutex<State>,
    /// The new health, each time that it is another one.
    turns: broadcast::Sender<Health>,
}

#[derive(Debug)]
struct State {
    health: Health,
    last_sync: Option<SystemTime>,
    updates: Updates,
}

impl Pulse {
    pub(super) fn new(main: PathBuf) -> Self {
        let state = State { health: Health::Live, last_sync: None, updates: Updates::Push };
        Self { main, state: Mutex::new(state), turns: broadcast::Sender::new(KEPT) }
    }

    /// Memory has what the file has now.
    pub(super) fn live(&self, updates: Updates) {
        let mut state = self.state();
        state.updates = updates;
        state.last_sync = Some(SystemTime::now());
        if state.health != Health::Live {
            tracing::info!(store = %Named(&self.main), "database can be followed again");
            state.health = Health::Live;
            self.tell(&state);
        }
    }

    /// It may not have it, for this reason. That holds since the last time that it had.
    pub(super) fn stale(&self, error: &Error) {
        if let Some(reason) = self.lose(error) {
            tracing::warn!(%reason, "database cannot be followed");
        }
    }

    /// The store is closed, which is no trouble.
    pub(super) fn closed(&self) {
        self.lose(&closed());
    }

    /// The reason, if it is another one.
    fn lose(&self, error: &Error) -> Option<Arc<str>> {
        let reason: Arc<str> = format!("{}: {}", Named(&self.main), error.chain()).into();
        let mut state = self.state();
        let since = match &state.health {
            Health::Stale { reason: known, .. } if *known == reason => return None,
            Health::Stale { since, .. } => *since,
            Health::Live => state.last_sync.unwrap_or_else(SystemTime::now),
        };
        state.health = Health::Stale { since, reason: reason.clone() };
        self.tell(&state);
        Some(reason)
    }

    pub(super) fn status(&self) -> Status {
        let state = self.state();
        Status::new(state.health.clone(), state.last_sync, state.updates)
    }

    /// The table's changes, and when they cannot be had.
    pub(super) fn watch(&self, table: &Arc<FlagTable>) -> Watch<'static> {
        let state = self.state();
        let now = Some(state.health.clone()).filter(|health| *health != Health::Live);
        let turns = self.turns.subscribe();
        drop(state);
        let weak = Arc::downgrade(table);
        let health = stream::iter(now).chain(receive(turns)).flat_map(move |health| {
            let events = match (health, weak.upgrade()) {
                (Health::Stale { reason, .. }, _) => vec![WatchEvent::Lost(unavailable(reason.as_ref()))],
                (Health::Live, Some(table)) => {
                    vec![
                        WatchEvent::Restored,
                        WatchEvent::Reset { flags: table.list(), read_at: None, valid_for: None },
                    ]
                }
                (Health::Live, None) => Vec::new(),
            };
            stream::iter(events)
        });
        // The left one is asked first, and it begins with the reset.
        Box::pin(stream::select(table.watch(), health))
    }

    fn tell(&self, state: &State) {
        // Fails when nobody listens.
        let _ = self.turns.send(state.health.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn receive(turns: broadcast::Receiver<Health>) -> impl Stream<Item = Health> {
    stream::unfold(turns, |mut turns| async move {
        loop {
            match turns.recv().await {
                Ok(health) => return Some((health, turns)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    })
}
