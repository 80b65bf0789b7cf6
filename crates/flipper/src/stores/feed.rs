//! A watch whose events come from a task or a thread.

#[cfg(any(feature = "consul", feature = "http", feature = "postgres", feature = "redis", feature = "s3"))]
use std::future::Future;
use std::time::Duration;
use std::vec;

use futures_util::stream;
use tokio::sync::mpsc::Receiver;
#[cfg(any(feature = "consul", feature = "http", feature = "postgres", feature = "redis", feature = "s3"))]
use tokio::sync::mpsc::{Sender, channel};
#[cfg(any(feature = "consul", feature = "http", feature = "postgres", feature = "redis", feature = "s3"))]
use tokio::task::JoinSet;

use crate::background;
use crate::error::{Error, Result};
use crate::state::{Watch, WatchEvent};

/// For the reader of the stream.
pub(super) const QUEUE: usize = 64;
const RESTART: Duration = Duration::from_secs(1);

pub(super) struct Source {
    /// Before `events`.
    pub(super) first: vec::IntoIter<WatchEvent>,
    pub(super) events: Receiver<WatchEvent>,
    /// Dropping it ends the task or thread.
    pub(super) _end: Box<dyn Send>,
}

/// Starts the source when the watch is first read, and after it ended, with the reason `ended`: it panicked, or the store is closed.
/// `start` gets whether the last event was `Lost`.
pub(super) fn feed(
    store: String,
    ended: impl Fn() -> Error + Send + 'static,
    start: impl FnMut(bool) -> Result<Source> + Send + 'static,
) -> Watch<'static> {
    let feed = Feed { store, ended, start, source: None, lost: false };
    Box::pin(stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await;
        match event {
            WatchEvent::Lost(_) => feed.lost = true,
            WatchEvent::Restored => feed.lost = false,
            _ => {}
        }
        Some((event, feed))
    }))
}

/// On the flipper thread. `follow` gets the sender of its events, and whether the last event was `Lost`.
#[cfg(any(feature = "consul", feature = "http", feature = "postgres", feature = "redis", feature = "s3"))]
pub(super) fn feed_by_task<F: Future<Output = ()> + Send + 'static>(
    store: String,
    follow: impl Fn(Sender<WatchEvent>, bool) -> F + Send + 'static,
) -> Watch<'static> {
    let ended = || Error::unavailable("the task that follows the store panicked");
    feed(store, ended, move |lost| {
        let handle = background::handle().map_err(Error::unavailable)?;
        let (sender, events) = channel(QUEUE);
        let mut task = JoinSet::new();
        task.spawn_on(follow(sender, lost), handle);
        Ok(Source { first: Vec::new().into_iter(), events, _end: Box::new(task) })
    })
}

struct Feed<E, S> {
    store: String,
    ended: E,
    start: S,
    source: Option<Source>,
    lost: bool,
}

impl<E: Fn() -> Error, S: FnMut(bool) -> Result<Source>> Feed<E, S> {
    async fn next(&mut self) -> WatchEvent {
        loop {
            let error = if let Some(source) = &mut self.source {
                if let Some(event) = source.first.next() {
                    return event;
                }
                if let Some(event) = source.events.recv().await {
                    return event;
                }
                self.source = None;
                (self.ended)()
            } else {
                match (self.start)(self.lost) {
                    Ok(source) => {
                        self.source = Some(source);
                        continue;
                    }
                    Err(error) => error,
                }
            };
            if !self.lost {
                return WatchEvent::Lost(error.with_store(&self.store));
            }
            background::sleep(RESTART).await;
        }
    }
}
