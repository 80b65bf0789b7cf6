//! Changes as they happen: a task on the flipper thread that follows the server in the best way it offers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use redis::RedisError;
use tokio::sync::mpsc;

use super::link::{jittered, next_pause};
use super::{RedisFeatureFlagStore, errors, notifications, tracking};
use crate::error::{Error, ErrorKind};
use crate::polling::watch_by_polling;
use crate::status::Updates;
use crate::store::{Stored, Version, Watch, WatchEvent};
use crate::stores::feed::feed;

pub(super) fn watch(store: &RedisFeatureFlagStore) -> Watch<'static> {
    let store = store.clone();
    feed(store.to_string(), move |events, lost| follow(store.clone(), Outlet { events, lost, following: None }))
}

/// Why following ended.
pub(super) enum End {
    /// The stream was dropped.
    Unwatched,
    Driver(RedisError),
    Store(Error),
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
    following: Option<Updates>,
}

impl Outlet {
    pub(super) async fn send(&self, event: WatchEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Unwatched)
    }

    pub(super) async fn reset(&mut self, flags: Vec<Stored>, read_at: Instant, by: Updates) -> Result<(), End> {
        if std::mem::take(&mut self.lost) {
            self.send(WatchEvent::Restored).await?;
        }
        self.send(WatchEvent::Reset { flags, read_at: Some(read_at) }).await?;
        if self.following.replace(by) != Some(by) {
            self.send(WatchEvent::Following(by)).await?;
        }
        Ok(())
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
    let mut pause = Duration::ZERO;
    loop {
        let was_lost = outlet.lost;
        let error = match best_way(&store, &mut outlet).await {
            Err(End::Unwatched) => return,
            Err(End::Driver(error)) => store.error(error),
            Err(End::Store(error)) => error,
        };
        if was_lost && !outlet.lost {
            pause = Duration::ZERO;
        }
        tracing::debug!(%store, %error, "changes of flags cannot be followed");
        if !std::mem::replace(&mut outlet.lost, true) {
            if outlet.send(WatchEvent::Lost(error)).await.is_err() {
                return;
            }
            pause = Duration::ZERO;
        }
        pause = next_pause(pause);
        tokio::time::sleep(jittered(pause)).await;
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
    poll(store, outlet).await
}

async fn poll(store: &RedisFeatureFlagStore, outlet: &mut Outlet) -> Result<Infallible, End> {
    let every = store.poll_every;
    let mut events = watch_by_polling(store, every);
    loop {
        match events.next().await {
            Some(WatchEvent::Lost(error)) => return Err(End::Store(error)),
            Some(WatchEvent::Reset { flags, read_at }) => {
                outlet.reset(flags, read_at.unwrap_or_else(Instant::now), Updates::Poll { every }).await?;
            }
            Some(event) => outlet.send(event).await?,
            None => return Err(End::Store(Error::new(ErrorKind::Unavailable).with_store(store))),
        }
    }
}

/// The versions that were told last.
pub(super) fn versions(flags: &[Stored]) -> BTreeMap<String, Version> {
    flags.iter().map(|flag| (flag.name.clone(), flag.version.clone())).collect()
}
