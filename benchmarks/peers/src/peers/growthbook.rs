//! GrowthBook's SDK: its client, which copies all features for each check, and the evaluation alone.

use std::sync::Arc;

use futures_executor::block_on;
use growthbook_rust::client::{GrowthBookClientBuilder, GrowthBookClientTrait};
use growthbook_rust::growthbook::GrowthBook;
use growthbook_rust::model_public::{FeatureResult, GrowthBookAttribute, GrowthBookAttributeValue};
use serde_json::{Map, Value, json};

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct Client;
pub(super) struct Engine;

impl Peer for Client {
    fn name(&self) -> &'static str {
        "GrowthBook"
    }

    fn package(&self) -> &'static str {
        "growthbook-rust"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let builder = GrowthBookClientBuilder::new().auto_refresh(false).features_json(features(scenario))?;
        let client = block_on(builder.build()).map_err(|error| format!("{error:?}"))?;
        let contexts = contexts(scenario);
        Ok(Some(if scenario.rule == Rule::Variants {
            batch(scenario, contexts, move |name, context| length(&client.feature_result(name, context.clone())))
        } else {
            batch(scenario, contexts, move |name, context| usize::from(client.is_on(name, context.clone())))
        }))
    }
}

impl Peer for Engine {
    fn name(&self) -> &'static str {
        "GrowthBook, the evaluation"
    }

    fn package(&self) -> &'static str {
        "growthbook-rust"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let engine = GrowthBook {
            forced_variations: None,
            features: serde_json::from_value(features(scenario))?,
            attributes: None,
            sticky_bucket_service: None,
            saved_groups: Default::default(),
        };
        let contexts = contexts(scenario);
        Ok(Some(if scenario.rule == Rule::Variants {
            batch(scenario, contexts, move |name, context| length(&engine.check(name, context)))
        } else {
            batch(scenario, contexts, move |name, context| usize::from(engine.check(name, context).on))
        }))
    }
}

fn length(result: &FeatureResult) -> usize {
    result.value.as_str().map_or(0, str::len)
}

fn contexts(scenario: &Scenario) -> Vec<Option<Vec<GrowthBookAttribute>>> {
    let attribute = |key: &str, value: &str| GrowthBookAttribute {
        key: key.into(),
        value: GrowthBookAttributeValue::String(value.into()),
    };
    let context = scenario.users.iter().map(|user| {
        let attributes = user.attributes.iter().map(|(name, value)| attribute(name, value));
        Some([attribute("id", user.id)].into_iter().chain(attributes).collect())
    });
    context.collect()
}

fn features(scenario: &Scenario) -> Value {
    let condition: Map<String, Value> =
        scenario.conditions().iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
    let feature = |on: bool| match scenario.rule {
        Rule::None => json!({ "defaultValue": on }),
        Rule::One | Rule::Twenty => {
            json!({ "defaultValue": false, "rules": [{ "condition": condition, "force": true }] })
        }
        Rule::Percentage => {
            let coverage = f64::from(PERCENT) / 100.0;
            let rule = json!({ "coverage": coverage, "hashAttribute": "id", "force": true });
            json!({ "defaultValue": false, "rules": [rule] })
        }
        Rule::Variants => {
            let rule = json!({ "variations": VARIANTS, "hashAttribute": "id", "coverage": 1.0 });
            json!({ "defaultValue": "", "rules": [rule] })
        }
    };
    scenario.flags.iter().map(|flag| (flag.name.clone(), feature(flag.on))).collect::<Map<_, _>>().into()
}
