//! A thread waits in `Watch` and emits what it receives.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::WatchResult;
use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::answers::{AnswerTime, SLACK, Times, WAIT};
use super::connection::{CallError, Caller};
use super::{Target, ThriftRpcFeatureFlagStore, convert};
use crate::background;
use crate::error::Error;
use crate::lock::Mutex;
use crate::state::{Stored, Watch, WatchEvent};

const PAUSE: Duration = Duration::from_millis(100);

const EVENTS_AHEAD: usize = 16;

const RESTART: Duration = Duration::from_secs(1);

enum Message {
    Event(WatchEvent),
    Legacy,
}

pub(super) fn watch(store: &ThriftRpcFeatureFlagStore) -> Watch<'_> {
    let start = async move {
        if store.is_legacy() {
            return store.legacy_watch();
        }
        follow(store)
    };
    Box::pin(stream::once(start).flatten())
}

fn follow(store: &ThriftRpcFeatureFlagStore) -> Watch<'_> {
    let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
    let ending = Arc::new(Ending::default());
    let thread = Thread::new(store.target().clone(), sender, ending.clone());
    let started = std::thread::Builder::new().name("flipper-thrift-watch".to_owned()).spawn(move || thread.run());
    if let Err(error) = started {
        let error = Error::unavailable("no thread can be started for the watch").with_source(error);
        let lost = WatchEvent::Lost(error.with_store(store));
        return Box::pin(stream::once(std::future::ready(lost)).chain(store.legacy_watch()));
    }
    let guard = EndOnDrop(ending);
    let events = stream::unfold((receiver, guard), |(mut receiver, guard)| async move {
        let message = receiver.recv().await?;
        Some((message, (receiver, guard)))
    });
    let events = events.flat_map(move |message| -> Watch<'_> {
        match message {
            Message::Event(event) => Box::pin(stream::once(std::future::ready(event))),
            Message::Legacy => {
                store.set_legacy();
                store.legacy_watch()
            }
        }
    });
    // The thread never ends by itself: it has panicked.
    let broken = Error::unavailable("thread that follows the server panicked");
    let again = async move {
        background::sleep(RESTART).await;
        follow(store)
    };
    let lost = stream::once(std::future::ready(WatchEvent::Lost(broken.with_store(store))));
    Box::pin(events.chain(lost).chain(stream::once(again).flatten()))
}

/// Ends the thread by a flag, and by closing its connection.
#[derive(Default)]
struct Ending {
    state: Mutex<(bool, Option<Arc<TcpStream>>)>,
    connections: AtomicUsize,
    ended: Condvar,
}

impl Ending {
    fn is_ended(&self) -> bool {
        self.state.lock().0
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn connected(&self, stream: &Arc<TcpStream>) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        state.1 = Some(stream.clone());
        if state.0 {
            // The connection may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn wait(&self, pause: Duration) {
        let state = self.state.lock();
        // Spurious wake-ups only shorten the pause.
        drop(self.ended.wait_timeout_while(state, pause, |state| !state.0));
    }
}

struct EndOnDrop(Arc<Ending>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.0 = true;
        if let Some(stream) = state.1.take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.0.ended.notify_all();
    }
}

struct Thread {
    target: Arc<Target>,
    caller: Caller,
    events: mpsc::Sender<Message>,
    ending: Arc<Ending>,
    cursor: Option<String>,
    lost: Option<String>,
    server: Option<String>,
    has_flags: bool,
    times: Times,
}

enum Stop {
    Ended,
    Failed(CallError),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

impl Thread {
    fn new(target: Arc<Target>, events: mpsc::Sender<Message>, ending: Arc<Ending>) -> Self {
        let on_connect = ending.clone();
        let caller = Caller::new(target.clone(), move |stream| on_connect.connected(stream));
        let (cursor, lost, server, times) = (None, None, None, Times::default());
        Self { target, caller, events, ending, cursor, lost, server, has_flags: false, times }
    }

    fn run(mut self) {
        while !self.ending.is_ended() {
            match self.round() {
                Ok(()) => {}
                Err(Stop::Ended) => return,
                Err(Stop::Failed(CallError::UnknownMethod)) => {
                    let _ = self.events.blocking_send(Message::Legacy);
                    return;
                }
                Err(Stop::Failed(CallError::Failed(_))) if self.ending.is_ended() => return,
                Err(Stop::Failed(CallError::Failed(error))) => {
                    self.cursor = None;
                    if self.lose(error).is_err() {
                        return;
                    }
                    self.ending.wait(PAUSE);
                }
            }
        }
    }

    fn round(&mut self) -> Result<(), Stop> {
        let called = Instant::now();
        // Without a cursor the server answers at once.
        let limit = if self.cursor.is_some() { WAIT + self.target.timeout.min(SLACK) } else { self.target.timeout };
        let cursor = self.cursor.clone();
        let wait = i64::try_from(WAIT.as_millis()).unwrap_or(i64::MAX);
        let result = self.caller.call(called + limit, true, &mut |client| client.watch(cursor.clone(), Some(wait)))?;
        let time = AnswerTime::new(&result, called);
        self.take(result, &time)
    }

    fn take(&mut self, result: WatchResult, time: &AnswerTime) -> Result<(), Stop> {
        self.serving(&result)?;
        let reports_doubt = result.server.is_some();
        let doubt_is_over = reports_doubt && self.lost.is_some() && result.lost.is_none();
        if result.reset.unwrap_or_default() || doubt_is_over {
            self.reset(result.lost.is_none(), time)?;
        }
        for event in self.times.events(result.changes.unwrap_or_default(), time) {
            self.emit(event)?;
        }
        match result.lost {
            Some(reason) => {
                let error = Error::unavailable(format!("server lost its store: {reason}"));
                self.lose(error.with_store(&*self.target))?;
            }
            None if self.lost.is_none() => {
                self.emit(WatchEvent::Confirmed { at: time.confirmed, valid_for: time.valid_for() })?;
            }
            None => {}
        }
        self.cursor = result.cursor;
        Ok(())
    }

    fn serving(&mut self, result: &WatchResult) -> Result<(), Stop> {
        let Some(server) = &result.server else { return Ok(()) };
        let epoch = match &result.store {
            Some(store) => format!("{server}: {store}"),
            None => server.clone(),
        };
        if self.server.as_ref() == Some(&epoch) {
            return Ok(());
        }
        let identity = self.target.identity().with_epoch(&epoch);
        self.server = Some(epoch);
        self.emit(WatchEvent::Serving(identity))
    }

    /// In doubt only the first time, since a reset after a loss ends the doubt.
    fn reset(&mut self, is_confirmed: bool, time: &AnswerTime) -> Result<(), Stop> {
        if !is_confirmed && self.has_flags {
            return Ok(());
        }
        let connection = self.ending.connections();
        let flags = self.read_all()?;
        if connection != self.ending.connections() {
            // Another server, to which the cursor does not belong, may have answered.
            let error = Error::unavailable("connection ended while flags were read");
            return Err(CallError::Failed(error.with_store(&*self.target)).into());
        }
        self.times.listed();
        if self.lost.is_some() && is_confirmed {
            self.lost = None;
            self.emit(WatchEvent::Restored)?;
        }
        self.has_flags = true;
        // Flags in doubt are not current.
        let valid_for = Some(if is_confirmed { time.valid_for() } else { Duration::ZERO });
        self.emit(WatchEvent::Reset { flags, read_at: Some(time.confirmed), valid_for })?;
        if !is_confirmed {
            // `lose` emits it again after the flags.
            self.lost = None;
        }
        Ok(())
    }

    /// Over the same connection: no older than what the server reported.
    fn read_all(&mut self) -> Result<Vec<Stored>, CallError> {
        let mut flags: Vec<Stored> = Vec::new();
        loop {
            let after = flags.last().map(|flag| flag.name.clone());
            let deadline = Instant::now() + self.target.timeout;
            let known = self.caller.call(deadline, true, &mut |client| client.read_known_flags(after.clone(), None));
            let page = match known {
                // An older server of ours has one call for both.
                Err(CallError::UnknownMethod) => {
                    self.caller.call(deadline, true, &mut |client| client.read_flags(after.clone(), None))?
                }
                page => page?,
            };
            let before = flags.len();
            flags.extend(page.flags.unwrap_or_default().into_iter().filter_map(convert::from_state));
            if !page.more.unwrap_or_default() || flags.len() == before {
                return Ok(flags);
            }
        }
    }

    fn lose(&mut self, error: Error) -> Result<(), Stop> {
        let reason = error.to_string();
        if self.lost.as_ref() == Some(&reason) {
            return Ok(());
        }
        self.lost = Some(reason);
        self.emit(WatchEvent::Lost(error))
    }

    fn emit(&self, event: WatchEvent) -> Result<(), Stop> {
        self.events.blocking_send(Message::Event(event)).map_err(|_| Stop::Ended)
    }
}
