//! Work that may wait for a disk, a pipe or a person, while signals are heard.

use std::thread;

use tokio::sync::oneshot;

use crate::failure::{Done, Failure};

/// Does it on a thread of its own, which nobody waits for when the command ends.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Done<T> {
    let (done, result) = oneshot::channel();
    let run = move || {
        // Fails where nobody waits any more.
        let _ = done.send(work());
    };
    thread::Builder::new().spawn(run).map_err(|error| Failure::store(format!("no thread can be started: {error}")))?;
    result.await.map_err(|_panicked| Failure::store("a thread broke off"))
}
