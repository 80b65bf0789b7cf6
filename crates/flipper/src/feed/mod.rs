//! What a server announces of its store, and how a client of it reads that: the same for every protocol, and run by the model of the chain.

mod answers;
mod doubt;
mod follower;
pub mod history;
pub mod origin;
mod state;
pub mod wire;

use std::time::Instant;

use futures_util::StreamExt;

pub use self::answers::{AnswerTime, BEAT, SLACK, STREAM_SLACK, WAIT};
pub use self::follower::Follower;
pub use self::state::{Answer, State, random};
use crate::state::{Stored, Version, Watch, WatchEvent};

/// What a client that follows a server has to know.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// This start of the server; `None` from a server that cannot report a doubt.
    pub server: Option<String>,
    /// The place after it.
    pub cursor: Option<String>,
    /// All flags have to be read.
    pub reset: bool,
    /// The last change of each flag.
    pub changes: Vec<Change>,
    /// Why the server's flags are in doubt.
    pub lost: Option<String>,
    /// From when the server took the request until it made this.
    pub elapsed_us: u64,
    /// When the store last confirmed the flags, rounded up.
    pub confirmed_ms_ago: u64,
    /// The identity of the server's store.
    pub store: Option<String>,
}

/// The new state of one flag.
#[derive(Clone, Debug)]
pub struct Change {
    /// The flag's name.
    pub name: String,
    /// What the server knows of it.
    pub known: Known,
    /// When the read was sent, at the earliest.
    pub read_us_ago: Option<u64>,
}

/// What a server knows of a flag that changed.
#[derive(Clone, Debug)]
pub enum Known {
    /// Its state.
    Flag(Stored),
    /// That it was deleted, and the version of its absence if the store counts.
    Missing(Option<Version>),
    /// Only that it changed.
    Unknown,
}

/// Gives each change the time of the last confirmation: a mirror's flags are at least that new, and without a time clients would read
/// the flag from the store.
#[must_use]
pub fn with_times(events: Watch<'_>) -> Watch<'_> {
    let mut confirmed = None;
    Box::pin(events.map(move |event| with_time(event, &mut confirmed)))
}

pub(crate) fn with_time(event: WatchEvent, confirmed: &mut Option<Instant>) -> WatchEvent {
    match event {
        WatchEvent::Confirmed { at, .. } | WatchEvent::Reset { read_at: Some(at), .. } => {
            *confirmed = (*confirmed).max(Some(at));
            event
        }
        WatchEvent::Changed { flag, read_at } => WatchEvent::Changed { flag, read_at: read_at.or(*confirmed) },
        WatchEvent::Removed { name, version, read_at } => {
            WatchEvent::Removed { name, version, read_at: read_at.or(*confirmed) }
        }
        event => event,
    }
}
