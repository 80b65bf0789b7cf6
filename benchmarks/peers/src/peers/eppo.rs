//! The core of Eppo's SDKs; without a logger for assignments, which those have.

use std::sync::Arc;

use eppo_core::configuration_store::ConfigurationStore;
use eppo_core::eval::{Evaluator, EvaluatorConfig};
use eppo_core::ufc::{AssignmentValue, UniversalFlagConfig, VariationType};
use eppo_core::{AttributeValue, Attributes, Configuration, SdkMetadata, Str};
use serde_json::{Map, Value, json};

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct Eppo;

const SHARDS: u32 = 10_000;

impl Peer for Eppo {
    fn name(&self) -> &'static str {
        "Eppo"
    }

    fn package(&self) -> &'static str {
        "eppo_core"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let metadata = SdkMetadata { name: "rust", version: "0" };
        let flags = UniversalFlagConfig::from_json(metadata, serde_json::to_vec(&flags(scenario))?)?;
        let store = Arc::new(ConfigurationStore::new());
        store.set_configuration(Arc::new(Configuration::from_server_response(flags, None)));
        let evaluator = Evaluator::new(EvaluatorConfig { configuration_store: store, sdk_metadata: metadata });
        let contexts = scenario.users.iter().map(|user| {
            let attributes: Attributes = user
                .attributes
                .iter()
                .map(|(name, value)| (Str::from(*name), AttributeValue::categorical(*value)))
                .collect();
            (Str::from(user.id), Arc::new(attributes))
        });
        let expected = kind(scenario.rule);
        Ok(Some(batch(scenario, contexts.collect(), move |name, (key, attributes)| {
            match evaluator.get_assignment(name, key, attributes, Some(expected)) {
                Ok(Some(assignment)) => match assignment.value {
                    AssignmentValue::Boolean(on) => usize::from(on),
                    AssignmentValue::String(variant) => variant.len(),
                    _ => 0,
                },
                Ok(None) | Err(_) => 0,
            }
        })))
    }
}

fn kind(rule: Rule) -> VariationType {
    if rule == Rule::Variants { VariationType::String } else { VariationType::Boolean }
}

fn flags(scenario: &Scenario) -> Value {
    let conditions: Vec<_> = scenario
        .conditions()
        .iter()
        .map(|(name, value)| json!({ "attribute": name, "operator": "ONE_OF", "value": [value] }))
        .collect();
    let rules = if conditions.is_empty() { json!([]) } else { json!([{ "conditions": conditions }]) };
    let variations: Map<String, Value> = if scenario.rule == Rule::Variants {
        VARIANTS.iter().map(|variant| ((*variant).into(), json!({ "key": variant, "value": variant }))).collect()
    } else {
        Map::from_iter([("on".into(), json!({ "key": "on", "value": true }))])
    };
    let split = |name: &str, variation: &str, start: u32, end: u32| {
        let shard = json!({ "salt": name, "ranges": [{ "start": start, "end": end }] });
        json!({ "variationKey": variation, "shards": [shard] })
    };
    let flag = |name: &str, on: bool| {
        let splits = match scenario.rule {
            Rule::None | Rule::One | Rule::Twenty => json!([{ "variationKey": "on", "shards": [] }]),
            Rule::Percentage => json!([split(name, "on", 0, SHARDS * PERCENT / 100)]),
            Rule::Variants => json!([
                split(name, VARIANTS[0], 0, 3_333),
                split(name, VARIANTS[1], 3_333, 6_667),
                split(name, VARIANTS[2], 6_667, SHARDS),
            ]),
        };
        json!({
            "key": name, "enabled": on, "variationType": kind(scenario.rule), "variations": variations,
            "allocations": [{ "key": "all", "rules": rules, "splits": splits, "doLog": false }], "totalShards": SHARDS,
        })
    };
    let flags: Map<_, _> = scenario.flags.iter().map(|each| (each.name.clone(), flag(&each.name, each.on))).collect();
    json!({
        "createdAt": "2026-01-01T00:00:00Z", "format": "SERVER", "environment": { "name": "peers" }, "flags": flags,
    })
}
