//! The engine of Unleash's SDKs, called directly: no metrics, no lock around it.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use unleash_yggdrasil::{Context, EngineState, UpdateMessage};

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct Yggdrasil;

impl Peer for Yggdrasil {
    fn name(&self) -> &'static str {
        "Unleash, the engine"
    }

    fn package(&self) -> &'static str {
        "unleash-yggdrasil"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let engine = EngineState::default();
        if let Some(warnings) = engine.take_state(UpdateMessage::FullResponse(features(scenario)?)) {
            return Err(format!("{} warnings", warnings.len()).into());
        }
        let contexts = scenario.users.iter().map(|user| {
            let properties = user.attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            Context {
                user_id: Some(user.id.into()),
                session_id: None,
                environment: None,
                app_name: None,
                current_time: None,
                remote_address: None,
                properties: Some(properties),
            }
        });
        let contexts = contexts.collect();
        Ok(Some(if scenario.rule == Rule::Variants {
            batch(scenario, contexts, move |name, context| engine.get_variant(name, context, &None).name.len())
        } else {
            batch(scenario, contexts, move |name, context| usize::from(engine.is_enabled(name, context, &None)))
        }))
    }
}

/// What Unleash's server sends.
pub(super) fn features<T: DeserializeOwned>(scenario: &Scenario) -> Result<T> {
    let conditions: Vec<Value> = scenario
        .conditions()
        .iter()
        .map(|(name, value)| json!({ "contextName": name, "operator": "IN", "values": [value] }))
        .collect();
    let features: Vec<Value> = scenario
        .flags
        .iter()
        .map(|flag| {
            let rollout = |percent: u32| {
                let parameters = json!({
                    "rollout": percent.to_string(), "stickiness": "userId", "groupId": flag.name,
                });
                json!([{ "name": "flexibleRollout", "parameters": parameters }])
            };
            let strategies = match scenario.rule {
                Rule::None => json!([]),
                Rule::One | Rule::Twenty => json!([{ "name": "default", "constraints": conditions }]),
                Rule::Percentage => rollout(PERCENT),
                Rule::Variants => rollout(100),
            };
            let mut feature = json!({ "name": flag.name, "enabled": flag.on, "strategies": strategies });
            if scenario.rule == Rule::Variants {
                let variant = |name| json!({ "name": name, "weight": 1, "stickiness": "userId" });
                feature["variants"] = VARIANTS.into_iter().map(variant).collect();
            }
            feature
        })
        .collect();
    Ok(serde_json::from_value(json!({ "version": 2, "features": features }))?)
}
