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
        /// All flags, in no order. Of two with the same name the last counts.
        flags: Vec<Stored>,
        /// When the read of them was sent, at the earliest; required with opaque versions.
        read_at: Option<Instant>,
        /// How long after `read_at` they may be called current without a [`WatchEvent::Confirmed`], if the store sends those.
        valid_for: Option<Duration>,
    },
    /// This flag is new or has changed.
    Changed {
        /// Its new state.
        flag: Stored,
        /// When the read of it was sent, at the earliest. With an opaque version and no such time, the event is only a hint.
        read_at: Option<Instant>,
    },
    /// This flag was deleted.
    Removed {
        /// Its name.
        name: String,
        /// The version of its absence, if the store counts.
        version: Option<Version>,
        /// As in [`WatchEvent::Changed`].
        read_at: Option<Instant>,
    },
    /// Something happened to this flag: read it again.
    Hint {
        /// Its name.
        name: String,
    },
    /// A doubt begins: flags reported before may have changed, since the connection is lost, an index went back, or another server answers.
    /// The watch keeps trying. Emitted again when the reason changes.
    Lost(Error),
    /// The store can be followed again; a [`WatchEvent::Reset`] comes next.
    Restored,
    /// A polling store has read all flags, and reported every difference from the previous read. A watcher that holds a version other than
    /// these read or wrote that flag in between, and must read it again.
    Compared {
        /// The versions by the flags' names.
        versions: Arc<BTreeMap<String, Version>>,
    },
    /// Every change made before `at` has been reported. A store that pushes emits this whenever it hears from its server. A watcher reports
    /// its flags as stale when `valid_for` passes without the next such event. Before a [`WatchEvent::Reset`] that ends a doubt, it says
    /// how long that list may be called current.
    Confirmed {
        /// When the request was sent, or the push arrived, that confirms it.
        at: Instant,
        /// How long it holds.
        valid_for: Duration,
    },
    /// Which server answers from now on, with its epoch; emitted before a [`WatchEvent::Reset`].
    Serving(Identity),
    /// How changes arrive from now on; emitted after a [`WatchEvent::Reset`] by stores with several ways.
    Following(Updates),
}
