use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;

use super::{Stored, Updates, Version};
use crate::error::Error;
use crate::identity::Identity;

/// The events of [`FeatureFlagStore::watch`](crate::FeatureFlagStore::watch).
pub type Watch<'a> = Pin<Box<dyn Stream<Item = WatchEvent> + Send + 'a>>;

/// One event of [`FeatureFlagStore::watch`](crate::FeatureFlagStore::watch).
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The complete set of flags; drop all others.
    Reset {
        /// In any order. Of two with the same name the last counts.
        flags: Vec<Stored>,
        /// When the read was sent, at the earliest; required with opaque versions.
        read_at: Option<Instant>,
        /// How long after `read_at` they are current without a [`WatchEvent::Confirmed`], if the store sends those.
        valid_for: Option<Duration>,
    },
    /// This flag is new or has changed.
    Changed {
        /// Its new state.
        flag: Stored,
        /// As in [`WatchEvent::Reset`]; with an opaque version and no time, the event is only a hint.
        read_at: Option<Instant>,
    },
    /// This flag was deleted.
    Removed {
        /// Its name.
        name: String,
        /// The version of its absence, if the store counts.
        version: Option<Version>,
        /// As in [`WatchEvent::Reset`].
        read_at: Option<Instant>,
    },
    /// Something happened to this flag: read it again.
    Hint {
        /// Its name.
        name: String,
    },
    /// A doubt begins: the connection is lost, an index went back, or another server answers. The watch keeps trying. Emitted again with a
    /// new reason.
    Lost(Error),
    /// The store can be followed again; a [`WatchEvent::Reset`] is next.
    Restored,
    /// A polling store has read all flags, and emitted the differences. A watcher that holds another version must read that flag again.
    Compared {
        /// The versions by the flags' names.
        versions: Arc<BTreeMap<String, Version>>,
    },
    /// Every change before `at` has been emitted. A store that pushes emits this whenever its server sends something. Flags are stale when
    /// `valid_for` passes without another. Before the [`WatchEvent::Reset`] that ends a doubt, it says how long that list is current.
    Confirmed {
        /// When the request that confirms it was sent, or the push arrived.
        at: Instant,
        /// How long it holds.
        valid_for: Duration,
    },
    /// Which server answers now, with its epoch; before a [`WatchEvent::Reset`].
    Serving(Identity),
    /// How changes arrive now; after a [`WatchEvent::Reset`], from stores with several ways.
    Following(Updates),
}
