//! Changes, by `Watch`: a thread of its own waits in the call and passes on what it hears.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::{FlagState, WatchResult};
use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::connection::{CallError, Caller};
use super::{Target, ThriftRpcFeatureFlagStore, convert};
use crate::background;
use crate::error::{Error, ErrorKind};
use crate::store::{Stored, Watch, WatchEvent};

/// How long a call waits for a change. Short enough that a dead server is noticed, and a middlebox forgets no connection.
const WAIT: Duration = Duration::from_secs(20);

/// Between two attempts after a failure; a lost connection has its own growing pauses.
const PAUSE: Duration = Duration::from_millis(100);

const EVENTS_AHEAD: usize = 16;

/// Before a thread is started in the place of one that panicked.
const RESTART: Duration = Duration::from_secs(1);

/// What the thread tells.
enum Told {
    Event(WatchEvent),
    /// The server does not know the call.
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
        let error = Error::new(ErrorKind::Unavailable)
            .with_message("no thread can be started for the watch")
            .with_source(error);
        let lost = WatchEvent::Lost(error.with_store(store));
        return Box::pin(stream::once(std::future::ready(lost)).chain(store.legacy_watch()));
    }
    let guard = EndOnDrop(ending);
    let events = stream::unfold((receiver, guard), |(mut receiver, guard)| async move {
        let told = receiver.recv().await?;
        Some((told, (receiver, guard)))
    });
    let events = events.flat_map(move |told| -> Watch<'_> {
        match told {
            Told::Event(event) => Box::pin(stream::once(std::future::ready(event))),
            Told::Legacy => {
                store.set_legacy();
                store.legacy_watch()
            }
        }
    });
    // It never ends by itself: the thread has panicked.
    let broken = Error::new(ErrorKind::Unavailable).with_message("thread that follows the server broke off");
    let again = async move {
        background::sleep(RESTART).await;
        follow(store)
    };
    let lost = stream::once(std::future::ready(WatchEvent::Lost(broken.with_store(store))));
    Box::pin(events.chain(lost).chain(stream::once(again).flatten()))
}

/// How the stream ends the thread: by a word, and by ending the connection that it waits on.
#[derive(Default)]
struct Ending {
    state: Mutex<(bool, Option<Arc<TcpStream>>)>,
    ended: Condvar,
}

impl Ending {
    fn lock(&self) -> MutexGuard<'_, (bool, Option<Arc<TcpStream>>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ended(&self) -> bool {
        self.lock().0
    }

    fn connected(&self, stream: &Arc<TcpStream>) {
        let mut state = self.lock();
        state.1 = Some(stream.clone());
        if state.0 {
            // Fails if the connection is gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits so long, or until the end.
    fn wait(&self, pause: Duration) {
        let state = self.lock();
        // Spurious wake-ups only make the pause shorter.
        drop(self.ended.wait_timeout_while(state, pause, |state| !state.0));
    }
}

struct EndOnDrop(Arc<Ending>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.0 = true;
        if let Some(stream) = state.1.take() {
            // Fails if the connection is gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.0.ended.notify_all();
    }
}

struct Thread {
    target: Arc<Target>,
    caller: Caller,
    events: mpsc::Sender<Told>,
    ending: Arc<Ending>,
    cursor: Option<String>,
    lost: bool,
}

/// The stream is gone.
struct Ended;

impl Thread {
    fn new(target: Arc<Target>, events: mpsc::Sender<Told>, ending: Arc<Ending>) -> Self {
        let on_connect = ending.clone();
        let caller = Caller::new(target.clone(), move |stream| on_connect.connected(stream));
        Self { target, caller, events, ending, cursor: None, lost: false }
    }

    fn run(mut self) {
        while !self.ending.is_ended() {
            let round = self.ask().and_then(|result| self.take(result));
            let told = match round {
                Ok(told) => told,
                Err(CallError::UnknownMethod) => {
                    let _ = self.events.blocking_send(Told::Legacy);
                    return;
                }
                Err(CallError::Failed(_)) if self.ending.is_ended() => return,
                Err(CallError::Failed(error)) => {
                    self.cursor = None;
                    let told = self.lose(error);
                    self.ending.wait(PAUSE);
                    told
                }
            };
            if told.is_err() {
                return;
            }
        }
    }

    fn ask(&mut self) -> Result<WatchResult, CallError> {
        // Without a cursor, and while nothing is heard, the answer comes at once.
        let deadline = Instant::now() + self.target.timeout + if self.cursor.is_some() { WAIT } else { Duration::ZERO };
        let cursor = self.cursor.clone();
        let wait = i64::try_from(WAIT.as_millis()).unwrap_or(i64::MAX);
        self.caller.call(deadline, true, &mut |client| client.watch(cursor.clone(), Some(wait)))
    }

    fn take(&mut self, result: WatchResult) -> Result<Result<(), Ended>, CallError> {
        if result.reset.unwrap_or_default() {
            let read_at = Instant::now();
            let flags = self.read_all()?;
            if std::mem::take(&mut self.lost) && self.tell(WatchEvent::Restored).is_err() {
                return Ok(Err(Ended));
            }
            if self.tell(WatchEvent::Reset { flags, read_at: Some(read_at) }).is_err() {
                return Ok(Err(Ended));
            }
        }
        if let Some(reason) = result.lost {
            let error = Error::new(ErrorKind::Unavailable).with_message(format!("server lost its store: {reason}"));
            if self.lose(error.with_store(&*self.target)).is_err() {
                return Ok(Err(Ended));
            }
        }
        for state in result.changes.unwrap_or_default() {
            if self.tell(event(state)).is_err() {
                return Ok(Err(Ended));
            }
        }
        self.cursor = result.cursor;
        Ok(Ok(()))
    }

    fn read_all(&mut self) -> Result<Vec<Stored>, CallError> {
        let mut flags: Vec<Stored> = Vec::new();
        loop {
            let after = flags.last().map(|flag| flag.name.clone());
            let deadline = Instant::now() + self.target.timeout;
            let page = self.caller.call(deadline, true, &mut |client| client.read_flags(after.clone(), None))?;
            let before = flags.len();
            flags.extend(page.flags.unwrap_or_default().into_iter().filter_map(convert::from_state));
            if !page.more.unwrap_or_default() || flags.len() == before {
                return Ok(flags);
            }
        }
    }

    fn lose(&mut self, error: Error) -> Result<(), Ended> {
        if std::mem::replace(&mut self.lost, true) { Ok(()) } else { self.tell(WatchEvent::Lost(error)) }
    }

    fn tell(&self, event: WatchEvent) -> Result<(), Ended> {
        self.events.blocking_send(Told::Event(event)).map_err(|_| Ended)
    }
}

fn event(state: FlagState) -> WatchEvent {
    let name = state.feature_name.clone().unwrap_or_default();
    if state.unknown.unwrap_or_default() {
        return WatchEvent::Hint { name };
    }
    let version = state.version.as_ref().and_then(convert::from_version);
    match convert::from_state(state) {
        Some(flag) => WatchEvent::Changed { flag, read_at: None },
        None => WatchEvent::Removed { name, version, read_at: None },
    }
}
