//! The same file, without its flags in memory.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::Connection;

use super::batch::Batch;
use super::errors::{Named, unavailable};
use super::file::{self, Content, Identity, Place, is_past};
use super::{inspect, schema};
use crate::background;
use crate::error::{Error, Result};
use crate::inspection::{Check, Finding};
use crate::many::{FlagStream, give_up, pages};
use crate::record::{FlagRecord, validate_name};
use crate::store::{FeatureFlagStore, Precondition, Stored, Version};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How many flags of a stream are read at once.
const PAGE: usize = 500;

/// The file of a [`SqliteFeatureFlagStore`](super::SqliteFeatureFlagStore), without its flags in memory: each call asks the file. For programs that ask for a
/// flag or two and go, whatever the file's size, and for writing more flags than should be in memory.
///
/// ```
/// use flipper::{FeatureFlagClient, SqliteFile};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("flags.db");
/// # futures_executor::block_on(async {
/// let features = FeatureFlagClient::remote(SqliteFile::open(&path)?);
/// features.create("MY_FEATURE").await?;
/// assert!(features.fetch("MY_FEATURE").await?.is_some());
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// Changes are found by polling, once a second; the store that holds the flags in memory hears of them at once.
#[derive(Clone)]
pub struct SqliteFile {
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    link: Mutex<Option<Link>>,
}

impl fmt::Display for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Named(&self.shared.place.path).fmt(f)
    }
}

impl fmt::Debug for SqliteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteFile").field("file", &self.shared.place.path).finish_non_exhaustive()
    }
}

impl SqliteFile {
    /// Opens the file, which is created if there is none (its folder is not). Blocks while it does.
    ///
    /// # Errors
    ///
    /// As [`SqliteFeatureFlagStore::open`](super::SqliteFeatureFlagStore::open).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let open = || {
            let place = Place::new(path, BUSY_TIMEOUT)?;
            let link = connect(&place)?;
            Ok(Self { shared: Arc::new(Shared { place, link: Mutex::new(Some(link)) }) })
        };
        open().map_err(|error: Error| error.with_store(Named(path)))
    }

    pub(super) fn at(place: Place) -> Self {
        Self { shared: Arc::new(Shared { place, link: Mutex::default() }) }
    }

    /// Does work with the file on a thread for that. A dropped future does not interrupt it.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, Instant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.shared.clone();
        let done = match background::handle() {
            Ok(handle) => handle.spawn_blocking(move || shared.with(work)).await,
            Err(error) => return Err(self.named(unavailable("no thread can be started").with_source(error))),
        };
        let done = done.unwrap_or_else(|ended| Err(unavailable("work with the file broke off").with_source(ended)));
        done.map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        error.with_store(self)
    }
}

/// A connection, its files, and when the database file was written last, with whether no later writing can have that time.
type Link = (Connection, Identity, (Content, bool));

fn connect(place: &Place) -> Result<Link> {
    let (connection, identity, content) = place.connect_one()?;
    Ok((connection, identity, (content, is_past(content))))
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&Connection, Instant) -> Result<T>) -> Result<T> {
        // What a panic left behind is looked at before it is used.
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let found = link.as_ref().map(|(_, identity, _)| self.place.look(identity));
        match (found, link.take()) {
            (Some(Ok(content)), Some(current)) if current.2 == (content, true) && current.0.is_autocommit() => {
                *link = Some(current);
            }
            // It was written into by who knows whom: what this connection has in memory may be of another file by now.
            (Some(Ok(content)), Some((connection, identity, _))) if connection.is_autocommit() => {
                schema::forget_pages(&connection)?;
                *link = Some((connection, identity, (content, is_past(content))));
            }
            (_, Some((connection, identity, _))) => self.place.abandon(connection, None, &identity),
            (_, None) => {}
        }
        let (connection, identity, _) = match &mut *link {
            Some(current) => current,
            none => none.insert(connect(&self.place)?),
        };
        let done = work(connection, Instant::now() + BUSY_TIMEOUT)?;
        // Had the file been replaced meanwhile, then this was about one that nobody will read.
        self.place.look(identity)?;
        Ok(done)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let link = self.link.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some((connection, identity, content)) = link else { return };
        match self.place.look(&identity) {
            Ok(now) if now == content.0 => drop(connection),
            Ok(_) => file::leave(connection),
            Err(_) => self.place.abandon(connection, None, &identity),
        }
    }
}

#[async_trait]
impl FeatureFlagStore for SqliteFile {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let flag = name.to_owned();
        self.with(move |connection, _| schema::read_one(connection, &flag)).await.map_err(|error| error.with_flag(name))
    }

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        validate_name(record.name())?;
        let (flag, text) = (record.name().to_owned(), Arc::from(record.to_json()));
        self.with(move |connection, deadline| schema::write(connection, &flag, Some(&text), &when, deadline))
            .await
            .map_err(|error| error.with_flag(record.name()))
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        let flag = name.to_owned();
        self.with(move |connection, deadline| schema::write(connection, &flag, None, &when, deadline))
            .await
            .map_err(|error| error.with_flag(name))
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.with(|connection, _| Ok(schema::read_all(connection)?.flags)).await
    }

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for batch in Batch::of_all(records) {
            let (flags, when) = (batch.flags.clone(), when.clone());
            let written = self.with(move |connection, deadline| {
                let texts = flags.iter().map(|(record, text)| (record.name(), text));
                schema::write_all(connection, texts, &when, deadline)
            });
            results.extend(batch.results(written.await, |error| self.named(error)));
            if give_up(&mut results, records) {
                break;
            }
        }
        results
    }

    fn identity(&self) -> crate::Identity {
        inspect::identity(&self.shared.place.path)
    }

    async fn inspect(&self) -> Vec<Check> {
        let path = self.shared.place.path.clone();
        match self.with(move |connection, _| inspect::inspect(&path, connection)).await {
            Ok(checks) => checks,
            Err(error) => vec![Check::new("reachable", Finding::Fault, error.chain())],
        }
    }

    fn stream(&self) -> FlagStream<'_> {
        pages(None, move |after: Option<String>| async move {
            let flags = self.with(move |connection, _| schema::read_page(connection, after.as_deref(), PAGE)).await?;
            let next = flags.last().filter(|_| flags.len() == PAGE).map(|flag| Some(flag.name.clone()));
            Ok((flags, next))
        })
    }
}
