//! Conditions, bucketers, ramps, rules and variants beside their parts.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use flipper::bucketing::{
    ConsistentHashPercentageBucketer, LinearRampPercentage, PercentageBucketer, SaltedPercentageBucketer,
};
use flipper::context::Attributes;
use flipper::targeting::{Prerequisite, Rule, Serve, Variant, Variants, When};
use flipper::{Bucketer, Condition, FeatureFlagClient, MemoryFeatureFlagStore, context};
use futures_executor::block_on;
use sha1::{Digest, Sha1};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{Case, Limit, Result};

const PATTERN: &str = "^[a-z]+@corp[.]com$";
const MAIL: &str = "someone@corp.com";
const HALF_A_DAY: Duration = Duration::from_secs(43_200);

fn flags() -> Result<FeatureFlagClient> {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let ramp = || LinearRampPercentage::new(0.0, 1.0, HALF_A_DAY * 2).starting_at(SystemTime::now() - HALF_A_DAY);
    let bucketers: [(&str, Bucketer); 8] = [
        ("BARE", Bucketer::NoOp),
        ("PERCENTAGE", PercentageBucketer::new(0.5).into()),
        ("RAMP", PercentageBucketer::new(ramp()).into()),
        ("HASH", ConsistentHashPercentageBucketer::new(0.5).into()),
        ("HASH_RAMP", ConsistentHashPercentageBucketer::new(ramp()).into()),
        ("SALTED", SaltedPercentageBucketer::new("user_id", 0.5).into()),
        ("SALTED_RAMP", SaltedPercentageBucketer::new("user_id", ramp()).into()),
        ("ONE_CONDITION", Bucketer::NoOp),
    ];
    let one = Condition::new().eq("plan", "pro");
    let five = [
        Condition::new().eq("is_admin", true),
        one.clone(),
        Condition::new().gt("horses", 9000),
        Condition::new().eq("country", "NL"),
        Condition::new().gte("age", 18),
    ];
    block_on(async {
        for (name, bucketer) in bucketers {
            features.create(name).enabled(true).await?;
            features.set_bucketer(name, bucketer).await?;
        }
        features.add_condition("ONE_CONDITION", one).await?;
        features.create("FIVE_CONDITIONS").enabled(true).await?;
        features.set_conditions("FIVE_CONDITIONS", five).await?;
        Ok::<_, flipper::Error>(())
    })?;
    block_on(targeting(&features))?;
    Ok(features)
}

async fn targeting(features: &FeatureFlagClient) -> flipper::Result<()> {
    let ids = |count: usize| (0..count).map(|id| format!("user-{id}")).collect::<Vec<_>>().join(", ");
    for (segment, count) in [("ten", 10), ("many", 100_000)] {
        features.set_segment(segment, format!("user_id in {}", ids(count)).parse::<When>()?).await?;
    }
    for (name, when) in [
        ("RULE", "plan = pro".to_owned()),
        ("SEGMENT_OF_10", "in segment ten".to_owned()),
        ("SEGMENT_OF_100000", "in segment many".to_owned()),
        ("PATTERN", format!("email matches '{PATTERN}'")),
    ] {
        features.create(name).enabled(true).await?;
        features.set_rules(name, [Rule::new(Serve::On).when(when.parse::<When>()?)]).await?;
    }
    for (name, count) in [("LIST_OF_1", 1), ("LIST_OF_10000", 10_000)] {
        features.create(name).enabled(true).await?;
        let ids: Vec<_> = (0..count).map(|id| format!("user-{id}")).collect();
        features.add_condition(name, Condition::new().one_of("user_id", ids.iter().map(String::as_str))).await?;
    }
    features.create("PREREQUISITE").enabled(true).await?;
    features.set_prerequisites("PREREQUISITE", [Prerequisite::new("BARE")]).await?;
    features.create("PREREQUISITE_WITH_RULE").enabled(true).await?;
    features.set_prerequisites("PREREQUISITE_WITH_RULE", [Prerequisite::new("RULE")]).await?;
    features.create("VARIANTS").enabled(true).await?;
    let three = ["red", "green", "blue"].map(|name| Variant::new(name, 0.0));
    let three = three.into_iter().fold(Variants::new("user_id"), Variants::with).even();
    features.set_variants("VARIANTS", three).await
}

fn with(
    features: &FeatureFlagClient,
    name: &'static str,
    flag: &'static str,
    context: impl Attributes + 'static,
) -> Case {
    let features = features.clone();
    Case::new(name, move || features.is_enabled_with(black_box(flag), black_box(&context)))
}

fn variant(features: &FeatureFlagClient) -> Case {
    let features = features.clone();
    Case::new("one of three variants", move || {
        features.variant(black_box("VARIANTS"), &context! { user_id: "user-4711" }, "none").len()
    })
}

pub(crate) fn cases() -> Result<Vec<Case>> {
    let features = flags()?;
    let one = context! { plan: "pro" };
    let five = context! { is_admin: true, plan: "pro", horses: 9001, country: "NL", age: 18 };
    let eight = context! {
        is_admin: true, plan: "pro", horses: 9001, country: "NL", age: 18, user_id: 7, tenant: "acme", beta: false,
    };
    let user = context! { user_id: 7 };
    let pattern = regex::Regex::new(PATTERN)?;

    let by_name = |name, flag: &'static str| {
        let features = features.clone();
        Case::new(name, move || features.is_enabled(black_box(flag)))
    };
    let with_five = |name, flag| with(&features, name, flag, five);
    let with_eight = |name, flag| with(&features, name, flag, eight);
    let with_user = |name, flag| with(&features, name, flag, user);
    let sha1 = |name, text: String| Case::new(name, move || Sha1::digest(black_box(text.as_bytes())));
    let hash_input = |context: &dyn Attributes| ConsistentHashPercentageBucketer::new(0.5).hash_input(context);

    Ok(vec![
        by_name("check by name", "BARE").python("bare"),
        with(&features, "one condition", "ONE_CONDITION", one)
            .beside(["check by name"], Limit::Times(4.0))
            .python("one"),
        with_eight("one condition, 8 attributes", "ONE_CONDITION")
            .beside(["check by name"], Limit::None)
            .python("one_of_eight"),
        with_five("five conditions", "FIVE_CONDITIONS").beside(["check by name"], Limit::Times(10.0)).python("five"),
        with_eight("five conditions, 8 attributes", "FIVE_CONDITIONS")
            .beside(["check by name"], Limit::None)
            .python("five_of_eight"),
        sha1("SHA-1 of one attribute", hash_input(&user)),
        with_user("consistent hash", "HASH").beside(["SHA-1 of one attribute"], Limit::Times(4.0)).python("hash"),
        sha1("SHA-1 of 8 attributes", hash_input(&eight)),
        with_eight("consistent hash, 8 attributes", "HASH")
            .beside(["SHA-1 of 8 attributes"], Limit::Times(4.0))
            .python("hash_eight"),
        Case::new("XXH3 of a name and a value", || {
            xxh3_64_with_seed(black_box("\x007").as_bytes(), xxh3_64(black_box("SALTED").as_bytes()))
        }),
        with_user("salted hash", "SALTED").beside(["XXH3 of a name and a value"], Limit::None),
        with(&features, "salted hash of a string", "SALTED", context! { user_id: "user-4711" })
            .beside(["XXH3 of a name and a value"], Limit::None),
        Case::new("clock read", SystemTime::now),
        variant(&features).beside(["salted hash of a string"], Limit::Times(1.3)),
        by_name("one prerequisite", "PREREQUISITE").beside(["check by name"], Limit::Times(2.5)),
        with(&features, "one rule", "RULE", one).beside(["one condition"], Limit::None),
        with(&features, "a prerequisite with a rule", "PREREQUISITE_WITH_RULE", one).beside(["one rule"], Limit::None),
        with(&features, "a list of one id", "LIST_OF_1", context! { user_id: "user-0" })
            .beside(["one condition"], Limit::None),
        with(&features, "a list of 10,000 ids", "LIST_OF_10000", context! { user_id: "user-7" })
            .beside(["a list of one id"], Limit::Times(2.0)),
        with(&features, "a segment of 10 ids", "SEGMENT_OF_10", context! { user_id: "user-7" })
            .beside(["one rule"], Limit::None),
        with(&features, "a segment of 100,000 ids", "SEGMENT_OF_100000", context! { user_id: "user-7" })
            .beside(["a segment of 10 ids"], Limit::Times(2.0)),
        Case::new("regular expression alone", move || pattern.is_match(black_box(MAIL))),
        with(&features, "rule with a regular expression", "PATTERN", context! { email: MAIL })
            .beside(["regular expression alone"], Limit::Times(3.0)),
        by_name("percentage", "PERCENTAGE").beside(["check by name"], Limit::None).python("percentage"),
        by_name("ramp", "RAMP").beside(["percentage", "clock read"], Limit::Plus(10.0)).python("ramp"),
        with_user("consistent hash, ramp", "HASH_RAMP")
            .beside(["consistent hash", "clock read"], Limit::Plus(20.0))
            .python("hash_ramp"),
        with_user("salted hash, ramp", "SALTED_RAMP").beside(["salted hash", "clock read"], Limit::Plus(10.0)),
    ])
}
