//! What a list of keys has of flags.

use std::ops::Range;

use hyper::body::Bytes;

use super::bare::Bare;
use super::kv::{self, Entry, Listing};
use crate::error::{Error, ErrorKind, Result};
use crate::store::Stored;

/// More bytes than this are not read on the flipper thread, which others wait for too.
const LARGE: usize = 64 * 1024;
/// More flags than this are not.
const MANY: usize = 32;

/// A flag in a listing, not read yet.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) index: u64,
    /// Where its value is in the listing.
    value: Option<Range<usize>>,
}

/// The flags of a listing.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) index: u64,
    body: Bytes,
}

impl Rows {
    pub(super) async fn of(store: &Bare, listing: Listing) -> Result<Self> {
        let store = store.clone();
        apart(listing.body.len() > LARGE, move || Self::parse(&store, listing)).await?
    }

    fn parse(store: &Bare, listing: Listing) -> Result<Self> {
        let start = listing.body.as_ptr().addr();
        let mut rows = Vec::new();
        for item in listing.items()? {
            match store.keys.name(&item.key) {
                Some(name) => {
                    let value = item.value.map(|raw| {
                        let at = raw.get().as_ptr().addr() - start;
                        at..at + raw.get().len()
                    });
                    rows.push(Row { name: name.to_owned(), index: item.modify_index, value });
                }
                None if item.key.ends_with('/') && item.key.starts_with(store.keys.prefix()) => store.warn_of_folder(&item.key),
                None => {}
            }
        }
        Ok(Self { rows, index: listing.index, body: listing.body })
    }

    /// Reads the values of some of the rows.
    pub(super) async fn flags(&self, rows: Vec<Row>) -> Result<Vec<Stored>> {
        let body = self.body.clone();
        apart(rows.len() > MANY, move || rows.iter().map(|row| flag(&body, row)).collect()).await?
    }
}

/// All flags of a listing.
pub(super) async fn read_all(store: &Bare, listing: Listing) -> Result<Vec<Stored>> {
    let mut rows = Rows::of(store, listing).await?;
    let all = std::mem::take(&mut rows.rows);
    rows.flags(all).await
}

fn flag(body: &Bytes, row: &Row) -> Result<Stored> {
    let value = match &row.value {
        Some(range) => kv::decode(&body[range.clone()])?,
        None => Vec::new(),
    };
    Ok(Bare::stored(&row.name, &Entry { value, index: row.index }))
}

/// Runs the work on a thread for long work if it is long.
async fn apart<T: Send + 'static>(long: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if !long {
        return Ok(work());
    }
    let failed = |message: String| Error::new(ErrorKind::Unavailable).with_message(message);
    let handle = crate::background::handle().map_err(|reason| failed(reason.to_owned()))?;
    handle.spawn_blocking(work).await.map_err(|error| failed(format!("flags cannot be read: {error}")))
}
