//! The client's verbs, over the memory store and without a runtime.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flipper::bucketing::{
    AnyPercentage, ConsistentHashPercentageBucketer, LinearRampPercentage, Percentage, PercentageBucketer,
    SaltedPercentageBucketer,
};
use flipper::store::Precondition;
use flipper::{Bucketer, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, context};
use flipper_testkit::block_on;
use serde_json::json;

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

fn spawnable<T: Send>(future: T) -> T {
    future
}

/// Runs a future on a thread that is inside `block_on`.
fn elsewhere<F: IntoFuture<Output: Send> + Send>(future: F) -> F::Output {
    thread::scope(|scope| scope.spawn(|| block_on(future)).join()).unwrap()
}

fn kind<T: std::fmt::Debug>(result: flipper::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn futures_can_be_sent_between_threads() {
    let features = client();
    // `spawn` needs a future that owns all it uses.
    let creation = features.create("X").into_future();
    thread::spawn(|| block_on(creation)).join().unwrap().unwrap();
    block_on(spawnable(features.enable("X"))).unwrap();
    block_on(spawnable(features.set_client_data("X", BTreeMap::from([("a", 1)])))).unwrap();
    block_on(spawnable(features.update("X", |_| Ok(())))).unwrap();
    block_on(spawnable(features.destroy("X"))).unwrap();
    block_on(spawnable(features.get("X").fetch())).unwrap();
}

#[test]
fn create_refuses_keeps_or_replaces() {
    let features = client();
    let flag = block_on(features.create("X").enabled(true).client_data(json!({ "a": 1 }))).unwrap();
    assert!(flag.is_enabled());

    let error = block_on(features.create("X")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FlagExists);
    assert_eq!(error.flag(), Some("X"));
    assert!(features.is_enabled("X"), "nothing changed");

    let kept = block_on(features.create("X").client_data(json!({ "b": 2 })).or_get()).unwrap();
    assert_eq!(kept.client_data().unwrap().to_string(), r#"{"a": 1}"#);

    block_on(features.create("X").replace()).unwrap();
    assert!(!features.is_enabled("X"));
    assert_eq!(features.client_data("X").unwrap().to_string(), "{}");
}

#[test]
fn a_missing_flag_is_off_or_the_default_and_cannot_be_changed() {
    let features = client();
    assert!(!features.is_enabled("X"));
    assert!(features.is_enabled_or("X", true));
    assert!(!features.is_enabled_with("X", &context! { user_id: 7 }));
    assert!(!features.exists("X"));
    assert_eq!(kind(features.meta("X")), ErrorKind::FlagNotFound);
    assert_eq!(kind(features.client_data("X")), ErrorKind::FlagNotFound);
    assert_eq!(kind(block_on(features.enable("X"))), ErrorKind::FlagNotFound);
    assert_eq!(kind(block_on(features.disable("X"))), ErrorKind::FlagNotFound);
    assert_eq!(kind(block_on(features.destroy("X"))), ErrorKind::FlagNotFound);
    assert_eq!(kind(block_on(features.set_client_data("X", json!({})))), ErrorKind::FlagNotFound);
    assert_eq!(kind(block_on(features.set_conditions("X", []))), ErrorKind::FlagNotFound);
    let error = block_on(features.enable("X")).unwrap_err();
    assert_eq!(error.to_string(), "flag not found: flag \"X\" in Memory");
}

#[test]
fn a_handle_outlives_its_flag() {
    let features = client();
    let flag = features.get("X");
    assert!(!flag.exists() && !flag.is_enabled() && flag.is_enabled_or(true));
    assert!(features.list().is_empty(), "asking makes nothing");

    block_on(features.create("X").enabled(true)).unwrap();
    assert!(flag.is_enabled());
    block_on(flag.destroy()).unwrap();
    assert!(!flag.is_enabled() && flag.is_enabled_or(true) && !flag.exists());
    block_on(features.create("X")).unwrap();
    assert!(!flag.is_enabled_or(true) && flag.exists());
    block_on(flag.enable()).unwrap();
    assert!(flag.is_enabled());
}

#[test]
fn list_is_ordered() {
    let features = client();
    for name in ["b", "é", "a", "B", "c"] {
        block_on(features.create(name)).unwrap();
    }
    block_on(features.destroy("c")).unwrap();
    let names: Vec<_> = features.list().iter().map(|flag| flag.name().to_owned()).collect();
    assert_eq!(names, ["B", "a", "b", "é"]);
}

#[test]
fn bad_names_and_data_are_refused_with_nothing_written() {
    let features = client();
    let long = "x".repeat(256);
    for name in ["", "a/b", "a\nb", "\u{7f}", "\u{85}", long.as_str()] {
        assert_eq!(kind(block_on(features.create(name))), ErrorKind::InvalidName, "{name:?}");
    }
    block_on(features.create("y".repeat(255))).unwrap();
    block_on(features.create("X").client_data(json!({ "kept": true }))).unwrap();

    assert_eq!(kind(block_on(features.create("Y").client_data([1, 2]))), ErrorKind::InvalidInput);
    assert_eq!(kind(block_on(features.set_client_data("X", "text"))), ErrorKind::InvalidInput);
    assert_eq!(
        kind(block_on(features.set_client_data("X", BTreeMap::from([("a", f64::NAN)])))),
        ErrorKind::InvalidInput
    );
    let half = json!({ "half": "x".repeat(200 * 1024) });
    block_on(features.set_client_data("X", half)).unwrap();
    let error = block_on(features.set_client_data("X", json!({ "other": "x".repeat(60 * 1024) }))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("262144"), "{error}");
    assert_eq!(features.client_data("X").unwrap().as_object().unwrap().len(), 2, "the merge was refused whole");
    assert!(!features.exists("Y"));
}

#[test]
fn an_update_is_one_write_and_its_error_writes_nothing() {
    let features = client();
    block_on(features.create("X")).unwrap();
    block_on(features.update("X", |record| {
        record.set_enabled(true);
        record.set_created_date(7);
        Ok(())
    }))
    .unwrap();
    assert!(features.is_enabled("X"));
    assert_eq!(features.record("X").unwrap().created_date(), Some(7));

    let error = flipper::Error::new(ErrorKind::InvalidInput).with_message("no");
    let mut error = Some(error);
    let result = block_on(features.update("X", |record| {
        record.set_enabled(false);
        Err(error.take().unwrap())
    }));
    assert_eq!(result.unwrap_err().to_string(), "no: flag \"X\" in Memory");
    assert!(features.is_enabled("X"));
}

#[test]
fn contended_writers_lose_nothing() {
    let features = client();
    block_on(features.create("X")).unwrap();
    thread::scope(|scope| {
        for writer in 0..8 {
            let features = &features;
            scope.spawn(move || {
                for number in 0..100 {
                    block_on(features.set_client_data("X", json!({ format!("{writer}-{number}"): number }))).unwrap();
                }
            });
        }
    });
    assert_eq!(features.client_data("X").unwrap().as_object().unwrap().len(), 800);
}

#[test]
fn a_write_that_always_conflicts_fails_after_its_timeout() {
    let store = MemoryFeatureFlagStore::new();
    let features = FeatureFlagClient::builder().write_timeout(Duration::from_secs(1)).build(store.clone());
    block_on(features.create("X")).unwrap();
    let attempts = AtomicUsize::new(0);
    let result = block_on(features.update("X", |record| {
        attempts.fetch_add(1, Ordering::Relaxed);
        // Another writer always comes first.
        let mut other = FlagRecord::new("X", 0);
        other.set_enabled(true);
        elsewhere(store.put(&other, Precondition::Any.into()))?;
        record.set_enabled(false);
        Ok(())
    }));
    assert_eq!(kind(result), ErrorKind::Conflict);
    assert!(attempts.into_inner() > 2, "it tried again");
    assert!(features.is_enabled("X"), "the other's write stands");
}

#[test]
fn a_remote_client_reads_through_the_store() {
    let store = MemoryFeatureFlagStore::new();
    let features = FeatureFlagClient::remote(store.clone());
    block_on(async {
        assert!(features.fetch("X").await?.is_none());
        assert!(!features.fetch_enabled("X", &context! {}).await?);
        features.create("X").enabled(true).await?;
        assert!(features.fetch_enabled("X", &context! {}).await?);
        store.delete("X", Precondition::Any.into()).await?;
        assert!(!features.get("X").fetch_enabled(&context! {}).await?);
        assert_eq!(kind(features.enable("X").await), ErrorKind::FlagNotFound);
        Ok::<(), flipper::Error>(())
    })
    .unwrap();
}

#[test]
fn a_client_is_made_from_a_url_and_errors_show_no_secret() {
    assert!(block_on(flipper::connect("memory:")).is_ok());
    assert_eq!(kind(block_on(flipper::connect("memory:x"))), ErrorKind::InvalidInput);
    assert_eq!(kind(flipper::open("")), ErrorKind::InvalidInput);
    assert_eq!(kind(flipper::open("sqlite:")), ErrorKind::InvalidInput);
    let client = FeatureFlagClient::new(flipper::open("redis://user:hunter2@127.0.0.1:1/0").unwrap());
    let status = client.status();
    assert!(!format!("{client:?} {status:?}").contains("hunter2"), "{client:?} {status:?}");
    for url in [
        "redis://user:hunter2@/host:port",
        "consul://user:hunter2@host",
        "mysql://user:hunter2@host",
        "user:hunter2@host",
    ] {
        let error = flipper::open(url).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn client_data_that_only_python_can_write_outlive_our_writes() {
    let store = MemoryFeatureFlagStore::new();
    let odd = r#""nan": NaN, "\ud800": [-Infinity, "a\udfff"]"#;
    store.put_text(
        "X",
        format!(
            r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"client_data": {{{odd}}}, "created_date": 1}}}}"#
        ),
    );
    let features = FeatureFlagClient::new(store);
    assert!(features.is_enabled("X"));
    block_on(features.set_client_data("X", json!({ "ours": 1 }))).unwrap();
    assert_eq!(features.client_data("X").unwrap().to_string(), format!(r#"{{{odd}, "ours": 1}}"#));
    let data: serde_json::Value =
        serde_json::from_str(&serde_json::to_string(&features.client_data("X").unwrap()).unwrap()).unwrap();
    assert_eq!(data["nan"], serde_json::Value::Null);
}

#[test]
fn toggle_returns_the_new_state() {
    let features = client();
    let flag = block_on(features.create("X")).unwrap();
    assert!(block_on(features.toggle("X")).unwrap() && flag.is_enabled());
    assert!(!block_on(flag.toggle()).unwrap() && !flag.is_enabled());
    assert_eq!(kind(block_on(features.toggle("MISSING"))), ErrorKind::FlagNotFound);
}

#[test]
fn an_invalid_percentage_is_refused() {
    let store = MemoryFeatureFlagStore::new();
    let features = FeatureFlagClient::new(store.clone());
    block_on(features.create("X")).unwrap();
    let day = std::time::Duration::from_secs(86_400);
    let bad: [Bucketer; 4] = [
        ConsistentHashPercentageBucketer::new(25.0).into(),
        SaltedPercentageBucketer::new("user_id", -0.1).into(),
        PercentageBucketer::new(f64::INFINITY).into(),
        PercentageBucketer::new(LinearRampPercentage::new(0.0, 100.0, day)).into(),
    ];
    for bucketer in bad {
        let error = block_on(features.set_bucketer("X", bucketer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("`Percentage::percent`"), "{error}");
    }
    assert_eq!(*features.record("X").unwrap().bucketer(), Bucketer::NoOp, "nothing was written");
    for good in [Percentage::percent(25.0).into(), LinearRampPercentage::percent(0.0, 100.0, day).into()] {
        let good: AnyPercentage = good;
        block_on(features.set_bucketer("X", ConsistentHashPercentageBucketer::new(good))).unwrap();
    }
    let stored = features.record("X").unwrap().to_json().replace("\"final_value\": 1.0", "\"final_value\": 100");
    let record = FlagRecord::from_json(&stored).unwrap();
    block_on(store.put(&record, Precondition::Any.into())).unwrap();
    block_on(features.enable("X")).unwrap();
}

#[test]
fn a_strict_flag_is_stored_as_one() {
    let features = client();
    block_on(features.create("X").enabled(true).strict(true)).unwrap();
    block_on(features.add_condition("X", flipper::Condition::new().eq("plan", "pro"))).unwrap();
    assert!(!features.is_enabled("X") && !features.is_enabled_with("X", &context! { user_id: 7 }));
    assert!(features.is_enabled_with("X", &context! { plan: "pro" }));
    let record = FlagRecord::from_json(features.record("X").unwrap().to_json()).unwrap();
    assert!(record.is_strict());
    block_on(features.update("X", |record| {
        record.set_strict(false);
        Ok(())
    }))
    .unwrap();
    assert!(features.is_enabled("X"));
    assert!(!features.record("X").unwrap().to_json().contains("strict"));
}

#[test]
fn a_strict_client_reads_all_flags_strictly() {
    let store = MemoryFeatureFlagStore::new();
    let lenient = FeatureFlagClient::new(store.clone());
    let limit = |name: &'static str| {
        block_on(lenient.create(name).enabled(true)).unwrap();
        block_on(lenient.add_condition(name, flipper::Condition::new().eq("plan", "pro"))).unwrap();
    };
    limit("BEFORE");
    assert!(lenient.is_enabled("BEFORE"));
    let strict = FeatureFlagClient::builder().strict(true).build(store.clone());
    limit("AFTER");
    for name in ["BEFORE", "AFTER"] {
        let (nothing, other) = (context! {}, context! { user_id: 7 });
        assert!(!strict.is_enabled(name) && !strict.get(name).is_enabled_with(&other), "{name}");
        assert!(!strict.scope(other).is_enabled(name) && !block_on(strict.fetch_enabled(name, &nothing)).unwrap());
        assert_eq!(
            strict.evaluate(name, &nothing).reason,
            flipper::evaluation::Reason::NotGiven { variable: "plan".into() }
        );
        assert!(strict.is_enabled_with(name, &context! { plan: "pro" }));
    }
    let remote = FeatureFlagClient::builder().strict(true).build_remote(store);
    assert!(!block_on(remote.fetch_enabled("BEFORE", &context! {})).unwrap());
}
