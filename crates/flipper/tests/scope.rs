//! One request, one answer: `features.scope`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use allocation_counter::measure;
use flipper::bucketing::{
    ConsistentHashPercentageBucketer, CustomBucketer, LinearRampPercentage, Percentage, PercentageBucketer,
};
use flipper::context::Attributes;
use flipper::evaluation::{Clock, RandomSource, Reason};
use flipper::{Bucketer, Condition, Context, ErrorKind, FeatureFlagClient, MemoryFeatureFlagStore, Scope, context};
use flipper_testkit::block_on;

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[test]
fn a_flag_that_changes_keeps_its_answer() {
    let features = client();
    let flag = block_on(features.create("FLAG").enabled(true)).unwrap();
    let scope = features.scope(context! {});
    assert!(scope.is_enabled("FLAG"));
    block_on(flag.disable()).unwrap();
    assert!(scope.is_enabled("FLAG"));
    assert_eq!(scope.evaluate("FLAG").reason, Reason::Enabled);
    block_on(flag.destroy()).unwrap();
    assert!(scope.is_enabled("FLAG") && scope.is_enabled_or("FLAG", false));
    assert!(scope.client_data("FLAG").is_ok());
    assert!(!features.scope(context! {}).is_enabled("FLAG"));
}

#[test]
fn a_flag_is_looked_at_when_it_is_first_asked_for() {
    let features = client();
    let scope = features.scope(context! {});
    block_on(features.create("LATER").enabled(true)).unwrap();
    assert!(scope.is_enabled("LATER"));
}

#[test]
fn a_missing_flag_stays_missing() {
    let features = client();
    let scope = features.scope(context! {});
    assert!(!scope.is_enabled("NEW"));
    assert!(scope.is_enabled_or("NEW", true), "the default is the check's, not the scope's");
    block_on(features.create("NEW").enabled(true)).unwrap();
    assert!(!scope.is_enabled("NEW"));
    assert_eq!(scope.evaluate("NEW").reason, Reason::NoSuchFlag);
    assert_eq!(scope.client_data("NEW").unwrap_err().kind(), ErrorKind::FlagNotFound);
}

#[test]
fn a_broken_flag_has_the_default_and_the_reason() {
    let store = MemoryFeatureFlagStore::new();
    store.put_text("BROKEN", "{");
    let scope = FeatureFlagClient::new(store).scope(context! {});
    assert!(scope.is_enabled_or("BROKEN", true));
    assert!(!scope.is_enabled("BROKEN"));
    assert_eq!(scope.evaluate("BROKEN").reason, Reason::Corrupt);
    assert_eq!(scope.client_data("BROKEN").unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn the_attributes_count() {
    let features = client();
    block_on(features.create("PRO").enabled(true)).unwrap();
    block_on(features.add_condition("PRO", Condition::new().eq("plan", "pro"))).unwrap();
    for (plan, on) in [("pro", true), ("free", false)] {
        let owned = Context::new().with("plan", plan);
        for scope in [features.scope(context! { plan: plan }), features.scope(&owned), features.scope(owned.clone())] {
            assert_eq!(scope.is_enabled("PRO"), on);
            assert_eq!(scope.evaluate("PRO"), features.evaluate("PRO", &owned));
            assert_eq!(scope.context().len(), 1);
        }
    }
}

#[test]
fn a_handle_brings_its_default() {
    let features = client();
    let flag = features.get("MISSING").with_default(true);
    let scope = features.scope(context! {});
    assert!(scope.is_enabled(&flag) && scope.evaluate(&flag).is_enabled);
    assert!(!scope.is_enabled("MISSING") && !scope.is_enabled(String::from("MISSING")), "the name has none");
    assert!(!scope.is_enabled_or(&flag, false));
    block_on(features.create("MISSING")).unwrap();
    assert!(!features.scope(context! {}).is_enabled(&flag));
}

/// Draws 0.0, 0.1, … 0.9 and begins anew, and counts.
#[derive(Debug, Default)]
struct Draws(Arc<AtomicU64>);

impl RandomSource for Draws {
    fn next(&self) -> f64 {
        (self.0.fetch_add(1, Ordering::Relaxed) % 10) as f64 / 10.0
    }
}

#[test]
fn a_random_bucketer_is_asked_once() {
    let draws = Arc::new(AtomicU64::new(0));
    let features = FeatureFlagClient::builder().random(Draws(draws.clone())).build(MemoryFeatureFlagStore::new());
    block_on(features.create("HALF").enabled(true)).unwrap();
    let half = Percentage::new(0.45);
    block_on(features.set_bucketer("HALF", PercentageBucketer::new(half))).unwrap();
    let flag = features.get("HALF");

    let mut on = 0;
    for number in 1..=100 {
        let scope = features.scope(context! { user_id: 7 });
        let answer = scope.is_enabled("HALF");
        assert_eq!(draws.load(Ordering::Relaxed), number);
        for _ in 0..3 {
            assert_eq!(scope.is_enabled("HALF"), answer);
            assert_eq!(scope.is_enabled(&flag), answer, "by handle");
            assert_eq!(scope.clone().is_enabled("HALF"), answer);
        }
        on += usize::from(answer);
    }
    assert_eq!(on, 50, "the scopes among themselves are drawn");
}

#[test]
fn an_evaluation_agrees_with_the_draw() {
    let features = client();
    block_on(features.create("HALF").enabled(true)).unwrap();
    block_on(features.set_bucketer("HALF", PercentageBucketer::new(Percentage::new(0.5)))).unwrap();
    for number in 0..100 {
        let scope = features.scope(context! {});
        let first = if number % 2 == 0 { scope.is_enabled("HALF") } else { scope.evaluate("HALF").is_enabled };
        for _ in 0..5 {
            let evaluation = scope.evaluate("HALF");
            assert_eq!(evaluation.is_enabled, first);
            assert_eq!(evaluation.reason, Reason::Random { percentage: 0.5 });
            assert_eq!(scope.is_enabled("HALF"), first);
        }
    }
}

#[test]
fn threads_of_one_request_agree() {
    let features = client();
    block_on(features.create("HALF").enabled(true)).unwrap();
    block_on(features.set_bucketer("HALF", PercentageBucketer::new(Percentage::new(0.5)))).unwrap();
    for _ in 0..100 {
        let scope = features.scope(context! { user_id: 7 });
        let answers: Vec<bool> = thread::scope(|threads| {
            let all: Vec<_> = (0..4).map(|_| threads.spawn(|| scope.is_enabled("HALF"))).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
}

/// A clock that goes on a second each time it is read.
#[derive(Debug, Default)]
struct Running(AtomicU64);

impl Clock for Running {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[test]
fn a_ramp_stands_still() {
    let features = FeatureFlagClient::builder().clock(Running::default()).build(MemoryFeatureFlagStore::new());
    let ramp = LinearRampPercentage::new(0.0, 1.0, Duration::from_secs(100)).starting_at(SystemTime::UNIX_EPOCH);
    for name in ["ONE", "TWO"] {
        block_on(features.create(name).enabled(true)).unwrap();
        block_on(features.set_bucketer(name, ConsistentHashPercentageBucketer::new(ramp.clone()))).unwrap();
    }
    let mut on = 0;
    for _ in 0..50 {
        let scope = features.scope(context! { user_id: 7 });
        let first = scope.evaluate("ONE");
        assert_eq!(scope.evaluate("ONE"), first);
        assert_eq!(scope.is_enabled("ONE"), first.is_enabled);
        assert_eq!(scope.evaluate("TWO"), first, "one moment for all flags");
        on += usize::from(first.is_enabled);
    }
    assert!((1..50).contains(&on), "the ramp itself goes on: {on}");
}

/// Asks the scope that asks it for another flag.
#[derive(Debug)]
struct Asking(std::sync::OnceLock<Scope>);

impl CustomBucketer for Asking {
    fn bucketer_type(&self) -> &str {
        "Asking"
    }

    fn is_enabled(&self, _: &str, _: &dyn Attributes) -> bool {
        self.0.get().is_some_and(|scope| scope.is_enabled("OTHER"))
    }

    fn fields(&self) -> flipper::json::Object {
        flipper::json::Object::new()
    }
}

#[test]
fn a_bucketer_may_ask_the_scope() {
    let features = client();
    block_on(features.create("OTHER").enabled(true)).unwrap();
    block_on(features.create("ASKING").enabled(true)).unwrap();
    let bucketer = Arc::new(Asking(std::sync::OnceLock::new()));
    block_on(features.set_bucketer("ASKING", Bucketer::Custom(bucketer.clone()))).unwrap();
    let scope = features.scope(context! {});
    bucketer.0.set(scope.clone()).unwrap();
    assert!(scope.is_enabled("ASKING"));
}

#[test]
fn few_flags_allocate_nothing_once_there_is_a_scope() {
    let features = client();
    let names = ["A", "B", "C", "D", "E", "F", "G"];
    for name in names {
        block_on(features.create(name).enabled(true)).unwrap();
    }
    let scope = features.scope(context! { user_id: 7 });
    // Once per thread `arc-swap` allocates its place for this thread.
    features.evaluate("A", &context! {});
    let checks = measure(|| {
        for _ in 0..3 {
            assert!(names.iter().all(|name| scope.is_enabled(*name)));
        }
    });
    assert_eq!(checks.count_total, 0);
}
