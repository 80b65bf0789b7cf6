//! What a store reports of changes.

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
    /// These are all the flags; forget the others.
    Reset {
        /// All flags, in no order. Of two with the same name the later one counts.
        flags: Vec<Stored>,
        /// When the read of them was sent, at the earliest; needed with opaque versions.
        read_at: Option<Instant>,
        /// How long after `read_at` they may be called current without a [`WatchEvent::Confirmed`], where the store sends those.
        valid_for: Option<Duration>,
    },
    /// This flag is new or has changed.
    Changed {
        /// Its new state.
        flag: Stored,
        /// When the read of it was sent, at the earliest. With an opaque version and no such time, the event is only a hint.
        read_at: Option<Instant>,
    },
    /// This flag is gone.
    Removed {
        /// Its name.
        name: String,
        /// The version of its absence, where the store counts.
        version: Option<Version>,
        /// As in [`WatchEvent::Changed`].
        read_at: Option<Instant>,
    },
    /// Something happened to this flag: read it again.
    Hint {
        /// Its name.
        name: String,
    },
    /// A doubt begins: what was reported before may not be so any more. The connection is lost, an index went back, another server
    /// answers. The watch goes on trying. Emitted again when the reason is another one.
    Lost(Error),
    /// The store can be followed again, and a [`WatchEvent::Reset`] comes next.
    Restored,
    /// A store that polls has read all flags: these are their versions, and every difference from what it had read before was
    /// reported. Who holds something else read it in between, or wrote it, and reads that flag again.
    Compared {
        /// The versions by the flags' names.
        versions: Arc<BTreeMap<String, Version>>,
    },
    /// Every change that was made before `at` has been reported. A store that pushes says so each time it hears of its server,
    /// changes or not; who holds flags calls them stale once `valid_for` is over without the next such word. Before a
    /// [`WatchEvent::Reset`] that ends a doubt, it says for how long that list may be called current.
    Confirmed {
        /// When the request was sent, or the push came, that shows it.
        at: Instant,
        /// How long that may be taken to hold.
        valid_for: Duration,
    },
    /// Which server answers from here on, its epoch included; emitted before a [`WatchEvent::Reset`].
    Serving(Identity),
    /// This is how changes arrive from here on; emitted after a [`WatchEvent::Reset`] by stores that have several ways.
    Following(Updates),
}
