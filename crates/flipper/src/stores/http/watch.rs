//! One stream of events, opened again whenever it ends.

use std::time::{Duration, Instant};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use tokio::sync::mpsc::Sender;

use super::super::feed::feed_by_task;
use super::super::http_client::Download;
use super::reading::{Reading, Source, broken_off, parse};
use super::{HttpFeatureFlagStore, answer};
use crate::error::{Error, Result};
use crate::feed::{AnswerTime, Delta, Follower, STREAM_SLACK, origin, wire};
use crate::json::Json;
use crate::pause::Pause;
use crate::state::{Watch, WatchEvent};
use crate::store::FeatureFlagStore;

const CHANGES: &str = "/api/v1/changes?flags=true";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const PAUSE: Pause = Pause::new(Duration::from_millis(100), Duration::from_secs(2));

/// A server that ends streams at once is not asked more often.
const SHORT: Duration = Duration::from_secs(1);

/// A stream that began late ends after this time and a part of [`LATER`], so that a slow server is not asked much more often.
const LATE: Duration = Duration::from_secs(5);
/// Doubles while the next stream is late too, up to a minute in all: the followers of a server that stays slow must not make it slower.
const LATER: Pause = Pause::new(LATE, Duration::from_secs(55));

pub(super) fn watch(store: &HttpFeatureFlagStore) -> Watch<'static> {
    let followed = store.clone();
    feed_by_task(store.to_string(), move |events, _| {
        let store = followed.clone();
        async move { Streams::new(store, events).run().await }
    })
}

pub(super) struct Streams {
    store: HttpFeatureFlagStore,
    events: Sender<WatchEvent>,
    follower: Follower,
    /// Of the last event that was emitted.
    cursor: Option<String>,
    later: Pause,
}

#[derive(Debug)]
pub(super) enum Stop {
    /// The reader of the events has dropped them.
    Dropped,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Streams {
    pub(super) fn new(store: HttpFeatureFlagStore, events: Sender<WatchEvent>) -> Self {
        let follower = Follower::new(store.to_string(), store.identity());
        Self { store, events, follower, cursor: None, later: LATER }
    }

    async fn run(mut self) {
        let mut pause = PAUSE;
        loop {
            let opened = Instant::now();
            let ended = self.stream().await;
            {
                let mut shown = self.store.shared.followed.lock();
                (shown.is_open, shown.ended) = (false, shown.ended + 1);
            }
            match ended {
                Ok(()) => {
                    pause = PAUSE;
                    tokio::time::sleep(SHORT.saturating_sub(opened.elapsed())).await;
                }
                Err(Stop::Dropped) => return,
                Err(Stop::Failed(error)) => {
                    self.cursor = None;
                    let lost = self.follower.lose(error);
                    if self.emit(lost).await.is_err() {
                        return;
                    }
                    if opened.elapsed() > SHORT * 10 {
                        pause = PAUSE;
                    }
                    tokio::time::sleep(pause.next()).await;
                }
            }
        }
    }

    /// Until the server ends it, or the clocks no longer agree: then another one goes on from the cursor.
    async fn stream(&mut self) -> Result<(), Stop> {
        let (head, download, sent) = self.open().await?;
        let mut reading = Reading::new(download);
        reading.must_be_events(&head).await?;
        self.follow(reading, sent).await
    }

    /// `sent`: when the stream was asked for.
    pub(super) async fn follow(&mut self, mut reading: Reading<impl Source>, sent: Instant) -> Result<(), Stop> {
        let Some(hello) = reading.next().await? else { return Err(broken_off().into()) };
        let hello = parse(&hello, "hello")?;
        let server = hello.get("server").and_then(Json::as_str).map(str::to_owned);
        // All times of this stream count from when it was asked for, so none is live if the server was slow then.
        let ends = (sent.elapsed() > STREAM_SLACK).then(|| LATE + self.later.next());
        if ends.is_none() {
            self.later.reset();
        }
        let taken_us = wire::number(&hello, "at_us").ok_or_else(|| answer::foreign("greeting has no time"))?;
        while let Some(event) = reading.next().await? {
            if event.name != "changes" {
                // Flags that are not needed, or an event of a newer server.
                continue;
            }
            let (mut delta, at_us) = wire::read_delta(&parse(&event, "changes")?)
                .map_err(|error| answer::foreign("an event is malformed").with_source(error))?;
            delta.server.clone_from(&server);
            delta.cursor = event.id;
            delta.elapsed_us = at_us.saturating_sub(taken_us);
            // The first answer may be one that was made for another stream, shortly before.
            let early = Duration::from_micros(taken_us.saturating_sub(at_us));
            let Some(asked) = sent.checked_sub(early) else { return Ok(()) };
            let Some(time) = AnswerTime::in_stream(&delta, asked) else { return Ok(()) };
            self.take(delta, &time, &mut reading).await?;
            if ends.is_some_and(|ends| sent.elapsed() > ends) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn open(&self) -> Result<(Parts, Download, Instant)> {
        let mut headers = HeaderMap::new();
        let cursor = self.cursor.as_deref().and_then(|cursor| HeaderValue::from_str(cursor).ok());
        headers.extend(cursor.map(|cursor| (LAST_EVENT_ID, cursor)));
        self.store.shared.open(CHANGES, headers).await
    }

    async fn take(&mut self, delta: Delta, time: &AnswerTime, reading: &mut Reading<impl Source>) -> Result<(), Stop> {
        let serving = self.follower.serving(&delta);
        self.emit(serving).await?;
        let flags = if self.follower.needs_flags(&delta) { Some(reading.flags().await?) } else { None };
        let cursor = delta.cursor.clone();
        let followed = delta.store.as_deref().map(origin::digest);
        let events = self.follower.take(delta, flags, time);
        self.emit(events).await?;
        if followed.is_some() {
            let mut shown = self.store.shared.followed.lock();
            (shown.digest, shown.is_open) = (followed, true);
        }
        self.cursor = cursor;
        Ok(())
    }

    async fn emit(&self, events: impl IntoIterator<Item = WatchEvent>) -> Result<(), Stop> {
        for event in events {
            self.events.send(event).await.map_err(|_| Stop::Dropped)?;
        }
        Ok(())
    }
}
