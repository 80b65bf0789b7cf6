//! All flags, page by page.

use std::collections::HashSet;
use std::sync::Arc;

use redis::RedisResult;

use super::client::Connection;
use super::errors::ends_connection;
use super::link::Live;
use super::{RedisFeatureFlagStore, list};
use crate::many::{FlagStream, pages};
use crate::store::Stored;

/// The flags of a page, and where the next one begins.
type Page = (Vec<Stored>, Option<Option<Reading>>);

/// How far a stream is. One connection for all of it: a cursor means nothing to another server.
struct Reading {
    live: Arc<Live>,
    cursor: u64,
    /// SCAN may tell a key twice.
    seen: HashSet<String>,
}

/// A cluster's flags are read whole: while slots change hands a scan of it has to begin anew.
pub(super) fn stream(store: &RedisFeatureFlagStore) -> FlagStream<'_> {
    pages(None, move |reading: Option<Reading>| async move {
        next_page(store, reading).await.map_err(|error| store.error(error))
    })
}

async fn next_page(store: &RedisFeatureFlagStore, reading: Option<Reading>) -> RedisResult<Page> {
    let mut reading = match reading {
        Some(reading) => reading,
        None => Reading { live: store.link.connection(store.timeout).await?, cursor: 0, seen: HashSet::new() },
    };
    let Connection::Node(node) = &reading.live.connection else { return Ok((list::list(store).await?, None)) };
    let (mut flags, next) = list::scan_page(store, node, reading.cursor).await.inspect_err(|error| {
        if ends_connection(error) {
            store.link.discard(&reading.live);
        }
    })?;
    flags.retain(|flag| reading.seen.insert(flag.name.clone()));
    let next = next.map(|cursor| Some(Reading { cursor, ..reading }));
    Ok((flags, next))
}
