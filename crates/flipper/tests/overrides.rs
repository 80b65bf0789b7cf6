//! Where an override of a flag holds, and where it does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Barrier, LazyLock};
use std::thread;

use flipper::evaluation::Reason;
use flipper::store::{Stored, Version, WriteOptions};
use flipper::testing::{OverrideGuard, Overrides, override_flags, spawn, spawn_blocking, spawn_thread};
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, context, override_flags};
use flipper_testkit::block_on;
use tokio::task::yield_now;

static FEATURES: LazyLock<FeatureFlagClient> = LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));

fn answer(features: &FeatureFlagClient, name: &str) -> bool {
    let context = context! { user_id: 7 };
    let (flag, scope) = (features.get(name), features.scope(context));
    let answers = [
        features.is_enabled(name),
        features.is_enabled_or(name, false),
        features.is_enabled_with(name, &context),
        features.evaluate(name, &context).is_enabled,
        flag.is_enabled(),
        flag.is_enabled_or(false),
        flag.is_enabled_with(&context),
        flag.evaluate(&context).is_enabled,
        scope.is_enabled(name),
        scope.is_enabled_or(&flag, false),
        scope.evaluate(name).is_enabled,
        block_on(features.fetch_enabled(name, &context)).unwrap(),
        block_on(flag.fetch_enabled(&context)).unwrap(),
    ];
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    answers[0]
}

#[test]
fn holds_for_every_way_to_ask_until_the_guard_is_dropped() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("ON").enabled(true)).unwrap();
    let context = context! {};
    {
        let _overrides = override_flags!(features, "ON" => false, features.get("MISSING") => true, "OTHER" => true,);
        assert!(!answer(&features, "ON"));
        assert!(answer(&features, "MISSING"));
        assert!(!features.is_enabled_or("ON", true) && features.is_enabled_or("MISSING", false));
        assert_eq!(features.evaluate("ON", &context).reason, Reason::Overridden);
        assert_eq!(features.scope(context).evaluate("ON").reason, Reason::Overridden);
        assert!(!features.exists("MISSING"), "the flag itself is not touched");
        assert!(features.record("ON").unwrap().is_enabled());
        assert!(!answer(&features, "UNTOUCHED"));
    }
    assert!(answer(&features, "ON"));
    assert!(!answer(&features, "MISSING"));
    assert_eq!(features.evaluate("ON", &context).reason, Reason::Enabled);
}

flipper::flags! {
    struct Flags {
        typed = true,
    }
}

#[flipper::is_enabled(features, "ATTRIBUTE", redirect = old)]
fn new(features: &FeatureFlagClient) -> bool {
    true
}

fn old(_: &FeatureFlagClient) -> bool {
    false
}

#[test]
fn typed_flags_and_the_attribute_are_overridden_too() {
    let flags = Flags::new(&FEATURES);
    assert!(flags.typed.is_enabled() && !new(&FEATURES));
    let _overrides = override_flags!(FEATURES, flags.typed => false, "ATTRIBUTE" => true);
    assert!(!flags.typed.is_enabled() && !FEATURES.scope(context! {}).is_enabled(&flags.typed));
    assert!(new(&FEATURES));
}

#[test]
fn a_remote_client_is_overridden_too() {
    let features = FeatureFlagClient::remote(MemoryFeatureFlagStore::new());
    let _overrides = override_flags!(features, "FLAG" => true);
    assert!(block_on(features.fetch_enabled("FLAG", &context! {})).unwrap());
    let clone = features.clone();
    assert!(block_on(clone.get("FLAG").fetch_enabled(&context! {})).unwrap());
    assert!(block_on(features.get("FLAG").fetch_enabled(&context! {})).unwrap());
}

#[test]
fn holds_for_one_set_of_flags() {
    let store = MemoryFeatureFlagStore::new();
    let features = FeatureFlagClient::new(store.clone());
    let (same, other) = (FeatureFlagClient::new(store), FeatureFlagClient::new(MemoryFeatureFlagStore::new()));
    let _overrides = override_flags!(features, "FLAG" => true);
    let clone = features.clone();
    assert!(answer(&features, "FLAG") && answer(&clone, "FLAG") && answer(&same, "FLAG"));
    assert!(!answer(&other, "FLAG"));
}

#[test]
fn the_later_one_holds_and_guards_end_in_any_order() {
    let features = &*FEATURES;
    let first = override_flags!(features, "NESTED" => true);
    let second = override_flags!(features, "NESTED" => false);
    let third = override_flags!(features, "NESTED" => true, "NESTED" => false);
    assert!(!features.is_enabled("NESTED"));
    drop(second);
    assert!(!features.is_enabled("NESTED"));
    drop(third);
    assert!(features.is_enabled("NESTED"));
    assert_eq!(format!("{first:?}"), r#"{"NESTED": true}"#);
    drop(first);
    assert!(!features.is_enabled("NESTED"));
}

#[test]
fn a_panic_ends_it() {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _overrides = override_flags!(FEATURES, "PANIC" => true);
        assert!(answer(&FEATURES, "PANIC"));
        panic!("as a failed assertion does");
    }));
    assert!(panicked.is_err());
    assert!(!answer(&FEATURES, "PANIC"));
}

#[test]
fn holds_on_this_thread_and_where_it_is_handed_on() {
    let overrides = override_flags!(FEATURES, "THREAD" => true);
    let here = Overrides::current();
    thread::scope(|threads| {
        threads.spawn(|| assert!(!answer(&FEATURES, "THREAD")));
        threads.spawn(|| here.run(|| assert!(answer(&FEATURES, "THREAD"))));
    });
    spawn_thread(|| {
        assert!(answer(&FEATURES, "THREAD"));
        spawn_thread(|| assert!(answer(&FEATURES, "THREAD"), "and from there on")).join().unwrap();
        let _own = override_flags!(FEATURES, "THREAD" => false);
        assert!(!answer(&FEATURES, "THREAD"));
    })
    .join()
    .unwrap();
    assert!(answer(&FEATURES, "THREAD"), "what the other thread overrides is its own");
    drop(overrides);
    here.run(|| assert!(!answer(&FEATURES, "THREAD"), "ends where it was handed on to, too"));
}

#[tokio::test]
async fn holds_for_all_tasks_of_a_runtime_on_this_thread() {
    let _overrides = override_flags!(FEATURES, "TASKS" => true);
    tokio::spawn(async {
        yield_now().await;
        assert!(answer(&FEATURES, "TASKS"));
    })
    .await
    .unwrap();
}

/// The body of such a test stays on its thread; other tasks may not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_handed_on_to_tasks_that_are_spawned_through_us() {
    let _overrides = override_flags!(FEATURES, "SPAWNED" => true);
    for _ in 0..100 {
        let not = tokio::spawn(async {
            yield_now().await;
            answer(&FEATURES, "SPAWNED")
        });
        let through_us = spawn(async {
            yield_now().await;
            let nested = spawn(async { answer(&FEATURES, "SPAWNED") }).await.unwrap();
            nested && answer(&FEATURES, "SPAWNED") && spawn_blocking(|| answer(&FEATURES, "SPAWNED")).await.unwrap()
        });
        assert!(!not.await.unwrap());
        assert!(through_us.await.unwrap());
    }
    assert!(answer(&FEATURES, "SPAWNED"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_keeps_its_override_on_every_thread() {
    async fn task(answer_of_task: bool) {
        let _overrides = override_flags!(FEATURES, "TASK" => answer_of_task);
        for _ in 0..200 {
            assert_eq!(answer(&FEATURES, "TASK"), answer_of_task);
            yield_now().await;
        }
    }
    let tasks: Vec<_> = (0..20).map(|number| tokio::spawn(task(number % 2 == 0))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(!answer(&FEATURES, "TASK"));
}

#[tokio::test]
async fn tasks_of_one_thread_are_apart() {
    async fn task(answer_of_task: bool) {
        let _overrides = override_flags!(FEATURES, "APART" => answer_of_task);
        for _ in 0..50 {
            assert_eq!(answer(&FEATURES, "APART"), answer_of_task);
            yield_now().await;
        }
    }
    let (on, off) = (tokio::spawn(task(true)), tokio::spawn(task(false)));
    on.await.unwrap();
    off.await.unwrap();
    assert!(!answer(&FEATURES, "APART"));
}

#[tokio::test]
async fn parts_of_one_task_are_apart_when_attached() {
    let part = |of_part| {
        Overrides::current().attach(async move {
            let _overrides = override_flags!(FEATURES, "PART" => of_part);
            for _ in 0..50 {
                assert_eq!(answer(&FEATURES, "PART"), of_part);
                yield_now().await;
            }
        })
    };
    tokio::join!(part(true), part(false));
    assert!(!answer(&FEATURES, "PART"));
}

#[test]
fn a_guard_that_is_dropped_elsewhere_ends_it_here() {
    let guard: OverrideGuard = override_flags(&FEATURES, [(String::from("MOVED"), true)]);
    assert!(answer(&FEATURES, "MOVED"));
    thread::spawn(move || drop(guard)).join().unwrap();
    assert!(!answer(&FEATURES, "MOVED"));
}

#[test]
fn a_scope_keeps_the_answer_it_gave() {
    let scope = FEATURES.scope(context! {});
    let guard = override_flags!(FEATURES, "SCOPED" => true);
    assert!(scope.is_enabled("SCOPED"));
    drop(guard);
    assert!(scope.is_enabled("SCOPED"));
    assert!(!FEATURES.scope(context! {}).is_enabled("SCOPED"));
}

/// All at once, also where the test harness has few threads. `tests/overrides_parallel.rs` has the harness's own 200.
#[test]
fn two_hundred_threads_with_opposite_overrides_a_hundred_times() {
    const THREADS: usize = 200;
    for _ in 0..100 {
        let barrier = Barrier::new(THREADS);
        thread::scope(|threads| {
            for number in 0..THREADS {
                let barrier = &barrier;
                threads.spawn(move || {
                    let of_thread = number % 2 == 0;
                    let guard = (number % 10 != 9).then(|| override_flags!(FEATURES, "OPPOSITE" => of_thread));
                    barrier.wait();
                    assert_eq!(answer(&FEATURES, "OPPOSITE"), guard.is_some() && of_thread);
                });
            }
        });
        assert!(!answer(&FEATURES, "OPPOSITE"));
    }
}

/// A store that checks a flag of another client when it is dropped.
#[derive(Debug)]
struct LastWish(MemoryFeatureFlagStore);

impl Drop for LastWish {
    fn drop(&mut self) {
        assert!(!FEATURES.is_enabled("LAST_WISH"));
    }
}

impl std::fmt::Display for LastWish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LastWish")
    }
}

#[async_trait::async_trait]
impl FeatureFlagStore for LastWish {
    async fn get(&self, name: &str) -> flipper::Result<Option<Stored>> {
        self.0.get(name).await
    }
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> flipper::Result<Version> {
        self.0.put(record, options).await
    }
    async fn delete(&self, name: &str, options: WriteOptions) -> flipper::Result<Version> {
        self.0.delete(name, options).await
    }
    async fn list(&self) -> flipper::Result<Vec<Stored>> {
        self.0.list().await
    }
}

#[test]
fn a_guard_that_is_the_last_to_hold_a_store_lets_it_end() {
    flipper_testkit::within(flipper_testkit::PATIENCE, || {
        let features = FeatureFlagClient::remote(LastWish(MemoryFeatureFlagStore::new()));
        let overrides = override_flags!(features, "X" => true);
        drop(features);
        drop(overrides);
    });
}
