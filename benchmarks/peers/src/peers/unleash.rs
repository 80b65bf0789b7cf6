//! Unleash's SDK: the engine behind a mutex, with a count of each check. It never polls.

use std::sync::Arc;

use unleash_api_client::client::{Client, ClientBuilder, FeatureKey};
use unleash_api_client::context::Context;

use super::yggdrasil::features;
use crate::Result;
use crate::peer::{Batch, Peer, batch};
use crate::scenario::{Rule, Scenario};

pub(super) struct Unleash;

/// Checks are by name.
#[derive(Clone, Copy, Debug)]
enum NoKey {}

impl FeatureKey for NoKey {
    fn name(self) -> &'static str {
        match self {}
    }
}

impl Peer for Unleash {
    fn name(&self) -> &'static str {
        "Unleash"
    }

    fn package(&self) -> &'static str {
        "unleash-api-client"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let client: Client<NoKey> = ClientBuilder::default()
            .enable_string_features()
            .disable_metric_submission()
            .into_client("http://localhost", "peers", "peers", None)
            .map_err(|error| error.to_string())?;
        client.memoize(features(scenario)?)?;
        let contexts = scenario.users.iter().map(|user| Context {
            user_id: Some(user.id.into()),
            properties: user.attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..Context::default()
        });
        let contexts = contexts.collect();
        Ok(Some(if scenario.rule == Rule::Variants {
            batch(scenario, contexts, move |name, context| client.get_variant_str(name, context).name.len())
        } else {
            batch(scenario, contexts, move |name, context| {
                usize::from(client.is_enabled_str(name, Some(context), false))
            })
        }))
    }
}
