//! The engine of Flagsmith's SDKs. It evaluates all flags for a user, and has no check of one.

use std::sync::Arc;

use flagsmith_flag_engine::engine::get_evaluation_result;
use flagsmith_flag_engine::engine_eval::EngineEvaluationContext;
use serde_json::{Map, Value, json};

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct Flagsmith;

impl Peer for Flagsmith {
    fn name(&self) -> &'static str {
        "Flagsmith, the engine (all flags)"
    }

    fn package(&self) -> &'static str {
        "flagsmith-flag-engine"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let environment: EngineEvaluationContext = serde_json::from_value(environment(scenario))?;
        let contexts: Vec<_> = scenario
            .users
            .iter()
            .map(|user| {
                let traits: Map<_, _> =
                    user.attributes.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
                let identity = json!({ "identifier": user.id, "key": user.id, "traits": traits });
                Ok(EngineEvaluationContext { identity: Some(serde_json::from_value(identity)?), ..environment.clone() })
            })
            .collect::<Result<_>>()?;
        drop(environment);
        let variants = scenario.rule == Rule::Variants;
        Ok(Some(batch(scenario, contexts, move |name, context| {
            let result = get_evaluation_result(context);
            match result.flags.get(name) {
                Some(flag) if variants => flag.value.value.len(),
                Some(flag) => usize::from(flag.enabled),
                None => 0,
            }
        })))
    }
}

fn environment(scenario: &Scenario) -> Value {
    let feature = |name: &str, on: bool, variants: &Value| json!({ "key": name, "name": name, "enabled": on, "value": null, "variants": variants });
    let variants = if scenario.rule == Rule::Variants {
        let variants = VARIANTS.iter().zip([33.3, 33.3, 33.4]).enumerate();
        variants
            .map(|(priority, (value, weight))| json!({ "value": value, "weight": weight, "priority": priority }))
            .collect()
    } else {
        json!([])
    };
    let conditions: Vec<_> = scenario
        .conditions()
        .iter()
        .map(|(name, value)| json!({ "operator": "EQUAL", "property": name, "value": value }))
        .collect();
    let segment = |key: &str, conditions: &Value, flags: Vec<&str>| {
        let overrides: Vec<_> = flags.into_iter().map(|name| feature(name, true, &json!([]))).collect();
        let rule = json!({ "type": "ALL", "conditions": conditions });
        json!({ "key": key, "name": key, "overrides": overrides, "rules": [rule] })
    };
    let names = || scenario.flags.iter().map(|flag| flag.name.as_str());
    let split = json!([{ "operator": "PERCENTAGE_SPLIT", "property": "", "value": PERCENT.to_string() }]);
    let segments: Map<String, Value> = match scenario.rule {
        Rule::None | Rule::Variants => Map::new(),
        Rule::One | Rule::Twenty => {
            Map::from_iter([("some".into(), segment("some", &json!(conditions), names().collect()))])
        }
        // A segment for each flag, as its key is the salt.
        Rule::Percentage => names().map(|name| (name.into(), segment(name, &split, vec![name]))).collect(),
    };
    let targeted = !segments.is_empty();
    let features: Map<_, _> = scenario
        .flags
        .iter()
        .map(|flag| (flag.name.clone(), feature(&flag.name, flag.on && !targeted, &variants)))
        .collect();
    json!({
        "environment": { "key": "peers", "name": "peers" }, "features": features, "segments": segments,
    })
}
