//! The provider through the SDK's own client.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use flipper::bucketing::{ConsistentHashPercentageBucketer, Percentage, PercentageBucketer, SaltedPercentageBucketer};
use flipper::json::{Json, Object};
use flipper::targeting::{Prerequisite, Rule, Serve, Variant, Variants, When};
use flipper::testing::FailingStore;
use flipper::{
    Condition, FeatureFlagClient, MemoryFeatureFlagStore, MirroredFeatureFlagStore, context, override_flags,
};
use flipper_openfeature::FlipperProvider;
use futures_executor::block_on;
use open_feature::provider::{FeatureProvider, ProviderStatus};
use open_feature::{
    Client, EvaluationContext, EvaluationContextFieldValue, EvaluationDetails, EvaluationErrorCode as Code,
    EvaluationReason, EvaluationResult, FlagMetadataValue, OpenFeature, StructValue, Value,
};
use serde_json::json;

fn features() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

/// A client with its own API object, since tests run in parallel.
fn client(features: &FeatureFlagClient) -> Client {
    let mut api = OpenFeature::default();
    block_on(api.set_provider(FlipperProvider::new(features).targeting_key_as("user_id")));
    api.create_client()
}

fn ask(client: &Client, flag: &str, context: &EvaluationContext) -> EvaluationResult<EvaluationDetails<bool>> {
    block_on(client.get_bool_details(flag, Some(context), None))
}

fn anonymous() -> EvaluationContext {
    EvaluationContext::default()
}

fn code<T: std::fmt::Debug>(result: EvaluationResult<T>) -> Code {
    result.unwrap_err().code
}

/// A flag with this stored metadata.
fn stored(meta: &str) -> FeatureFlagClient {
    let store = MemoryFeatureFlagStore::new();
    store.put_text(
        "FLAG",
        format!(r#"{{"feature_name": "FLAG", "is_enabled": true, "meta": {{"created_date": 1{meta}}}}}"#),
    );
    FeatureFlagClient::new(store)
}

#[test]
fn a_bool_is_the_flags_answer_with_its_reason() {
    let features = features();
    let client = client(&features);
    assert_eq!(code(ask(&client, "FLAG", &anonymous())), Code::FlagNotFound);

    block_on(features.create("FLAG").into_future()).unwrap();
    let details = ask(&client, "FLAG", &anonymous()).unwrap();
    assert_eq!((details.value, details.reason), (false, Some(EvaluationReason::Disabled)));
    assert_eq!((details.variant.as_deref(), details.flag_key.as_str()), (Some("off"), "FLAG"));

    block_on(features.enable("FLAG")).unwrap();
    let details = ask(&client, "FLAG", &anonymous()).unwrap();
    assert_eq!((details.value, details.reason), (true, Some(EvaluationReason::Static)));
    assert_eq!(details.variant.as_deref(), Some("on"));

    block_on(features.add_condition("FLAG", Condition::new().eq("plan", "pro"))).unwrap();
    for (plan, on) in [("pro", true), ("free", false)] {
        let details = ask(&client, "FLAG", &anonymous().with_custom_field("plan", plan)).unwrap();
        assert_eq!((details.value, details.reason), (on, Some(EvaluationReason::TargetingMatch)));
    }
    for context in [anonymous(), anonymous().with_custom_field("Plan", "free")] {
        let details = ask(&client, "FLAG", &context).unwrap();
        assert_eq!(
            (details.value, details.reason),
            (true, Some(EvaluationReason::Default)),
            "all conditions are skipped"
        );
        let not_given = &details.flag_metadata.values["flipper.not_given"];
        assert_eq!(*not_given, FlagMetadataValue::String("plan".into()));
    }
}

#[test]
fn buckets_and_chance_are_a_split() {
    let features = features();
    let client = client(&features);
    block_on(features.create("FLAG").enabled(true).into_future()).unwrap();
    let half = || Percentage::new(0.5);
    block_on(features.set_bucketer("FLAG", ConsistentHashPercentageBucketer::new(half()))).unwrap();
    for user in 0..50 {
        let user = user.to_string();
        let details = ask(&client, "FLAG", &anonymous().with_targeting_key(&user)).unwrap();
        assert_eq!(details.reason, Some(EvaluationReason::Split));
        let evaluation = features.evaluate("FLAG", &context! { user_id: &user });
        assert_eq!(details.value, evaluation.is_enabled, "the targeting key is the attribute `user_id`");
        let score = FlagMetadataValue::Float(evaluation.bucket.unwrap().score);
        assert_eq!(details.flag_metadata.values.get("flipper.bucket_score"), Some(&score));
    }
    block_on(features.set_bucketer("FLAG", PercentageBucketer::new(half()))).unwrap();
    assert_eq!(ask(&client, "FLAG", &anonymous()).unwrap().reason, Some(EvaluationReason::Split));

    block_on(features.set_bucketer("FLAG", SaltedPercentageBucketer::new("user_id", half()))).unwrap();
    let error = ask(&client, "FLAG", &anonymous()).unwrap_err();
    assert_eq!(error.code, Code::TargetingKeyMissing);
    assert!(error.message.unwrap().contains("user_id"));
    assert_eq!(
        ask(&client, "FLAG", &anonymous().with_targeting_key("7")).unwrap().reason,
        Some(EvaluationReason::Split)
    );
    block_on(features.set_bucketer("FLAG", SaltedPercentageBucketer::new("user_id", Percentage::new(1.0)))).unwrap();
    assert!(ask(&client, "FLAG", &anonymous()).unwrap().value, "everyone, with or without the attribute");
}

#[test]
fn an_unreadable_flag_is_a_parse_error() {
    let store = MemoryFeatureFlagStore::new();
    store.put_text("FLAG", "{");
    assert_eq!(code(ask(&client(&FeatureFlagClient::new(store)), "FLAG", &anonymous())), Code::ParseError);

    for bucketer in ["PercentageBucketer", "ConsistentHashPercentageBucketer"] {
        let percentage = r#"{"type": "Percentage", "value": "half"}"#;
        let features = stored(&format!(r#", "bucketer": {{"type": "{bucketer}", "percentage": {percentage}}}"#));
        let user = anonymous().with_targeting_key("7");
        assert_eq!(code(ask(&client(&features), "FLAG", &user)), Code::ParseError, "{bucketer}");
    }
}

#[test]
fn an_attribute_of_the_wrong_type_is_an_invalid_context() {
    let features = features();
    block_on(features.create("FLAG").enabled(true).into_future()).unwrap();
    block_on(features.add_condition("FLAG", Condition::new().gt("percentage", 3))).unwrap();
    let client = client(&features);
    let error = ask(&client, "FLAG", &anonymous().with_custom_field("percentage", "many")).unwrap_err();
    assert_eq!(error.code, Code::InvalidContext);
    assert!(error.message.unwrap().contains("a string"));
    assert!(ask(&client, "FLAG", &anonymous().with_custom_field("percentage", 4)).unwrap().value);
}

#[test]
fn values_are_in_the_client_data() {
    let features = features();
    let data = json!({
        "value": 7, "button": "green", "ratio": 0.5, "on": true, "huge": 1e300, "nothing": null,
        "layout": { "columns": 3, "names": ["a", "b"], "nothing": null, "inner": { "x": 1.5 } },
        "with null": [null],
    });
    block_on(features.create("FLAG").enabled(true).client_data(data).into_future()).unwrap();
    let client = client(&features);
    let int = |key| block_on(client.get_int_value(key, None, None));
    let float = |key| block_on(client.get_float_value(key, None, None));
    let string = |key| block_on(client.get_string_value(key, None, None));
    let structure = |key| block_on(client.get_struct_value::<StructValue>(key, None, None));

    assert_eq!(int("FLAG"), Ok(7), "without a key it is `value`");
    assert_eq!(int("FLAG/layout/columns"), Ok(3));
    assert_eq!(float("FLAG/ratio"), Ok(0.5));
    assert_eq!(float("FLAG/value"), Ok(7.0), "an integer is a float, too");
    assert_eq!(string("FLAG/button").as_deref(), Ok("green"));
    let layout = StructValue::default()
        .with_field("columns", 3)
        .with_field("names", vec!["a", "b"])
        .with_field("inner", StructValue::default().with_field("x", 1.5));
    assert_eq!(structure("FLAG/layout"), Ok(layout.clone()));

    for mismatch in [
        code(int("FLAG/ratio")),
        code(int("FLAG/huge")),
        code(int("FLAG/missing")),
        code(int("FLAG/button/inner")),
        code(float("FLAG/on")),
        code(string("FLAG")),
        code(string("FLAG/nothing")),
        code(structure("FLAG/button")),
        code(structure("FLAG")), // a null in a list
    ] {
        assert_eq!(mismatch, Code::TypeMismatch);
    }
    block_on(features.update("FLAG", |record| {
        let mut data = record.client_data().as_object().unwrap().clone();
        data.remove("with null");
        record.set_client_data(data);
        Ok(())
    }))
    .unwrap();
    let whole = structure("FLAG").unwrap();
    assert_eq!(whole.fields["layout"], Value::Struct(layout));
    assert!(!whole.fields.contains_key("nothing"));

    let details = block_on(client.get_string_details("FLAG/button", None, None)).unwrap();
    assert_eq!((details.reason, details.variant.as_deref()), (Some(EvaluationReason::Static), Some("on")));
    assert_eq!(details.flag_key, "FLAG/button");
}

#[test]
fn a_value_exists_while_the_flag_is_on_for_the_context() {
    let features = features();
    block_on(features.create("FLAG").enabled(true).client_data(json!({ "value": "green" })).into_future()).unwrap();
    block_on(features.add_condition("FLAG", Condition::new().eq("plan", "pro"))).unwrap();
    let client = client(&features);
    let value = |plan| {
        let context = anonymous().with_custom_field("plan", plan);
        block_on(client.get_string_value("FLAG", Some(&context), None))
    };
    assert_eq!(value("pro").as_deref(), Ok("green"));
    let error = value("free").unwrap_err();
    assert_eq!(error.code, Code::General("FLAG_OFF".into()));
    assert!(error.message.unwrap().contains("plan"));
    assert_eq!(code(block_on(client.get_string_value("OTHER", None, None))), Code::FlagNotFound);
}

#[test]
fn metadata_describes_provider_and_flag() {
    let features = stored(r#", "client_data": {"owner": "horses", "ttl": 3600, "ratio": 0.5, "on": true, "list": []}"#);
    let mut api = OpenFeature::default();
    block_on(api.set_named_provider("flags", FlipperProvider::new(&features)));
    assert_eq!(block_on(api.named_provider_metadata("flags")).unwrap().name, "flipper");
    let details = ask(&api.create_named_client("flags"), "FLAG", &anonymous()).unwrap();
    let values = details.flag_metadata.values;
    assert_eq!(values["owner"], FlagMetadataValue::String("horses".into()));
    assert_eq!(values["ttl"], FlagMetadataValue::Int(3600));
    assert_eq!(values["ratio"], FlagMetadataValue::Float(0.5));
    assert_eq!(values["on"], FlagMetadataValue::Bool(true));
    assert_eq!(values["flipper.created_date"], FlagMetadataValue::Int(1));
    assert_eq!(values["flipper.reason"], FlagMetadataValue::String("the flag is enabled".into()));
    assert_eq!(values["flipper.reason_code"], FlagMetadataValue::String("enabled".into()));
    assert_eq!(values.len(), 7);
}

#[test]
fn every_type_of_field_becomes_an_attribute() {
    let features = features();
    block_on(features.create("FLAG").enabled(true).into_future()).unwrap();
    let client = client(&features);
    let mut object = Object::new();
    object.insert("b", 1);
    let fields: [(EvaluationContextFieldValue, Json); 9] = [
        (true.into(), true.into()),
        (7.into(), 7.into()),
        (0.5.into(), Json::parse("0.5").unwrap()),
        ("x".into(), "x".into()),
        (time::UtcDateTime::UNIX_EPOCH.to_offset(time::UtcOffset::UTC).into(), 0.into()),
        (Arc::new(Json::from("x")).into(), "x".into()),
        (Arc::new(object.clone()).into(), Json::Object(object.clone())),
        (Arc::new(StructValue::default().with_field("b", 1)).into(), Json::Object(object)),
        (Arc::new(Value::Array(vec![1.into(), "x".into()])).into(), Json::parse(r#"[1, "x"]"#).unwrap()),
    ];
    for (field, json) in fields {
        block_on(features.set_conditions("FLAG", [Condition::new().eq("a", &json)])).unwrap();
        let details = ask(&client, "FLAG", &anonymous().with_custom_field("a", field.clone())).unwrap();
        assert!(details.value, "{field:?} is {json}");
        block_on(features.set_conditions("FLAG", [Condition::new().eq("a", "something else")])).unwrap();
        assert!(!ask(&client, "FLAG", &anonymous().with_custom_field("a", field)).unwrap().value);
    }

    struct Unknown;
    let unknown = EvaluationContextFieldValue::new_struct(Unknown);
    let error = ask(&client, "FLAG", &anonymous().with_custom_field("a", unknown)).unwrap_err();
    assert_eq!(error.code, Code::InvalidContext);
    assert!(error.message.unwrap().contains("\"a\""));
}

#[test]
fn the_targeting_key_has_a_default_attribute() {
    let features = features();
    block_on(features.create("FLAG").enabled(true).into_future()).unwrap();
    block_on(features.add_condition("FLAG", Condition::new().eq("targeting_key", "7"))).unwrap();
    let mut api = OpenFeature::default();
    block_on(api.set_provider(FlipperProvider::new(&features)));
    let client = api.create_client();
    assert!(ask(&client, "FLAG", &anonymous().with_targeting_key("7")).unwrap().value);
    assert!(!ask(&client, "FLAG", &anonymous().with_targeting_key("8")).unwrap().value);
    let both = anonymous().with_targeting_key("7").with_custom_field("targeting_key", "8");
    assert!(ask(&client, "FLAG", &both).unwrap().value, "the targeting key wins");
}

#[test]
fn without_flags_it_is_not_ready_and_after_a_loss_it_is_stale() {
    let store = FailingStore::new(MemoryFeatureFlagStore::new());
    store.disconnect();
    let features = FeatureFlagClient::new(MirroredFeatureFlagStore::new(store.clone()));
    let (provider, client) = (FlipperProvider::new(&features), client(&features));
    assert_eq!(provider.status(), ProviderStatus::NotReady);
    assert_eq!(code(ask(&client, "FLAG", &anonymous())), Code::ProviderNotReady);

    store.reconnect();
    block_on(features.ready()).unwrap();
    assert_eq!(provider.status(), ProviderStatus::Ready);
    assert_eq!(code(ask(&client, "FLAG", &anonymous())), Code::FlagNotFound);
    block_on(features.close()).unwrap();
    assert_eq!(provider.status(), ProviderStatus::STALE);
    assert_eq!(code(ask(&client, "FLAG", &anonymous())), Code::FlagNotFound);
}

#[test]
fn a_test_overrides_a_flag() {
    let features = features();
    let client = client(&features);
    let value = || block_on(client.get_string_value("FLAG/color", None, None));
    assert_eq!(code(value()), Code::FlagNotFound);
    let _overrides = override_flags!(features, "FLAG" => true);
    assert_eq!(code(value()), Code::FlagNotFound, "on, but without client data");
    let details = ask(&client, "FLAG", &anonymous()).unwrap();
    assert_eq!((details.value, details.reason), (true, Some(EvaluationReason::Other("OVERRIDDEN".into()))));
}

fn colours() -> Variants {
    Variants::new("user_id")
        .with(Variant::new("red", 50.0).value("#f00"))
        .with(Variant::new("blue", 50.0).value("#00f"))
}

#[test]
fn a_flag_with_variants_has_their_values() {
    let features = features();
    let client = client(&features);
    block_on(features.create("COLOUR").enabled(true).client_data(json!({ "button": "green" })).into_future()).unwrap();
    block_on(features.set_variants("COLOUR", colours())).unwrap();
    let text = |key: &str, context: &EvaluationContext| block_on(client.get_string_details(key, Some(context), None));
    let mut seen = std::collections::BTreeSet::new();
    for user in 0..20 {
        let user = user.to_string();
        let context = anonymous().with_targeting_key(&user);
        let details = text("COLOUR", &context).unwrap();
        let evaluation = features.evaluate("COLOUR", &context! { user_id: &user });
        let chosen = evaluation.variant.unwrap();
        assert_eq!((Some(&*details.value), details.variant.as_deref()), (chosen.value().as_str(), Some(chosen.name())));
        seen.insert(details.value);
        // Of variants that are no booleans a bool is whether the flag is on.
        let details = ask(&client, "COLOUR", &context).unwrap();
        assert_eq!((details.value, details.variant.as_deref()), (true, Some("on")));
        let mismatch = block_on(client.get_int_details("COLOUR", Some(&context), None)).unwrap_err();
        assert_eq!(mismatch.code, Code::TypeMismatch);
        assert!(mismatch.message.unwrap().contains("a string where an integer"));
        let details = text("COLOUR/button", &context).unwrap();
        assert_eq!((&*details.value, details.variant.as_deref()), ("green", Some("on")));
    }
    assert_eq!(seen.len(), 2);
    assert_eq!(code(text("COLOUR", &anonymous())), Code::TargetingKeyMissing);
    assert!(ask(&client, "COLOUR", &anonymous()).unwrap().value);

    let user = anonymous().with_targeting_key("7");
    block_on(features.disable("COLOUR")).unwrap();
    assert_eq!(code(text("COLOUR", &user)), Code::General("FLAG_OFF".into()));
    block_on(features.set_variants("COLOUR", colours().off("blue"))).unwrap();
    let details = text("COLOUR", &user).unwrap();
    assert_eq!((&*details.value, details.variant.as_deref()), ("#00f", Some("blue")));
    assert_eq!(details.reason, Some(EvaluationReason::Disabled));
    assert!(!ask(&client, "COLOUR", &user).unwrap().value);
}

#[test]
fn variants_have_any_type() {
    let features = features();
    let client = client(&features);
    let whole = |name: &str, value: serde_json::Value| {
        block_on(features.create(name).enabled(true).into_future()).unwrap();
        let value = Json::from_serialize(&value).unwrap();
        block_on(features.set_variants(name, Variants::new("user_id").with(Variant::new("all", 100.0).value(value))))
            .unwrap();
    };
    whole("INT", json!(42));
    whole("FLOAT", json!(0.5));
    whole("BOOL", json!(false));
    whole("STRUCT", json!({ "columns": 3, "names": ["a"] }));
    let context = anonymous();
    assert_eq!(block_on(client.get_int_value("INT", Some(&context), None)).unwrap(), 42);
    assert_eq!(block_on(client.get_float_value("INT", Some(&context), None)).unwrap(), 42.0);
    assert_eq!(block_on(client.get_float_value("FLOAT", Some(&context), None)).unwrap(), 0.5);
    let details = ask(&client, "BOOL", &context).unwrap();
    assert_eq!(
        (details.value, details.variant.as_deref()),
        (false, Some("all")),
        "the variant's, while the flag is on"
    );
    let provider = FlipperProvider::new(&features);
    let layout = block_on(provider.resolve_struct_value("STRUCT", &context)).unwrap();
    assert_eq!(layout.value.fields["columns"], Value::Int(3));
    assert_eq!(layout.variant.as_deref(), Some("all"));
    block_on(features.disable("BOOL")).unwrap();
    assert_eq!(code(ask(&client, "BOOL", &context)), Code::General("FLAG_OFF".into()));
}

#[test]
fn rules_prerequisites_and_segments_decide() {
    let features = features();
    let client = client(&features);
    for flag in ["NEEDED", "FLAG"] {
        block_on(features.create(flag).enabled(true).into_future()).unwrap();
    }
    block_on(features.set_segment("staff", r#"email ends with "@corp.com""#.parse::<When>().unwrap())).unwrap();
    let rules = [
        Rule::new(Serve::On).when(When::Segment("staff".into())),
        Rule::new(Serve::share(1.0, "user_id")).when("plan = pro".parse::<When>().unwrap()),
        Rule::new(Serve::Off),
    ];
    block_on(features.set_rules("FLAG", rules)).unwrap();
    let staff = anonymous().with_custom_field("email", "a@corp.com");
    let pro = anonymous().with_targeting_key("7").with_custom_field("plan", "pro");
    for (context, value, reason) in [
        (&staff, true, EvaluationReason::TargetingMatch),
        (&pro, true, EvaluationReason::Split),
        (&anonymous(), false, EvaluationReason::TargetingMatch),
    ] {
        let details = ask(&client, "FLAG", context).unwrap();
        assert_eq!((details.value, details.reason), (value, Some(reason)));
        let code = FlagMetadataValue::String("rule".into());
        assert_eq!(details.flag_metadata.values.get("flipper.reason_code"), Some(&code));
    }
    block_on(features.set_prerequisites("FLAG", [Prerequisite::new("NEEDED")])).unwrap();
    assert!(ask(&client, "FLAG", &staff).unwrap().value);
    block_on(features.disable("NEEDED")).unwrap();
    let details = ask(&client, "FLAG", &staff).unwrap();
    assert_eq!((details.value, details.reason), (false, Some(EvaluationReason::TargetingMatch)));
    // A segment is no flag.
    for key in ["segments/staff", "segments/staff/x"] {
        assert_eq!(code(ask(&client, key, &staff)), Code::FlagNotFound, "{key}");
        assert_eq!(code(block_on(client.get_string_details(key, Some(&staff), None))), Code::FlagNotFound, "{key}");
    }
}

#[test]
fn a_plain_answer_has_no_metadata() {
    let features = features();
    let client = client(&features);
    block_on(features.create("FLAG").into_future()).unwrap();
    assert!(ask(&client, "FLAG", &anonymous()).unwrap().flag_metadata.values.is_empty());
    block_on(features.enable("FLAG")).unwrap();
    assert!(ask(&client, "FLAG", &anonymous()).unwrap().flag_metadata.values.is_empty());
    block_on(features.add_condition("FLAG", Condition::new().eq("plan", "pro"))).unwrap();
    let pro = anonymous().with_custom_field("plan", "pro");
    let details = ask(&client, "FLAG", &pro).unwrap();
    let code = FlagMetadataValue::String("conditions_met".into());
    assert_eq!(details.flag_metadata.values.get("flipper.reason_code"), Some(&code));
}

#[test]
fn attributes_are_in_order_however_many() {
    let features = features();
    block_on(features.create("FLAG").enabled(true).into_future()).unwrap();
    block_on(features.set_bucketer("FLAG", ConsistentHashPercentageBucketer::new(0.5))).unwrap();
    for count in [0, 1, 6, 7, 8, 9, 30] {
        for key in [None, Some("a3"), Some("user_id"), Some("zzz")] {
            let mut names: Vec<_> = (0..count).map(|number| format!("a{number}")).collect();
            let fields = names.iter().fold(anonymous(), |context, name| context.with_custom_field(name, &**name));
            let mut provider = FlipperProvider::new(&features);
            let mut context = fields;
            names.sort_unstable();
            let mut expected = flipper::Context::new();
            for name in &names {
                expected.insert(name, name);
            }
            if let Some(key) = key {
                provider = provider.targeting_key_as(key);
                context = context.with_targeting_key("7");
                expected.insert(key, "7");
            }
            let details = block_on(provider.resolve_bool_value("FLAG", &context)).unwrap();
            let evaluation = features.evaluate("FLAG", &expected);
            let score = FlagMetadataValue::Float(evaluation.bucket.unwrap().score);
            assert_eq!(details.flag_metadata.unwrap().values["flipper.bucket_score"], score, "{count}, {key:?}");
        }
    }
}
