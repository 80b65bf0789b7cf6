//! LaunchDarkly's SDK, with its data source for tests, and without events.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use launchdarkly_server_sdk::{Client, ConfigBuilder, Context, ContextBuilder, NullEventProcessorBuilder, TestData};
use serde_json::{Value, json};
use tokio::runtime;

use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct LaunchDarkly;

impl Peer for LaunchDarkly {
    fn name(&self) -> &'static str {
        "LaunchDarkly"
    }

    fn package(&self) -> &'static str {
        "launchdarkly-server-sdk"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let config = ConfigBuilder::new("none")
            .data_source(&data(scenario)?)
            .event_processor(&NullEventProcessorBuilder::new())
            .build()?;
        let client = Client::build(config)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let ready = runtime.block_on(async {
            client.start_with_default_executor();
            client.wait_for_initialization(Duration::from_secs(10)).await
        });
        if ready != Some(true) {
            return Err("not initialized".into());
        }
        let contexts: Vec<Context> = scenario
            .users
            .iter()
            .map(|user| {
                let mut context = ContextBuilder::new(user.id);
                for (name, value) in &user.attributes {
                    context.set_string(name, *value);
                }
                context.build()
            })
            .collect::<std::result::Result<_, _>>()?;
        Ok(Some(if scenario.rule == Rule::Variants {
            batch(scenario, contexts, move |name, context| client.str_variation(context, name, String::new()).len())
        } else {
            batch(scenario, contexts, move |name, context| usize::from(client.bool_variation(context, name, false)))
        }))
    }

    fn scaffolding(&self, scenario: &Arc<Scenario>) -> Result<Box<dyn Any>> {
        Ok(Box::new(data(scenario)?))
    }
}

fn data(scenario: &Scenario) -> Result<TestData> {
    let data = TestData::new();
    let weights = |weights: &[u32]| -> Value {
        weights
            .iter()
            .enumerate()
            .map(|(variation, weight)| json!({ "variation": variation, "weight": weight }))
            .collect()
    };
    let rollout = |variations: Value| json!({ "rollout": { "contextKind": "user", "bucketBy": "key", "variations": variations } });
    let clauses: Vec<_> = scenario
        .conditions()
        .iter()
        .map(|(name, value)| {
            json!({ "contextKind": "user", "attribute": name, "negate": false, "op": "in", "values": [value] })
        })
        .collect();
    let rules = if clauses.is_empty() {
        json!([])
    } else {
        json!([{ "id": "rule", "variation": 0, "clauses": clauses, "trackEvents": false }])
    };
    for flag in &scenario.flags {
        let (fallthrough, variations) = match scenario.rule {
            Rule::None => (json!({ "variation": 0 }), json!([true, false])),
            Rule::One | Rule::Twenty => (json!({ "variation": 1 }), json!([true, false])),
            Rule::Percentage => (rollout(weights(&[PERCENT * 1_000, (100 - PERCENT) * 1_000])), json!([true, false])),
            Rule::Variants => (rollout(weights(&[33_333, 33_333, 33_334])), json!(VARIANTS)),
        };
        data.use_preconfigured_flag(serde_json::from_value(json!({
            "key": flag.name, "on": flag.on, "salt": flag.name, "targets": [], "prerequisites": [],
            "rules": rules, "fallthrough": fallthrough, "offVariation": 1, "variations": variations,
        }))?);
    }
    Ok(data)
}
