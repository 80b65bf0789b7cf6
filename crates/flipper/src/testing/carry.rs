use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use tokio::task::{self, JoinHandle};

use crate::overrides::holders::Carried;
use crate::overrides::next_number;

/// The overrides that hold here, for another task or thread, where they would not.
///
/// ```
/// use flipper::testing::Overrides;
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, override_flags};
///
/// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let _overrides = override_flags!(features, "NEW_CHECKOUT" => true);
///
/// let overrides = Overrides::current();
/// std::thread::scope(|threads| {
///     threads.spawn(|| assert!(!features.is_enabled("NEW_CHECKOUT")));
///     threads.spawn(|| overrides.run(|| assert!(features.is_enabled("NEW_CHECKOUT"))));
/// });
/// ```
///
/// They are shared: when a guard is dropped, its override ends everywhere.
#[derive(Clone)]
pub struct Overrides(Arc<Carried>);

impl Overrides {
    /// The overrides that hold here.
    #[must_use]
    pub fn current() -> Self {
        Self(Arc::new(Carried::here(next_number())))
    }

    /// Runs a function under them. Those that it makes hold for these `Overrides` alone.
    pub fn run<T>(&self, function: impl FnOnce() -> T) -> T {
        let _entered = self.0.enter();
        function()
    }

    /// Runs a future under them, wherever it is polled. Those that it makes hold for it alone: for parts of one task, as in `join!`.
    ///
    /// ```
    /// use flipper::testing::Overrides;
    /// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, override_flags};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// let check = |answer| {
    ///     let features = &features;
    ///     Overrides::current().attach(async move {
    ///         let _overrides = override_flags!(features, "NEW_CHECKOUT" => answer);
    ///         tokio::task::yield_now().await;
    ///         assert_eq!(features.is_enabled("NEW_CHECKOUT"), answer);
    ///     })
    /// };
    /// futures_util::future::join(check(true), check(false)).await;
    /// # });
    /// ```
    pub fn attach<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        Attached { carried: self.0.clone(), future: Box::pin(future) }
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Overrides").field(&self.0).finish()
    }
}

struct Attached<F> {
    carried: Arc<Carried>,
    /// Boxed: no pin to project; tests can afford it.
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Attached<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.carried.enter();
        self.future.as_mut().poll(context)
    }
}

/// `tokio::spawn`, under the overrides that hold here.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    task::spawn(Overrides::current().attach(future))
}

/// `tokio::task::spawn_blocking`, under the overrides that hold here.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn spawn_blocking<F, T>(function: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let overrides = Overrides::current();
    task::spawn_blocking(move || overrides.run(function))
}

/// `std::thread::spawn`, under the overrides that hold here.
///
/// # Panics
///
/// If the system cannot start a thread.
pub fn spawn_thread<F, T>(function: F) -> thread::JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let overrides = Overrides::current();
    thread::spawn(move || overrides.run(function))
}
