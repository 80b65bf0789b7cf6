//! Waiting for a future on the calling thread, whatever that is.

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

/// Within a task of the caller's runtime, how long it takes at most until the future is polled once more, woken or not. There
/// `yield_now` wakes when the caller's task has ended its turn, which it does not while it waits here.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// Waits for an `async` function of this crate that has no counterpart here, such as the `register` of `flags!`; from anywhere,
/// as the [module](super) says.
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
/// The future's, and `Unsupported` on flipper's own thread.
pub fn wait<T>(future: impl IntoFuture<Output = Result<T>>) -> Result<T> {
    match wait_until(None, future.into_future())? {
        Some(result) => result,
        // Without a deadline there is no end before the future's.
        None => Err(Error::new(ErrorKind::Unavailable)),
    }
}

/// Waits for a future, and gives `None` if the deadline comes first.
///
/// Not `Handle::block_on`, which panics within any runtime. Polled here and not on flipper's own thread, so that closures and
/// contexts need not outlive the call, and what a subscriber does holds up nobody else.
pub(super) fn wait_until<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Result<Option<T>> {
    if background::is_this_thread() {
        return Err(Error::new(ErrorKind::Unsupported).with_message(
            "a blocking call on flipper's own thread would wait for itself: use the async client there",
        ));
    }
    let signal = Arc::new(Signal { thread: thread::current(), is_set: AtomicBool::new(false) });
    let waker = Waker::from(signal.clone());
    let mut context = Context::from_waker(&waker);
    // Where tokio defers it, this does not wake at once.
    let _ = pin!(tokio::task::yield_now()).poll(&mut context);
    let again = (!signal.is_set.swap(false, Ordering::Acquire)).then_some(ASK_AGAIN);
    // Timers and sockets that the future makes belong to flipper's thread, which drives them while this one sleeps. Where no
    // thread can be had, a future that needs none still comes to its end.
    let _entered = background::handle().ok().map(|handle| handle.enter());
    // Within a task of the caller's, tokio would count these polls against the task's budget, and when that is used up nothing
    // would become ready any more.
    let mut future = pin!(coop::unconstrained(future));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Ok(Some(value));
        }
        // Somebody else may have used up the thread's token, or left one behind; the signal says what is so.
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
