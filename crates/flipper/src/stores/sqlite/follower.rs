//! The thread of a watch: it finds what others write.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::errors::{Named, from_sqlite, unavailable};
use super::file::leave;
use super::followers::{Registered, Request};
use super::hint::Hint;
use super::link::{File, Holder};
use super::schema::{self, Marks};
use crate::error::{Error, Result};
use crate::state::{Updates, WatchEvent};

/// How often to look when notifications work.
const WITH_HINTS: Duration = Duration::from_millis(50);
/// How often to look when they do not.
const WITHOUT_HINTS: Duration = Duration::from_millis(3);
/// The pause after the first look, when a notification came before the change could be seen.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// So many changes without a notification mean that none will come: a network or container file system.
const DEAF_AFTER: u32 = 3;
/// Longer waits would make it late for others; it comes again anyway.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often to look whether the reader of the stream has taken events.
const WHILE_FULL: Duration = Duration::from_millis(1);
/// How often a watch is told that nothing has changed.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// A look at the file may take so long, and what was read before still counts as current.
const SLOW_LOOK: Duration = Duration::from_secs(10);

pub(super) struct Follower {
    file: Arc<File>,
    holder: Arc<Holder>,
    poll_every: Option<Duration>,
    requests: Receiver<Request>,
    /// For the notifications.
    sender: Sender<Request>,
    session: Option<Session>,
    hint: Option<Hint>,
    /// When the last notification came; SQLite writes the -wal file, which is what is notified, before it makes a change
    /// visible, and it syncs the disk in between.
    hinted: Option<Instant>,
    unhinted: u32,
    /// Why the file cannot be followed, as it was reported last.
    lost: Option<Arc<str>>,
    /// How changes arrive, as it was reported last.
    updates: Option<Updates>,
    confirmed: Option<Instant>,
    #[cfg(test)]
    panic: bool,
    /// The last to be dropped: who closes the store waits for it.
    _registered: Registered,
}

/// What was read by the connection.
struct Session {
    data_version: i64,
    /// What was taken in; `None` after an error that may have changed anything.
    seen: Option<Marks>,
}

impl Follower {
    /// `lost`: whether the last event of the watch was that the file cannot be followed.
    pub(super) fn new(
        file: Arc<File>,
        poll_every: Option<Duration>,
        (sender, requests): (Sender<Request>, Receiver<Request>),
        lost: bool,
        registered: Registered,
    ) -> Self {
        Self {
            holder: file.add(),
            file,
            poll_every,
            requests,
            sender,
            session: None,
            hint: None,
            hinted: None,
            unhinted: 0,
            lost: lost.then(|| "".into()),
            updates: None,
            confirmed: None,
            #[cfg(test)]
            panic: false,
            _registered: registered,
        }
    }

    /// Passes on what it finds until no one takes it, or it is asked to end.
    pub(super) fn run(mut self, begun: bool, events: &mpsc::Sender<WatchEvent>) {
        let mut next = if begun { self.wait() } else { Some(false) };
        while let Some(by_clock) = next {
            if !self.step(by_clock).into_iter().all(|event| self.send(events, event)) {
                break;
            }
            next = self.wait();
        }
    }

    /// Waits while too many events wait for the reader of the stream; says whether to go on.
    fn send(&mut self, events: &mpsc::Sender<WatchEvent>, mut event: WatchEvent) -> bool {
        loop {
            event = match events.try_send(event) {
                Ok(()) => return true,
                Err(TrySendError::Full(event)) => event,
                Err(TrySendError::Closed(_)) => return false,
            };
            if self.wait_for(WHILE_FULL).is_none() {
                return false;
            }
        }
    }

    /// Waits for a reason to look, and says whether it is the time alone; `None` to end.
    fn wait(&mut self) -> Option<bool> {
        let pause = self.pause();
        self.wait_for(pause)
    }

    fn wait_for(&mut self, pause: Duration) -> Option<bool> {
        let first = match self.requests.recv_timeout(pause) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let by_clock = first.is_none();
        for request in first.into_iter().chain(std::iter::from_fn(|| self.requests.try_recv().ok())) {
            match request {
                Request::Hint => {
                    self.hinted = Some(Instant::now());
                    self.unhinted = 0;
                }
                Request::Close => return None,
                #[cfg(test)]
                Request::Panic => self.panic = true,
                #[cfg(test)]
                Request::Deafen(elsewhere) => self.hint = Hint::new(&elsewhere, self.sender.clone()).ok(),
            }
        }
        if let Some(hint) = &self.hint {
            hint.taken();
        }
        Some(by_clock)
    }

    fn pause(&mut self) -> Duration {
        let every = self.every();
        let since = self.hinted.map(|hinted| hinted.elapsed());
        match since {
            Some(since) if since < every => (since / 2).clamp(FIRST_PAUSE, every),
            _ => {
                self.hinted = None;
                every
            }
        }
    }

    fn every(&self) -> Duration {
        match (self.poll_every, &self.session, &self.hint) {
            (Some(every), ..) => every,
            (None, Some(_), None) => WITHOUT_HINTS,
            (None, ..) => WITH_HINTS,
        }
    }

    /// Looks at the file, and gives what there is to report.
    pub(super) fn step(&mut self, by_clock: bool) -> Vec<WatchEvent> {
        let read_at = Instant::now();
        let found = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(!std::mem::take(&mut self.panic), "a test asked for it");
            self.look(read_at)
        }));
        let found = found.unwrap_or_else(|_| {
            // Whatever was half done is done again.
            self.end_session();
            Err(unavailable("the thread that reads the database panicked"))
        });
        match found {
            Ok(news) => {
                if !news.is_empty() && by_clock && self.hint.is_some() && self.hinted.is_none() {
                    self.missed_a_hint();
                }
                self.report(news, read_at)
            }
            Err(error) => {
                if let Some(session) = &mut self.session {
                    session.seen = None;
                }
                self.lose(error)
            }
        }
    }

    fn report(&mut self, news: Vec<WatchEvent>, read_at: Instant) -> Vec<WatchEvent> {
        let mut events = Vec::with_capacity(news.len() + 3);
        if self.lost.take().is_some() {
            events.push(WatchEvent::Restored);
        }
        let every = self.every();
        let holds_for = every.max(CONFIRM_EVERY) + SLOW_LOOK;
        let is_reset = matches!(news.first(), Some(WatchEvent::Reset { .. }));
        events.extend(news.into_iter().map(|event| match event {
            WatchEvent::Reset { flags, read_at, .. } => {
                WatchEvent::Reset { flags, read_at, valid_for: Some(holds_for) }
            }
            event => event,
        }));
        let updates = if self.hint.is_some() { Updates::Push } else { Updates::Poll { every } };
        if self.updates.replace(updates) != Some(updates) {
            events.push(WatchEvent::Following(updates));
        }
        if is_reset || self.confirmed.is_none_or(|at| at.elapsed() >= CONFIRM_EVERY) {
            self.confirmed = Some(read_at);
            events.push(WatchEvent::Confirmed { at: read_at, valid_for: holds_for });
        }
        events
    }

    fn lose(&mut self, error: Error) -> Vec<WatchEvent> {
        let error = error.with_store(Named(&self.file.place.path));
        let reason: Arc<str> = error.chain().into();
        if self.lost.replace(reason.clone()) == Some(reason) {
            return Vec::new();
        }
        vec![WatchEvent::Lost(error)]
    }

    /// What is new: single changes, or a reset.
    fn look(&mut self, read_at: Instant) -> Result<Vec<WatchEvent>> {
        let mut held = self.holder.lock();
        if let (Some(session), Some(link)) = (&mut self.session, &mut *held) {
            match link.look(&self.file.place) {
                Ok(content) if link.knows(content) => return session.read(&link.connection, read_at),
                // What cannot be read any more is not the same.
                Ok(content) if session.is_the_same(&link.connection).unwrap_or(false) => {
                    link.know(content);
                    return session.read(&link.connection, read_at);
                }
                Err(gone) if self.file.place.is_gone() => {
                    link.await_file();
                    return Err(gone);
                }
                _ => {}
            }
        }
        drop(held);
        self.reopen(read_at)
    }

    /// Opens whatever file is there now.
    fn reopen(&mut self, read_at: Instant) -> Result<Vec<WatchEvent>> {
        self.end_session();
        let link = self.file.open(PATIENCE)?;
        let all = schema::read_all(&link.connection)?;
        self.hint = match Hint::new(link.identity.main(), self.sender.clone()) {
            Ok(hint) => Some(hint),
            Err(error) => {
                tracing::info!(file = %self.file.place.path.display(), %error, "no notifications, polling");
                None
            }
        };
        // What happened between the read and the beginning of notifications.
        self.hinted = Some(Instant::now());
        self.unhinted = 0;
        *self.holder.lock() = Some(link);
        self.session = Some(Session { data_version: all.data_version, seen: Some(all.marks) });
        Ok(vec![WatchEvent::Reset { flags: all.flags, read_at: Some(read_at), valid_for: None }])
    }

    fn end_session(&mut self) {
        (self.hint, self.session) = (None, None);
        // Held until it is closed: whoever opens the file waits for that.
        let mut held = self.holder.lock();
        let Some(link) = held.take() else { return };
        match self.file.place.look(&link.identity) {
            // The file is the same, and its content may not be: what is in the -wal file is not of it.
            Ok(_) => leave(link.connection),
            Err(_) => link.discard(&self.file.place),
        }
    }

    fn missed_a_hint(&mut self) {
        self.unhinted += 1;
        if self.unhinted >= DEAF_AFTER {
            tracing::info!(file = %self.file.place.path.display(), "changes are not notified, polling");
            self.hint = None;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.file.remove(&self.holder);
    }
}

impl Session {
    /// Whether the file has what this connection takes it to have. Who commits tells other connections so; who copies another
    /// file's bytes into this one does not. Nor does who moves commits from the -wal file into it, which leaves all as it is.
    fn is_the_same(&self, connection: &Connection) -> Result<bool> {
        schema::forget_pages(connection)?;
        let marks = schema::marks(connection)?;
        // After that, so that a commit in between shows.
        let data_version = schema::data_version(connection).map_err(from_sqlite)?;
        Ok(data_version != self.data_version || self.seen.is_none_or(|seen| seen == marks))
    }

    fn read(&mut self, connection: &Connection, read_at: Instant) -> Result<Vec<WatchEvent>> {
        let read_at = Some(read_at);
        let data_version = schema::data_version(connection).map_err(from_sqlite)?;
        if self.seen.is_some() && data_version == self.data_version {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        let news = match self.seen {
            Some(seen) => schema::read_news(connection, seen, |name, version, value| {
                events.push(match value {
                    Some(value) => WatchEvent::Changed { flag: schema::stored_at(name, version, value), read_at },
                    None => WatchEvent::Removed { name: name.to_owned(), version: Some(version), read_at },
                });
            })?,
            None => None,
        };
        if let Some(news) = news {
            self.seen = Some(news.marks);
            self.data_version = news.data_version;
            return Ok(events);
        }
        let all = schema::read_all(connection)?;
        self.seen = Some(all.marks);
        self.data_version = all.data_version;
        Ok(vec![WatchEvent::Reset { flags: all.flags, read_at, valid_for: None }])
    }
}
