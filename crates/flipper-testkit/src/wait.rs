//! Waiting for a condition, with a deadline, and for a future.

use std::future::IntoFuture;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any expected delay, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Awaits a future without a runtime.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    futures_executor::block_on(future.into_future())
}

/// Waits until `condition` holds. Panics after [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs `work` on its own thread, and returns its result. Panics after `limit`.
#[track_caller]
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(limit) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done within {limit:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the work panicked"),
    }
}
