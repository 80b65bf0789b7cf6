//! A thread waits in `Watch` and emits what it receives.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::connection::{CallError, Caller};
use super::{Target, ThriftRpcFeatureFlagStore, convert};
use crate::background;
use crate::error::Error;
use crate::feed::{AnswerTime, Follower, SLACK, WAIT};
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
    let thread = Thread::new(store, sender, ending.clone());
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
    follower: Follower,
    has_history: Arc<AtomicBool>,
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
    fn new(store: &ThriftRpcFeatureFlagStore, events: mpsc::Sender<Message>, ending: Arc<Ending>) -> Self {
        let (target, has_history) = (store.target().clone(), store.shared.has_history.clone());
        let on_connect = ending.clone();
        let caller = Caller::new(target.clone(), move |stream| on_connect.connected(stream));
        let follower = Follower::new(target.to_string(), target.identity());
        Self { target, caller, events, ending, cursor: None, follower, has_history }
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
                    let lost = self.follower.lose(error);
                    if self.emit(lost).is_err() {
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
        self.has_history.store(result.history.unwrap_or_default(), Ordering::Relaxed);
        let delta = convert::from_result(result);
        let time = AnswerTime::new(&delta, called);
        let serving = self.follower.serving(&delta);
        self.emit(serving)?;
        let flags = if self.follower.needs_flags(&delta) { Some(self.read_all()?) } else { None };
        let cursor = delta.cursor.clone();
        let events = self.follower.take(delta, flags, &time);
        self.emit(events)?;
        self.cursor = cursor;
        Ok(())
    }

    /// Over the same connection: no older than what the server reported.
    fn read_all(&mut self) -> Result<Vec<Stored>, CallError> {
        let connection = self.ending.connections();
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
                break;
            }
        }
        if connection != self.ending.connections() {
            // Another server, to which the cursor does not belong, may have answered.
            return Err(CallError::Failed(Error::unavailable("connection ended while flags were read")));
        }
        Ok(flags)
    }

    fn emit(&self, events: impl IntoIterator<Item = WatchEvent>) -> Result<(), Stop> {
        for event in events {
            self.events.blocking_send(Message::Event(event)).map_err(|_| Stop::Ended)?;
        }
        Ok(())
    }
}
