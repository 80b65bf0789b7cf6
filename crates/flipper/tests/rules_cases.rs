//! The published cases of `docs/rules.md`, and the second implementation that made them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::context::Attributes;
use flipper::evaluation::{Clock, Evaluation, Reason};
use flipper::json::Json;
use flipper::{Context, ErrorKind, FeatureFlagClient, MemoryFeatureFlagStore};
use futures_executor::block_on;

const CASES: &str = include_str!("../docs/rules-cases.jsonl");
const RULES: &str = include_str!("../docs/rules.md");

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

/// How many cases there are of each kind, and with each operator and reason.
fn counts(cases: &[Json]) -> [BTreeMap<String, usize>; 3] {
    fn operators(json: &Json, found: &mut BTreeSet<String>) {
        for (name, value) in json.as_object().into_iter().flat_map(|fields| fields.iter()) {
            if let ("operator", Some(operator)) = (name, value.as_str()) {
                found.insert(operator.to_owned());
            }
            operators(value, found);
        }
        json.as_array().into_iter().flatten().for_each(|item| operators(item, found));
    }
    let mut counts = [(); 3].map(|()| BTreeMap::new());
    for case in cases {
        let text = |json: &Json, field: &str| json.get(field).and_then(Json::as_str).unwrap().to_owned();
        let mut used = BTreeSet::new();
        operators(case.get("flags").unwrap(), &mut used);
        let kind = text(case, "about").split(':').next().unwrap().to_owned();
        let reason = text(case.get("expect").unwrap(), "reason");
        for (counts, keys) in counts.iter_mut().zip([BTreeSet::from([kind]), used, BTreeSet::from([reason])]) {
            keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
        }
    }
    counts
}

/// The operators of the page's last table.
fn documented_operators() -> Vec<String> {
    let rows = RULES.lines().skip_while(|line| *line != "| operator | value |").skip(2);
    let mut found = Vec::new();
    for names in rows.map_while(|row| row.strip_prefix("| ")).map(|row| row.split(" | ").next().unwrap()) {
        let names: Vec<_> = names.split('`').skip(1).step_by(2).collect();
        let suffix = names.iter().find(|name| name.starts_with('_')).copied();
        for name in names.iter().filter(|name| !name.starts_with('_')) {
            found.push((*name).to_owned());
            found.extend(suffix.map(|suffix| format!("{name}{suffix}")));
        }
    }
    found
}

#[test]
fn the_library_agrees_with_the_cases() {
    let cases: Vec<_> = CASES.lines().map(|line| Json::parse(line).unwrap()).collect();
    let wrong: Vec<_> = cases.iter().flat_map(differences).collect();
    assert!(wrong.is_empty(), "{} differences, first:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

#[test]
fn a_wrong_case_is_found() {
    let changes = [
        (r#""expect":{"enabled":true"#, r#""expect":{"enabled":false"#, 3),
        (r#""rule":0}"#, r#""rule":1}"#, 1),
        (r#""reason":"rule""#, r#""reason":"enabled""#, 1),
        (r#""variant":"red"}}"#, r#""variant":"green"}}"#, 1),
    ];
    for (from, to, count) in changes {
        let line = CASES.lines().find(|line| line.contains(from) && !line.contains(r#""context":{}"#)).unwrap();
        let found = differences(&Json::parse(&line.replace(from, to)).unwrap());
        assert_eq!(found.len(), count, "{found:?}");
    }
}

/// So that no kind of case can get lost.
#[test]
fn each_row_and_operator_has_cases() {
    let cases: Vec<_> = CASES.lines().map(|line| Json::parse(line).unwrap()).collect();
    let [kinds, operators, reasons] = counts(&cases);
    let expected = [
        ("chance", 70),
        ("circle", 7),
        ("enabled", 22),
        ("missing", 29),
        ("not", 58),
        ("operator", 382),
        ("prerequisite", 31),
        ("row 1", 6),
        ("row 2", 4),
        ("row 3", 4),
        ("row 4", 8),
        ("row 5", 9),
        ("row 6", 10),
        ("row 7", 8),
        ("row 7 strict", 4),
        ("row 8", 4),
        ("row 9", 4),
        ("row 9 with conditions", 4),
        ("row 9 without", 4),
        ("schedule", 18),
        ("segment", 31),
        ("share", 71),
        ("steps", 49),
        ("tree", 28),
        ("unreadable", 69),
        ("variant", 103),
    ];
    assert_eq!(kinds, expected.map(|(kind, count)| (kind.to_owned(), count)).into());

    let documented = documented_operators();
    assert_eq!(documented.len(), 29, "{documented:?}");
    for operator in &documented {
        for kind in ["operator", "missing", "not"] {
            let about = format!(r#"{{"about":"{kind}: {operator}""#);
            assert!(CASES.contains(&about), "{about}");
        }
        assert!(operators.get(operator).is_some_and(|count| *count >= 5), "{operator}: {operators:?}");
    }
    let rows = RULES.lines().skip_while(|line| *line != "| | part | answer | reason |").skip(2);
    let rows = rows.map_while(|row| row.strip_prefix("| ")?.split(' ').next()).collect::<Vec<_>>();
    assert_eq!(rows, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    for row in rows {
        assert!(kinds.contains_key(&format!("row {row}")), "{row}: {kinds:?}");
    }
    // `random` and `custom_bucketer` are no matter of rules; `overridden` is of tests.
    let codes = [
        "bucket",
        "condition_failed",
        "conditions_met",
        "corrupt",
        "denied",
        "disabled",
        "enabled",
        "no_bucket_attribute",
        "no_such_flag",
        "not_given",
        "prerequisite",
        "rule",
        "scheduled",
        "type_mismatch",
    ];
    assert!(reasons.keys().eq(&codes), "{reasons:?}");
}

/// What `rules.py` prints, or `None` without Python.
fn generated(arguments: &[&str]) -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/rules.py");
    let output =
        Command::new(flipper_testkit::python::interpreter()?).args(["-B", script]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_generator_reproduces_the_cases() {
    let Some(generated) = generated(&["generate"]) else { return };
    for (number, (generated, stored)) in generated.lines().zip(CASES.lines()).enumerate() {
        assert_eq!(generated, stored, "line {}", number + 1);
    }
    assert!(generated == CASES, "{} and {} lines", generated.lines().count(), CASES.lines().count());
}

#[test]
fn the_library_agrees_with_other_cases_by_chance() {
    let (seed, count) = (std::env::var("FLIPPER_SEED"), std::env::var("FLIPPER_COUNT"));
    let seed = seed.unwrap_or_else(|_| std::process::id().to_string());
    let count = count.unwrap_or_else(|_| "500".to_owned());
    let Some(generated) = generated(&["chance", &seed, &count]) else { return };
    assert_eq!(generated.lines().count().to_string(), count);
    for line in generated.lines() {
        let found = differences(&Json::parse(line).unwrap());
        assert!(found.is_empty(), "seed {seed}: {found:#?}");
    }
}
