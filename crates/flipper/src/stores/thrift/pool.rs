//! The threads that make the calls, each with a connection of its own. They start as they are needed and end when they are not.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::TFeatureFlagStoreSyncClient;
use tokio::sync::oneshot;

use super::Target;
use super::connection::{CallError, Caller};
use crate::background;
use crate::error::{Error, ErrorKind};

/// A thread without work ends after this, and its connection with it.
const IDLE: Duration = Duration::from_secs(60);

/// For the thread, which says better what took so long.
const GRACE: Duration = Duration::from_secs(1);

/// Makes the call, and gives what tells of its outcome: that happens once the thread counts as free, so that a caller who makes one
/// call after the other stays with one thread.
type Job = Box<dyn FnOnce(&mut Caller) -> Tell + Send>;
type Tell = Box<dyn FnOnce() + Send>;

pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    target: Arc<Target>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Threads that do not run a job.
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { shared: Arc::new(Shared { target, state: Mutex::default(), work: Condvar::new() }) }
    }

    /// Makes a call on a thread of the pool. Dropping the future does not stop one that writes: it happens whole.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        reads: bool,
        mut run: impl FnMut(&mut dyn TFeatureFlagStoreSyncClient) -> thrift::Result<T> + Send + 'static,
    ) -> Result<T, CallError> {
        let (sender, receiver) = oneshot::channel();
        let deadline = Instant::now() + self.shared.target.timeout;
        let job = move |caller: &mut Caller| -> Tell {
            // Nobody waits for a read any more that was dropped while it stood in the queue.
            if reads && sender.is_closed() {
                return Box::new(|| {});
            }
            let result = caller.call(deadline, reads, &mut run);
            // Fails if nobody waits, and then nobody misses it.
            Box::new(move || drop(sender.send(result)))
        };
        self.shared.add(Box::new(job)).map_err(CallError::Failed)?;
        // The thread keeps the time by itself, but for the look-up of the server's name, which nothing can cut short.
        let answer = background::within(self.shared.target.timeout + GRACE, receiver).await;
        let message = match answer {
            Ok(Ok(result)) => return result,
            Ok(Err(_)) => "thread of the call ended early".to_owned(),
            Err(error) => format!("call has not ended in time: {error}"),
        };
        let error = Error::new(ErrorKind::Unavailable).with_message(message);
        Err(CallError::Failed(error.with_store(&*self.shared.target)))
    }

    pub(super) fn target(&self) -> &Arc<Target> {
        &self.shared.target
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, job: Job) -> Result<(), Error> {
        let mut state = self.lock();
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && state.threads < self.target.max_connections {
            let shared = self.clone();
            let started = std::thread::Builder::new().name("flipper-thrift".to_owned()).spawn(move || shared.run());
            match started {
                Ok(_) => {
                    state.threads += 1;
                    state.idle += 1;
                }
                Err(error) if state.threads == 0 => {
                    state.jobs.pop_back();
                    return Err(Error::new(ErrorKind::Unavailable)
                        .with_message("no thread can be started for the call")
                        .with_store(&*self.target)
                        .with_source(error));
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn run(&self) {
        let mut caller = Caller::new(self.target.clone(), |_| {});
        while let Some(job) = self.next() {
            // The connection is out of the caller's hands while a call runs, so a panic loses it and nothing else.
            let tell = catch_unwind(AssertUnwindSafe(|| job(&mut caller)));
            self.lock().idle += 1;
            if let Ok(tell) = tell {
                tell();
            }
        }
    }

    /// The next job; none when the thread is to end, and then it is counted out already, so that no job is left for it.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        let mut waited_out = false;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.idle -= 1;
                return Some(job);
            }
            if state.closed || waited_out {
                state.idle -= 1;
                state.threads -= 1;
                return None;
            }
            let (woken, waited) = self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            waited_out = waited.timed_out();
        }
    }
}
