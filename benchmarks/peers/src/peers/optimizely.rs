//! An unofficial SDK for Optimizely, offline.

use std::sync::Arc;

use optimizely::{AttributeValue, Client};
use serde_json::{Value, json};

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct Optimizely;

impl Peer for Optimizely {
    fn name(&self) -> &'static str {
        "Optimizely (unofficial)"
    }

    fn package(&self) -> &'static str {
        "optimizely"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let client = Client::from_string(datafile(scenario).to_string()).map_err(|error| format!("{error:?}"))?;
        // A context borrows its client.
        let client: &'static Client = Box::leak(Box::new(client.initialize()));
        let contexts = scenario.users.iter().map(|user| {
            let mut context = client.create_user_context(user.id);
            for (name, value) in &user.attributes {
                context.set_attribute(*name, AttributeValue::String((*value).into()));
            }
            context
        });
        let contexts = contexts.collect();
        Ok(Some(if scenario.rule == Rule::Variants {
            batch(scenario, contexts, |name, context| context.decide(name).variation_key().len())
        } else {
            batch(scenario, contexts, |name, context| usize::from(context.decide(name).enabled()))
        }))
    }
}

fn datafile(scenario: &Scenario) -> Value {
    let conditions = scenario
        .conditions()
        .iter()
        .map(|(name, value)| json!({ "match": "exact", "name": name, "type": "custom_attribute", "value": value }));
    let conditions: Vec<Value> = [json!("and")].into_iter().chain(conditions).collect();
    let targeted = conditions.len() > 1;
    let audiences =
        if targeted { json!([{ "id": "audience", "name": "audience", "conditions": conditions }]) } else { json!([]) };
    let attributes: Vec<_> = scenario.conditions().iter().map(|(name, _)| json!({ "id": name, "key": name })).collect();
    let ends: &[(&str, u32)] = match scenario.rule {
        Rule::None | Rule::One | Rule::Twenty => &[("on", 10_000)],
        Rule::Percentage => &[("on", PERCENT * 100)],
        Rule::Variants => &[(VARIANTS[0], 3_333), (VARIANTS[1], 6_667), (VARIANTS[2], 10_000)],
    };
    let allocation: Vec<_> = ends.iter().map(|(id, end)| json!({ "entityId": id, "endOfRange": end })).collect();
    let rollouts = scenario.flags.iter().map(|flag| {
        let variation = |id: &str| json!({ "id": id, "key": id, "featureEnabled": flag.on });
        let experiment = json!({
            "id": flag.name, "layerId": flag.name, "trafficAllocation": allocation,
            "audienceIds": if targeted { json!(["audience"]) } else { json!([]) },
            "variations": ends.iter().map(|(id, _)| variation(id)).collect::<Vec<_>>(),
        });
        json!({ "id": flag.name, "experiments": [experiment] })
    });
    let rollouts: Vec<_> = rollouts.collect();
    let flags = scenario.flags.iter();
    let flags: Vec<_> =
        flags.map(|flag| json!({ "key": flag.name, "rolloutId": flag.name, "experimentIds": [] })).collect();
    json!({
        "accountId": "1", "projectId": "1", "environmentKey": "peers", "sdkKey": "none", "revision": "1",
        "botFiltering": false, "anonymizeIP": true, "events": [], "attributes": attributes, "typedAudiences": audiences,
        "experiments": [], "rollouts": rollouts, "featureFlags": flags,
    })
}
