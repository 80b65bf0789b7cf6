//! Reading and writing stored flags, against what the Python library did with the same texts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::io::Read;

use flate2::read::GzDecoder;
use flipper::json::{Json, Number, Object};
use flipper::{Error, ErrorKind, FlagRecord};
use proptest::prelude::*;

const PLAIN: &str = r#"{"feature_name": "F", "is_enabled": true, "meta": {"client_data": {}, "created_date": 1, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}}"#;

fn golden(packed: &[u8]) -> Vec<Json> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text.lines().map(|line| Json::parse(line).unwrap()).collect()
}

fn cases() -> Vec<Json> {
    golden(include_bytes!("golden/golden.jsonl.gz"))
}

fn stored_text(case: &Json) -> Option<String> {
    if let Some(raw) = case.get("item_raw").and_then(Json::as_str) {
        return Some(raw.to_owned());
    }
    case.get("item").filter(|item| !item.is_null()).map(Json::to_string)
}

/// Python keeps a whitelist as a set and writes it in any order. We keep the stored order; the golden texts have it sorted.
fn with_sorted_whitelist(text: &str) -> String {
    let start = r#""key_whitelist": "#;
    let Some(at) = text.rfind(start).map(|at| at + start.len()) else { return text.to_owned() };
    let end = text.len() - "}}}".len();
    let mut keys = Json::parse(&text[at..end]).unwrap().as_array().unwrap().to_vec();
    keys.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    format!("{}{}{}", &text[..at], Json::from(keys), &text[end..])
}

fn read_error(text: impl AsRef<[u8]>) -> Error {
    let error = FlagRecord::from_json(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    error
}

#[test]
fn golden_flags_are_written_back_as_python_does() {
    let mut count = 0;
    for case in cases() {
        let expect = case.get("expect").unwrap();
        let Some(text) = expect.get("rt").and_then(Json::as_str) else { continue };
        let stored = stored_text(&case).unwrap();
        let record = FlagRecord::from_json(&stored).unwrap_or_else(|error| panic!("{stored}: {error:?}"));
        assert_eq!(with_sorted_whitelist(&record.to_json()), text, "{stored}");
        assert_eq!(FlagRecord::from_json(record.to_json()).unwrap(), record);
        assert_eq!(FlagRecord::from_json(text).unwrap().to_json(), text);
        count += 1;
    }
    assert!(count > 5_600, "only {count} cases ran");
}

#[test]
fn golden_flags_that_python_cannot_load_are_corrupt() {
    let mut count = 0;
    for case in cases() {
        if case.get("expect").unwrap().get("stage").and_then(Json::as_str) != Some("load") {
            continue;
        }
        read_error(stored_text(&case).unwrap());
        count += 1;
    }
    assert!(count > 75, "only {count} cases ran");
}

#[test]
fn golden_texts_stored_by_operations_round_trip() {
    let mut count = 0;
    for sequence in golden(include_bytes!("golden/golden_ops.jsonl.gz")) {
        for step in sequence.get("steps").and_then(Json::as_array).unwrap() {
            let Some(text) = step.get("expect").and_then(|expect| expect.get("stored")).and_then(Json::as_str) else {
                continue;
            };
            assert_eq!(FlagRecord::from_json(text).unwrap().to_json(), text);
            count += 1;
        }
    }
    assert!(count > 3_500, "only {count} texts ran");
}

#[test]
fn missing_and_wrong_fields_are_named() {
    let cases = [
        ("", "not JSON: expected a value, found the end at line 1 column 1"),
        ("[]", "flag is an array, not an object"),
        (r#"{"is_enabled": true, "meta": {"created_date": 1}}"#, "feature_name is missing"),
        (r#"{"feature_name": 5, "is_enabled": true, "meta": {"created_date": 1}}"#, "feature_name is not a string"),
        (r#"{"feature_name": "F", "meta": {"created_date": 1}}"#, "is_enabled is missing"),
        (r#"{"feature_name": "F", "is_enabled": true}"#, "meta is missing"),
        (r#"{"feature_name": "F", "is_enabled": true, "meta": null}"#, "meta is null, not an object"),
        (r#"{"feature_name": "F", "is_enabled": true, "meta": {}}"#, "meta.created_date is missing"),
        (&PLAIN.replace("[]", "null"), "meta.conditions is null, not an array"),
        (&PLAIN.replace("[]", r#"{"a": []}"#), "meta.conditions is an object, not an array"),
        (&PLAIN.replace("[]", "[{}, 5]"), "meta.conditions[1] cannot be read"),
        (&PLAIN.replace("[]", r#"[], "deny_conditions": null"#), "meta.deny_conditions is null, not an array"),
        (&PLAIN.replace("[]", r#"[], "deny_conditions": [5]"#), "meta.deny_conditions[0] cannot be read"),
        (&PLAIN.replace("NoOp", "Foo"), "meta.bucketer cannot be read"),
    ];
    for (text, message) in cases {
        assert_eq!(read_error(text).to_string(), message);
    }
    read_error(b"\xff");
    read_error([b"\xef\xbb\xbf", PLAIN.as_bytes()].concat());
}

#[test]
fn old_records_read_with_defaults() {
    for meta in [
        r#"{"created_date": 1}"#,
        r#"{"created_date": 1, "client_data": null, "bucketer": null}"#,
        r#"{"conditions": {}, "client_data": [], "created_date": 1}"#,
    ] {
        let text = format!(r#"{{"feature_name": "F", "is_enabled": true, "meta": {meta}}}"#);
        assert_eq!(FlagRecord::from_json(text).unwrap().to_json(), PLAIN);
    }
}

#[test]
fn what_others_stored_stays_until_it_is_changed() {
    let text = PLAIN.replace("true", "null").replace("{}", "[1, 2]").replace(": 1,", r#": "then","#);
    let mut record = FlagRecord::from_json(&text).unwrap();
    assert_eq!(record.to_json(), text);
    assert!(record.is_enabled());
    assert_eq!(record.created_date(), None);
    assert_eq!(record.client_data(), &Json::from(vec![1, 2]));
    let data: Object = [("a", 1)].into_iter().collect();
    assert_eq!(record.merge_client_data(&data).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(record.to_json(), text);

    record.set_enabled(true);
    record.set_created_date(1);
    record.set_client_data(Object::new());
    assert_eq!(record.to_json(), PLAIN);
}

#[test]
fn integers_keep_every_digit() {
    let digits = "7".repeat(400);
    let text = PLAIN.replace("{}", &format!(r#"{{"a": -{digits}}}"#)).replace(": 1,", &format!(": {digits},"));
    let record = FlagRecord::from_json(&text).unwrap();
    assert_eq!(record.to_json(), text);
    assert_eq!(record.created_date(), None);
}

#[test]
fn unknown_fields_are_kept_after_the_known() {
    let stored = r#"{"z": [1], "meta": {"owner": {"b": 1, "a": 2}, "created_date": 1, "a": null}, "is_enabled": true, "feature_name": "F", "c": 1.0}"#;
    let mut record = FlagRecord::from_json(stored).unwrap();
    let written = r#"{"feature_name": "F", "is_enabled": true, "meta": {"client_data": {}, "created_date": 1, "conditions": [], "bucketer": {"type": "NoOpBucketer"}, "owner": {"b": 1, "a": 2}, "a": null}, "z": [1], "c": 1.0}"#;
    assert_eq!(record.to_json(), written);
    assert_eq!(FlagRecord::from_json(written).unwrap(), record);
    record.set_enabled(false);
    assert_eq!(record.to_json(), written.replacen("true", "false", 1));
}

#[test]
fn deny_conditions_are_kept_and_written_only_if_there_are_any() {
    let denied = r#"[{"plan": [{"variable": "plan", "value": "free", "operator": null}]}]"#;
    let text = PLAIN.replace("}}}", &format!(r#"}}, "deny_conditions": {denied}}}}}"#));
    let mut record = FlagRecord::from_json(&text).unwrap();
    assert_eq!(record.deny_conditions().len(), 1);
    assert_eq!(record.to_json(), text);
    record.set_deny_conditions(Vec::new());
    assert_eq!(record.to_json(), PLAIN);
}

#[test]
fn client_data_merges_by_key() {
    let mut record = FlagRecord::from_json(PLAIN.replace("{}", r#"{"b": {"x": 1}, "a": 1}"#)).unwrap();
    let data: Object = [("c", Json::Null), ("b", Object::new().into())].into_iter().collect();
    record.merge_client_data(&data).unwrap();
    assert_eq!(record.client_data().to_string(), r#"{"b": {}, "a": 1, "c": null}"#);
}

#[test]
fn deep_nesting_is_read_or_refused_but_never_crashes() {
    let nested = |depth: usize| PLAIN.replace("{}", &("[".repeat(depth) + "1" + &"]".repeat(depth)));
    let text = nested(200);
    assert_eq!(FlagRecord::from_json(&text).unwrap().to_json(), text);
    assert!(read_error(nested(100_000)).to_string().contains("nests deeper than 512"));
    read_error("{\"meta\": ".repeat(100_000));
}

#[test]
fn the_deepest_flag_fits_on_a_small_stack() {
    let work = || {
        let json = Json::parse(&(r#"{"a": ["#.repeat(256) + &"]}".repeat(256))).unwrap();
        assert_eq!(Json::from_serialize(&json).unwrap(), json);
        assert_eq!(serde_json::from_str::<Json>(&json.to_string()).unwrap(), json);
        assert_eq!(serde_json::from_value::<Json>(json.to_serde()).unwrap(), json);
        drop((serde_json::to_string(&json).unwrap(), format!("{json:?}")));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_truncated_flag_is_corrupt() {
    let text = PLAIN.replace("{}", r#"{"é\u00e9": [-1.5e-7, null, {"😀": "\n"}]}"#);
    FlagRecord::from_json(&text).unwrap();
    for end in 0..text.len() {
        read_error(&text.as_bytes()[..end]);
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<i128>().prop_map(Number::from),
        any::<f64>().prop_filter_map("not finite", Number::from_f64),
    ];
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        number.prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    scalar.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|entries| entries.into_iter().collect::<Object>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_round_trips(json in any_json()) {
        let text = json.to_string();
        prop_assert!(text.is_ascii());
        let read = Json::parse(&text).unwrap();
        prop_assert_eq!(&read, &json);
        prop_assert_eq!(&read.to_string(), &text);
        prop_assert_eq!(&Json::from_serialize(&json).unwrap().to_string(), &text);
        let through_serde: Json = serde_json::from_str(&serde_json::to_string(&json).unwrap()).unwrap();
        prop_assert_eq!(&through_serde.to_string(), &text);
    }

    #[test]
    fn any_client_data_round_trips(data in any_json(), name in any::<String>(), created_date in any::<i64>()) {
        let mut record = FlagRecord::new(name, created_date);
        record.set_client_data([("data", data)].into_iter().collect());
        let read = FlagRecord::from_json(record.to_json()).unwrap();
        prop_assert_eq!(read.to_json(), record.to_json());
        prop_assert_eq!(read, record);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>(), at in 0..PLAIN.len(), byte in any::<u8>()) {
        let _ = FlagRecord::from_json(&bytes);
        let mut damaged = PLAIN.as_bytes().to_vec();
        damaged[at] = byte;
        let _ = FlagRecord::from_json(&damaged);
    }

    #[test]
    fn json_that_serde_reads_is_read_alike(text in r#"[\[\]{}:,"0-9eE.+\-\\u tfn ]{0,12}"#) {
        let ours = Json::parse(&text).is_ok();
        // The value checks the range of floats, the raw text only the grammar.
        let value = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let grammar = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
        prop_assert!(ours || !value);
        prop_assert!(!ours || grammar);
    }
}
