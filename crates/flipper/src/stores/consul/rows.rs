use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::value::RawValue;

use super::ConsulFeatureFlagStore;
use super::kv::{self, Entry, Listing};
use crate::error::{Error, Result};
use crate::state::{Stored, Version};
use crate::stores::base_key::is_deeper;

/// Larger answers take a millisecond or more, so they are parsed off the flipper thread.
const LARGE: usize = 1024 * 1024;
/// As are more flags than this.
const MANY: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Row {
    name: Name,
    pub(super) index: u64,
    value: Option<Range<usize>>,
}

/// Most need no unescaping.
#[derive(Clone, Debug)]
enum Name {
    At(Range<usize>),
    Unescaped(String),
}

#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) index: u64,
    pub(super) lag: Option<Duration>,
    pub(super) filtered: bool,
    body: Bytes,
}

impl Rows {
    pub(super) async fn of(store: &ConsulFeatureFlagStore, listing: Listing) -> Result<Self> {
        let store = store.clone();
        apart(listing.body.len() > LARGE, move || Self::parse(&store, listing)).await?
    }

    fn parse(store: &ConsulFeatureFlagStore, listing: Listing) -> Result<Self> {
        let start = listing.body.as_ptr().addr();
        let place = |text: &str| {
            let at = text.as_ptr().addr() - start;
            at..at + text.len()
        };
        let items = listing.items()?;
        let mut rows = Vec::with_capacity(items.len());
        for item in &items {
            match store.keys.name(&item.key) {
                Some(name) if is_deeper(name) && !is_here(name, item.value) => store.warn_of_folder(&item.key),
                Some(name) => {
                    let name = match &item.key {
                        Cow::Borrowed(_) => Name::At(place(name)),
                        Cow::Owned(_) => Name::Unescaped(name.to_owned()),
                    };
                    rows.push(Row { name, index: item.modify_index, value: item.value.map(|raw| place(raw.get())) });
                }
                None => {}
            }
        }
        Ok(Self { rows, index: listing.index, lag: listing.lag, filtered: listing.filtered, body: listing.body })
    }

    #[cfg(test)]
    pub(super) fn for_test(flags: &[(&str, u64)], index: u64) -> Self {
        let row = |&(name, index): &(&str, u64)| Row { name: Name::Unescaped(name.to_owned()), index, value: None };
        let rows = flags.iter().map(row).collect();
        Self { rows, index, lag: None, filtered: false, body: Bytes::new() }
    }

    pub(super) fn size(&self) -> usize {
        self.body.len()
    }

    pub(super) fn name<'a>(&'a self, row: &'a Row) -> &'a str {
        name_in(&self.body, row)
    }

    pub(super) async fn flags(&self, rows: Vec<Row>) -> Result<Vec<Stored>> {
        let body = self.body.clone();
        apart(rows.len() > MANY, move || rows.iter().map(|row| flag(&body, row)).collect()).await?
    }
}

/// For a deeper key, its value decides.
fn is_here(name: &str, value: Option<&RawValue>) -> bool {
    let value = value.and_then(|raw| kv::decode(raw.get().as_bytes()).ok()).unwrap_or_default();
    ConsulFeatureFlagStore::stored(name, &Entry { value, index: 0 }).is_some()
}

fn flag(body: &Bytes, row: &Row) -> Result<Stored> {
    let value = match &row.value {
        Some(range) => kv::decode(&body[range.clone()])?,
        None => Vec::new(),
    };
    Ok(Stored::from_json(name_in(body, row), Version::ordered(row.index), &value))
}

fn name_in<'a>(body: &'a Bytes, row: &'a Row) -> &'a str {
    match &row.name {
        // It was UTF-8 when it was parsed.
        Name::At(place) => std::str::from_utf8(&body[place.clone()]).unwrap_or_default(),
        Name::Unescaped(name) => name,
    }
}

pub(super) async fn apart<T: Send + 'static>(long: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if !long {
        return Ok(work());
    }
    let failed = |message: String| Error::unavailable(message);
    let handle = crate::background::handle().map_err(|reason| failed(reason.to_owned()))?;
    handle.spawn_blocking(work).await.map_err(|error| failed(format!("flags cannot be read: {error}")))
}
