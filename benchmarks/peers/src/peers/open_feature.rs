//! The SDK of OpenFeature, with a provider that looks the flag up in a map, and with Flipper's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flipper::bucketing::SaltedPercentageBucketer;
use flipper_openfeature::FlipperProvider;
use foldhash::fast::RandomState;
use futures_executor::block_on;
use open_feature::provider::{FeatureProvider, ProviderMetadata, ResolutionDetails};
use open_feature::{
    Client, EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, OpenFeature, StructValue,
    async_trait,
};

use super::flipper::load;
use crate::Result;
use crate::peer::{Batch, Kind, Peer, batch_async};
use crate::scenario::{PERCENT, Rule, Scenario};

pub(super) struct OfMap;
pub(super) struct OfFlipper;

impl Peer for OfMap {
    fn name(&self) -> &'static str {
        "OpenFeature, a map"
    }

    fn package(&self) -> &'static str {
        "open-feature"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        if scenario.rule != Rule::None {
            return Ok(None);
        }
        let flags = scenario.flags.iter().map(|flag| (flag.name.clone(), flag.on)).collect();
        Ok(Some(checks(scenario, MapProvider { metadata: ProviderMetadata::new("map"), flags })))
    }
}

impl Peer for OfFlipper {
    fn name(&self) -> &'static str {
        "OpenFeature, Flipper"
    }

    fn package(&self) -> &'static str {
        "flipper-openfeature"
    }

    fn kind(&self) -> Kind {
        Kind::Own
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        if scenario.rule == Rule::Variants {
            return Ok(None);
        }
        let salted = || SaltedPercentageBucketer::new("user_id", f64::from(PERCENT) / 100.0).into();
        let provider = FlipperProvider::new(&load(scenario, salted)?).targeting_key_as("user_id");
        Ok(Some(checks(scenario, provider)))
    }
}

fn checks(scenario: &Arc<Scenario>, provider: impl FeatureProvider) -> Batch {
    let contexts = scenario.users.iter().map(|user| {
        let context = EvaluationContext::default().with_targeting_key(user.id);
        user.attributes.iter().fold(context, |context, (name, value)| context.with_custom_field(*name, *value))
    });
    let client = client(provider);
    batch_async(scenario, contexts.collect(), async move |name, context| {
        usize::from(client.get_bool_value(name, Some(context), None).await.unwrap_or(false))
    })
}

/// A client of a provider of its own: the SDK has one registry per process.
fn client(provider: impl FeatureProvider) -> Client {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("provider-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    block_on(async {
        let mut api = OpenFeature::singleton_mut().await;
        api.set_named_provider(&name, provider).await;
        api.create_named_client(&name)
    })
}

struct MapProvider {
    metadata: ProviderMetadata,
    flags: HashMap<String, bool, RandomState>,
}

fn missing<T>() -> EvaluationResult<ResolutionDetails<T>> {
    Err(EvaluationError::builder().code(EvaluationErrorCode::FlagNotFound).build())
}

#[async_trait]
impl FeatureProvider for MapProvider {
    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(&self, key: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<bool>> {
        self.flags.get(key).map_or_else(missing, |on| Ok(ResolutionDetails::new(*on)))
    }

    async fn resolve_int_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<i64>> {
        missing()
    }

    async fn resolve_float_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<f64>> {
        missing()
    }

    async fn resolve_string_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        missing()
    }

    async fn resolve_struct_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        missing()
    }
}
