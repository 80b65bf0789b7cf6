use super::*;

fn reason(plan: &Plan, attributes: &dyn Attributes) -> (bool, Reason) {
    let evaluation = evaluate(plan, attributes);
    (evaluation.is_enabled, evaluation.reason)
}

fn condition(condition: &Condition) -> String {
    condition.to_json().to_string()
}

const TEN_PERCENT: &str =
    r#""bucketer": {"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "Percentage", "value": 0.1}}"#;

#[test]
fn disabled_flags_are_off_for_everybody() {
    let flag = r#"{"feature_name": "F", "is_enabled": false, "meta": {"created_date": 1, "conditions": [{}]}}"#;
    let plan = Plan::new("F", &FlagRecord::from_json(flag).unwrap(), false, &NoLinks);
    assert_eq!(reason(&plan, &context! { a: 1 }), (false, Reason::Disabled));
    assert_eq!(reason(&plan, &context! {}), (false, Reason::Disabled));
}

#[test]
fn a_flag_without_limits_is_on() {
    let plan = plan(r#""conditions": []"#);
    assert_eq!(reason(&plan, &context! { a: 1 }), (true, Reason::Enabled));
    assert_eq!(plan.settled_with_context(), Some(true));
    assert_eq!(plan.settled_without_context(), Some(true));
}

#[test]
fn conditions_switch_the_bucketer_off() {
    let conditions = condition(&Condition::new().eq("is_admin", true));
    let plan = plan(&format!(r#""conditions": [{conditions}], {TEN_PERCENT}"#));
    assert_eq!(reason(&plan, &context! { user_id: 2 }), (true, Reason::ConditionsMet));
    let evaluation = evaluate(&plan, &context! { is_admin: 1.0, user_id: 2 });
    assert_eq!((evaluation.is_enabled, evaluation.reason), (true, Reason::ConditionsMet));
    assert!(evaluation.bucket.is_some());
    assert_eq!(reason(&plan, &context! {}), (false, Reason::Bucket { score: 0.32, percentage: 0.1 }));
    assert_eq!(
        reason(&plan, &context! { is_admin: false }),
        (false, Reason::ConditionFailed { variable: "is_admin".into(), operator: Operator::Eq })
    );
}

#[test]
fn attributes_are_looked_at_in_their_order() {
    let conditions = condition(&Condition::new().gt("a", 3).gt("b", 1));
    let plan = plan(&format!(r#""conditions": [{conditions}]"#));
    let mismatch = Reason::TypeMismatch {
        variable: "b".into(),
        operator: Operator::Gt,
        actual: ValueType::Str,
        expected: ValueType::Int,
    };
    assert_eq!(reason(&plan, &context! { b: "x", a: 2 }), (false, mismatch));
    let failed = Reason::ConditionFailed { variable: "a".into(), operator: Operator::Gt };
    assert_eq!(reason(&plan, &context! { a: 2, b: "x" }), (false, failed));
}

#[test]
fn deny_always_wins() {
    let deny = condition(&Condition::new().eq("country", "XX").lt("age", 18));
    let conditions = condition(&Condition::new().eq("is_admin", true));
    let plan = plan(&format!(r#""conditions": [{conditions}], "deny_conditions": [{{}}, {deny}]"#));
    let denied = (false, Reason::Denied { index: 1 });
    assert_eq!(reason(&plan, &context! { is_admin: true, age: 17, country: "XX" }), denied);
    assert_eq!(reason(&plan, &context! { is_admin: true, age: 17, country: "YY" }), (true, Reason::ConditionsMet));
    // The context lacks one of its attributes.
    assert_eq!(reason(&plan, &context! { is_admin: true, country: "XX" }), (true, Reason::ConditionsMet));
    // A wrong type lets no caller pass.
    let mismatch = Reason::TypeMismatch {
        variable: "age".into(),
        operator: Operator::Lt,
        actual: ValueType::Str,
        expected: ValueType::Int,
    };
    assert_eq!(reason(&plan, &context! { is_admin: true, age: "17", country: "XX" }), (false, mismatch));
    assert_eq!(reason(&plan, &context! { age: "17", country: "YY" }), (true, Reason::ConditionsMet));
    assert_eq!(reason(&plan, &context! {}), (true, Reason::Enabled));
}

#[test]
fn a_deny_condition_may_have_many_variables() {
    let all = (0..200).fold(Condition::new(), |condition, index| condition.eq(&format!("v{index}"), index));
    let plan = plan(&format!(r#""deny_conditions": [{}]"#, condition(&all)));
    let mut attributes = (0..199).fold(Context::new(), |context, index| context.with(format!("v{index}"), index));
    assert_eq!(reason(&plan, &attributes), (true, Reason::Enabled));
    attributes.insert("v199", 199);
    assert_eq!(reason(&plan, &attributes), (false, Reason::Denied { index: 0 }));
}

#[test]
fn chance_is_injected() {
    let plan =
        plan(r#""bucketer": {"type": "PercentageBucketer", "percentage": {"type": "Percentage", "value": 0.5}}"#);
    let check = |random| plan.is_enabled("F", &NO_ATTRIBUTES, &environment(0.0, random));
    assert_eq!([0.0, 0.5, 0.500_000_1].map(check), [true, true, false]);
    assert_eq!(reason(&plan, &context! {}), (true, Reason::Random { percentage: 0.5 }));
}

#[test]
fn salted_bucketers_need_their_attribute() {
    let salted = |percentage: f64| {
        plan(&format!(
            r#""bucketer": {{"type": "SaltedPercentageBucketer", "bucket_by": "id", "percentage": {{"type": "Percentage", "value": {percentage}}}}}"#
        ))
    };
    let without = |percentage| Reason::NoBucketAttribute { attribute: "id".into(), percentage };
    assert_eq!(reason(&salted(0.9), &context! { other: 1 }), (false, without(0.9)));
    assert_eq!(reason(&salted(1.0), &context! { other: 1 }), (true, without(1.0)));
    let (enabled, reason) = reason(&salted(0.5), &context! { id: 1 });
    let Reason::Bucket { score, percentage } = reason else { panic!("{reason:?}") };
    assert_eq!((enabled, percentage), (score < 0.5, 0.5));
}

#[test]
fn ramps_take_the_injected_time() {
    let plan = plan(
        r#""bucketer": {"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "LinearRampPercentage", "initial_value": 0.0, "final_value": 1.0, "ramp_duration": 100, "initial_time": 1000}}"#,
    );
    assert_eq!((plan.settled_with_context(), plan.settled_without_context()), (None, None));
    let check = |now| plan.is_enabled("F", &context! { user_id: 1 }, &environment(now, 0.0));
    assert_eq!([0.0, 1000.0, 1047.0, 1048.0, 9000.0].map(check), [false, false, false, true, true]);
}

#[test]
fn registered_bucketers_decide() {
    #[derive(Debug)]
    struct ByFlag(Object);

    impl crate::bucketing::CustomBucketer for ByFlag {
        fn bucketer_type(&self) -> &str {
            "ByFlag"
        }

        fn fields(&self) -> Object {
            let mut fields = self.0.clone();
            fields.remove("type");
            fields
        }

        fn is_enabled(&self, flag_name: &str, attributes: &dyn Attributes) -> bool {
            self.0.get("flag").and_then(Json::as_str) == Some(flag_name) && attributes.len() == 1
        }
    }

    let stored = r#""bucketer": {"type": "ByFlag", "flag": "F"}"#;
    let text = format!(r#"{{"feature_name": "F", "is_enabled": true, "meta": {{"created_date": 1, {stored}}}}}"#);
    assert_eq!(FlagRecord::from_json(&text).unwrap_err().kind(), crate::ErrorKind::Corrupt);
    crate::bucketing::register_bucketer("ByFlag", |fields| Ok(Arc::new(ByFlag(fields.clone())))).unwrap();
    assert!(crate::bucketing::register_bucketer("ByFlag", |fields| Ok(Arc::new(ByFlag(fields.clone())))).is_err());
    assert!(
        crate::bucketing::register_bucketer("NoOpBucketer", |fields| Ok(Arc::new(ByFlag(fields.clone())))).is_err()
    );
    let decided = |enabled| (enabled, Reason::CustomBucketer { bucketer_type: "ByFlag".into() });
    assert_eq!(reason(&plan(stored), &context! { a: 1 }), decided(true));
    assert_eq!(reason(&plan(stored), &context! {}), decided(false));
    assert!(FlagRecord::from_json(&text).unwrap().to_json().contains(stored));
}

#[test]
fn what_is_not_given_is_named() {
    let pro = condition(&Condition::new().eq("plan", "pro").gt("horses", 3));
    let deny = condition(&Condition::new().eq("country", "XX"));
    let limited = plan(&format!(r#""conditions": [{pro}], "deny_conditions": [{deny}], {BY_USER}"#));
    let not_given = |attributes: &dyn Attributes| evaluate(&limited, attributes).not_given;
    assert_eq!(not_given(&context! { plan: "pro" }), ["country", "horses"], "the bucketer is ignored");
    assert_eq!(not_given(&context! { plan: "pro", horses: 4, country: "CH", other: 1 }), [""; 0]);
    assert_eq!(not_given(&context! {}), ["country", "horses", "plan", "user_id"]);
    let text = evaluate(&limited, &context! { plan: "pro" }).to_string();
    assert_eq!(text, r#"on: all conditions hold; not given: "country", "horses""#);
}

#[test]
fn a_strict_flag_needs_all_attributes_of_its_conditions() {
    let pro = condition(&Condition::new().eq("plan", "pro").gt("horses", 3));
    let strict = plan(&format!(r#""conditions": [{pro}], "strict_conditions": true, {BY_USER}"#));
    let not_given = |variable: &str| (false, Reason::NotGiven { variable: variable.into() });
    assert_eq!(reason(&strict, &context! { plan: "pro", horses: 4 }), (true, Reason::ConditionsMet));
    assert_eq!(reason(&strict, &context! { plan: "pro" }), not_given("horses"));
    assert_eq!(reason(&strict, &context! { user_id: 1 }), not_given("plan"));
    assert_eq!(reason(&strict, &context! {}), not_given("plan"), "the bucketer is ignored");
    let failed = Reason::ConditionFailed { variable: "plan".into(), operator: Operator::Eq };
    assert_eq!(reason(&strict, &context! { plan: "free" }), (false, failed));
    assert_eq!(strict.settled_without_context(), Some(false));
    // Strictness has no effect then.
    let plain = plan(r#""strict_conditions": true"#);
    assert_eq!(reason(&plain, &context! {}), (true, Reason::Enabled));
}

#[test]
fn a_score_that_all_have_is_reported_as_shared() {
    let by_user = plan(BY_USER);
    let anonymous = evaluate(&by_user, &context! { other: 1 });
    assert!(anonymous.bucket.as_ref().unwrap().is_shared);
    assert_eq!(
        anonymous.to_string(),
        r#"on: score 0.32 at a percentage of 0.5, shared by all callers with nothing to hash; not given: "user_id""#
    );
    let known = evaluate(&by_user, &context! { user_id: 1 });
    assert_eq!((known.bucket.unwrap().is_shared, known.not_given), (false, Vec::new()));
}

const BY_USER: &str = r#""bucketer": {"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "Percentage", "value": 0.5}, "key_whitelist": ["user_id"]}"#;
