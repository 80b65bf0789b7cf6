//! The check that says more than yes and no.

use flipper::bucketing::{CustomBucketer, PercentageBucketer};
use flipper::context::{Attributes, Value};
use flipper::evaluation::Exact;
use flipper::json::Object;
use flipper::{Bucketer, FeatureFlagClient, MemoryFeatureFlagStore, context};

const NO_ATTRIBUTES: [(&str, Value<'static>); 0] = [];

fn features(is_enabled: bool, rules: &str) -> FeatureFlagClient {
    let store = MemoryFeatureFlagStore::new();
    let text = format!(
        r#"{{"feature_name": "F", "is_enabled": {is_enabled}, "meta": {{"created_date": 1, "conditions": [], {rules}}}}}"#
    );
    store.put_text("F", text);
    store.put_text("BROKEN", "{");
    FeatureFlagClient::new(store)
}

#[test]
fn on_off_and_missing_are_three_answers() {
    let on = features(true, r#""client_data": {}"#);
    for name in ["NONE", "BROKEN"] {
        assert_eq!(on.check_exactly(name, &NO_ATTRIBUTES), Exact::Missing);
        assert_eq!(on.check_exactly(name, &context! { a: 1 }), Exact::Missing);
    }
    assert_eq!(on.check_exactly("F", &NO_ATTRIBUTES), Exact::On);
    assert_eq!(on.check_exactly("F", &context! { a: 1 }), Exact::On);
    let off = features(false, r#""client_data": {}"#);
    assert_eq!(off.check_exactly("F", &NO_ATTRIBUTES), Exact::Off);
}

#[test]
fn what_cannot_be_compared_is_undecided_unless_another_check_fails_first() {
    let rules = r#""conditions": [{"a": [{"variable": "a", "value": 1, "operator": "gt"}],
        "b": [{"variable": "b", "value": "y", "operator": null}]}]"#;
    let features = features(true, rules);
    assert_eq!(features.check_exactly("F", &context! { a: 2, b: "y" }), Exact::On);
    assert_eq!(features.check_exactly("F", &context! { a: "x", b: "x" }), Exact::Undecided);
    assert_eq!(features.check_exactly("F", &context! { b: "x", a: "x" }), Exact::Off);
}

#[test]
fn a_percentage_that_is_no_number_is_undecided_and_off() {
    for bucketer in ["PercentageBucketer", "ConsistentHashPercentageBucketer"] {
        for value in ["null", "\"0.5\"", "[]"] {
            let percentage = format!(r#"{{"type": "Percentage", "value": {value}}}"#);
            let features =
                features(true, &format!(r#""bucketer": {{"type": "{bucketer}", "percentage": {percentage}}}"#));
            assert_eq!(features.check_exactly("F", &NO_ATTRIBUTES), Exact::Undecided);
            assert_eq!(features.check_exactly("F", &context! { a: 1 }), Exact::Undecided);
            assert!(!features.is_enabled("F") && !features.is_enabled_with("F", &context! { a: 1 }));
        }
    }
}

#[derive(Debug)]
struct Everyone;

impl CustomBucketer for Everyone {
    fn bucketer_type(&self) -> &str {
        "Everyone"
    }

    fn fields(&self) -> Object {
        Object::new()
    }

    fn is_enabled(&self, _flag_name: &str, _attributes: &dyn Attributes) -> bool {
        true
    }
}

#[test]
fn a_custom_bucketer_is_undecided() {
    let features = features(true, r#""client_data": {}"#);
    futures_executor::block_on(features.set_bucketer("F", PercentageBucketer::new(0.0))).unwrap();
    assert_eq!(features.check_exactly("F", &NO_ATTRIBUTES), Exact::Off);
    let custom = Bucketer::Custom(std::sync::Arc::new(Everyone));
    futures_executor::block_on(features.set_bucketer("F", custom)).unwrap();
    assert_eq!(features.check_exactly("F", &NO_ATTRIBUTES), Exact::Undecided);
    assert!(features.is_enabled("F"));
}
