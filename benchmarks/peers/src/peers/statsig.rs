//! Statsig's SDK, from a string, without network and without events.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use statsig_rust::output_logger::LogLevel;
use statsig_rust::{
    DynamicConfigEvaluationOptions, FeatureGateEvaluationOptions, StatsigBootstrapSpecsAdapter, StatsigOptions,
    StatsigUser, StatsigUserBuilder,
};
use tokio::runtime;

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct Statsig;

impl Peer for Statsig {
    fn name(&self) -> &'static str {
        "Statsig"
    }

    fn package(&self) -> &'static str {
        "statsig-rust"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let options = StatsigOptions {
            specs_adapter: Some(Arc::new(StatsigBootstrapSpecsAdapter::new(specs(scenario).to_string()))),
            disable_network: Some(true),
            disable_all_logging: Some(true),
            disable_country_lookup: Some(true),
            disable_disk_access: Some(true),
            // Its own logger would take the messages of the other libraries too.
            output_log_level: Some(LogLevel::None),
            ..StatsigOptions::default()
        };
        let statsig = statsig_rust::Statsig::new("secret-none", Some(Arc::new(options)));
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(statsig.initialize()).map_err(|error| error.to_string())?;
        let contexts: Vec<StatsigUser> = scenario
            .users
            .iter()
            .map(|user| {
                let custom: HashMap<_, _> =
                    user.attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                StatsigUserBuilder::new_with_user_id(user.id).custom_from_str_map(Some(custom)).build()
            })
            .collect();
        Ok(Some(if scenario.rule == Rule::Variants {
            batch(scenario, contexts, move |name, user| {
                let options = DynamicConfigEvaluationOptions { disable_exposure_logging: true };
                let config = statsig.get_dynamic_config_with_options(user, name, options);
                config.value.get("color").and_then(Value::as_str).map_or(0, str::len)
            })
        } else {
            batch(scenario, contexts, move |name, user| {
                let options = FeatureGateEvaluationOptions { disable_exposure_logging: true };
                usize::from(statsig.check_gate_with_options(user, name, options))
            })
        }))
    }

    fn scaffolding(&self, scenario: &Arc<Scenario>) -> Result<Box<dyn Any>> {
        Ok(Box::new(specs(scenario).to_string()))
    }
}

fn specs(scenario: &Scenario) -> Value {
    let condition = |kind: &str, target: Value, operator: &str, field: Value, salt: &str| {
        json!({
            "type": kind, "targetValue": target, "operator": operator, "field": field,
            "additionalValues": { "salt": salt }, "idType": "userID",
        })
    };
    let mut conditions = Map::new();
    conditions.insert("everyone".into(), condition("public", Value::Null, "none", Value::Null, ""));
    for (name, value) in scenario.conditions() {
        conditions.insert((*name).into(), condition("user_field", json!([value]), "any", json!(name), ""));
    }
    let rule = |id: &str, percent: u32, conditions: Value, value: Value| {
        json!({
            "name": id, "id": id, "salt": id, "passPercentage": percent, "conditions": conditions, "returnValue": value,
            "idType": "userID",
        })
    };
    let names: Vec<&str> = scenario.conditions().iter().map(|(name, _)| *name).collect();
    let mut gates = Map::new();
    let mut configs = Map::new();
    for flag in &scenario.flags {
        let everyone = json!(["everyone"]);
        let rules = match scenario.rule {
            // It does not read `enabled` of a gate.
            Rule::None if !flag.on => json!([]),
            Rule::None => json!([rule("everyone", 100, everyone, json!(true))]),
            Rule::One | Rule::Twenty => json!([rule("some", 100, json!(names), json!(true))]),
            Rule::Percentage => json!([rule("some", PERCENT, everyone, json!(true))]),
            Rule::Variants => {
                let rules = VARIANTS.iter().zip([333, 667, 1_000]).map(|(variant, end)| {
                    let bucket = format!("{}-{variant}", flag.name);
                    let below = condition("user_bucket", json!(end), "lt", Value::Null, &flag.name);
                    conditions.insert(bucket.clone(), below);
                    rule(variant, 100, json!([bucket]), json!({ "color": variant }))
                });
                rules.collect()
            }
        };
        let variants = scenario.rule == Rule::Variants;
        let (kind, default) = if variants { ("dynamic_config", json!({})) } else { ("feature_gate", json!(false)) };
        let spec = json!({
            "type": kind, "entity": kind, "salt": flag.name, "enabled": flag.on, "defaultValue": default, "rules": rules,
            "idType": "userID",
        });
        if variants { &mut configs } else { &mut gates }.insert(flag.name.clone(), spec);
    }
    json!({
        "feature_gates": gates, "dynamic_configs": configs, "layer_configs": {}, "condition_map": conditions,
        "experiment_to_layer": {}, "has_updates": true, "time": 1, "company_id": "none", "response_format": "dcs-v2",
        "id_lists": {}, "diagnostics": {},
    })
}
