//! The published cases of `docs/rules.md`, and the second implementation that made them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::context::Attributes;
use flipper::evaluation::{Clock, Evaluation, Reason};
use flipper::json::Json;
use flipper::{Context, ErrorKind, FeatureFlagClient, MemoryFeatureFlagStore};
use futures_executor::block_on;

const CASES: &str = include_str!("../../../docs/rules-cases.jsonl");

#[derive(Clone, Copy, Debug)]
struct At(f64);

impl Clock for At {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(self.0)
    }
}

/// An evaluation in the form of `expect`.
fn answer(evaluation: &Evaluation) -> Json {
    let mut fields = vec![
        format!(r#""enabled": {}"#, evaluation.is_enabled),
        format!(r#""reason": "{}""#, evaluation.reason.code()),
    ];
    if let Reason::Rule { index, .. } = &evaluation.reason {
        fields.push(format!(r#""rule": {index}"#));
    }
    if let Some(variant) = &evaluation.variant {
        fields.push(format!(r#""variant": "{}""#, variant.name()));
    }
    Json::parse(&format!("{{{}}}", fields.join(", "))).unwrap()
}

/// What differs between the case and the library.
fn differences(case: &Json) -> Vec<String> {
    let text = |field: &str| case.get(field).and_then(Json::as_str).unwrap();
    let (name, expect) = (text("flag"), case.get("expect").unwrap());
    let enabled = expect.get("enabled").and_then(Json::as_bool).unwrap();
    let at = At(case.get("now").and_then(Json::as_f64).unwrap());
    let context = Context::from(case.get("context").and_then(Json::as_object).unwrap().clone());
    let store = MemoryFeatureFlagStore::new();
    for record in case.get("flags").and_then(Json::as_array).unwrap() {
        store.put_text(record.get("feature_name").and_then(Json::as_str).unwrap(), record.to_string());
    }
    let features = FeatureFlagClient::builder().clock(at).build(store.clone());
    let remote = FeatureFlagClient::builder().clock(at).build_remote(store);

    let mut found = Vec::new();
    let mut compare = |call: &str, got: String, want: String| {
        if got != want {
            found.push(format!("{call}: {got}, not {want}: {case}"));
        }
    };
    compare("evaluate", answer(&features.evaluate(name, &context)).to_string(), expect.to_string());
    compare("is_enabled_with", features.is_enabled_with(name, &context).to_string(), enabled.to_string());
    if context.is_empty() {
        compare("is_enabled", features.is_enabled(name).to_string(), enabled.to_string());
    }
    let fetched = match block_on(remote.fetch_enabled(name, &context)) {
        Err(error) if error.kind() == ErrorKind::Corrupt => "corrupt".to_owned(),
        enabled => enabled.unwrap().to_string(),
    };
    let unreadable = expect.get("reason").and_then(Json::as_str) == Some("corrupt");
    compare("fetch_enabled", fetched, if unreadable { "corrupt".to_owned() } else { enabled.to_string() });
    found
}

/// How often each kind of case, operator and reason is there.
fn counts(cases: &[Json]) -> BTreeMap<String, usize> {
    fn operators(json: &Json, found: &mut BTreeSet<String>) {
        if let Some(fields) = json.as_object() {
            for (name, value) in fields.iter() {
                if let ("operator", Some(operator)) = (name, value.as_str()) {
                    found.insert(operator.to_owned());
                }
                operators(value, found);
            }
        }
        json.as_array().into_iter().flatten().for_each(|item| operators(item, found));
    }
    let mut counts = BTreeMap::new();
    for case in cases {
        let about = case.get("about").and_then(Json::as_str).unwrap();
        let reason = case.get("expect").and_then(|expect| expect.get("reason")).and_then(Json::as_str).unwrap();
        let mut keys = BTreeSet::from([about.split(':').next().unwrap().to_owned(), format!("reason {reason}")]);
        let mut used = BTreeSet::new();
        operators(case.get("flags").unwrap(), &mut used);
        keys.extend(used.iter().map(|operator| format!("operator {operator}")));
        for key in keys {
            *counts.entry(key).or_default() += 1;
        }
    }
    counts
}

#[test]
fn the_library_agrees_with_the_cases() {
    let cases: Vec<_> = CASES.lines().map(|line| Json::parse(line).unwrap()).collect();
    let wrong: Vec<_> = cases.iter().flat_map(differences).collect();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    println!("{:#?}", counts(&cases));
}

#[test]
fn the_generator_reproduces_the_cases() {
    let Some(python) = flipper_testkit::python::interpreter() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rules.py");
    let output = Command::new(python).args(["-B", script, "generate"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let generated = String::from_utf8(output.stdout).unwrap();
    for (number, (generated, stored)) in generated.lines().zip(CASES.lines()).enumerate() {
        assert_eq!(generated, stored, "line {}", number + 1);
    }
    assert!(generated == CASES, "{} and {} lines", generated.lines().count(), CASES.lines().count());
}
