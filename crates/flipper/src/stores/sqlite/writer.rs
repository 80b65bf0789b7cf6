//! The thread that writes, one flag after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::errors::{closed, from_sqlite, unavailable};
use super::file::is_read_only;
use super::follower::Request;
use super::{Shared, schema};
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;
use crate::store::{Precondition, Stored, Version};

/// What the writer is asked.
pub(super) enum Job {
    Write(Write, oneshot::Sender<Result<Version>>),
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

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Receiver<Job>,
    pub(super) follower: Sender<Request>,
}

impl Writer {
    pub(super) fn run(self) {
        while let Ok(job) = self.jobs.recv() {
            match job {
                Job::Write(write, reply) => {
                    let written = self.guarded(|| self.write(&write));
                    // Fails where the caller has dropped its future.
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
        let Shared { place, table, .. } = &*self.shared;
        let is_current = |link: &Option<super::Link>| {
            !self.shared.reopen.load(Ordering::Acquire)
                && link.as_ref().is_some_and(|link| place.look(&link.identity).is_ok())
        };
        let mut guard = self.shared.link();
        if guard.as_ref().is_some_and(|link| is_read_only(&link.writer)) {
            // Somebody may have made the file writable.
            self.shared.reopen.store(true, Ordering::Release);
        }
        if !is_current(&guard) {
            drop(guard);
            self.sync()?;
            guard = self.shared.link();
        }
        let Some(link) = guard.as_ref() else { return Err(unavailable("database file is not open")) };
        let text = write.record.as_ref().map(|(_, text)| text);
        let written = schema::write(&link.writer, &write.name, text, &write.when, write.deadline);
        if !link.writer.is_autocommit() {
            // Not even rolling back worked.
            self.shared.reopen.store(true, Ordering::Release);
        }
        let version = written?;
        // Had it been replaced before the commit, then this was written to a file that nobody will read.
        place.look(&link.identity)?;
        match &write.record {
            Some((record, _)) => {
                let (name, record) = (write.name.clone(), Ok(record.clone()));
                table.apply(Stored { name, version: version.clone(), record });
            }
            // A name that never was needs no tombstone.
            None if table.slot(&write.name).is_none() => {}
            None => {
                table.remove(&write.name, version.clone());
            }
        }
        Ok(version)
    }

    /// Has the follower find out what file there is.
    fn sync(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.follower.send(Request::Sync(reply)).map_err(|_ended| closed())?;
        answer.blocking_recv().map_err(|_ended| closed())?
    }

    fn close(&self) -> Result<()> {
        let Some(link) = self.shared.link().take() else { return Ok(()) };
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
