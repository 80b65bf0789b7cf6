//! Plans against Python's answers, and odd input.

use std::io::Read;
use std::time::{Duration, SystemTime};

use super::*;
use crate::{Attributes, Bucketer, Condition, Context, FlagRecord, Object, Operator, Value, ValueType, context};

#[derive(Debug)]
struct Fixed {
    now: f64,
    random: f64,
}

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(self.now)
    }
}

impl RandomSource for Fixed {
    fn next(&self) -> f64 {
        self.random
    }
}

fn environment(now: f64, random: f64) -> Environment {
    Environment { clock: Arc::new(Fixed { now, random }), random: Arc::new(Fixed { now, random }) }
}

/// A flag whose meta data has these fields.
fn plan(meta: &str) -> Plan {
    let text = format!(r#"{{"feature_name": "F", "is_enabled": true, "meta": {{"created_date": 1, {meta}}}}}"#);
    Plan::new(&FlagRecord::from_json(text).unwrap())
}

fn evaluate(plan: &Plan, attributes: &dyn Attributes) -> Evaluation {
    let environment = environment(1000.0, 0.5);
    let evaluation = plan.evaluate("F", attributes, &environment);
    assert_eq!(plan.is_enabled("F", attributes, &environment), evaluation.enabled);
    let settled = if attributes.is_empty() { plan.settled_without_context() } else { plan.settled_with_context() };
    assert!(settled.is_none_or(|settled| settled == evaluation.enabled));
    assert!(!evaluation.to_string().is_empty());
    evaluation
}

fn as_f64(json: &Json) -> Option<f64> {
    json.as_f64().or(json.as_bool().map(|value| f64::from(u8::from(value))))
}

/// A case without a stored flag is the client's affair.
#[test]
fn golden_evaluations_are_pythons() {
    let mut text = String::new();
    let packed = include_bytes!("../../tests/golden/golden.jsonl.gz");
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let (mut agree, mut missing, mut load, mut mismatches, mut scores) = (0, 0, 0, 0, 0);
    for line in text.lines() {
        let case = Json::parse(line).unwrap();
        let expect = case.get("expect").unwrap();
        let stored = match (case.get("item_raw"), case.get("item")) {
            (Some(raw), _) => raw.as_str().unwrap().to_owned(),
            (None, Some(Json::Null) | None) => {
                missing += 1;
                continue;
            }
            (None, Some(item)) => item.to_string(),
        };
        let record = FlagRecord::from_json(&stored);
        if expect.get("stage").and_then(Json::as_str) == Some("load") {
            assert_eq!(record.unwrap_err().kind(), crate::ErrorKind::Corrupt, "{line}");
            load += 1;
            continue;
        }
        let plan = Plan::new(&record.unwrap_or_else(|error| panic!("{error}: {line}")));
        let context = Context::from(case.get("kwargs").unwrap().as_object().unwrap().clone());
        let environment = environment(case.get("now").and_then(Json::as_f64).unwrap_or(1e9), 0.5);
        let got = plan.evaluate("F", &context, &environment);
        assert_eq!(plan.is_enabled("F", &context, &environment), got.enabled, "{line}");
        let settled = if context.is_empty() { plan.settled_without_context() } else { plan.settled_with_context() };
        assert!(settled.is_none_or(|settled| settled == got.enabled), "{line}");
        let mismatch = matches!(got.reason, Reason::TypeMismatch { .. });
        match expect.get("result") {
            Some(result) => assert_eq!((result.as_bool(), mismatch), (Some(got.enabled), false), "{got:?} {line}"),
            None => {
                assert_eq!(expect.get("error").and_then(Json::as_str), Some("TypeError"), "{line}");
                assert_eq!((got.enabled, mismatch), (false, true), "{got:?} {line}");
                mismatches += 1;
            }
        }
        if let Some(score) = expect.get("score") {
            let bucket = got.bucket.unwrap();
            assert_eq!(score.as_f64(), Some(bucket.score), "{line}");
            let percentage = expect.get("percentage").unwrap();
            assert!(
                *percentage == bucket.percentage
                    || as_f64(percentage).is_some_and(|p| Some(p) == as_f64(&bucket.percentage)),
                "{bucket:?} {line}"
            );
            let Bucketer::ConsistentHash(bucketer) = &plan.bucketer else { panic!("{line}") };
            assert_eq!(expect.get("hash_input").and_then(Json::as_str), Some(&*bucketer.hash_input(&context)));
            scores += 1;
        }
        agree += 1;
    }
    assert_eq!((agree, missing, load, mismatches, scores), (5673, 42, 78, 290, 1683));
}

mod hostile;
mod rules;
