use std::time::Instant;

use super::*;

fn condition_plan(condition: &Condition) -> Plan {
    plan(&format!(r#""conditions": [{}]"#, condition.to_json()))
}

fn holds(condition: &Condition, attributes: &dyn Attributes) -> Option<bool> {
    let evaluation = evaluate(&condition_plan(condition), attributes);
    (!matches!(evaluation.reason, Reason::TypeMismatch { .. })).then_some(evaluation.is_enabled)
}

fn hashed(attributes: &dyn Attributes) -> f64 {
    let plan = plan(
        r#""bucketer": {"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "Percentage", "value": 0.5}}"#,
    );
    evaluate(&plan, attributes).bucket.unwrap().score
}

#[test]
fn nan_compares_unequal_to_everything() {
    let nan = context! { a: f64::NAN };
    for (condition, expected) in [
        (Condition::new().eq("a", 1), false),
        (Condition::new().ne("a", 1), true),
        (Condition::new().gt("a", 1), false),
        (Condition::new().lte("a", 1.5), false),
        (Condition::new().one_of("a", [1.0, f64::NAN]), false),
        (Condition::new().eq("a", f64::NAN), false),
    ] {
        assert_eq!(holds(&condition, &nan), Some(expected), "{condition:?}");
        assert_eq!(holds(&condition, &Context::new().with("a", f64::NAN)), Some(expected), "{condition:?}");
    }
    let big = Json::parse(&"9".repeat(400)).unwrap();
    assert_eq!(holds(&Condition::new().lt("a", &big), &nan), Some(false));
    assert_eq!(holds(&Condition::new().lt("a", &big), &context! { a: f64::INFINITY }), Some(false));
    assert_eq!(holds(&Condition::new().lt("a", &big), &context! { a: f64::NEG_INFINITY }), Some(true));
    assert_eq!(holds(&Condition::new().lt("a", f64::INFINITY), &context! { a: 1 }), Some(true));
    hashed(&nan);
}

#[test]
fn ten_thousand_attributes_take_no_longer_than_they_deserve() {
    let many = (0..10_000).fold(Context::new(), |context, index| context.with(format!("a{index}"), index));
    let wide = (0..10_000).fold(Condition::new(), |condition, index| condition.eq(&format!("a{index}"), index));
    let start = Instant::now();
    assert_eq!(holds(&wide, &many), Some(true));
    let deny = plan(&format!(r#""deny_conditions": [{}]"#, Condition::new().eq("a0", 0).eq("a9999", 9999).to_json()));
    assert!(!evaluate(&deny, &many).is_enabled);
    hashed(&many);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn long_strings_and_deep_nesting() {
    let long = "é".repeat(1 << 19);
    let text = context! { a: &long };
    assert_eq!(holds(&Condition::new().eq("a", &long), &text), Some(true));
    assert_eq!(holds(&Condition::new().with("a", Operator::In, &long), &text), Some(true));
    hashed(&text);

    let nested = Json::parse(&format!("{}{}", "[".repeat(200), "]".repeat(200))).unwrap();
    let nested = context! { a: &nested };
    assert_eq!(holds(&Condition::new().lte("a", nested[0].1), &nested), Some(true));
    assert_eq!(holds(&Condition::new().lt("a", nested[0].1), &nested), Some(false));
    hashed(&nested);
}

#[test]
fn lists_nested_without_end_have_no_answer() {
    fn nest(depth: usize, inner: Value<'_>, then: &mut dyn FnMut(Value<'_>)) {
        if depth == 0 {
            then(inner);
        } else {
            nest(depth - 1, Value::List(&[inner]), then);
        }
    }
    nest(1_000, Value::Null, &mut |value| {
        hashed(&[("a", value)]);
    });
}
