//! PostHog's local evaluation; without the events that its client sends.

use std::collections::HashMap;
use std::sync::Arc;

use posthog_rs::{FlagCache, FlagValue, LocalEvaluator};
use serde_json::{Value, json};

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct PostHog;

impl Peer for PostHog {
    fn name(&self) -> &'static str {
        "PostHog, local evaluation"
    }

    fn package(&self) -> &'static str {
        "posthog-rs"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let cache = FlagCache::new();
        cache.update(serde_json::from_value(json!({ "flags": flags(scenario) }))?);
        let evaluator = LocalEvaluator::new(cache);
        let contexts = scenario.users.iter().map(|user| {
            let properties: HashMap<String, Value> =
                user.attributes.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
            (user.id, properties)
        });
        let (groups, group_properties) = (HashMap::new(), HashMap::new());
        Ok(Some(batch(scenario, contexts.collect(), move |name, (id, properties)| {
            match evaluator.evaluate_flag(name, id, properties, &groups, &group_properties) {
                Ok(Some(FlagValue::Boolean(on))) => usize::from(on),
                Ok(Some(FlagValue::String(variant))) => variant.len(),
                Ok(None) | Err(_) => 0,
            }
        })))
    }
}

fn flags(scenario: &Scenario) -> Vec<Value> {
    let properties: Vec<_> = scenario
        .conditions()
        .iter()
        .map(|(name, value)| json!({ "key": name, "value": value, "operator": "exact", "type": "person" }))
        .collect();
    let percent = if scenario.rule == Rule::Percentage { PERCENT } else { 100 };
    let mut filters = json!({ "groups": [{ "properties": properties, "rollout_percentage": percent }] });
    if scenario.rule == Rule::Variants {
        let variants = VARIANTS.iter().zip([33, 33, 34]);
        let variants: Vec<_> =
            variants.map(|(variant, percent)| json!({ "key": variant, "rollout_percentage": percent })).collect();
        filters["multivariate"] = json!({ "variants": variants });
    }
    let flag = scenario.flags.iter().map(|flag| json!({ "key": flag.name, "active": flag.on, "filters": filters }));
    flag.collect()
}
