//! The thread that writes, one flag after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::batch::Flag;
use super::errors::{closed, from_sqlite, unavailable};
use super::file::is_read_only;
use super::follower::Request;
use super::{Link, Shared, file, schema};
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;
use crate::store::{Precondition, Stored, Version};

/// So long after the last write the -wal file is emptied.
const REST: Duration = Duration::from_millis(100);

/// What the writer is asked.
pub(super) enum Job {
    Write(Write, oneshot::Sender<Result<Version>>),
    WriteAll(WriteAll, oneshot::Sender<Result<Vec<Result<Version>>>>),
    /// End, and tell.
    Close(oneshot::Sender<Result<()>>),
    #[cfg(test)]
    Panic,
}

pub(super) struct Write {
    pub(super) name: String,
    /// What to store, as a record and as its text; `None` to delete.
    pub(super) record: Option<(Arc<FlagRecord>, Arc<str>)>,
    pub(super) when: Precondition,
    /// Until when to wait for others who write.
    pub(super) deadline: Instant,
}

/// Many flags in one transaction.
pub(super) struct WriteAll {
    pub(super) flags: Vec<Flag>,
    pub(super) when: Precondition,
    /// Until when to wait for others who write.
    pub(super) deadline: Instant,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Receiver<Job>,
    pub(super) follower: Sender<Request>,
}

impl Writer {
    pub(super) fn run(self) {
        let mut written = false;
        loop {
            let next = if written { self.jobs.recv_timeout(REST) } else { self.jobs.recv().map_err(Into::into) };
            let job = match next {
                Ok(job) => job,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    // Not while somebody else is at it.
                    written = !matches!(self.guarded(|| self.empty_the_log()), Ok(true));
                    continue;
                }
            };
            written = true;
            match job {
                Job::Write(write, reply) => {
                    let written = self.guarded(|| self.write(&write));
                    // Fails where the caller has dropped its future.
                    let _ = reply.send(written);
                }
                Job::WriteAll(write, reply) => {
                    let written = self.guarded(|| self.write_all(&write));
                    let _ = reply.send(written);
                }
                Job::Close(reply) => {
                    let _ = reply.send(self.guarded(|| self.close()));
                    return;
                }
                #[cfg(test)]
                Job::Panic => drop(self.guarded::<()>(|| panic!("a test asked for it"))),
            }
        }
    }

    fn guarded<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let error = unavailable("the thread that writes the database panicked");
            self.shared.pulse.stale(&error);
            // The follower opens everything anew, and memory takes what really is in the file.
            self.shared.reopen.store(true, Ordering::Release);
            Err(error)
        })
    }

    fn write(&self, write: &Write) -> Result<Version> {
        let guard = self.current_link()?;
        let Some(link) = guard.as_ref() else { return Err(not_open()) };
        let text = write.record.as_ref().map(|(_, text)| text);
        let written = schema::write(&link.writer, &write.name, text, &write.when, write.deadline);
        let version = self.settle(link, written)?;
        let table = &self.shared.table;
        match &write.record {
            Some((record, _)) => self.show(&write.name, record, version.clone()),
            // A name that never was needs no tombstone.
            None if table.slot(&write.name).is_none() => {}
            None => {
                table.remove(&write.name, version.clone());
            }
        }
        Ok(version)
    }

    fn write_all(&self, write: &WriteAll) -> Result<Vec<Result<Version>>> {
        let guard = self.current_link()?;
        let Some(link) = guard.as_ref() else { return Err(not_open()) };
        let texts = write.flags.iter().map(|(record, text)| (record.name(), text));
        let written = schema::write_all(&link.writer, texts, &write.when, write.deadline);
        let results = self.settle(link, written)?;
        for ((record, _), result) in write.flags.iter().zip(&results) {
            if let Ok(version) = result {
                self.show(record.name(), record, version.clone());
            }
        }
        Ok(results)
    }

    /// The connection to the file that the name stands for now.
    fn current_link(&self) -> Result<MutexGuard<'_, Option<Link>>> {
        let is_current = |link: &Option<Link>| {
            !self.shared.reopen.load(Ordering::Acquire)
                && link.as_ref().is_some_and(|link| self.shared.is_current(&link.identity))
        };
        let guard = self.shared.link();
        if guard.as_ref().is_some_and(|link| is_read_only(&link.writer)) {
            // Somebody may have made the file writable.
            self.shared.reopen.store(true, Ordering::Release);
        }
        if is_current(&guard) {
            return Ok(guard);
        }
        drop(guard);
        self.sync()?;
        Ok(self.shared.link())
    }

    /// What a transaction came to, given what became of the file meanwhile.
    fn settle<T>(&self, link: &Link, written: Result<T>) -> Result<T> {
        if !link.writer.is_autocommit() {
            // Not even rolling back worked.
            self.shared.reopen.store(true, Ordering::Release);
        }
        let written = written?;
        // Had it been replaced before the commit, then this was written to a file that nobody will read.
        self.shared.place.look(&link.identity)?;
        Ok(written)
    }

    fn show(&self, name: &str, record: &Arc<FlagRecord>, version: Version) {
        self.shared.table.apply(Stored { name: name.to_owned(), version, record: Ok(record.clone()) });
    }

    /// Has the follower find out what file there is.
    fn sync(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.follower.send(Request::Sync(reply)).map_err(|_ended| closed())?;
        answer.blocking_recv().map_err(|_ended| closed())?
    }

    /// Moves what is in the -wal file into the database file. Who copies the database file alone then has all of it, and who
    /// copies another file over it finds no -wal file of the old one beside it.
    fn empty_the_log(&self) -> Result<bool> {
        let guard = self.shared.link();
        let Some(link) = guard.as_ref() else { return Ok(true) };
        // While others write they need it, and must not wait for this.
        if !link.identity.log_rests(REST) || !self.shared.is_current(&link.identity) {
            return Ok(false);
        }
        link.writer.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
        let busy =
            link.writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0).map(|busy: i64| busy > 0));
        busy.map(|busy| !busy).map_err(from_sqlite)
    }

    fn close(&self) -> Result<()> {
        let Some(link) = self.shared.link().take() else { return Ok(()) };
        if self.shared.is_foreign(&link.identity) {
            // The -wal file may not be of what is in the database file now.
            file::leave(link.writer);
            return Ok(());
        }
        if self.shared.place.look(&link.identity).is_err() {
            self.shared.place.abandon(link.writer, None, &link.identity);
            return Ok(());
        }
        link.writer.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
        // Others who are at it will do the rest.
        let checkpoint = link.writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(from_sqlite);
        match checkpoint {
            Err(error) if !error.is_transient() && error.kind() != ErrorKind::Unauthorized => Err(error),
            _ => link.writer.close().map_err(|(_, error): (_, _)| -> Error { from_sqlite(error) }),
        }
    }
}

fn not_open() -> Error {
    unavailable("database file is not open")
}
