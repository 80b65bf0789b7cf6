use std::thread;

use tokio::sync::oneshot;

use crate::failure::{Done, Failure};

/// Runs blocking work on a thread of its own, so that signals are still handled. The process does not wait for it at exit.
pub(crate) async fn detached<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Done<T> {
    let (done, result) = oneshot::channel();
    let run = move || {
        // Fails if the caller has stopped waiting.
        let _ = done.send(work());
    };
    thread::Builder::new().spawn(run).map_err(|error| Failure::store(format!("cannot start a thread: {error}")))?;
    result.await.map_err(|_panicked| Failure::store("a thread panicked"))
}
