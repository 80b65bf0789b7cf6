//! The thread that reads: it brings what others write into memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::errors::{from_sqlite, unavailable};
use super::file::{Identity, Opened};
use super::hint::Hint;
use super::schema::{self, Marks};
use super::{Link, Shared, file};
use crate::error::{Error, Result};
use crate::status::Updates;

/// What the follower is asked.
pub(super) enum Request {
    /// Something may have happened to the file.
    Hint,
    /// Bring in all that was committed before now, and tell.
    Sync(oneshot::Sender<Result<()>>),
    /// End, and tell.
    Close(oneshot::Sender<()>),
    #[cfg(test)]
    Panic,
    /// Be notified of another folder, as if of this one nothing came.
    #[cfg(test)]
    Deafen(std::path::PathBuf),
}

/// How often to look when notifications work.
const WITH_HINTS: Duration = Duration::from_millis(50);
/// How often to look when they do not.
const WITHOUT_HINTS: Duration = Duration::from_millis(3);
/// The pause after the first look, when a notification came before the change could be seen.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// So many changes without a notification mean that none will come: a network or container file system.
const DEAF_AFTER: u32 = 3;

pub(super) struct Follower {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    /// For the notifications.
    sender: Sender<Request>,
    session: Option<Session>,
    hint: Option<Hint>,
    /// When the last notification came; SQLite writes the -wal file, which is what is notified, before it makes a change
    /// visible, and it syncs the disk in between.
    hinted: Option<Instant>,
    unhinted: u32,
}

struct Session {
    reader: Connection,
    identity: Identity,
    data_version: i64,
    /// What was taken in; `None` after an error that may have changed anything.
    seen: Option<Marks>,
}

impl Follower {
    pub(super) fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
        sender: Sender<Request>,
        opened: Opened,
    ) -> Self {
        let mut follower = Self { shared, requests, sender, session: None, hint: None, hinted: None, unhinted: 0 };
        let link = follower.shared.clone();
        follower.begin(opened, &mut link.link());
        follower.note(&Ok(()));
        follower
    }

    pub(super) fn run(mut self) {
        loop {
            let pause = self.pause();
            let first = match self.requests.recv_timeout(pause) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let by_clock = first.is_none();
            let mut waiting = Vec::new();
            let mut closing = None;
            #[cfg(test)]
            let mut panic = false;
            for request in first.into_iter().chain(std::iter::from_fn(|| self.requests.try_recv().ok())) {
                match request {
                    Request::Hint => {
                        self.hinted = Some(Instant::now());
                        self.unhinted = 0;
                    }
                    Request::Sync(reply) => waiting.push(reply),
                    Request::Close(reply) => closing = Some(reply),
                    #[cfg(test)]
                    Request::Panic => panic = true,
                    #[cfg(test)]
                    Request::Deafen(elsewhere) => self.hint = Hint::new(&elsewhere, self.sender.clone()).ok(),
                }
            }
            if let Some(hint) = &self.hint {
                hint.taken();
            }
            let synced = catch_unwind(AssertUnwindSafe(|| {
                #[cfg(test)]
                assert!(!panic, "a test asked for it");
                self.sync()
            }));
            let result = synced.unwrap_or_else(|_| {
                // Whatever was half done is done anew.
                self.shared.reopen.store(true, Ordering::Release);
                Err(unavailable("the thread that reads the database panicked"))
            });
            if matches!(result, Ok(true)) && by_clock && self.hint.is_some() && self.hinted.is_none() {
                self.missed_a_hint();
            }
            let result = result.map(drop);
            self.note(&result);
            for reply in waiting {
                // Fails where the caller has dropped its future.
                let _ = reply.send(result.as_ref().copied().map_err(Error::copy));
            }
            if let Some(reply) = closing {
                self.shared.pulse.closed();
                self.close();
                let _ = reply.send(());
                return;
            }
        }
    }

    fn pause(&mut self) -> Duration {
        let every = match (self.shared.options.poll_every, &self.session, &self.hint) {
            (Some(every), ..) => every,
            (None, Some(_), None) => WITHOUT_HINTS,
            (None, ..) => WITH_HINTS,
        };
        let since = self.hinted.map(|hinted| hinted.elapsed());
        match since {
            Some(since) if since < every => (since / 2).clamp(FIRST_PAUSE, every),
            _ => {
                self.hinted = None;
                every
            }
        }
    }

    /// Takes in what is new, and says whether there was anything.
    fn sync(&mut self) -> Result<bool> {
        let lost = self.shared.reopen.swap(false, Ordering::AcqRel);
        let Some(session) = self.session.as_mut().filter(|_| !lost) else { return self.reopen() };
        let Ok(content) = self.shared.place.look(&session.identity) else { return self.reopen() };
        if !self.shared.has(content) {
            // What cannot be read any more is not the same.
            if !session.is_the_same().unwrap_or(false) {
                return self.reopen();
            }
            // While a write waits for others its connection is not free, and this is looked at again.
            if let Ok(link) = self.shared.link.try_lock() {
                link.as_ref().map_or(Ok(()), |link| schema::forget_pages(&link.writer))?;
                self.shared.have(content);
            }
        }
        let result = session.read(&self.shared);
        if result.is_err() {
            session.seen = None;
        }
        result
    }

    /// Opens whatever file is there now, and forgets what was in the one before.
    fn reopen(&mut self) -> Result<bool> {
        let shared = self.shared.clone();
        // Held until memory has the new file's flags, so that no write to the old one can get in after them.
        let mut link = shared.link();
        self.hint = None;
        let reader = self.session.take().map(|session| session.reader);
        if let Some(Link { writer, identity }) = link.take() {
            if shared.is_foreign(&identity) {
                // What is in the -wal file is not of it.
                reader.into_iter().chain([writer]).for_each(file::leave);
            } else {
                shared.place.abandon(writer, reader, &identity);
            }
        }
        let opened = shared.place.open()?;
        self.begin(opened, &mut link);
        Ok(true)
    }

    fn begin(&mut self, opened: Opened, link: &mut Option<Link>) {
        let Opened { reader, writer, identity, content, all } = opened;
        self.shared.have(content);
        self.shared.table.reset(all.flags);
        self.hint = match Hint::new(identity.main(), self.sender.clone()) {
            Ok(hint) => Some(hint),
            Err(error) => {
                tracing::info!(file = %self.shared.place.path.display(), %error, "no notifications, polling");
                None
            }
        };
        // What happened between the read and the beginning of notifications.
        self.hinted = Some(Instant::now());
        self.unhinted = 0;
        *link = Some(Link { writer, identity: identity.clone() });
        self.session = Some(Session { reader, identity, data_version: all.data_version, seen: Some(all.marks) });
    }

    fn close(self) {
        match self.session {
            Some(session)
                if self.shared.is_foreign(&session.identity) || self.shared.place.look(&session.identity).is_err() =>
            {
                file::leave(session.reader);
            }
            _ => {}
        }
    }

    fn missed_a_hint(&mut self) {
        self.unhinted += 1;
        if self.unhinted >= DEAF_AFTER {
            tracing::info!(file = %self.shared.place.path.display(), "changes are not notified, polling");
            self.hint = None;
        }
    }

    fn note(&self, result: &Result<()>) {
        match (result, &self.hint) {
            (Ok(()), Some(_)) => self.shared.pulse.live(Updates::Push),
            (Ok(()), None) => {
                let every = self.shared.options.poll_every.unwrap_or(WITHOUT_HINTS);
                self.shared.pulse.live(Updates::Poll { every });
            }
            (Err(error), _) => self.shared.pulse.stale(error),
        }
    }
}

impl Session {
    /// Whether the file has what this connection takes it to have. Who commits tells other connections so; who copies another
    /// file's bytes into this one does not. Nor does who moves commits from the -wal file into it, which leaves all as it is.
    fn is_the_same(&self) -> Result<bool> {
        schema::forget_pages(&self.reader)?;
        let marks = schema::marks(&self.reader)?;
        // After that, so that a commit in between shows.
        let data_version = schema::data_version(&self.reader).map_err(from_sqlite)?;
        Ok(data_version != self.data_version || self.seen.is_none_or(|seen| seen == marks))
    }

    fn read(&mut self, shared: &Shared) -> Result<bool> {
        let data_version = schema::data_version(&self.reader).map_err(from_sqlite)?;
        if self.seen.is_some() && data_version == self.data_version {
            return Ok(false);
        }
        let news = match self.seen {
            Some(seen) => schema::read_news(&self.reader, seen, |name, version, value| {
                let known = shared.table.slot(name).is_some_and(|slot| {
                    slot.entry().as_ref().and_then(|entry| entry.version.as_ordered()) >= version.as_ordered()
                });
                match value {
                    // Mostly a write of this process.
                    _ if known => {}
                    Some(value) => {
                        shared.table.apply(schema::stored_at(name, version, value));
                    }
                    // Also for a name that is not known: its creation may be on the way from the writer.
                    None => {
                        shared.table.remove(name, version);
                    }
                }
            })?,
            None => None,
        };
        if let Some(news) = news {
            self.seen = Some(news.marks);
            self.data_version = news.data_version;
            return Ok(true);
        }
        let _no_write_meanwhile = shared.link();
        let all = schema::read_all(&self.reader)?;
        shared.table.reset(all.flags);
        self.seen = Some(all.marks);
        self.data_version = all.data_version;
        Ok(true)
    }
}
