//! Changes as they happen: a task on the flipper thread that follows the server in the best way it offers.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use redis::RedisError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::link::{jittered, next_pause};
use super::{RedisFeatureFlagStore, errors, notifications, tracking};
use crate::background;
use crate::error::{Error, ErrorKind};
use crate::polling::watch_by_polling;
use crate::status::Updates;
use crate::store::{Stored, Version, Watch, WatchEvent};

/// So many events may wait for the reader of the stream; then names that changed wait, each once.
const QUEUE: usize = 64;

/// How long to wait before the task is started again if it could not run.
const RESTART: Duration = Duration::from_secs(1);

pub(super) fn watch(store: &RedisFeatureFlagStore) -> Watch<'static> {
    let feed = Feed { store: store.clone(), task: None, lost: false };
    Box::pin(stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await;
        Some((event, feed))
    }))
}

struct Feed {
    store: RedisFeatureFlagStore,
    task: Option<(mpsc::Receiver<WatchEvent>, Task)>,
    lost: bool,
}

/// Ends the task with the stream.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Feed {
    async fn next(&mut self) -> WatchEvent {
        loop {
            if let Some((events, _)) = &mut self.task {
                if let Some(event) = events.recv().await {
                    match event {
                        WatchEvent::Lost(_) => self.lost = true,
                        WatchEvent::Restored => self.lost = false,
                        _ => {}
                    }
                    return event;
                }
                // It never ends by itself: it has panicked.
                self.task = None;
                if !std::mem::replace(&mut self.lost, true) {
                    return self.broken("the task that follows the store broke off");
                }
                background::sleep(RESTART).await;
            }
            match background::handle() {
                Ok(handle) => {
                    let (sender, events) = mpsc::channel(QUEUE);
                    let outlet = Outlet { events: sender, lost: self.lost, following: None };
                    self.task = Some((events, Task(handle.spawn(follow(self.store.clone(), outlet)))));
                }
                Err(reason) if !std::mem::replace(&mut self.lost, true) => return self.broken(reason),
                Err(_) => background::sleep(RESTART).await,
            }
        }
    }

    fn broken(&self, reason: &str) -> WatchEvent {
        WatchEvent::Lost(Error::new(ErrorKind::Unavailable).with_message(reason).with_store(&self.store))
    }
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
