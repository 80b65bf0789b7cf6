//! A watch of the file.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use futures_util::stream;
use tokio::sync::mpsc::Receiver;

use super::errors::{Named, closed, unavailable};
use super::follower::Follower;
use super::followers::{Followers, Request};
use super::link::File;
use crate::background;
use crate::error::{Error, Result};
use crate::state::{Watch, WatchEvent};

/// How many events may wait for the reader of the stream.
const QUEUE: usize = 64;
const RESTART: Duration = Duration::from_secs(1);

/// The first poll of the stream reads all flags on the polling thread, so that they are available at once; but not on the
/// flipper thread, which must not wait for a disk.
pub(super) fn watch(file: Arc<File>, poll_every: Option<Duration>, followers: Arc<Followers>) -> Watch<'static> {
    let feed = Feed { file, poll_every, followers, queue: VecDeque::new(), thread: None, lost: false };
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

struct Feed {
    file: Arc<File>,
    poll_every: Option<Duration>,
    followers: Arc<Followers>,
    queue: VecDeque<WatchEvent>,
    thread: Option<(Receiver<WatchEvent>, End)>,
    lost: bool,
}

struct End(Sender<Request>);

impl Drop for End {
    fn drop(&mut self) {
        // Fails if the thread has ended.
        let _ = self.0.send(Request::Close);
    }
}

impl Feed {
    async fn next(&mut self) -> WatchEvent {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return event;
            }
            if let Some((events, _)) = &mut self.thread {
                if let Some(event) = events.recv().await {
                    return event;
                }
                self.thread = None;
                let is_closed = self.followers.closed.load(Ordering::Acquire);
                if !self.lost {
                    let error =
                        if is_closed { closed() } else { unavailable("the thread that reads the database ended") };
                    return self.lost(error);
                }
                if is_closed {
                    std::future::pending::<()>().await;
                }
                background::sleep(RESTART).await;
            }
            match self.start() {
                Ok(first) => self.queue.extend(first),
                Err(error) if !self.lost => return self.lost(error),
                Err(_) => background::sleep(RESTART).await,
            }
        }
    }

    /// Starts the thread; returns the first events unless this is the flipper thread.
    fn start(&mut self) -> Result<Vec<WatchEvent>> {
        let (sender, requests) = mpsc::channel();
        let registered = self.followers.register(sender.clone());
        // After registering: `close` either ends this follower or was seen here.
        if self.followers.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let (file, channel) = (self.file.clone(), (sender.clone(), requests));
        let mut follower = Follower::new(file, self.poll_every, channel, self.lost, registered);
        let begun = !background::is_this_thread();
        let first = if begun { follower.step(false) } else { Vec::new() };
        let (events_in, events) = tokio::sync::mpsc::channel(QUEUE);
        let run = move || follower.run(begun, &events_in);
        let thread = thread::Builder::new().name("flipper-sqlite".to_owned()).spawn(run);
        thread.map_err(|error| unavailable("no thread can be started").with_source(error))?;
        self.thread = Some((events, End(sender)));
        Ok(first)
    }

    fn lost(&self, error: Error) -> WatchEvent {
        WatchEvent::Lost(error.with_store(Named(&self.file.place.path)))
    }
}
