//! Threads for the calls, each with its connection. They start on demand and end when idle.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, PoisonError};
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::TFeatureFlagStoreSyncClient;
use tokio::sync::oneshot;

use super::Target;
use super::connection::{CallError, Caller};
use crate::background;
use crate::error::Error;
use crate::lock::Mutex;

const IDLE: Duration = Duration::from_secs(60);

/// The thread reports its own timeout, which is more precise.
const GRACE: Duration = Duration::from_secs(1);

/// Returns what delivers the result, once the thread counts as idle: a sequential caller stays on one thread.
type Job = Box<dyn FnOnce(&mut Caller) -> Deliver + Send>;
type Deliver = Box<dyn FnOnce() + Send>;

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
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { shared: Arc::new(Shared { target, state: Mutex::default(), work: Condvar::new() }) }
    }

    /// Dropping the future does not stop a write.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        reads: bool,
        mut run: impl FnMut(&mut dyn TFeatureFlagStoreSyncClient) -> thrift::Result<T> + Send + 'static,
    ) -> Result<T, CallError> {
        let (sender, receiver) = oneshot::channel();
        let deadline = Instant::now() + self.shared.target.timeout;
        let job = move |caller: &mut Caller| -> Deliver {
            // The caller dropped this queued read.
            if reads && sender.is_closed() {
                return Box::new(|| {});
            }
            let result = caller.call(deadline, reads, &mut run);
            // The caller may have dropped the future.
            Box::new(move || drop(sender.send(result)))
        };
        self.shared.add(Box::new(job)).map_err(CallError::Failed)?;
        // The thread keeps the deadline, but nothing can interrupt a DNS lookup.
        let answer = background::within(self.shared.target.timeout + GRACE, receiver).await;
        let message = match answer {
            Ok(Ok(result)) => return result,
            Ok(Err(_)) => "thread of the call ended early".to_owned(),
            Err(error) => format!("call has not ended in time: {error}"),
        };
        let error = Error::unavailable(message);
        Err(CallError::Failed(error.with_store(&*self.shared.target)))
    }

    pub(super) fn target(&self) -> &Arc<Target> {
        &self.shared.target
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn add(self: &Arc<Self>, job: Job) -> Result<(), Error> {
        let mut state = self.state.lock();
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
                    return Err(Error::unavailable("no thread can be started for the call")
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
            // During a call `caller` lacks the connection, so a panic loses only that.
            let deliver = catch_unwind(AssertUnwindSafe(|| job(&mut caller)));
            self.state.lock().idle += 1;
            if let Ok(deliver) = deliver {
                deliver();
            }
        }
    }

    /// `None` to end the thread, which then no longer counts, so that no job waits for it.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
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
