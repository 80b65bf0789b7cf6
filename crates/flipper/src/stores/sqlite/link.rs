use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use rusqlite::Connection;

use super::errors::{Named, from_sqlite, is_torn};
use super::file::{self, Content, Identity, Place, is_past, is_read_only};
use super::schema;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;

pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) identity: Identity,
    /// What was read, and whether a further write would show in the modification time.
    content: (Content, bool),
    /// The file lost its name, and its -wal file is empty.
    emptied: bool,
}

impl Link {
    fn open(place: &Place, patience: Duration) -> Result<Self> {
        let (connection, identity, content) = place.connect(patience)?;
        Ok(Self { connection, identity, content: (content, is_past(content)), emptied: false })
    }

    pub(super) fn has_read(&self, content: Content) -> bool {
        self.content == (content, true)
    }

    pub(super) fn set_read(&mut self, content: Content) {
        self.content = (content, is_past(content));
    }

    pub(super) fn look(&mut self, place: &Place) -> Result<Content> {
        let content = place.look(&self.identity)?;
        self.emptied = false;
        Ok(content)
    }

    /// While the file has no name, the connection stays: if the file gets it back, a second -wal file beside that of other processes would
    /// damage the database. Once the -wal file is empty, another file may take the name.
    pub(super) fn await_file(&mut self) {
        self.emptied = file::empty_wal(&self.connection, &self.identity);
    }

    pub(super) fn discard(self, place: &Place) {
        if self.emptied {
            file::leave(self.connection);
        } else {
            place.abandon(self.connection, &self.identity);
        }
    }

    /// Damages no file that has replaced the original. `last`: also checkpoints.
    fn close(self, place: &Place, last: bool) -> Result<()> {
        match place.look(&self.identity) {
            Ok(now) if now == self.content.0 && last => {}
            Ok(now) if now == self.content.0 => return Ok(()),
            // The file was overwritten: the -wal file may not belong to it.
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
        connection.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
        // If it is busy, other processes checkpoint.
        match file::checkpoint(&connection).map_err(from_sqlite) {
            Err(error) if !error.is_transient() && error.kind() != ErrorKind::Unauthorized => Err(error),
            _ => connection.close().map_err(|(_, error): (_, _)| -> Error { from_sqlite(error) }),
        }
    }
}

/// The state after a panic is checked before use.
pub(super) type Holder = Mutex<Option<Link>>;

/// No connection may stay at a replaced file while another is opened, since they share state.
pub(super) struct File {
    pub(super) place: Place,
    /// A waiting write must not block reads.
    pub(super) reader: Holder,
    pub(super) writer: Holder,
    others: Mutex<Vec<Arc<Holder>>>,
    /// One connection is opened at a time, and none is outside of its holder meanwhile. Taken before any holder.
    opening: Mutex<()>,
    /// The writer could only read.
    was_bound: AtomicBool,
}

impl File {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            reader: Holder::default(),
            writer: Holder::default(),
            others: Mutex::default(),
            opening: Mutex::default(),
            was_bound: AtomicBool::default(),
        }
    }

    pub(super) fn add(&self) -> Arc<Holder> {
        let holder = Arc::new(Holder::default());
        self.others.lock().push(holder.clone());
        holder
    }

    pub(super) fn remove(&self, holder: &Arc<Holder>) {
        self.others.lock().retain(|other| !Arc::ptr_eq(other, holder));
        if let Some(link) = holder.lock().take() {
            self.warn(link.close(&self.place, false));
        }
    }

    /// Opens the holder's connection, unless another thread has.
    pub(super) fn open<'a>(&self, holder: &'a Holder, patience: Duration) -> Result<MutexGuard<'a, Option<Link>>> {
        let _opening = self.opening.lock();
        let held = holder.lock();
        if held.is_some() {
            return Ok(held);
        }
        drop(held);
        let is_writer = std::ptr::eq(holder, &self.writer);
        let was_bound = is_writer && self.was_bound.swap(false, Ordering::Relaxed);
        let others = self.others.lock().clone();
        for _ in 0..5 {
            for holder in self.with_own(&others) {
                let mut held = holder.lock();
                // Within a process SQLite shares the -shm file, as its first connection opened it: one that may only read would keep the
                // writer from writing after the files' permissions have changed. Of a connection between two such changes nothing shows it.
                let binds_writer = |link: &Link| was_bound || is_writer && is_read_only(&link.connection);
                let is_replaced = |link: &Link| self.place.look(&link.identity).is_err() && !self.place.is_missing();
                if let Some(link) = held.take_if(|link| binds_writer(link) || is_replaced(link)) {
                    link.discard(&self.place);
                }
            }
            let link = Link::open(&self.place, patience)?;
            let is_other = |holder: &Holder| {
                holder.lock().as_ref().is_some_and(|other| !other.identity.is_of_the_files_of(&link.identity))
            };
            if self.with_own(&others).any(is_other) {
                // A file was replaced or removed after the look at the others. They have the last writes, and perhaps their -wal file lies
                // beside the new database, which would take over its content.
                file::leave(link.connection);
                continue;
            }
            let mut held = holder.lock();
            *held = Some(link);
            return Ok(held);
        }
        Err(Error::unavailable("database file is being replaced again and again"))
    }

    pub(super) fn with<T>(
        &self,
        holder: &Holder,
        patience: Duration,
        writes: bool,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let mut held = holder.lock();
        if let Some(link) = &*held {
            // Another clone of the store, with another patience, may have opened it, or `new`.
            link.connection.busy_timeout(patience).map_err(from_sqlite)?;
        }
        self.refresh(&mut held, writes)?;
        if held.is_none() {
            drop(held);
            held = self.open(holder, patience)?;
        }
        // Unreachable: it was opened just now.
        let Some(link) = &*held else { return Err(Error::unavailable("the database file is not open")) };
        match work(&link.connection) {
            // Else the work was done to a replaced file.
            Ok(done) => self.place.look(&link.identity).map(|_| done),
            Err(error) if is_torn(&error) => {
                drop(held);
                self.discard_all();
                Err(error)
            }
            Err(error) => {
                if writes && error.kind() == ErrorKind::Unauthorized {
                    self.discard_bound(&mut held);
                }
                Err(error)
            }
        }
    }

    /// Within a process connections share what they know of the -wal file. If it is wrong, it ends with the last of them.
    pub(super) fn discard_all(&self) {
        let _opening = self.opening.lock();
        let others = self.others.lock().clone();
        for holder in self.with_own(&others) {
            self.discard(&mut holder.lock());
        }
    }

    fn with_own<'a>(&'a self, others: &'a [Arc<Holder>]) -> impl Iterator<Item = &'a Holder> {
        [&self.reader, &self.writer].into_iter().chain(others.iter().map(|holder| &**holder))
    }

    fn discard(&self, held: &mut Option<Link>) {
        if let Some(link) = held.take() {
            link.discard(&self.place);
        }
    }

    /// The next writer is opened alone.
    fn discard_bound(&self, held: &mut Option<Link>) {
        self.discard(held);
        self.was_bound.store(true, Ordering::Relaxed);
    }

    fn refresh(&self, held: &mut Option<Link>, writes: bool) -> Result<()> {
        let Some(link) = held else { return Ok(()) };
        match link.look(&self.place) {
            Ok(content) if link.connection.is_autocommit() && !(writes && is_read_only(&link.connection)) => {
                if !link.has_read(content) {
                    // The file was overwritten: cached pages may be outdated.
                    schema::forget_pages(&link.connection)?;
                    link.set_read(content);
                }
            }
            Err(missing) if self.place.is_missing() => {
                link.await_file();
                return Err(missing);
            }
            // The file may have become writable.
            Ok(_) if writes && is_read_only(&link.connection) => self.discard_bound(held),
            // A rollback failed.
            _ => self.discard(held),
        }
        Ok(())
    }

    /// Unless others write: a copy of the database file is then complete, and one copied over it finds no -wal file.
    pub(super) fn empty_log(&self, rest: Duration) -> Result<bool> {
        let mut held = self.writer.lock();
        let Some(link) = held.as_mut() else { return Ok(true) };
        let content = self.place.look(&link.identity)?;
        if !link.has_read(content) {
            schema::forget_pages(&link.connection)?;
            link.set_read(content);
            return Ok(false);
        }
        if !link.identity.log_rests(rest) {
            return Ok(false);
        }
        link.connection.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
        let emptied = file::checkpoint(&link.connection);
        // Another file may have been copied over this one since: the next use reads again.
        link.content = (self.place.look(&link.identity)?, false);
        emptied.map_err(from_sqlite)
    }

    pub(super) fn close(&self) -> Result<()> {
        let reader = self.reader.lock().take();
        let Some(writer) = self.writer.lock().take() else {
            return reader.map_or(Ok(()), |link| link.close(&self.place, true));
        };
        if let Some(link) = reader {
            self.warn(link.close(&self.place, false));
        }
        writer.close(&self.place, true)
    }

    fn warn(&self, closed: Result<()>) {
        if let Err(error) = closed {
            tracing::warn!(store = %Named(&self.place.path), reason = error.chain(), "the file was not released in good order");
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let closed = self.close();
        self.warn(closed);
    }
}
