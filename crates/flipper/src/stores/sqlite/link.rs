//! The connections of a store to its file, and whether they still lead to what the path names.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::errors::{Named, from_sqlite};
use super::file::{self, Content, Identity, Place, is_past, is_read_only};
use super::schema;
use crate::error::{Error, ErrorKind, Result};

/// A connection, and the files that it was opened on.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) identity: Identity,
    /// When the database file was written last, and whether no later writing can have that time.
    content: (Content, bool),
    /// The file has lost its name since, and nothing is in the -wal file any more.
    emptied: bool,
}

impl Link {
    fn open(place: &Place, patience: Duration) -> Result<Self> {
        let (connection, identity, content) = place.connect(patience)?;
        Ok(Self { connection, identity, content: (content, is_past(content)), emptied: false })
    }

    /// Whether the file's content is what this connection knows.
    pub(super) fn knows(&self, content: Content) -> bool {
        self.content == (content, true)
    }

    /// From now on it knows this content.
    pub(super) fn know(&mut self, content: Content) {
        self.content = (content, is_past(content));
    }

    /// As [`Place::look`].
    pub(super) fn look(&mut self, place: &Place) -> Result<Content> {
        let content = place.look(&self.identity)?;
        self.emptied = false;
        Ok(content)
    }

    /// Keeps the connection while the file has no name. It may get it back, and the -wal file that other processes still use must then be
    /// its only one: two of them would damage it. Once that is empty, another file can have the name too.
    pub(super) fn await_file(&mut self) {
        self.emptied = file::empty_wal(&self.connection, &self.identity);
    }

    /// Closes it after the file was replaced.
    pub(super) fn discard(self, place: &Place) {
        if self.emptied {
            file::leave(self.connection);
        } else {
            place.abandon(self.connection, &self.identity);
        }
    }

    /// Closes it in such a way that no file suffers that is not the one it was opened on. `last`: it tidies up.
    fn close(self, place: &Place, last: bool) -> Result<()> {
        match place.look(&self.identity) {
            Ok(now) if now == self.content.0 => {}
            // Someone wrote into the file: the -wal file may not belong to what it has now.
            Ok(_) => {
                file::leave(self.connection);
                return Ok(());
            }
            Err(_) => {
                self.discard(place);
                return Ok(());
            }
        }
        let connection = self.connection;
        if !last {
            return Ok(());
        }
        connection.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
        // Others who use the file will do the rest.
        let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(from_sqlite);
        match checkpoint {
            Err(error) if !error.is_transient() && error.kind() != ErrorKind::Unauthorized => Err(error),
            _ => connection.close().map_err(|(_, error): (_, _)| -> Error { from_sqlite(error) }),
        }
    }
}

/// The place of a connection.
#[derive(Default)]
pub(super) struct Holder(Mutex<Option<Link>>);

impl Holder {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Link>> {
        // What a panic left behind is looked at before it is used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file, and all connections of a store to it. They share what SQLite keeps beside the file, so none may stay at a file that was
/// replaced while another is opened.
pub(super) struct File {
    pub(super) place: Place,
    /// A connection of its own, so that a write which waits for others does not hold up reads.
    pub(super) reader: Holder,
    pub(super) writer: Holder,
    /// Those of watches.
    others: Mutex<Vec<Arc<Holder>>>,
}

impl File {
    pub(super) fn new(place: Place) -> Self {
        Self { place, reader: Holder::default(), writer: Holder::default(), others: Mutex::default() }
    }

    /// A connection for a watch.
    pub(super) fn add(&self) -> Arc<Holder> {
        let holder = Arc::new(Holder::default());
        self.others().push(holder.clone());
        holder
    }

    pub(super) fn remove(&self, holder: &Arc<Holder>) {
        self.others().retain(|other| !Arc::ptr_eq(other, holder));
        if let Some(link) = holder.lock().take() {
            self.warn(link.close(&self.place, false));
        }
    }

    /// Opens the file, which must exist.
    pub(super) fn open(&self, patience: Duration) -> Result<Link> {
        let others = self.others().clone();
        let holders = [&self.reader, &self.writer].into_iter().chain(others.iter().map(|holder| &**holder));
        for holder in holders {
            let mut held = holder.lock();
            if let Some(link) = held.take_if(|link| self.place.look(&link.identity).is_err() && !self.place.is_gone()) {
                link.discard(&self.place);
            }
        }
        Link::open(&self.place, patience)
    }

    /// Does work with a connection to the file that the path names now.
    pub(super) fn with<T>(
        &self,
        holder: &Holder,
        patience: Duration,
        writes: bool,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let mut held = holder.lock();
        self.refresh(&mut held, writes)?;
        let link = match held.take() {
            Some(link) => link,
            None => {
                // All are looked at, in one order.
                drop(held);
                let link = self.open(patience)?;
                held = holder.lock();
                link
            }
        };
        let link = held.insert(link);
        let done = work(&link.connection)?;
        // If the file was replaced meanwhile, this was done to one that no one will read.
        self.place.look(&link.identity)?;
        Ok(done)
    }

    /// Closes the connection if it cannot be used any more.
    fn refresh(&self, held: &mut Option<Link>, writes: bool) -> Result<()> {
        let Some(link) = held else { return Ok(()) };
        match link.look(&self.place) {
            Ok(content) if link.connection.is_autocommit() && !(writes && is_read_only(&link.connection)) => {
                if !link.knows(content) {
                    // Someone wrote into it: the pages in this connection's memory may be another file's by now.
                    schema::forget_pages(&link.connection)?;
                    link.know(content);
                }
            }
            Err(gone) if self.place.is_gone() => {
                link.await_file();
                return Err(gone);
            }
            // Not even rolling back worked, or the file may have been made writable since.
            _ => {
                if let Some(link) = held.take() {
                    link.discard(&self.place);
                }
            }
        }
        Ok(())
    }

    /// Moves what is in the -wal file into the database file, unless others are writing. Who copies the database file alone then has all
    /// of it, and who copies another file over it finds no -wal file of the old one beside it.
    pub(super) fn empty_log(&self, rest: Duration) -> Result<bool> {
        let mut held = self.writer.lock();
        let Some(link) = held.as_mut() else { return Ok(true) };
        let content = self.place.look(&link.identity)?;
        if !link.knows(content) {
            schema::forget_pages(&link.connection)?;
            link.know(content);
            return Ok(false);
        }
        if !link.identity.log_rests(rest) {
            return Ok(false);
        }
        link.connection.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
        let emptied = link.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        link.know(self.place.look(&link.identity)?);
        emptied.map(|busy| busy == 0).map_err(from_sqlite)
    }

    /// Closes the connections of the store itself; those of watches are closed before.
    pub(super) fn close(&self) -> Result<()> {
        if let Some(link) = self.reader.lock().take() {
            self.warn(link.close(&self.place, false));
        }
        self.writer.lock().take().map_or(Ok(()), |link| link.close(&self.place, true))
    }

    fn warn(&self, closed: Result<()>) {
        if let Err(error) = closed {
            tracing::warn!(store = %Named(&self.place.path), reason = error.chain(), "the file was not released in good order");
        }
    }

    fn others(&self) -> MutexGuard<'_, Vec<Arc<Holder>>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let closed = self.close();
        self.warn(closed);
    }
}
