//! `flipper::blocking` works with every store from every kind of thread and task, without a panic or a deadlock.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]
#![expect(clippy::print_stderr, reason = "a failure must name its place")]

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flipper::blocking::{self, FeatureFlagClient};
use flipper::events::{Change, Post, WriteEvent};
use flipper::store::{Stored, Version, Watch, WriteOptions, watch_by_polling};
use flipper::{
    Condition, ErrorKind, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore, Result,
    SqliteFeatureFlagStore, context,
};
use flipper_testkit::block_on;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::within;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

const PATIENCE: Duration = Duration::from_secs(60);

flipper::flags! {
    struct Flags {
        typed = true,
    }
}

fn use_all(features: &FeatureFlagClient) {
    features.ready().unwrap();
    let mut changes = features.changes();
    let flag = features.create("FLAG").client_data(json!({ "a": 1 })).wait().unwrap();
    assert!(matches!(changes.next(), Some(Change::Set { name, .. }) if name == "FLAG"));
    assert_eq!(features.create("FLAG").wait().unwrap_err().kind(), ErrorKind::FlagExists);
    features.create("FLAG").or_get().wait().unwrap();

    features.enable("FLAG").unwrap();
    assert!(features.is_enabled("FLAG") && flag.is_enabled());
    flag.disable().unwrap();
    assert!(!features.is_enabled("FLAG"));
    features.set_client_data("FLAG", json!({ "b": 2 })).unwrap();
    flag.set_client_data(json!({ "c": 3 })).unwrap();
    assert_eq!(features.client_data("FLAG").unwrap().to_string(), r#"{"a": 1, "b": 2, "c": 3}"#);

    let mut calls = 0;
    features
        .update("FLAG", |record| {
            calls += 1;
            record.set_enabled(true);
            Ok(())
        })
        .unwrap();
    assert_eq!(calls, 1);
    features.add_condition("FLAG", Condition::new().eq("plan", "pro")).unwrap();
    let (pro, free) = (String::from("pro"), String::from("free"));
    assert!(features.fetch_enabled("FLAG", &context! { plan: &pro }).unwrap());
    assert!(!flag.fetch_enabled(&context! { plan: &free }).unwrap());
    assert!(!features.scope(context! { plan: &free }).is_enabled("FLAG"));
    features.set_conditions("FLAG", []).unwrap();
    assert!(features.fetch("FLAG").unwrap().unwrap().is_enabled());
    assert_eq!(features.list().len(), 1);

    blocking::wait(Flags::register(features)).unwrap();
    assert!(Flags::new(features).typed.is_enabled() && features.get("MISSING").with_default(true).is_enabled());
    features.destroy("FLAG").unwrap();
    assert!(flag.fetch().unwrap().is_none());
    assert_eq!(features.enable("FLAG").unwrap_err().kind(), ErrorKind::FlagNotFound);
    assert!(changes.next_timeout(PATIENCE).is_some());
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn everywhere(make: impl Fn() -> FeatureFlagClient + Clone + Send + 'static) {
    let places: [Place; 9] = [
        ("a plain thread", |work| work()),
        ("a block_on of another executor", |work| block_on(async { work() })),
        ("a current-thread block_on", |work| current_thread().block_on(async { work() })),
        ("a current-thread task", |work| {
            current_thread().block_on(async { tokio::spawn(async { work() }).await.unwrap() });
        }),
        ("a current-thread spawn_blocking", |work| {
            current_thread().block_on(async { spawn_blocking(work).await.unwrap() });
        }),
        ("a multi-thread block_on", |work| multi_thread().block_on(async { work() })),
        ("a multi-thread task", |work| {
            multi_thread().block_on(async { tokio::spawn(async { work() }).await.unwrap() });
        }),
        ("a multi-thread spawn_blocking", |work| {
            multi_thread().block_on(async { spawn_blocking(work).await.unwrap() });
        }),
        ("a runtime that is entered", |work| {
            let runtime = multi_thread();
            let _entered = runtime.enter();
            work();
        }),
    ];
    for (place, run) in places {
        let make = make.clone();
        within(PATIENCE, move || {
            eprintln!("{place}");
            run(Box::new(move || use_all(&make())));
        });
    }
}

type Work = Box<dyn FnOnce() + Send>;
type Place = (&'static str, fn(Work));

#[test]
fn memory() {
    everywhere(|| FeatureFlagClient::new(|| async { MemoryFeatureFlagStore::new() }).unwrap());
    everywhere(|| blocking::connect("memory:").unwrap());
}

#[test]
fn sqlite() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    everywhere(move || {
        let path = folder.path().join(format!("{:016x}.db", fastrand::u64(..)));
        FeatureFlagClient::try_new(|| async { SqliteFeatureFlagStore::new(path) }).unwrap()
    });
}

#[test]
fn redis() {
    let Some(server) = RedisServer::start() else { return };
    let url = server.url();
    everywhere(move || {
        let features = blocking::connect(&format!("{url}?base_key=test-{:016x}", fastrand::u64(..))).unwrap();
        features.ready().unwrap();
        features
    });
}

/// A store whose futures need tokio's timers and a spawned task.
#[derive(Debug)]
struct NeedsRuntime {
    store: MemoryFeatureFlagStore,
    requests: tokio::sync::mpsc::Sender<tokio::sync::oneshot::Sender<()>>,
}

impl NeedsRuntime {
    async fn new() -> Self {
        let (requests, mut receiver) = tokio::sync::mpsc::channel::<tokio::sync::oneshot::Sender<()>>(1);
        tokio::spawn(async move {
            while let Some(request) = receiver.recv().await {
                let _ = request.send(());
            }
        });
        Self { store: MemoryFeatureFlagStore::new(), requests }
    }

    async fn call(&self) {
        tokio::time::sleep(Duration::from_micros(100)).await;
        // Inside a runtime, `yield_now` wakes at the end of the running task's turn, but that task waits here.
        tokio::task::yield_now().await;
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.requests.send(answer).await.unwrap();
        answered.await.unwrap();
    }
}

impl fmt::Display for NeedsRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NeedsRuntime")
    }
}

#[async_trait]
impl FeatureFlagStore for NeedsRuntime {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.call().await;
        self.store.get(name).await
    }
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.call().await;
        self.store.put(record, options).await
    }
    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.call().await;
        self.store.delete(name, options).await
    }
    async fn list(&self) -> Result<Vec<Stored>> {
        self.call().await;
        self.store.list().await
    }
    fn watch(&self) -> Watch<'_> {
        watch_by_polling(self, Duration::from_millis(5))
    }
}

#[test]
fn a_store_that_needs_a_runtime() {
    everywhere(|| {
        FeatureFlagClient::new(|| async { MirroredFeatureFlagStore::new(NeedsRuntime::new().await) }).unwrap()
    });
}

/// Tokio gives each task a budget; once it is used up, none of tokio's resources becomes ready.
#[test]
fn many_calls_in_one_task() {
    within(PATIENCE, || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(async {
                let features = FeatureFlagClient::remote(NeedsRuntime::new).unwrap();
                for _ in 0..300 {
                    assert!(features.fetch("FLAG").unwrap().is_none());
                }
            })
            .await
            .unwrap();
        });
    });
}

#[test]
fn a_subscriber_may_call() {
    within(PATIENCE, || {
        let features = blocking::connect("memory:").unwrap();
        features.create("MARK").wait().unwrap();
        let inner = features.clone();
        let _subscription = features.subscribe(Post(move |event: &WriteEvent| {
            if event.name() == "FLAG" {
                inner.enable("MARK").unwrap();
            }
        }));
        features.create("FLAG").wait().unwrap();
        assert!(features.is_enabled("MARK"));
    });
}

/// A store whose watch makes a blocking call; a mirror runs the watch on flipper's thread.
#[derive(Debug)]
struct CallsInWatch {
    store: MemoryFeatureFlagStore,
    found: Arc<Mutex<Option<ErrorKind>>>,
}

impl fmt::Display for CallsInWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallsInWatch")
    }
}

#[async_trait]
impl FeatureFlagStore for CallsInWatch {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.store.get(name).await
    }
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.store.put(record, options).await
    }
    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.store.delete(name, options).await
    }
    async fn list(&self) -> Result<Vec<Stored>> {
        self.store.list().await
    }
    fn watch(&self) -> Watch<'_> {
        let mut first = true;
        let call = poll_fn(move |context| {
            // A mirror polls once where it is made, and then on flipper's thread.
            if std::mem::take(&mut first) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let features = FeatureFlagClient::from(flipper::FeatureFlagClient::new(self.store.clone()));
            let result = features.fetch("FLAG");
            *self.found.lock().unwrap() = Some(result.map_or_else(|error| error.kind(), |_| ErrorKind::Conflict));
            Poll::Ready(())
        });
        Box::pin(call.into_stream().flat_map(|()| self.store.watch()))
    }
}

#[test]
fn a_call_on_flippers_own_thread_is_an_error() {
    let found = Arc::new(Mutex::new(None));
    let store = CallsInWatch { store: MemoryFeatureFlagStore::new(), found: found.clone() };
    within(PATIENCE, || {
        let features = FeatureFlagClient::new(|| async { MirroredFeatureFlagStore::new(store) }).unwrap();
        features.ready().unwrap();
    });
    assert_eq!(*found.lock().unwrap(), Some(ErrorKind::Unsupported));
}

#[test]
fn waiting_ends_with_the_time() {
    let features = FeatureFlagClient::new(|| async {
        let store = flipper::testing::FailingStore::new(MemoryFeatureFlagStore::new());
        store.disconnect();
        MirroredFeatureFlagStore::new(store)
    })
    .unwrap();
    let begin = Instant::now();
    assert_eq!(features.ready_timeout(Duration::from_millis(30)).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(features.changes().next_timeout(Duration::from_millis(30)).is_none());
    assert!(begin.elapsed() >= Duration::from_millis(60));

    let ready = blocking::connect("memory:").unwrap();
    ready.ready_timeout(Duration::MAX).unwrap();
}

#[test]
fn changes_wake_a_thread_that_waits() {
    let features = blocking::connect("memory:").unwrap();
    let mut changes = features.changes();
    let waiting = thread::spawn(move || changes.next().and_then(|change| change.name().map(str::to_owned)));
    features.create("FLAG").wait().unwrap();
    assert_eq!(waiting.join().unwrap().as_deref(), Some("FLAG"));

    let changes = features.changes();
    let rest = thread::spawn(move || changes.count());
    drop(features);
    assert_eq!(rest.join().unwrap(), 0, "ends with the last client");
}

#[test]
fn closed_is_closed() {
    let features = blocking::connect("memory:").unwrap();
    features.close().unwrap();
    assert_eq!(features.create("FLAG").wait().unwrap_err().kind(), ErrorKind::Unavailable);
}

/// A method that is missing from the blocking client would resolve to the async one.
#[test]
fn every_async_method_has_one_that_waits() {
    let names = |source: &'static str, before: &str| -> BTreeSet<&'static str> {
        let lines = source.lines().filter_map(|line| line.trim_start().strip_prefix(before));
        lines.filter_map(|line| line.split(['(', '<']).next()).collect()
    };
    let client = [
        include_str!("../src/client/history.rs"),
        include_str!("../src/client/read.rs"),
        include_str!("../src/client/write.rs"),
    ];
    let of_client: BTreeSet<_> = client.into_iter().flat_map(|source| names(source, "pub async fn ")).collect();
    let of_flag = names(include_str!("../src/client/flag.rs"), "pub async fn ");
    assert!(of_client.len() >= 12 && of_flag.len() >= 10, "the parser finds them: {of_client:?} {of_flag:?}");
    let waits = names(include_str!("../src/blocking/client.rs"), "pub fn ");
    assert!(of_client.is_subset(&waits), "{:?}", of_client.difference(&waits));
    let waits = names(include_str!("../src/blocking/flag.rs"), "pub fn ");
    assert!(of_flag.is_subset(&waits), "{:?}", of_flag.difference(&waits));
}
