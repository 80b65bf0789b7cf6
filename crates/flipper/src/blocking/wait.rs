use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::task::coop;

use crate::background;
use crate::error::{Error, ErrorKind, Result};

/// The longest pause between polls in a task of the caller's runtime: `yield_now` wakes only after the task's turn, which does not end
/// while it blocks here.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Blocks until a future completes that has no blocking counterpart, such as `register` of `flags!`.
///
/// ```
/// # let features = flipper::blocking::connect("memory:")?;
/// async fn prepare(features: &flipper::FeatureFlagClient) -> flipper::Result<()> {
///     features.create("A").or_get().await?;
///     features.create("B").or_get().await?;
///     Ok(())
/// }
///
/// flipper::blocking::wait(prepare(&features))?;
/// # Ok::<(), flipper::Error>(())
/// ```
///
/// # Errors
///
/// The future's error, and `Unsupported` on flipper's own thread.
pub fn wait<T>(future: impl IntoFuture<Output = Result<T>>) -> Result<T> {
    match wait_until(None, future.into_future())? {
        Some(result) => result,
        // Unreachable without a deadline.
        None => Err(Error::new(ErrorKind::Unavailable)),
    }
}

/// Returns `None` if the deadline comes first.
///
/// `Handle::block_on` panics within a runtime. The future is polled here, so closures and contexts need not outlive the call, and a slow
/// subscriber delays only this caller.
pub(super) fn wait_until<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<Option<T>> {
    if background::is_this_thread() {
        return Err(Error::new(ErrorKind::Unsupported).with_message(
            "a blocking call on flipper's own thread would wait for itself: use the async client there",
        ));
    }
    let signal = Arc::new(Signal { thread: thread::current(), is_set: AtomicBool::new(false) });
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    // Where tokio defers wake-ups, it does not wake at once.
    let _ = pin!(tokio::task::yield_now()).poll(&mut context);
    let again = (!signal.is_set.swap(false, Ordering::Acquire)).then_some(ASK_AGAIN);
    // Timers and sockets register with flipper's thread, which drives them meanwhile. A future without any completes even if it cannot
    // start.
    let _entered = background::handle().ok().map(|handle| handle.enter());
    // Not on the task's budget: once it is used up nothing becomes ready.
    let mut future = pin!(coop::unconstrained(future));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(Some(value));
        }
        // Other code may have consumed the thread's token or left one behind; only the signal counts.
        while !signal.is_set.swap(false, Ordering::Acquire) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match left.into_iter().chain(again).min() {
                None => thread::park(),
                Some(Duration::ZERO) => return Ok(None),
                Some(time) => thread::park_timeout(time),
            }
            if again.is_some() {
                break;
            }
        }
    }
}

struct Signal {
    thread: Thread,
    is_set: AtomicBool,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
