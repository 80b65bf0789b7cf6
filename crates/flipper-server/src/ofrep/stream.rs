//! The stream that web pages follow. It says that something has changed, not what, so it needs no token: a browser's `EventSource` sends
//! none, and pages keep the address.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flipper::events::Changes;
use futures_util::stream;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::error::{Code, error};
use super::{Ofrep, Options};
use crate::changes::stream_of;

/// Between two messages. Pages wait for 50 ms of silence before they ask, so more would only delay them.
const PAUSE: Duration = Duration::from_millis(200);
/// So that proxies keep idle connections, and broken ones are noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
const BEAT: Bytes = Bytes::from_static(b":\n\n");

/// What all followers read. One task writes it, from the first follower on.
#[derive(Debug)]
pub(super) struct Streams {
    latest: watch::Sender<Latest>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Followers that are behind read the latest only.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    revision: u64,
    beats: u64,
    is_over: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self { latest: watch::Sender::new(Latest::default()), task: Mutex::default() }
    }
}

impl Streams {
    fn has_room(&self, options: &Options) -> bool {
        self.latest.receiver_count() < options.max_streams
    }
}

impl Ofrep {
    /// Where a page can follow. A page that is refused there asks again every second.
    pub(super) fn stream_url(&self) -> Option<&str> {
        let open = !self.app.is_draining() && self.streams.has_room(&self.app.ofrep);
        self.app.ofrep.stream_url.as_deref().filter(|_| open)
    }

    fn follow(self: &Arc<Self>) -> watch::Receiver<Latest> {
        let mut task = self.streams.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let changes = self.app.features.changes();
            self.streams.latest.send_modify(|latest| latest.revision = self.app.store.table().revision());
            *task = Some(tokio::spawn(report(Arc::downgrade(self), changes, self.app.draining.subscribe())));
        }
        self.streams.latest.subscribe()
    }
}

pub(super) fn answer(ofrep: &Arc<Ofrep>) -> Response {
    let refuse = |details: &str| {
        let mut response = error(StatusCode::SERVICE_UNAVAILABLE, None, Code::General, details);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        response
    };
    if ofrep.app.is_draining() {
        return refuse("the server is ending");
    }
    if !ofrep.streams.has_room(&ofrep.app.ofrep) {
        return refuse("the server has as many streams as it may have");
    }
    let follower = Follower { latest: ofrep.follow(), sent: None };
    stream_of(Body::from_stream(stream::unfold(follower, Follower::next)))
}

struct Follower {
    latest: watch::Receiver<Latest>,
    /// The revision of the last message.
    sent: Option<u64>,
}

impl Follower {
    /// The first message at once: what changed while a page was away would stay unseen.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let is_first = self.sent.is_none();
        if !is_first {
            // Fails when the server has ended.
            self.latest.changed().await.ok()?;
        }
        let Latest { revision, is_over, .. } = *self.latest.borrow_and_update();
        if is_over {
            return None;
        }
        let bytes = if self.sent.replace(revision) == Some(revision) { BEAT } else { message(revision, is_first) };
        Some((Ok(bytes), self))
    }
}

/// As the web provider reads it: without an event name. It returns a second after a break.
fn message(revision: u64, is_first: bool) -> Bytes {
    let retry = if is_first { "retry: 1000\n" } else { "" };
    Bytes::from(format!("{retry}id: {revision}\ndata: {{\"type\":\"refetchEvaluation\"}}\n\n"))
}

/// Reports changes: at once, then at most one per pause, the last one always.
async fn report(ofrep: Weak<Ofrep>, mut changes: Changes, mut draining: watch::Receiver<bool>) {
    let mut beats = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_beat = tokio::select! {
            change = changes.recv() => match change {
                Some(_) => false,
                None => return,
            },
            _ = beats.tick() => true,
            _ = draining.wait_for(|draining| *draining) => break,
        };
        let Some(ofrep) = ofrep.upgrade() else { return };
        let revision = ofrep.app.store.table().revision();
        let mut is_new = false;
        ofrep.streams.latest.send_if_modified(|latest| {
            is_new = latest.revision != revision;
            latest.revision = revision;
            latest.beats += u64::from(is_beat);
            is_new || is_beat
        });
        drop(ofrep);
        if is_new {
            tokio::time::sleep(PAUSE).await;
        }
    }
    if let Some(ofrep) = ofrep.upgrade() {
        ofrep.streams.latest.send_modify(|latest| latest.is_over = true);
    }
}
