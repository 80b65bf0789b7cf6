//! How much a check allocates: the SDK's trait returns a boxed future and an owned variant, and the provider adds nothing to a plain answer.

use allocation_counter::measure;
use flipper::bucketing::SaltedPercentageBucketer;
use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore};
use flipper_openfeature::FlipperProvider;
use futures_executor::block_on;
use open_feature::EvaluationContext;
use open_feature::provider::FeatureProvider;

/// The future, and the variant's name.
const LEAST: u64 = 2;

fn of_one_check(provider: &FlipperProvider, flag: &str, context: &EvaluationContext) -> u64 {
    // The first time, what is needed once.
    let check = || block_on(provider.resolve_bool_value(flag, context)).is_ok();
    check();
    measure(|| assert!(check())).count_total
}

#[test]
fn a_plain_answer_takes_what_the_sdk_asks_for() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("ON").enabled(true).into_future()).unwrap();
    block_on(features.create("OFF").into_future()).unwrap();
    let provider = FlipperProvider::new(&features).targeting_key_as("user_id");
    let user = EvaluationContext::default().with_targeting_key("7");
    let five = ["plan", "country", "city", "language", "platform"];
    let five = five.into_iter().fold(user.clone(), |context, name| context.with_custom_field(name, "some text"));
    for context in [EvaluationContext::default(), user, five] {
        for flag in ["ON", "OFF"] {
            assert_eq!(of_one_check(&provider, flag, &context), LEAST, "{flag}, {context:?}");
        }
    }
}

/// A `HashMap`, then for each entry its key, and its value if that is a text.
#[test]
fn what_depends_on_the_caller_comes_with_metadata() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    for name in ["CONDITION", "SALTED"] {
        block_on(features.create(name).enabled(true).into_future()).unwrap();
    }
    block_on(features.add_condition("CONDITION", Condition::new().eq("plan", "pro"))).unwrap();
    block_on(features.set_bucketer("SALTED", SaltedPercentageBucketer::new("user_id", 0.5))).unwrap();
    let provider = FlipperProvider::new(&features).targeting_key_as("user_id");
    let context = EvaluationContext::default().with_targeting_key("7").with_custom_field("plan", "pro");
    // Also the attributes that conditions name, and a set of those that are given.
    let count = |flag| of_one_check(&provider, flag, &context);
    assert_eq!((count("CONDITION"), count("SALTED")), (10, 14));
}
