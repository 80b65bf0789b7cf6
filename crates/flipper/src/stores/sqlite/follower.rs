use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::errors::{Named, from_sqlite, is_torn};
use super::file::leave;
use super::followers::{Registered, Request};
use super::hint::Hint;
use super::link::{File, Holder};
use super::schema::{self, Position};
use crate::error::{Error, Result};
use crate::state::{Updates, WatchEvent};

const WITH_HINTS: Duration = Duration::from_millis(50);
const WITHOUT_HINTS: Duration = Duration::from_millis(3);
/// If a notification came before its change was visible.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// After so many changes without a notification none are expected: a network or container file system.
const UNNOTIFIED_LIMIT: u32 = 3;
/// To open the file. A longer one would delay other threads, and the follower tries again anyway.
const PATIENCE: Duration = Duration::from_millis(250);
const WHILE_FULL: Duration = Duration::from_millis(1);
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// For a slow read, while flags count as current.
const SLOW_LOOK: Duration = Duration::from_secs(10);

pub(super) struct Follower {
    file: Arc<File>,
    holder: Arc<Holder>,
    poll_every: Option<Duration>,
    requests: Receiver<Request>,
    sender: Sender<Request>,
    session: Option<Session>,
    hint: Option<Hint>,
    /// The last notification: it comes with the write of the -wal file, before the sync of the disk makes the change visible.
    hinted: Option<Instant>,
    unhinted: u32,
    lost: Option<Arc<str>>,
    updates: Option<Updates>,
    confirmed: Option<Instant>,
    #[cfg(test)]
    panic: bool,
    /// Dropped last: closing the store waits for it.
    _registered: Registered,
}

/// `None` after an error that may have changed anything.
struct Session(Option<Position>);

impl Follower {
    /// `lost`: the last event of the watch was `Lost`.
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

    pub(super) fn run(mut self, begun: bool, events: &mpsc::Sender<WatchEvent>) {
        let mut next = if begun { self.wait() } else { Some(false) };
        while let Some(by_clock) = next {
            if !self.step(by_clock).into_iter().all(|event| self.send(events, event)) {
                break;
            }
            next = self.wait();
        }
    }

    /// Waits while the queue is full; returns `false` to end.
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

    /// Returns whether the time alone is the reason to read, `None` to end.
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

    pub(super) fn step(&mut self, by_clock: bool) -> Vec<WatchEvent> {
        let read_at = Instant::now();
        let found = catch_unwind(AssertUnwindSafe(|| {
            #[cfg(test)]
            assert!(!std::mem::take(&mut self.panic), "a test asked for it");
            self.look(read_at)
        }));
        let found = found.unwrap_or_else(|_| {
            // The session may be inconsistent.
            self.end_session();
            Err(Error::unavailable("the thread that reads the database panicked"))
        });
        match found {
            Ok(changes) => {
                if !changes.is_empty() && by_clock && self.hint.is_some() && self.hinted.is_none() {
                    self.missed_a_hint();
                }
                self.report(changes, read_at)
            }
            Err(error) => {
                if let Some(session) = &mut self.session {
                    session.0 = None;
                }
                if is_torn(&error) {
                    self.file.discard_all();
                }
                self.lose(error)
            }
        }
    }

    fn report(&mut self, changes: Vec<WatchEvent>, read_at: Instant) -> Vec<WatchEvent> {
        let mut events = Vec::with_capacity(changes.len() + 3);
        if self.lost.take().is_some() {
            events.push(WatchEvent::Restored);
        }
        let every = self.every();
        let holds_for = every.max(CONFIRM_EVERY) + SLOW_LOOK;
        let is_reset = matches!(changes.first(), Some(WatchEvent::Reset { .. }));
        events.extend(changes.into_iter().map(|event| match event {
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

    fn look(&mut self, read_at: Instant) -> Result<Vec<WatchEvent>> {
        let mut held = self.holder.lock();
        if let (Some(session), Some(link)) = (&mut self.session, &mut *held) {
            match link.look(&self.file.place) {
                Ok(content) if link.has_read(content) => return session.read(&link.connection, read_at),
                // A failed read counts as changed.
                Ok(content) if session.is_the_same(&link.connection).unwrap_or(false) => {
                    link.set_read(content);
                    return session.read(&link.connection, read_at);
                }
                Err(missing) if self.file.place.is_missing() => {
                    link.await_file();
                    return Err(missing);
                }
                _ => {}
            }
        }
        drop(held);
        self.reopen(read_at)
    }

    fn reopen(&mut self, read_at: Instant) -> Result<Vec<WatchEvent>> {
        self.end_session();
        let held = self.file.open(&self.holder, PATIENCE)?;
        // Unreachable: it was opened just now.
        let Some(link) = &*held else { return Err(Error::unavailable("the database file is not open")) };
        let (flags, position) = schema::read_all(&link.connection)?;
        self.hint = match Hint::new(link.identity.main(), self.sender.clone()) {
            Ok(hint) => Some(hint),
            Err(error) => {
                tracing::info!(file = %self.file.place.path.display(), %error, "no notifications, polling");
                None
            }
        };
        // For changes between the read and the start of notifications.
        self.hinted = Some(Instant::now());
        self.unhinted = 0;
        drop(held);
        self.session = Some(Session(Some(position)));
        Ok(vec![WatchEvent::Reset { flags, read_at: Some(read_at), valid_for: None }])
    }

    fn end_session(&mut self) {
        (self.hint, self.session) = (None, None);
        // Until closed, so that `File::open` waits for that.
        let mut held = self.holder.lock();
        let Some(link) = held.take() else { return };
        match self.file.place.look(&link.identity) {
            // Other content may have been copied into the file, which the -wal file does not belong to.
            Ok(_) => leave(link.connection),
            Err(_) => link.discard(&self.file.place),
        }
    }

    fn missed_a_hint(&mut self) {
        self.unhinted += 1;
        if self.unhinted >= UNNOTIFIED_LIMIT {
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
    /// Whether the file's content is what this connection expects. A commit changes `data_version`; copying another file's bytes over it
    /// does not. A checkpoint changes neither.
    fn is_the_same(&self, connection: &Connection) -> Result<bool> {
        schema::forget_pages(connection)?;
        let marks = schema::marks(connection).map_err(from_sqlite)?;
        // Last, so that a commit in between shows.
        let data_version = schema::data_version(connection).map_err(from_sqlite)?;
        Ok(self.0.is_none_or(|before| data_version != before.data_version || marks == before.marks))
    }

    fn read(&mut self, connection: &Connection, read_at: Instant) -> Result<Vec<WatchEvent>> {
        let read_at = Some(read_at);
        if let Some(before) = self.0 {
            if schema::data_version(connection).map_err(from_sqlite)? == before.data_version {
                return Ok(Vec::new());
            }
            let mut events = Vec::new();
            let changes = schema::read_changes(connection, before.marks, |name, version, value| {
                events.push(match value {
                    Some(value) => WatchEvent::Changed { flag: schema::stored(name, version, value), read_at },
                    None => WatchEvent::Removed { name: name.to_owned(), version: Some(version), read_at },
                });
            })?;
            if changes.is_some() {
                self.0 = changes;
                return Ok(events);
            }
        }
        let (flags, position) = schema::read_all(connection)?;
        self.0 = Some(position);
        Ok(vec![WatchEvent::Reset { flags, read_at, valid_for: None }])
    }
}
