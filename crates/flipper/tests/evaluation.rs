//! Checks against the answers of the Python library, and their allocations.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::client::Local;
use flipper::context::{Attributes, Value};
use flipper::evaluation::{Clock, Operator, RandomSource, Reason};
use flipper::json::Json;
use flipper::targeting::{Rule, Serve};
use flipper::{Bucketer, Condition, Context, FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore, context};
use flipper_testkit::block_on;

const NAME: &str = "FLAG";

#[derive(Clone, Copy, Debug)]
struct At(f64);

impl Clock for At {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(self.0)
    }
}

impl RandomSource for At {
    fn next(&self) -> f64 {
        // The golden percentages that depend on the draw are at most 0 or at least 1.
        0.5
    }
}

fn client(text: Option<&str>, at: At) -> FeatureFlagClient<Local> {
    let store = MemoryFeatureFlagStore::new();
    if let Some(text) = text {
        store.put_text(NAME, text);
    }
    FeatureFlagClient::builder().clock(at).random(at).build(store)
}

/// By value: 1 is 1.0.
fn same_number(a: &Json, b: &Json) -> bool {
    a == b || a.as_f64().is_some_and(|number| b.as_f64() == Some(number))
}

/// What Python raises at load is `Corrupt`; what it raises at the check, always a `TypeError`, is `TypeMismatch`.
#[test]
fn golden_evaluations_are_pythons() {
    let packed = include_bytes!("golden/golden.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let mut counts = BTreeMap::<String, u32>::new();
    for line in text.lines() {
        let case = Json::parse(line).unwrap();
        let expect = case.get("expect").unwrap();
        let stored = match (case.get("item_raw"), case.get("item")) {
            (Some(raw), _) => Some(raw.as_str().unwrap().to_owned()),
            (None, item) => item.filter(|item| !item.is_null()).map(Json::to_string),
        };
        let at = At(case.get("now").and_then(Json::as_f64).unwrap_or(0.0));
        let features = client(stored.as_deref(), at);
        let context = Context::from(case.get("kwargs").and_then(Json::as_object).unwrap().clone());
        let got = features.evaluate(NAME, &context);
        assert_eq!(features.is_enabled_with(NAME, &context), got.is_enabled, "{line}");

        let outcome = match (&got.reason, stored) {
            (Reason::NoSuchFlag, None) => "missing",
            (Reason::Corrupt, Some(_)) => "load",
            (Reason::TypeMismatch { .. }, Some(_)) => "eval",
            (_, stored) => {
                assert!(stored.is_some(), "{line}");
                "result"
            }
        };
        let expected = match (expect.get("stage"), outcome) {
            (Some(stage), _) => stage.as_str().unwrap(),
            (None, "missing") => "missing",
            (None, _) => "result",
        };
        assert_eq!(outcome, expected, "{got} {line}");
        if outcome == "eval" {
            assert_eq!(expect.get("error").and_then(Json::as_str), Some("TypeError"));
        }
        let default = case.get("default").and_then(Json::as_bool).unwrap_or(false);
        let answer = if outcome == "missing" { default } else { got.is_enabled };
        assert_eq!(expect.get("result").map_or(Some(false), Json::as_bool), Some(answer), "{got} {line}");
        if outcome == "missing" && context.is_empty() {
            assert_eq!(features.is_enabled_or(NAME, default), default);
        }

        if let Some(score) = expect.get("score") {
            let bucket = got.bucket.unwrap();
            assert_eq!(score.as_f64(), Some(bucket.score), "{line}");
            assert!(same_number(expect.get("percentage").unwrap(), &bucket.percentage), "{bucket:?} {line}");
            let record = features.record(NAME).unwrap();
            let Bucketer::ConsistentHash(bucketer) = record.bucketer() else { panic!("{line}") };
            assert_eq!(expect.get("hash_input").and_then(Json::as_str), Some(&*bucketer.hash_input(&context)));
            *counts.entry("score".to_owned()).or_default() += 1;
        }
        *counts.entry(outcome.to_owned()).or_default() += 1;
    }
    let expected = [("eval", 290), ("load", 78), ("missing", 42), ("result", 5383), ("score", 1683)];
    assert_eq!(counts, expected.map(|(outcome, count)| (outcome.to_owned(), count)).into());
}

/// What makes a flag of a condition.
type Shape = (&'static str, fn(&mut FlagRecord, &Condition));

fn rule(serve: Serve, condition: &Condition) -> Rule {
    Rule::new(serve).when(condition.clone())
}

/// A check of such a flag does not read the record, which `evaluate` does. The states follow each other in one flag, plain ones between.
#[test]
fn flags_of_one_comparison_answer_as_their_records_do() {
    let values = [
        Value::Str("pro"),
        Value::Str(""),
        Value::Str("exactly 16 bytes"),
        Value::Str("seventeen letters"),
        Value::Int(1),
        Value::Int(i64::MIN),
        Value::UInt(u64::MAX),
        Value::Bool(true),
        Value::Float(1.0),
        Value::Null,
    ];
    let mut contexts = vec![vec![], vec![("other", Value::Int(1))]];
    contexts.extend(
        values.iter().flat_map(|value| [vec![("plan", *value)], vec![("other", Value::Null), ("plan", *value)]]),
    );
    contexts.extend(values.iter().flat_map(|one| values.map(|two| vec![("plan", *one), ("x", two), ("plan", two)])));
    let shapes: [Shape; 7] = [
        ("condition", |record, condition| record.set_conditions(vec![condition.clone()])),
        ("strict", |record, condition| {
            record.set_strict(true);
            record.set_conditions(vec![condition.clone()]);
        }),
        ("on", |record, condition| record.set_rules(vec![rule(Serve::On, condition)])),
        ("off", |record, condition| record.set_rules(vec![rule(Serve::Off, condition)])),
        ("on, else off", |record, condition| {
            record.set_rules(vec![rule(Serve::On, condition), Rule::new(Serve::Off)]);
        }),
        ("off, else on", |record, condition| {
            record.set_rules(vec![rule(Serve::Off, condition), Rule::new(Serve::On)]);
        }),
        ("with another condition", |record, condition| {
            record.set_conditions(vec![Condition::new().eq("other", 1)]);
            record.set_rules(vec![rule(Serve::On, condition)]);
        }),
    ];
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let flag = block_on(features.create(NAME)).unwrap();
    let operators = [Operator::Eq, Operator::Ne, Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte];
    for (shape, set) in shapes {
        for (operator, value) in operators.iter().flat_map(|operator| values.map(|value| (*operator, value))) {
            let condition = Condition::new().with("plan", operator, value);
            for enabled in [true, false] {
                block_on(flag.update(|record| {
                    *record = FlagRecord::new(NAME, 1);
                    record.set_enabled(enabled);
                    set(record, &condition);
                    Ok(())
                }))
                .unwrap();
                for context in &contexts {
                    let evaluation = flag.evaluate(context);
                    let answers = [features.is_enabled_with(NAME, context), flag.is_enabled_with(context)];
                    assert_eq!(
                        answers, [evaluation.is_enabled; 2],
                        "{shape}: {condition}, {enabled}, {context:?}: {evaluation:?}"
                    );
                }
                assert_eq!(flag.is_enabled(), flag.evaluate(&context! {}).is_enabled);
            }
        }
    }
}

#[test]
fn checks_do_not_allocate() {
    let conditions = r#""conditions": [{"id": [{"variable": "id", "value": 1, "operator": "gte"}, {"variable": "id", "value": [7, 8], "operator": "in"}]}, {"plan": [{"variable": "plan", "value": "p", "operator": "in"}], "big": [{"variable": "big", "value": 1e40, "operator": "lt"}]}]"#;
    let deny = r#""deny_conditions": [{"plan": [{"variable": "plan", "value": "pro", "operator": "ne"}]}]"#;
    let bucketer = |kind: &str, percentage: &str| {
        format!(r#""bucketer": {{"type": "{kind}PercentageBucketer", "bucket_by": "id", "percentage": {percentage}}}"#)
    };
    let half = r#"{"type": "Percentage", "value": 0.5}"#;
    let ramp = r#"{"type": "LinearRampPercentage", "ramp_duration": 100, "initial_time": 50}"#;
    let metas = [
        conditions.to_owned(),
        format!("{conditions}, {deny}"),
        bucketer("", half),
        bucketer("", ramp),
        bucketer("ConsistentHash", half),
        bucketer("ConsistentHash", ramp),
        bucketer("Salted", half),
    ];
    let big = Json::parse(&"9".repeat(400)).unwrap();
    let nested = Json::parse(r#"{"b": [1, {"c": null}], "a": -0.5}"#).unwrap();
    let context = context! {
        id: 7, plan: "pro\u{e9}", big: &big, on: true, part: 1_234_567_890_123.456_8, tags: ["a", ["b", 1e22]],
        none: None::<bool>, nested: &nested,
    };
    assert_eq!(context.len(), 8);
    for meta in metas {
        let text = format!(r#"{{"feature_name": "FLAG", "is_enabled": true, "meta": {{"created_date": 1, {meta}}}}}"#);
        let features = client(Some(&text), At(100.0));
        features.record(NAME).unwrap();
        let checks = allocation_counter::measure(|| {
            features.is_enabled_with(NAME, &context);
            features.is_enabled(NAME);
        });
        assert_eq!(checks.count_total, 0, "{meta}");
    }
}
