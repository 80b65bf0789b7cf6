//! The events of a watch, in their required order.

use std::io;
use std::time::{Duration, Instant};

use redis::RedisError;
use tokio::sync::mpsc;

use super::RedisFeatureFlagStore;
use crate::error::Error;
use crate::identity::Identity;
use crate::state::{Stored, Updates, WatchEvent};
use crate::store::FeatureFlagStore;

pub(super) enum End {
    Unwatched,
    Driver(RedisError),
}

impl From<RedisError> for End {
    fn from(error: RedisError) -> Self {
        Self::Driver(error)
    }
}

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

    pub(super) async fn send(&self, event: WatchEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Unwatched)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn serving(&mut self, store: &RedisFeatureFlagStore, run_id: Option<&str>) {
        let identity = store.identity();
        self.serving = Some(match run_id {
            Some(run_id) => identity.with_epoch(run_id),
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
    ) -> Result<(), End> {
        if let Some(identity) = &self.serving {
            self.send(WatchEvent::Serving(identity.clone())).await?;
        }
        if std::mem::take(&mut self.lost) {
            self.send(WatchEvent::Restored).await?;
        }
        let valid_for = Some(confirmed.1);
        self.send(WatchEvent::Reset { flags, read_at: Some(read_at), valid_for }).await?;
        if self.following.replace(by) != Some(by) {
            self.send(WatchEvent::Following(by)).await?;
        }
        Ok(())
    }

    pub(super) async fn confirm(&self, (at, valid_for): (Instant, Duration)) -> Result<(), End> {
        self.send(WatchEvent::Confirmed { at, valid_for }).await
    }

    pub(super) async fn lose(&mut self, error: Error) -> Result<(), End> {
        let reason = error.chain();
        if std::mem::replace(&mut self.lost, true) && self.reason == reason {
            return Ok(());
        }
        self.reason = reason;
        self.send(WatchEvent::Lost(error)).await
    }

    pub(super) async fn emit_read(&self, name: String, flag: Option<Stored>, read_at: Instant) -> Result<(), End> {
        let read_at = Some(read_at);
        self.send(match flag {
            Some(flag) => WatchEvent::Changed { flag, read_at },
            None => WatchEvent::Removed { name, version: None, read_at },
        })
        .await
    }
}

pub(super) fn lost(why: &'static str) -> End {
    End::Driver(io::Error::new(io::ErrorKind::ConnectionReset, why).into())
}
