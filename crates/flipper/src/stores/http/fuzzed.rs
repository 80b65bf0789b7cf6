//! A stream of changes without a server, for the fuzzer. Not part of the API.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use hyper::body::Bytes;
use tokio::sync::mpsc;

use super::HttpFeatureFlagStore;
use super::reading::{Reading, Source};
use super::sse::{Event, Parser};
use super::watch::{Stop, Streams};
use crate::error::Result;
use crate::state::WatchEvent;

/// More events end a watch early.
const MOST: usize = 10_000;
/// Since the stream was asked for: a server's times are mostly within it.
const AGO: Duration = Duration::from_secs(1000);

/// Name, id and data of each event.
///
/// # Errors
///
/// `Unavailable` if they cannot be read.
pub fn events(pieces: &[&[u8]]) -> Result<Vec<(String, Option<String>, String)>> {
    let mut parser = Parser::default();
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(parser.push(piece)?.into_iter().map(|Event { name, id, data }| (name, id, data)));
    }
    Ok(events)
}

/// What a watch emits, and why it ends.
#[must_use]
pub fn watch(store: HttpFeatureFlagStore, pieces: &[&[u8]]) -> (Vec<WatchEvent>, Option<String>) {
    let (sender, mut receiver) = mpsc::channel(MOST);
    let asked = Instant::now().checked_sub(AGO).unwrap_or_else(Instant::now);
    let reading = Reading::new(Pieces(pieces.iter()));
    let ended = Streams::new(store, sender).follow(reading, asked).now_or_never();
    let why = match ended {
        Some(Ok(())) => None,
        Some(Err(Stop::Failed(error))) => Some(error.to_string()),
        Some(Err(Stop::Dropped)) | None => Some("too many events".to_owned()),
    };
    (std::iter::from_fn(|| receiver.try_recv().ok()).collect(), why)
}

struct Pieces<'a>(std::slice::Iter<'a, &'a [u8]>);

impl Source for Pieces<'_> {
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        Ok(self.0.next().map(|piece| Bytes::copy_from_slice(piece)))
    }
}
