//! One watch of the store for all followers.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flipper::__feed::{Answer, Delta, State, random, wire, with_times};
use flipper::json::{Json, Object};
use flipper::store::{LocalFeatureFlagStore, Stored, WatchEvent};
use flipper::{Error, ErrorKind, FeatureFlagStore};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::places::{Follows, Place, Places};
use crate::problem::Problem;

/// Followers further behind read all flags.
const KEPT: usize = 4096;

/// A watch should never end.
const RESTART: Duration = Duration::from_secs(1);

/// For so long an event is sent to all that are at the same place. Its times stay true: they say when it was made.
const SHARED: Duration = Duration::from_millis(250);

/// Of one event with flags.
const CHUNK: usize = 64 * 1024;

/// The hub, the task that feeds it, and how many follow.
#[derive(Debug)]
pub(crate) struct Changes {
    hub: Arc<Hub>,
    task: OnceLock<AbortHandle>,
    places: Places,
}

impl Default for Changes {
    fn default() -> Self {
        Self { hub: Arc::new(Hub::new()), task: OnceLock::new(), places: Places::default() }
    }
}

impl Changes {
    /// The first call starts the task.
    pub(crate) fn follow(&self, store: &Arc<dyn LocalFeatureFlagStore>) -> Arc<Hub> {
        self.task.get_or_init(|| {
            let (hub, store) = (self.hub.clone(), store.clone());
            // A mirror does not report again which server answers.
            let identity = store.status().identity.unwrap_or_else(|| store.identity());
            hub.lock().state.set_store(identity.to_string());
            tokio::spawn(async move { hub.feed(&*store).await }).abort_handle()
        });
        self.hub.clone()
    }

    /// A place for a follower, if there are fewer than `most`.
    pub(crate) fn place(&self, most: usize, follows: Follows) -> Result<Place, Problem> {
        self.places.take(most, follows).ok_or_else(|| {
            Problem::overloaded("as many follow the changes as the server allows")
                .hint("follow another server, or come back later")
        })
    }

    pub(crate) fn followers(&self) -> usize {
        self.places.taken()
    }

    /// In the order in which they came.
    #[cfg(feature = "page")]
    pub(crate) fn who_follows(&self) -> Vec<Follows> {
        self.places.all()
    }

    /// All streams end.
    pub(crate) fn close(&self) {
        self.hub.lock().state.close();
        self.hub.wake();
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Hub {
    /// Of this start of the server.
    pub(crate) id: String,
    began: Instant,
    inner: Mutex<Inner>,
    flags: tokio::sync::Mutex<((u64, u64), Weak<Pages>)>,
    /// Sent to with each event of the store.
    news: watch::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    state: State,
    shared: Option<Shared>,
}

/// The last event that was made, for the next follower at the same place.
#[derive(Debug)]
struct Shared {
    from: Option<String>,
    place: (u64, u64),
    made: Instant,
    event: Event,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) bytes: Bytes,
    /// The flags contain all that was announced up to here.
    pub(crate) place: (u64, u64),
    pub(crate) cursor: Option<String>,
    pub(crate) reset: bool,
    pub(crate) lost: bool,
}

/// For a follower.
pub(crate) enum Next {
    Event(Event),
    Later(Instant),
    Unavailable(String),
    Closed,
}

impl Hub {
    fn new() -> Self {
        let inner = Mutex::new(Inner { state: State::new(KEPT), shared: None });
        let (id, began, news) = (format!("{:016x}", random()), Instant::now(), watch::Sender::new(()));
        Self { id, began, inner, flags: tokio::sync::Mutex::default(), news }
    }

    /// Restarts a watch that ends.
    async fn feed(&self, store: &dyn LocalFeatureFlagStore) {
        loop {
            let mut events = with_times(FeatureFlagStore::watch(store));
            let taken = async {
                while let Some(event) = events.next().await {
                    // Ready events belong together, such as flags and the doubt about them.
                    let mut inner = self.lock();
                    inner.state.take(event);
                    while let Some(Some(event)) = events.next().now_or_never() {
                        inner.state.take(event);
                    }
                    drop(inner);
                    self.wake();
                }
            };
            let message = match AssertUnwindSafe(taken).catch_unwind().await {
                Ok(()) => "watch of the store has ended",
                Err(_) => "watch of the store has panicked",
            };
            self.lock().state.take(WatchEvent::Lost(Error::new(ErrorKind::Unavailable).with_message(message)));
            self.wake();
            tokio::time::sleep(RESTART).await;
        }
    }

    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn wake(&self) {
        self.news.send_replace(());
    }

    /// The server's clock.
    pub(crate) fn at_us(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether cursors exist.
    pub(crate) fn is_followed(&self) -> bool {
        self.lock().state.place_of_next().0 != 0
    }

    /// Identity of the store, reason of a doubt, milliseconds since the last confirmation.
    pub(crate) fn describe(&self) -> (Option<String>, Option<String>, u64) {
        self.lock().state.describe(Instant::now())
    }

    /// What a follower at `cursor` has to know now, or by `deadline`. `allows`: of a follower that may not read all flags.
    pub(crate) fn next(
        &self,
        cursor: Option<&str>,
        came: Instant,
        deadline: Instant,
        allows: Option<&dyn Fn(&str) -> bool>,
    ) -> Next {
        let mut inner = self.lock();
        if inner.state.is_closed() {
            return Next::Closed;
        }
        let now = Instant::now();
        let place = inner.state.place_of_next();
        if allows.is_none()
            && let Some(shared) = &inner.shared
            && shared.place == place
            && shared.from.as_deref() == cursor
            && now.saturating_duration_since(shared.made) < SHARED
            // Else its time has not come.
            && (shared.event.cursor.as_deref() != cursor || now >= deadline)
        {
            return Next::Event(shared.event.clone());
        }
        match inner.state.answer(cursor, came, deadline, now) {
            Answer::Later(until) => Next::Later(until),
            Answer::Unavailable(reason) => Next::Unavailable(reason),
            Answer::Now(mut delta) => {
                if let Some(allows) = allows {
                    delta.changes.retain(|change| allows(&change.name));
                }
                let event = self.event(*delta, place, now);
                if allows.is_none() {
                    let from = cursor.map(str::to_owned);
                    inner.shared = Some(Shared { from, place, made: now, event: event.clone() });
                }
                Next::Event(event)
            }
        }
    }

    fn event(&self, delta: Delta, place: (u64, u64), now: Instant) -> Event {
        let data = Json::from(wire::delta(&delta, self.at_us(now)));
        let id = delta.cursor.as_deref().unwrap_or_default();
        let bytes = format!("event: changes\nid: {id}\ndata: {data}\n\n").into();
        Event { bytes, place, reset: delta.reset, lost: delta.lost.is_some(), cursor: delta.cursor }
    }

    /// All flags in events, made once for all followers at this place.
    pub(crate) async fn flags(&self, place: (u64, u64), store: &Arc<dyn LocalFeatureFlagStore>) -> Arc<Pages> {
        let mut last = self.flags.lock().await;
        if last.0 == place
            && let Some(pages) = last.1.upgrade()
        {
            return pages;
        }
        let store = store.clone();
        let made = tokio::task::spawn_blocking(move || pages(&store.table().list())).await;
        let pages = Arc::new(made.unwrap_or_default());
        *last = (place, Arc::downgrade(&pages));
        pages
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic leaves it half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) type Pages = Vec<Bytes>;

pub(crate) fn pages(flags: &[Stored]) -> Pages {
    let mut pages = Vec::new();
    let mut flags = flags.iter().peekable();
    loop {
        let (mut page, mut bytes) = (Vec::new(), 0);
        while bytes < CHUNK
            && let Some(flag) = flags.next()
        {
            let state = wire::state(flag);
            bytes += state.get("record").and_then(Json::as_str).map_or(0, str::len) + flag.name.len() + 32;
            page.push(state);
        }
        let more = flags.peek().is_some();
        let mut object: Object = [("flags", page)].into_iter().collect();
        object.insert("more", more);
        pages.push(format!("event: flags\ndata: {}\n\n", Json::from(object)).into());
        if !more {
            return pages;
        }
    }
}
