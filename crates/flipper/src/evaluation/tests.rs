//! Plans. `tests/evaluation.rs` compares their answers with Python's.

use std::time::{Duration, SystemTime};

use super::*;
use crate::context::{Attributes, Value, ValueType};
use crate::evaluation::Operator;
use crate::json::Object;
use crate::{Condition, Context, FlagRecord, context};

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

fn plan(meta: &str) -> Plan {
    let text = format!(r#"{{"feature_name": "F", "is_enabled": true, "meta": {{"created_date": 1, {meta}}}}}"#);
    Plan::new("F", &FlagRecord::from_json(text).unwrap(), false, &NoLinks)
}

fn evaluate(plan: &Plan, attributes: &dyn Attributes) -> Evaluation {
    let environment = environment(1000.0, 0.5);
    let evaluation = plan.evaluate("F", attributes, &environment);
    assert_eq!(plan.is_enabled("F", attributes, &environment), evaluation.is_enabled);
    let settled = if attributes.is_empty() { plan.settled_without_context() } else { plan.settled_with_context() };
    assert!(settled.is_none_or(|settled| settled == evaluation.is_enabled));
    assert!(!evaluation.to_string().is_empty());
    evaluation
}

mod hostile;
mod rules;
mod targeting;
