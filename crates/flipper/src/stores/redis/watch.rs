//! Changes as they happen: a task on the flipper thread that follows the server in the best way it offers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};

use redis::RedisError;
use tokio::sync::mpsc;

use super::link::PAUSE;
use super::{RedisFeatureFlagStore, errors, notifications, polling, tracking};
use crate::error::Error;
use crate::identity::Identity;
use crate::status::Updates;
use crate::store::{FeatureFlagStore, Stored, Version, Watch, WatchEvent};
use crate::stores::feed::feed;

pub(super) fn watch(store: &RedisFeatureFlagStore) -> Watch<'static> {
    let store = store.clone();
    feed(store.to_string(), move |events, lost| follow(store.clone(), Outlet::new(events, lost)))
}

/// Why following ended.
pub(super) enum End {
    /// The stream was dropped.
    Unwatched,
    Driver(RedisError),
}

impl From<RedisError> for End {
    fn from(error: RedisError) -> Self {
        Self::Driver(error)
    }
}

/// Where events go.
pub(super) struct Outlet {
    events: mpsc::Sender<WatchEvent>,
    lost: bool,
    /// Why, as it was last said.
    reason: String,
    following: Option<Updates>,
    serving: Option<Identity>,
}

impl Outlet {
    fn new(events: mpsc::Sender<WatchEvent>, lost: bool) -> Self {
        Self { events, lost, reason: String::new(), following: None, serving: None }
    }

    pub(super) async fn send(&self, event: WatchEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Unwatched)
    }

    /// The server that the next reads are of.
    pub(super) fn serving(&mut self, store: &RedisFeatureFlagStore, run_id: Option<&str>) {
        let identity = store.identity();
        self.serving = Some(match run_id {
            Some(run_id) => identity.with_epoch(run_id),
            None => identity,
        });
    }

    /// `confirmed`: up to when the flags have every change, and for how long that holds.
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

    /// Every change before `at` was reported.
    pub(super) async fn confirm(&self, (at, valid_for): (Instant, Duration)) -> Result<(), End> {
        self.send(WatchEvent::Confirmed { at, valid_for }).await
    }

    async fn lose(&mut self, error: Error) -> Result<(), End> {
        let reason = error.chain();
        if std::mem::replace(&mut self.lost, true) && self.reason == reason {
            return Ok(());
        }
        self.reason = reason;
        self.send(WatchEvent::Lost(error)).await
    }

    /// What a read of one name found.
    pub(super) async fn tell(&self, name: String, flag: Option<Stored>, read_at: Instant) -> Result<(), End> {
        let read_at = Some(read_at);
        self.send(match flag {
            Some(flag) => WatchEvent::Changed { flag, read_at },
            None => WatchEvent::Removed { name, version: None, read_at },
        })
        .await
    }
}

async fn follow(store: RedisFeatureFlagStore, mut outlet: Outlet) {
    let mut pause = PAUSE;
    loop {
        let was_lost = outlet.lost;
        let error = match best_way(&store, &mut outlet).await {
            Err(End::Unwatched) => return,
            Err(End::Driver(error)) => store.error(error),
        };
        if !(was_lost && outlet.lost) {
            pause.reset();
        }
        tracing::debug!(%store, %error, "changes of flags cannot be followed");
        if outlet.lose(error).await.is_err() {
            return;
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// Returns when the server is lost, for the next one may offer another way.
async fn best_way(store: &RedisFeatureFlagStore, outlet: &mut Outlet) -> Result<Infallible, End> {
    match tracking::follow(store, outlet).await {
        Err(End::Driver(error)) if errors::is_refusal(&error) => {
            tracing::debug!(%store, %error, "the server does not push changes");
        }
        other => return other,
    }
    match notifications::follow(store, outlet).await {
        Ok(None) => {}
        Err(End::Driver(error)) if errors::is_refusal(&error) => {
            tracing::debug!(%store, %error, "the server does not say whether it has keyspace notifications");
        }
        Ok(Some(never)) => match never {},
        Err(end) => return Err(end),
    }
    polling::follow(store, outlet).await
}

/// A doubt for this reason.
pub(super) fn lost(why: &'static str) -> End {
    End::Driver(io::Error::new(io::ErrorKind::ConnectionReset, why).into())
}

/// The versions that were told last.
pub(super) fn versions(flags: &[Stored]) -> BTreeMap<String, Version> {
    flags.iter().map(|flag| (flag.name.clone(), flag.version.clone())).collect()
}
