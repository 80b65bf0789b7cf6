use std::collections::HashSet;
use std::sync::Arc;

use redis::RedisResult;

use super::RedisFeatureFlagStore;
use super::client::Connection;
use super::link::Live;
use super::list::{Pages, list};
use crate::state::Stored;
use crate::store::{FlagStream, pages};

type Page = (Vec<Stored>, Option<Option<Reading>>);

struct Reading {
    live: Arc<Live>,
    pages: Pages,
    /// SCAN may return a key twice.
    seen: HashSet<String>,
}

/// A cluster is listed whole: its scan starts over when slots change hands.
pub(super) fn stream(store: &RedisFeatureFlagStore) -> FlagStream<'_> {
    pages(None, move |reading: Option<Reading>| async move {
        next_page(store, reading).await.map_err(|error| store.error(error))
    })
}

async fn next_page(store: &RedisFeatureFlagStore, reading: Option<Reading>) -> RedisResult<Page> {
    let mut reading = match reading {
        Some(reading) => reading,
        None => {
            let live = store.link.connection(store.timeout).await?;
            let Connection::Node(node) = &live.connection else { return Ok((list(store).await?, None)) };
            let pages = Pages::ask(store, node)?;
            Reading { live, pages, seen: HashSet::new() }
        }
    };
    let mut flags = Vec::new();
    let more = reading.pages.read(store, &mut flags).await;
    let more = more.inspect_err(|error| store.link.discard_if_ended_by(error, &reading.live))?;
    flags.retain(|flag| reading.seen.insert(flag.name.clone()));
    Ok((flags, more.then_some(Some(reading))))
}
