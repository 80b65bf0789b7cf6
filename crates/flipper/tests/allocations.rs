//! Allocations: checks make none, and writes make the same number for any number of flags.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use allocation_counter::{AllocationInfo, measure};
use flipper::json::Json;
use flipper::store::{FlagTable, Precondition, Version};
use flipper::targeting::{Variant, Variants, When};
use flipper::{
    Condition, FeatureFlag, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    SqliteFeatureFlagStore, context,
};
use flipper_testkit::block_on;

const NONE: AllocationInfo =
    AllocationInfo { count_total: 0, count_current: 0, count_max: 0, bytes_total: 0, bytes_current: 0, bytes_max: 0 };

/// A flag of each kind, the first enabled, and a missing one.
const NAMES: [&str; 4] = ["ON", "OFF", "BROKEN", "MISSING"];

fn client() -> FeatureFlagClient {
    let store = MemoryFeatureFlagStore::new();
    store.put_text("BROKEN", "{");
    let features = FeatureFlagClient::new(store);
    block_on(features.create("ON").enabled(true)).unwrap();
    block_on(features.create("OFF")).unwrap();
    features
}

#[test]
fn a_check_by_name_allocates_nothing() {
    let features = client();
    for name in NAMES {
        let checks = measure(|| {
            for _ in 0..10 {
                assert_eq!(features.is_enabled(name), name == "ON");
                assert_eq!(features.is_enabled_or(name, true), name != "OFF");
            }
        });
        assert_eq!(checks, NONE, "{name}");
    }
}

#[test]
fn a_check_by_handle_allocates_nothing() {
    let features = client();
    for name in NAMES {
        let flag = features.get(name);
        let checks = measure(|| {
            for _ in 0..10 {
                assert_eq!(flag.is_enabled(), name == "ON");
                assert_eq!(flag.is_enabled_or(true), name != "OFF");
            }
        });
        assert_eq!(checks, NONE, "{name}");
    }
}

/// The record of a plain flag is made for it.
#[test]
fn a_reason_with_its_flag_allocates_nothing() {
    let features = client();
    for name in NAMES {
        let reasons = measure(|| {
            features.explain(name, &context! { plan: "pro" }, |evaluation, record| {
                assert_eq!((evaluation.is_enabled, record.is_some()), (name == "ON", ["ON", "OFF"].contains(&name)));
            });
        });
        assert_eq!(reasons, NONE, "{name}");
    }
}

/// Flags whose answer does not depend on the context.
#[test]
fn a_check_with_a_context_allocates_nothing() {
    let features = client();
    for name in NAMES {
        let flag = features.get(name);
        let checks = measure(|| {
            for user_id in 0..10 {
                assert_eq!(features.is_enabled_with(name, &context! { user_id: user_id, plan: "pro" }), name == "ON");
                assert_eq!(flag.is_enabled_with(&context! { user_id: user_id, plan: "pro" }), name == "ON");
            }
        });
        assert_eq!(checks, NONE, "{name}");
    }
}

/// A flag for each part of a check; `tests/evaluation.rs` has more attributes and types.
const EVALUATED: [(&str, &str); 11] = [
    ("conditions", r#""conditions": [{"plan": [{"variable": "plan", "value": "pro", "operator": null}]}]"#),
    ("deny", r#""deny_conditions": [{"plan": [{"variable": "plan", "value": "free", "operator": null}]}]"#),
    (
        "consistent hash",
        r#""bucketer": {"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "Percentage", "value": 0.99}}"#,
    ),
    ("chance", r#""bucketer": {"type": "PercentageBucketer", "percentage": {"type": "Percentage", "value": 1.0}}"#),
    (
        "ramp",
        r#""bucketer": {"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "LinearRampPercentage", "initial_value": 0.99, "final_value": 1.0, "ramp_duration": 1, "initial_time": 0}}"#,
    ),
    (
        "rules",
        r#""enabled": true, "rules": [{"serve": "off", "when": {"attribute": "plan", "operator": "starts_with", "value": "f"}}, {"serve": "on", "when": {"any": [{"attribute": "plan", "operator": "in", "value": ["a", "pro"]}, {"segment": "none"}]}}]"#,
    ),
    ("share", r#""rules": [{"serve": {"share": 1.0, "by": "user_id"}}]"#),
    (
        "regular expression",
        r#""rules": [{"serve": "on", "when": {"attribute": "plan", "operator": "matches", "value": "^p.o$"}}]"#,
    ),
    ("segment", r#""rules": [{"serve": "on", "when": {"segment": "pro"}}]"#),
    ("prerequisite", r#""prerequisites": [{"flag": "OTHER"}]"#),
    ("schedule", r#""schedule": {"enable_at": 1, "steps": [{"at": 2, "share": 1.0}], "by": "user_id"}"#),
];

#[test]
fn an_evaluation_allocates_nothing() {
    for (what, meta) in EVALUATED {
        let store = MemoryFeatureFlagStore::new();
        let meta = format!(r#"{{"created_date": 1, {meta}}}"#);
        store.put_text("FLAG", format!(r#"{{"feature_name": "FLAG", "is_enabled": true, "meta": {meta}}}"#));
        let features = FeatureFlagClient::new(store);
        block_on(features.set_segment("pro", "plan = pro".parse::<When>().unwrap())).unwrap();
        block_on(features.create("OTHER").enabled(true)).unwrap();
        block_on(features.add_condition("OTHER", Condition::new().eq("plan", "pro"))).unwrap();
        let flag = features.get("FLAG");
        // `arc-swap` keeps the entry alive meanwhile, and allocates once per thread for it.
        let evaluation = features.evaluate("FLAG", &context! { user_id: 0, plan: "pro" });
        assert!(evaluation.is_enabled, "{what}: {evaluation} {:?}", features.status().corrupt);
        let checks = measure(|| {
            for user_id in 0..10 {
                assert!(features.is_enabled_with("FLAG", &context! { user_id: user_id, plan: "pro" }), "{what}");
                assert!(flag.is_enabled_with(&context! { user_id: user_id, plan: "pro" }), "{what}");
                features.is_enabled("FLAG");
                flag.is_enabled();
            }
        });
        assert_eq!(checks, NONE, "{what}: {checks:?}");
    }
}

#[test]
fn a_variant_allocates_nothing() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let of = |values: [Json; 2]| {
        let variant = |name: &str, value: &Json| Variant::new(name, 50.0).value(value.clone());
        Variants::new("user_id").with(variant("a", &values[0])).with(variant("b", &values[1]))
    };
    for (name, values) in
        [("TEXT", ["x".into(), "y".into()]), ("NUMBER", [1.into(), 2.into()]), ("BOOL", [true.into(), false.into()])]
    {
        block_on(features.create(name).enabled(true)).unwrap();
        block_on(features.set_variants(name, of(values))).unwrap();
    }
    // As above, `arc-swap` allocates once for each thread.
    assert_eq!(features.variant("NUMBER", &context! {}, 7), 7);
    let checks = measure(|| {
        for user_id in 0..20 {
            let context = context! { user_id: user_id };
            assert_ne!(&*features.variant("TEXT", &context, "none"), "none");
            assert_ne!(features.variant("NUMBER", &context, 0_i64), 0);
            assert!(features.variant("NUMBER", &context, 0.0) > 0.0);
            let _: bool = features.variant("BOOL", &context, false);
            assert_eq!(&*features.variant("MISSING", &context, "none"), "none");
        }
    });
    assert_eq!(checks, NONE, "{checks:?}");
}

fn with_flags(count: usize) -> (FeatureFlagClient, FeatureFlag) {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let first = block_on(features.create(format!("FLAG_{:06}", 0))).unwrap();
    for number in 1..count {
        block_on(features.create(format!("FLAG_{number:06}"))).unwrap();
    }
    (features, first)
}

#[test]
fn a_write_allocates_the_same_for_any_number_of_flags() {
    let costs = [2_000, 100_000].map(|count| {
        let (features, flag) = with_flags(count);
        let flips = measure(|| {
            for _ in 0..100 {
                block_on(flag.enable()).unwrap();
                block_on(features.disable("FLAG_000001")).unwrap();
            }
        });
        let data = measure(|| {
            block_on(flag.set_client_data([("a", 1)].into_iter().collect::<flipper::json::Object>())).unwrap();
        });
        let creation = measure(|| drop(block_on(features.create("NEW_FLAG")).unwrap()));
        let end = measure(|| block_on(features.destroy("NEW_FLAG")).unwrap());
        [flips, data, creation, end]
    });
    assert_eq!(costs[0], costs[1]);
    assert!(costs[0][0].count_total > 0, "nothing was counted");
}

/// With the store, its history and the client; names as in the benchmarks, of 10 to 40 bytes.
#[test]
fn a_flag_takes_few_bytes() {
    const FLAGS: usize = 10_000;
    let names: Vec<String> = (0..FLAGS).map(|number| format!("{}{number:07}", "n".repeat(3 + number % 31))).collect();
    let mut features = None;
    let bytes = measure(|| {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        for (number, name) in names.iter().enumerate() {
            drop(block_on(client.create(name).enabled(number % 2 == 0)).unwrap());
        }
        features = Some(client);
    })
    .bytes_current;
    let features = features.unwrap();
    assert_eq!(features.list().len(), FLAGS);
    assert!(names.iter().enumerate().all(|(number, name)| features.is_enabled(name) == (number % 2 == 0)));
    let each = usize::try_from(bytes).unwrap() / FLAGS;
    assert!((100..=220).contains(&each), "{each} bytes a flag");
}

/// Its name, its record until it is in memory, and its entry; SQLite's own are not counted.
#[test]
fn a_start_makes_few_allocations_for_each_flag() {
    const FLAGS: u64 = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let records: Vec<_> = (0..FLAGS).map(|number| FlagRecord::new(format!("FLAG_{number:06}"), 1)).collect();
    assert!(block_on(store.put_all(&records, Precondition::Any.into())).iter().all(Result::is_ok));
    let mut features = None;
    let start = measure(|| features = Some(FeatureFlagClient::new(store)));
    assert_eq!(features.unwrap().list().len(), records.len());
    let each = start.count_total as f64 / FLAGS as f64;
    assert!((2.9..3.3).contains(&each), "{each} allocations a flag");
}

/// The docs of `FlagTable` state the memory of a name without a flag.
#[test]
fn a_name_without_a_flag_takes_the_documented_memory() {
    let table = FlagTable::new();
    let mut number = 0;
    let mut bytes = 0;
    for names in [1_000, 10_000, 20_000, 50_000, 100_000, 150_000] {
        bytes += measure(|| {
            while number < names {
                number += 1;
                table.remove(&format!("FLAG_{number:08}"), Version::ordered(number));
            }
        })
        .bytes_current;
        let each = u64::try_from(bytes).unwrap() / names;
        assert!((130..=180).contains(&each), "{each} bytes each for {names} names");
    }
}
