use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Entry, FlagTable, State};
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::record::FlagRecord;
use crate::state::{Corrupt, Stored, Updates, WatchEvent};

/// As [`FeatureFlagClient::changes`](crate::FeatureFlagClient::changes) emits it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// The flag was created or changed.
    Set {
        /// Its name.
        name: String,
        /// Its new state.
        record: Arc<FlagRecord>,
    },
    /// The flag was deleted.
    Removed {
        /// Its name.
        name: String,
    },
    /// The stored flag has become unreadable.
    Corrupt {
        /// Its name.
        name: String,
        /// Why.
        corrupt: Corrupt,
    },
    /// The receiver was too slow, and changes were dropped. A [`Change::Snapshot`] is next.
    Lagged {
        /// How many, at least.
        missed: u64,
    },
    /// All flags now, ordered by name; what follows is newer.
    Snapshot(Vec<Stored>),
}

impl Change {
    pub(crate) fn of(name: &str, entry: &Entry) -> Self {
        let name = name.to_owned();
        match &entry.state {
            State::Absent => Self::Removed { name },
            State::Present { record, .. } => Self::Set { record: record.record(&name), name },
            State::Corrupt(corrupt) => Self::Corrupt { name, corrupt: corrupt.clone() },
        }
    }

    /// The flag that changed; `None` for `Lagged` and `Snapshot`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Set { name, .. } | Self::Removed { name } | Self::Corrupt { name, .. } => Some(name),
            Self::Lagged { .. } | Self::Snapshot(_) => None,
        }
    }
}

/// The stream of changes, a `futures` stream. It keeps up to 1024 for a slow receiver, and ends with the last client.
#[must_use = "a stream does nothing unless it is read"]
pub struct Changes(Pin<Box<dyn Stream<Item = Change> + Send>>);

impl Changes {
    pub(crate) fn new(table: Weak<FlagTable>, receiver: Receiver<TableEvent>) -> Self {
        Self(Box::pin(table_events(table, receiver).filter_map(|event| {
            std::future::ready(match event {
                TableEvent::Change(change) => Some(change),
                TableEvent::Reset | TableEvent::Hint(_) | TableEvent::Store(_) => None,
            })
        })))
    }

    /// The next change, without `futures`; `None` once the last client is dropped.
    pub async fn recv(&mut self) -> Option<Change> {
        self.0.next().await
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        self.0.as_mut().poll_next(context)
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum TableEvent {
    Change(Change),
    /// Versions start over. Its changes were emitted one by one.
    Reset,
    /// A watcher may hold another state of it than the table.
    Hint(Box<str>),
    /// The status changed, at this place among the changes.
    Store(About),
}

/// What a mirror emits about its store, besides flags.
#[derive(Clone, Debug)]
pub(crate) enum About {
    Lost(ErrorKind, Arc<str>),
    Restored,
    Confirmed { at: Instant, valid_for: Duration },
    Serving(Identity),
    Following(Updates),
}

impl From<About> for WatchEvent {
    fn from(about: About) -> Self {
        match about {
            About::Lost(kind, reason) => Self::Lost(Error::new(kind).with_message(&*reason)),
            About::Restored => Self::Restored,
            About::Confirmed { at, valid_for } => Self::Confirmed { at, valid_for },
            About::Serving(identity) => Self::Serving(identity),
            About::Following(updates) => Self::Following(updates),
        }
    }
}

/// What follows a subscription; `Lagged` and a `Snapshot` instead of missed events.
pub(crate) fn table_events(
    table: Weak<FlagTable>,
    receiver: Receiver<TableEvent>,
) -> impl Stream<Item = TableEvent> + Send + 'static {
    let source = Source { table, receiver, lagged: false };
    stream::unfold(source, |mut source| async move { Some((source.recv().await?, source)) })
}

struct Source {
    table: Weak<FlagTable>,
    receiver: Receiver<TableEvent>,
    lagged: bool,
}

impl Source {
    async fn recv(&mut self) -> Option<TableEvent> {
        if self.lagged {
            // Its remaining changes are older than the snapshot.
            let (flags, receiver) = self.table.upgrade()?.snapshot_and_changes();
            self.receiver = receiver;
            self.lagged = false;
            return Some(TableEvent::Change(Change::Snapshot(flags)));
        }
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => {
                self.lagged = true;
                Some(TableEvent::Change(Change::Lagged { missed }))
            }
            Err(RecvError::Closed) => None,
        }
    }
}
