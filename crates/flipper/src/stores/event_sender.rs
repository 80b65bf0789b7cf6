//! The events of a watch, in their required order.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::error::Error;
use crate::identity::Identity;
use crate::state::{Stored, Updates, WatchEvent};

/// The watch was dropped.
pub(super) struct Unwatched;

pub(super) struct EventSender {
    events: mpsc::Sender<WatchEvent>,
    lost: bool,
    reason: String,
    following: Option<Updates>,
    serving: Option<Identity>,
}

impl EventSender {
    pub(super) fn new(events: mpsc::Sender<WatchEvent>, lost: bool) -> Self {
        Self { events, lost, reason: String::new(), following: None, serving: None }
    }

    pub(super) async fn send(&self, event: WatchEvent) -> Result<(), Unwatched> {
        self.events.send(event).await.map_err(|_| Unwatched)
    }

    #[cfg(feature = "redis")]
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn serving(&mut self, identity: Identity, epoch: Option<&str>) {
        self.serving = Some(match epoch {
            Some(epoch) => identity.with_epoch(epoch),
            None => identity,
        });
    }

    /// `confirmed`: until when the flags contain every change, and for how long that is valid.
    pub(super) async fn reset(
        &mut self,
        flags: Vec<Stored>,
        read_at: Instant,
        confirmed: (Instant, Duration),
        by: Updates,
    ) -> Result<(), Unwatched> {
        if let Some(identity) = &self.serving {
            self.send(WatchEvent::Serving(identity.clone())).await?;
        }
        if std::mem::take(&mut self.lost) {
            self.send(WatchEvent::Restored).await?;
        }
        let valid_for = Some(confirmed.1);
        self.send(WatchEvent::Reset { flags, read_at: Some(read_at), valid_for }).await?;
        self.following(by).await
    }

    /// After a reset.
    pub(super) async fn following(&mut self, by: Updates) -> Result<(), Unwatched> {
        match self.following.replace(by) == Some(by) {
            true => Ok(()),
            false => self.send(WatchEvent::Following(by)).await,
        }
    }

    pub(super) async fn confirm(&self, (at, valid_for): (Instant, Duration)) -> Result<(), Unwatched> {
        self.send(WatchEvent::Confirmed { at, valid_for }).await
    }

    pub(super) async fn lose(&mut self, error: Error) -> Result<(), Unwatched> {
        let reason = error.chain();
        if std::mem::replace(&mut self.lost, true) && self.reason == reason {
            return Ok(());
        }
        self.reason = reason;
        self.send(WatchEvent::Lost(error)).await
    }

    pub(super) async fn emit_read(
        &self,
        name: String,
        flag: Option<Stored>,
        read_at: Instant,
    ) -> Result<(), Unwatched> {
        let read_at = Some(read_at);
        self.send(match flag {
            Some(flag) => WatchEvent::Changed { flag, read_at },
            None => WatchEvent::Removed { name, version: None, read_at },
        })
        .await
    }
}
