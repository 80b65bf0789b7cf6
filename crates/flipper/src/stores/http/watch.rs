//! One stream of events, opened again whenever it ends.

use std::time::{Duration, Instant};

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use tokio::sync::mpsc::Sender;

use super::super::feed::feed_by_task;
use super::super::http_client::Download;
use super::sse::{Event, Parser};
use super::{HttpFeatureFlagStore, answer};
use crate::error::{Error, Result};
use crate::feed::{AnswerTime, BEAT, Delta, Follower, STREAM_SLACK, wire};
use crate::json::Json;
use crate::pause::Pause;
use crate::state::{Stored, Watch, WatchEvent};
use crate::store::FeatureFlagStore;

const CHANGES: &str = "/api/v1/changes?flags=true";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const PAUSE: Pause = Pause::new(Duration::from_millis(100), Duration::from_secs(2));

/// A server that ends streams at once is not asked more often.
const SHORT: Duration = Duration::from_secs(1);

/// A stream that began late ends after this time, so that a slow server is not asked much more often.
const LATE: Duration = Duration::from_secs(5);

pub(super) fn watch(store: &HttpFeatureFlagStore) -> Watch<'static> {
    let followed = store.clone();
    feed_by_task(store.to_string(), move |events, _| {
        let store = followed.clone();
        let follower = Follower::new(store.to_string(), store.identity());
        async move { Streams { store, events, follower, cursor: None }.run().await }
    })
}

struct Streams {
    store: HttpFeatureFlagStore,
    events: Sender<WatchEvent>,
    follower: Follower,
    /// Of the last event that was emitted.
    cursor: Option<String>,
}

enum Stop {
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
    async fn run(mut self) {
        let mut pause = PAUSE;
        loop {
            let opened = Instant::now();
            match self.stream().await {
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
        let mut reading = Reading { download, parser: Parser::default(), queue: Vec::new().into_iter() };
        reading.must_be_events(&head).await?;
        let Some(hello) = reading.next().await? else { return Err(broken_off().into()) };
        let hello = parse(&hello, "hello")?;
        let server = hello.get("server").and_then(Json::as_str).map(str::to_owned);
        let is_late = sent.elapsed() > STREAM_SLACK / 2;
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
            // All times of this stream count from when it was asked for, so none is live if the server was slow then.
            if is_late && sent.elapsed() > LATE {
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

    async fn take(&mut self, delta: Delta, time: &AnswerTime, reading: &mut Reading) -> Result<(), Stop> {
        let serving = self.follower.serving(&delta);
        self.emit(serving).await?;
        let flags = if self.follower.needs_flags(&delta) { Some(reading.flags().await?) } else { None };
        let cursor = delta.cursor.clone();
        let events = self.follower.take(delta, flags, time);
        self.emit(events).await?;
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

struct Reading {
    download: Download,
    parser: Parser,
    queue: std::vec::IntoIter<Event>,
}

impl Reading {
    async fn must_be_events(&mut self, head: &Parts) -> Result<()> {
        let media_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if head.status.is_success() && media_type.starts_with("text/event-stream") {
            return Ok(());
        }
        let body = self.chunk().await.ok().flatten().unwrap_or_default();
        match head.status.is_success() {
            true => Err(answer::foreign("answer is no stream of events")),
            false => Err(answer::refused(head.status, &body)),
        }
    }

    async fn chunk(&mut self) -> Result<Option<hyper::body::Bytes>> {
        // A server sends something with each beat.
        match tokio::time::timeout(BEAT + STREAM_SLACK, self.download.chunk()).await {
            Ok(chunk) => chunk,
            Err(error) => Err(Error::unavailable("server has been silent for too long").with_source(error)),
        }
    }

    /// `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.queue.next() {
                return Ok(Some(event));
            }
            match self.chunk().await? {
                Some(chunk) => self.queue = self.parser.push(&chunk)?.into_iter(),
                None if self.parser.is_between() => return Ok(None),
                None => return Err(broken_off()),
            }
        }
    }

    /// All flags, which follow a reset.
    async fn flags(&mut self) -> Result<Vec<Stored>> {
        let mut flags = Vec::new();
        loop {
            let event = self.next().await?.ok_or_else(broken_off)?;
            let page = parse(&event, "flags")?;
            let states = page.get("flags").and_then(Json::as_array).unwrap_or_default();
            for state in states {
                flags.push(
                    wire::read_state(state)
                        .map_err(|error| answer::foreign("a flag is malformed").with_source(error))?,
                );
            }
            if page.get("more").and_then(Json::as_bool) != Some(true) {
                return Ok(flags);
            }
        }
    }
}

fn parse(event: &Event, name: &str) -> Result<Json> {
    if event.name != name {
        return Err(answer::foreign("the events are not in their order"));
    }
    Json::parse(&event.data).map_err(|error| answer::foreign("an event is no JSON").with_source(error))
}

fn broken_off() -> Error {
    Error::unavailable("the stream of changes broke off")
}
