//! A watch whose events come from a task on the flipper thread.

use std::future::Future;
use std::time::Duration;

use futures_util::stream;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use crate::background;
use crate::error::{Error, ErrorKind};
use crate::state::{Watch, WatchEvent};

/// How many events may wait for the reader of the stream.
const QUEUE: usize = 64;

const RESTART: Duration = Duration::from_secs(1);

/// Starts the task when the watch is first read, ends it with the watch, and restarts it if it panics. `follow` gets the sender
/// of its events, and whether the last event was `Lost`; it ends when the receiver is dropped.
pub(super) fn feed<F>(store: String, follow: impl Fn(Sender<WatchEvent>, bool) -> F + Send + 'static) -> Watch<'static>
where
    F: Future<Output = ()> + Send + 'static,
{
    let feed = Feed { store, follow, task: None, lost: false };
    Box::pin(stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await;
        Some((event, feed))
    }))
}

struct Feed<G> {
    store: String,
    follow: G,
    task: Option<(Receiver<WatchEvent>, Task)>,
    lost: bool,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<G, F> Feed<G>
where
    G: Fn(Sender<WatchEvent>, bool) -> F,
    F: Future<Output = ()> + Send + 'static,
{
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
                // The task never ends by itself: it has panicked.
                self.task = None;
                if !std::mem::replace(&mut self.lost, true) {
                    return self.broken("the task that follows the store panicked");
                }
                background::sleep(RESTART).await;
            }
            match background::handle() {
                Ok(handle) => {
                    let (sender, events) = mpsc::channel(QUEUE);
                    self.task = Some((events, Task(handle.spawn((self.follow)(sender, self.lost)))));
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
