//! A stream of changes, event by event.

use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::response::Parts;

use super::super::http_client::Download;
use super::answer;
use super::sse::{Event, Parser};
use crate::error::{Error, Result};
use crate::feed::{BEAT, STREAM_SLACK, wire};
use crate::json::Json;
use crate::state::Stored;

pub(super) trait Source: Send {
    /// `None` at the end.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>>> + Send;
}

impl Source for Download {
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        // A server sends something with each beat.
        match tokio::time::timeout(BEAT + STREAM_SLACK, Self::chunk(self)).await {
            Ok(chunk) => chunk,
            Err(error) => Err(Error::unavailable("server has been silent for too long").with_source(error)),
        }
    }
}

pub(super) struct Reading<S> {
    source: S,
    parser: Parser,
    queue: std::vec::IntoIter<Event>,
}

impl<S: Source> Reading<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, parser: Parser::default(), queue: Vec::new().into_iter() }
    }

    pub(super) async fn must_be_events(&mut self, head: &Parts) -> Result<()> {
        let media_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if head.status.is_success() && media_type.starts_with("text/event-stream") {
            return Ok(());
        }
        let body = self.source.chunk().await.ok().flatten().unwrap_or_default();
        match head.status.is_success() {
            true => Err(answer::foreign("answer is no stream of events")),
            false => Err(answer::refused(head.status, &body)),
        }
    }

    /// `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.queue.next() {
                return Ok(Some(event));
            }
            match self.source.chunk().await? {
                Some(chunk) => self.queue = self.parser.push(&chunk)?.into_iter(),
                None if self.parser.is_between() => return Ok(None),
                None => return Err(broken_off()),
            }
        }
    }

    /// All flags, which follow a reset.
    pub(super) async fn flags(&mut self) -> Result<Vec<Stored>> {
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

pub(super) fn parse(event: &Event, name: &str) -> Result<Json> {
    if event.name != name {
        return Err(answer::foreign("the events are not in their order"));
    }
    Json::parse(&event.data).map_err(|error| answer::foreign("an event is no JSON").with_source(error))
}

pub(super) fn broken_off() -> Error {
    Error::unavailable("the stream of changes broke off")
}
