//! The stream of every change, whoever made it.

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

/// One change of a flag, as [`FeatureFlagClient::changes`](crate::FeatureFlagClient::changes) tells it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// The flag was created, or is another than before.
    Set {
        /// Its name.
        name: String,
        /// What it is now.
        record: Arc<FlagRecord>,
    },
    /// The flag is gone.
    Removed {
        /// Its name.
        name: String,
    },
    /// What is stored under the name cannot be read as a flag any more.
    Corrupt {
        /// Its name.
        name: String,
        /// Why.
        corrupt: Corrupt,
    },
    /// This receiver was too slow, and changes were dropped. A [`Change::Snapshot`] comes next.
    Lagged {
        /// How many were dropped, at the least.
        missed: u64,
    },
    /// All flags as they are now, ordered by name; what comes after is newer.
    Snapshot(Vec<Stored>),
}

impl Change {
    pub(crate) fn of(name: &str, entry: &Entry) -> Self {
        let name = name.to_owned();
        match &entry.state {
            State::Absent => Self::Removed { name },
            State::Present { record, .. } => Self::Set { name, record: record.clone() },
            State::Corrupt(corrupt) => Self::Corrupt { name, corrupt: corrupt.clone() },
        }
    }

    /// The name of the flag that changed; `None` for `Lagged` and `Snapshot`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Set { name, .. } | Self::Removed { name } | Self::Corrupt { name, .. } => Some(name),
            Self::Lagged { .. } | Self::Snapshot(_) => None,
        }
    }
}

/// The stream of changes; it holds up to 1024 of them for a receiver that is behind, and ends with the last client.
///
/// A `futures` stream; [`recv`](Self::recv) needs no further crate.
#[must_use = "a stream does nothing unless it is read"]
pub struct Changes(Pin<Box<dyn Stream<Item = Change> + Send>>);

impl Changes {
    pub(crate) fn new(table: Weak<FlagTable>, receiver: Receiver<Told>) -> Self {
        Self(Box::pin(told(table, receiver).filter_map(|told| {
            std::future::ready(match told {
                Told::Change(change) => Some(change),
                Told::Reset | Told::Hint(_) | Told::Store(_) => None,
            })
        })))
    }

    /// The next change; `None` once the last client of these flags is gone.
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

/// What the table tells those who follow it.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Change(Change),
    /// The versions before are no measure for those after; the changes that came with it were told one by one.
    Reset,
    /// Somebody may hold another state of this flag than the table has.
    Hint(Box<str>),
    /// What is known of the store changed, between the changes before and after it.
    Store(About),
}

/// What a mirror passes on of its store, besides flags.
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

/// What comes after a subscription: all of it, or `Lagged` and then a `Snapshot` in place of what was missed.
pub(crate) fn told(table: Weak<FlagTable>, receiver: Receiver<Told>) -> impl Stream<Item = Told> + Send + 'static {
    let source = Source { table, receiver, lagged: false };
    stream::unfold(source, |mut source| async move { Some((source.recv().await?, source)) })
}

struct Source {
    table: Weak<FlagTable>,
    receiver: Receiver<Told>,
    lagged: bool,
}

impl Source {
    async fn recv(&mut self) -> Option<Told> {
        if self.lagged {
            // What the receiver still holds is older than the snapshot, so it begins anew.
            let (flags, receiver) = self.table.upgrade()?.snapshot_and_changes();
            self.receiver = receiver;
            self.lagged = false;
            return Some(Told::Change(Change::Snapshot(flags)));
        }
        match self.receiver.recv().await {
            Ok(told) => Some(told),
            Err(RecvError::Lagged(missed)) => {
                self.lagged = true;
                Some(Told::Change(Change::Lagged { missed }))
            }
            Err(RecvError::Closed) => None,
        }
    }
}
