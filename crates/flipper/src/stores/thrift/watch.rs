//! Changes, by `Watch`: a thread of its own waits in the call and passes on what it hears.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::WatchResult;
use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::answers::{Heard, SLACK, Times, WAIT};
use super::connection::{CallError, Caller};
use super::{Target, ThriftRpcFeatureFlagStore, convert};
use crate::background;
use crate::error::{Error, ErrorKind};
use crate::store::{Stored, Watch, WatchEvent};

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
    connections: AtomicUsize,
    ended: Condvar,
}

impl Ending {
    fn lock(&self) -> MutexGuard<'_, (bool, Option<Arc<TcpStream>>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ended(&self) -> bool {
        self.lock().0
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn connected(&self, stream: &Arc<TcpStream>) {
        self.connections.fetch_add(1, Ordering::Relaxed);
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
    /// Why, if the store's flags are doubted.
    lost: Option<String>,
    /// Which start of which server answered last.
    server: Option<String>,
    /// Whether all flags have been passed on.
    has_flags: bool,
    times: Times,
}

/// The stream is gone, or the call failed.
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
    fn new(target: Arc<Target>, events: mpsc::Sender<Told>, ending: Arc<Ending>) -> Self {
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
                    let _ = self.events.blocking_send(Told::Legacy);
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
        // Without a cursor, and while nothing is heard, the answer comes at once.
        let limit = if self.cursor.is_some() { WAIT + self.target.timeout.min(SLACK) } else { self.target.timeout };
        let cursor = self.cursor.clone();
        let wait = i64::try_from(WAIT.as_millis()).unwrap_or(i64::MAX);
        let result = self.caller.call(called + limit, true, &mut |client| client.watch(cursor.clone(), Some(wait)))?;
        let heard = Heard::new(&result, called);
        self.take(result, &heard)
    }

    fn take(&mut self, result: WatchResult, heard: &Heard) -> Result<(), Stop> {
        self.serving(&result)?;
        let speaks_of_doubt = result.server.is_some();
        let doubt_is_over = speaks_of_doubt && self.lost.is_some() && result.lost.is_none();
        if result.reset.unwrap_or_default() || doubt_is_over {
            self.reset(result.lost.is_none(), heard)?;
        }
        for event in self.times.events(result.changes.unwrap_or_default(), heard) {
            self.tell(event)?;
        }
        match result.lost {
            Some(reason) => {
                let error = Error::new(ErrorKind::Unavailable).with_message(format!("server lost its store: {reason}"));
                self.lose(error.with_store(&*self.target))?;
            }
            None if self.lost.is_none() => {
                self.tell(WatchEvent::Confirmed { at: heard.confirmed, valid_for: heard.valid_for() })?;
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
        self.tell(WatchEvent::Serving(identity))
    }

    /// Passes on all flags. While they are doubted only if none have been passed on yet: a reset after a loss is the end of the doubt.
    fn reset(&mut self, is_confirmed: bool, heard: &Heard) -> Result<(), Stop> {
        if !is_confirmed && self.has_flags {
            return Ok(());
        }
        let connection = self.ending.connections();
        let flags = self.read_all()?;
        if connection != self.ending.connections() {
            // Another server may have answered, of which the cursor says nothing.
            let error = Error::new(ErrorKind::Unavailable).with_message("connection ended while flags were read");
            return Err(CallError::Failed(error.with_store(&*self.target)).into());
        }
        self.times.listed();
        if self.lost.is_some() && is_confirmed {
            self.lost = None;
            self.tell(WatchEvent::Restored)?;
        }
        self.has_flags = true;
        // That of a server in doubt is not current at all.
        let valid_for = Some(if is_confirmed { heard.valid_for() } else { Duration::ZERO });
        self.tell(WatchEvent::Reset { flags, read_at: Some(heard.confirmed), valid_for })?;
        if !is_confirmed {
            // To be said again after the flags.
            self.lost = None;
        }
        Ok(())
    }

    /// As the server has them in memory, over the same connection: nothing older than what it reported.
    fn read_all(&mut self) -> Result<Vec<Stored>, CallError> {
        let mut flags: Vec<Stored> = Vec::new();
        loop {
            let after = flags.last().map(|flag| flag.name.clone());
            let deadline = Instant::now() + self.target.timeout;
            let known = self.caller.call(deadline, true, &mut |client| client.read_known_flags(after.clone(), None));
            let page = match known {
                // An earlier server of ours has one way to read them.
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
        self.tell(WatchEvent::Lost(error))
    }

    fn tell(&self, event: WatchEvent) -> Result<(), Stop> {
        self.events.blocking_send(Told::Event(event)).map_err(|_| Stop::Ended)
    }
}
