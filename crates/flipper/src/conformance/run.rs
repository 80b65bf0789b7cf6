use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use std::{env, fmt};

use tokio::runtime::Builder;

use super::reopen::Reopen;
use crate::guard::guarded;
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore};

/// The limit of one test.
pub const TEST_LIMIT: Duration = Duration::from_secs(120);

const AT_A_TIME: usize = 8;

type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;
type Behavior<S> = (&'static str, fn(Arc<S>) -> LocalFuture);

const STORE: &[Behavior<dyn FeatureFlagStore>] = crate::__store_behaviors!(functions);
const LOCAL: &[Behavior<dyn LocalFeatureFlagStore>] = crate::__local_behaviors!(functions);

/// What the closures of the macros return: a store, or `(store, guard)`, whose guard is dropped last; or an `Option` of either. With `None`
/// the test prints a line that begins with `SKIP`, or fails if the variable `CI` is set.
///
/// ```
/// use flipper::MemoryFeatureFlagStore;
/// use flipper::conformance::prove;
///
/// prove(async || {
///     let folder = tempfile::tempdir().unwrap();
///     // A store in that folder; this one needs none.
///     (MemoryFeatureFlagStore::new(), folder)
/// });
/// ```
pub trait TestStore {
    /// The store.
    type Store: FeatureFlagStore;
    /// What must live as long.
    type Guard;

    /// Both, if there is a store to test.
    fn split(self) -> Option<(Self::Store, Self::Guard)>;
}

impl<S: FeatureFlagStore> TestStore for S {
    type Store = S;
    type Guard = ();

    fn split(self) -> Option<(S, ())> {
        Some((self, ()))
    }
}

impl<S: FeatureFlagStore, G> TestStore for (S, G) {
    type Store = S;
    type Guard = G;

    fn split(self) -> Option<Self> {
        Some(self)
    }
}

impl<T: TestStore> TestStore for Option<T> {
    type Store = T::Store;
    type Guard = T::Guard;

    fn split(self) -> Option<(T::Store, T::Guard)> {
        self?.split()
    }
}

/// Writes values to the place of flags, bypassing the store.
pub struct Plant(Box<dyn Fn(String, Vec<u8>) -> LocalFuture>);

impl Plant {
    /// Writes by this function.
    pub fn new<S: FeatureFlagStore>(store: Arc<S>, put: impl AsyncFn(&S, &str, &[u8]) + 'static) -> Self {
        let put = Arc::new(put);
        Self(Box::new(move |name, value| {
            let (store, put) = (store.clone(), put.clone());
            Box::pin(async move { put(&store, &name, &value).await })
        }))
    }

    pub(super) async fn value(&self, name: &str, value: &[u8]) {
        (self.0)(name.to_owned(), value.to_owned()).await;
    }
}

impl fmt::Debug for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plant").finish_non_exhaustive()
    }
}

/// Proves every behaviour, each on its own store.
///
/// # Panics
///
/// If one fails; the message names all that do.
pub fn prove<T: TestStore>(make: impl AsyncFn() -> T + Send + Sync + 'static) {
    report(&failures(make));
}

/// As [`prove`], also for the behaviours of a [`LocalFeatureFlagStore`].
///
/// # Panics
///
/// As [`prove`].
pub fn prove_local<T>(make: impl AsyncFn() -> T + Send + Sync + 'static)
where
    T: TestStore<Store: LocalFeatureFlagStore>,
{
    let make = Arc::new(make);
    let again = make.clone();
    let mut failed = failures(async move || make().await);
    failed.extend(local_failures(async move || again().await));
    report(&failed);
}

/// The behaviours that a store lacks, by name, each with the failure.
pub fn failures<T: TestStore>(make: impl AsyncFn() -> T + Send + Sync + 'static) -> Vec<(&'static str, String)> {
    let make = Arc::new(make);
    failing(STORE, |name, behavior| {
        let make = make.clone();
        run(name, async move || make().await, behavior);
    })
}

/// As [`failures`], for those of a [`LocalFeatureFlagStore`] alone.
pub fn local_failures<T>(make: impl AsyncFn() -> T + Send + Sync + 'static) -> Vec<(&'static str, String)>
where
    T: TestStore<Store: LocalFeatureFlagStore>,
{
    let make = Arc::new(make);
    failing(LOCAL, |name, behavior| {
        let make = make.clone();
        run_local(name, async move || make().await, behavior);
    })
}

/// A test mostly waits.
fn failing<S: ?Sized>(
    behaviors: &[Behavior<S>],
    run: impl Fn(&'static str, fn(Arc<S>) -> LocalFuture) + Sync,
) -> Vec<(&'static str, String)> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some((number, (name, behavior))) = at(behaviors, next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(panic) = guarded(|| run(name, *behavior)) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.insert(number, (*name, panic));
            }
        }
    };
    thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn at<T>(all: &[T], number: usize) -> Option<(usize, &T)> {
    Some((number, all.get(number)?))
}

fn report(failed: &[(&str, String)]) {
    let lines: String = failed.iter().map(|(name, why)| format!("\n{name}: {why}")).collect();
    assert!(failed.is_empty(), "{} behaviours are not shown:{lines}", failed.len());
}

/// Runs one behaviour, as [`store_conformance_tests!`](crate::store_conformance_tests) does.
///
/// # Panics
///
/// If the store lacks it.
pub fn run<T: TestStore, F: Future<Output = ()>>(
    name: &str,
    make: impl AsyncFnOnce() -> T + Send + 'static,
    behavior: impl FnOnce(Arc<dyn FeatureFlagStore>) -> F + Send + 'static,
) {
    let test = test_name(name);
    bounded(name, TEST_LIMIT, async move || {
        let Some((store, guard)) = make().await.split() else { return skip(&test, env::var_os("CI").is_some()) };
        behavior(Arc::new(store)).await;
        drop(guard);
    });
}

/// As [`run`], for [`local_store_conformance_tests!`](crate::local_store_conformance_tests).
///
/// # Panics
///
/// As [`run`].
pub fn run_local<T: TestStore<Store: LocalFeatureFlagStore>, F: Future<Output = ()>>(
    name: &str,
    make: impl AsyncFnOnce() -> T + Send + 'static,
    behavior: impl FnOnce(Arc<dyn LocalFeatureFlagStore>) -> F + Send + 'static,
) {
    let test = test_name(name);
    bounded(name, TEST_LIMIT, async move || {
        let Some((store, guard)) = make().await.split() else { return skip(&test, env::var_os("CI").is_some()) };
        behavior(Arc::new(store)).await;
        drop(guard);
    });
}

/// As [`run`], for [`corrupt_conformance_tests!`](crate::corrupt_conformance_tests).
///
/// # Panics
///
/// As [`run`].
pub fn run_corrupt<T: TestStore, F: Future<Output = ()>>(
    name: &str,
    make: impl AsyncFnOnce() -> T + Send + 'static,
    plant: impl AsyncFn(&T::Store, &str, &[u8]) + Send + 'static,
    behavior: impl FnOnce(Arc<dyn FeatureFlagStore>, Plant) -> F + Send + 'static,
) {
    let test = test_name(name);
    bounded(name, TEST_LIMIT, async move || {
        let Some((store, guard)) = make().await.split() else { return skip(&test, env::var_os("CI").is_some()) };
        let store = Arc::new(store);
        behavior(store.clone(), Plant::new(store, plant)).await;
        drop(guard);
    });
}

/// As [`run`], for [`reopened_conformance_tests!`](crate::reopened_conformance_tests).
///
/// # Panics
///
/// As [`run`].
pub fn run_reopened<T: TestStore<Guard: 'static>, S: FeatureFlagStore, F: Future<Output = ()>>(
    name: &str,
    make: impl AsyncFnOnce() -> T + Send + 'static,
    reopen: impl AsyncFn(&T::Guard) -> S + Send + 'static,
    behavior: impl FnOnce(Arc<dyn FeatureFlagStore>, Reopen) -> F + Send + 'static,
) {
    let test = test_name(name);
    bounded(name, TEST_LIMIT, async move || {
        let Some((store, guard)) = make().await.split() else { return skip(&test, env::var_os("CI").is_some()) };
        behavior(Arc::new(store), Reopen::new(async move || reopen(&guard).await)).await;
    });
}

/// As [`run`], for [`local_corrupt_conformance_tests!`](crate::local_corrupt_conformance_tests).
///
/// # Panics
///
/// As [`run`].
pub fn run_local_corrupt<T: TestStore<Store: LocalFeatureFlagStore>, F: Future<Output = ()>>(
    name: &str,
    make: impl AsyncFnOnce() -> T + Send + 'static,
    plant: impl AsyncFn(&T::Store, &str, &[u8]) + Send + 'static,
    behavior: impl FnOnce(Arc<dyn LocalFeatureFlagStore>, Plant) -> F + Send + 'static,
) {
    let test = test_name(name);
    bounded(name, TEST_LIMIT, async move || {
        let Some((store, guard)) = make().await.split() else { return skip(&test, env::var_os("CI").is_some()) };
        let store = Arc::new(store);
        behavior(store.clone(), Plant::new(store, plant)).await;
        drop(guard);
    });
}

/// With its modules; the test harness names its threads so.
fn test_name(behavior: &str) -> String {
    match thread::current().name() {
        Some(test) if test.ends_with(&format!("::{behavior}")) => test.to_owned(),
        _ => behavior.to_owned(),
    }
}

/// A test that did not run must say so, or fail where everything has to run.
fn skip(test: &str, everything_must_run: bool) {
    assert!(!everything_must_run, "{test}: there is no store to test, and `CI` is set");
    // The harness captures `print!`; this writes past it, in one piece, since other tests write too.
    let _ = io::stderr().write_all(format!("SKIP {test}: there is no store to test\n").as_bytes());
}

/// On its own thread: a store may block the thread that polls it, where no timer would run.
fn bounded(name: &str, limit: Duration, test: impl AsyncFnOnce() + Send + 'static) {
    let (running, ended) = mpsc::channel::<()>();
    let run = move || {
        // Dropped at the end, also by a panic.
        let _running = running;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("the runtime of the test cannot be made: {error}"));
        let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test())));
        // A blocking call of the store may never return.
        runtime.shutdown_background();
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    let thread = thread.unwrap_or_else(|error| panic!("the thread of the test cannot be started: {error}"));
    if let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(limit) {
        panic!("{name} did not end within {limit:?}: a call of the store holds up its thread");
    }
    thread.join().unwrap_or_else(|panic| resume_unwind(panic));
}

#[cfg(test)]
mod tests {
    use super::super::subject::CALL_LIMIT;
    use super::*;

    #[test]
    #[should_panic(expected = "holds up its thread")]
    fn a_store_that_blocks_is_named() {
        bounded("sleeper", Duration::from_millis(50), async || thread::sleep(Duration::from_secs(5)));
    }

    #[test]
    #[should_panic(expected = "the reason")]
    fn a_panic_arrives_as_it_was() {
        bounded("panics", CALL_LIMIT, async || panic!("the reason"));
    }

    #[test]
    fn a_behavior_does_not_run_without_a_store() {
        let nothing = async || None::<crate::MemoryFeatureFlagStore>;
        let outcome = catch_unwind(|| run("skipped", nothing, async |_| panic!("it ran")));
        assert_eq!(outcome.is_err(), env::var_os("CI").is_some());
    }

    #[test]
    #[should_panic(expected = "there is no store to test")]
    fn a_skip_fails_where_everything_must_run() {
        skip("skipped", true);
    }
}
