//! `flipper-client`, over its store in memory.

use std::sync::Arc;

use flipper::bucketing::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer};
use flipper::context::Value;
use flipper::targeting::{Rule as TargetingRule, Serve, Variant, Variants, When};
use flipper::{Bucketer, Condition, FeatureFlagClient, MemoryFeatureFlagStore, context};
use futures_executor::block_on;

use crate::Result;
use crate::peer::{Batch, Kind, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct ByName;
pub(super) struct ByHandle;
/// The percentage that the Python library can load.
pub(super) struct CompatibleHash;
/// What is not in the Python library, instead of conditions.
pub(super) struct ByRule;

const USER_ID: &str = "user_id";

impl Peer for ByName {
    fn name(&self) -> &'static str {
        "Flipper"
    }

    fn package(&self) -> &'static str {
        "flipper-client"
    }

    fn kind(&self) -> Kind {
        Kind::Own
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let salted = || SaltedPercentageBucketer::new(USER_ID, f64::from(PERCENT) / 100.0).into();
        let features = load(scenario, salted)?;
        Ok(match scenario.rule {
            Rule::None => Some(batch(scenario, vec![()], move |name, ()| usize::from(features.is_enabled(name)))),
            Rule::One => Some(one(scenario, features)),
            Rule::Twenty => Some(twenty(scenario, features)),
            Rule::Percentage => Some(percentage(scenario, features)),
            Rule::Variants => Some(variants(scenario, features)),
        })
    }
}

impl Peer for ByHandle {
    fn name(&self) -> &'static str {
        "Flipper, by handle"
    }

    fn package(&self) -> &'static str {
        "flipper-client"
    }

    fn kind(&self) -> Kind {
        Kind::Own
    }

    /// A handle for each name, in the place of the contexts.
    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        if scenario.rule != Rule::None {
            return Ok(None);
        }
        let features = load(scenario, Bucketer::default)?;
        let handles = scenario.names.iter().map(|name| features.get(&**name)).collect();
        Ok(Some(batch(scenario, handles, |_, flag| usize::from(flag.is_enabled()))))
    }
}

impl Peer for CompatibleHash {
    fn name(&self) -> &'static str {
        "Flipper, compatible hash"
    }

    fn package(&self) -> &'static str {
        "flipper-client"
    }

    fn kind(&self) -> Kind {
        Kind::Own
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        if scenario.rule != Rule::Percentage {
            return Ok(None);
        }
        // A score that equals the percentage is in.
        let share = f64::from(PERCENT - 1) / 100.0;
        let hash = || ConsistentHashPercentageBucketer::new(share).key_whitelist([USER_ID]).into();
        Ok(Some(percentage(scenario, load(scenario, hash)?)))
    }
}

impl Peer for ByRule {
    fn name(&self) -> &'static str {
        "Flipper, a rule"
    }

    fn package(&self) -> &'static str {
        "flipper-client"
    }

    fn kind(&self) -> Kind {
        Kind::Own
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        if scenario.conditions().is_empty() {
            return Ok(None);
        }
        let conditions = scenario.conditions().iter();
        let when = conditions.map(|(name, value)| format!("{name} = {value:?}")).collect::<Vec<_>>().join(" and ");
        let rules = [TargetingRule::new(Serve::On).when(when.parse::<When>()?), TargetingRule::new(Serve::Off)];
        let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        block_on(async {
            for flag in &scenario.flags {
                features.create(&*flag.name).enabled(flag.on).await?;
                features.set_rules(&flag.name, rules.clone()).await?;
            }
            Ok::<_, flipper::Error>(())
        })?;
        Ok(Some(if scenario.rule == Rule::One { one(scenario, features) } else { twenty(scenario, features) }))
    }
}

pub(super) fn load(scenario: &Scenario, bucketer: impl Fn() -> Bucketer) -> Result<FeatureFlagClient> {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let conditions = scenario.conditions().iter().map(|(name, value)| Condition::new().eq(name, *value));
    block_on(async {
        for flag in &scenario.flags {
            features.create(&*flag.name).enabled(flag.on).await?;
            if !scenario.conditions().is_empty() {
                features.set_conditions(&flag.name, conditions.clone()).await?;
            }
            if scenario.rule == Rule::Percentage {
                features.set_bucketer(&flag.name, bucketer()).await?;
            }
            if scenario.rule == Rule::Variants {
                let variants = VARIANTS.into_iter().zip([33.33, 33.33, 33.34]);
                let variants = variants.map(|(variant, percent)| Variant::new(variant, percent));
                let variants = variants.fold(Variants::new(USER_ID), Variants::with);
                features.set_variants(&flag.name, variants).await?;
            }
        }
        Ok::<_, flipper::Error>(())
    })?;
    Ok(features)
}

/// What a caller has of a user: `context!` makes the attributes in each check, on the stack.
fn one(scenario: &Arc<Scenario>, features: FeatureFlagClient) -> Batch {
    let users = scenario.users.iter().map(|user| (user.id, user.attributes[0].1)).collect();
    batch(scenario, users, move |name, (id, plan)| {
        usize::from(features.is_enabled_with(name, &context! { user_id: *id, plan: *plan }))
    })
}

/// So many attributes are an array, ready as the contexts of the others are.
fn twenty(scenario: &Arc<Scenario>, features: FeatureFlagClient) -> Batch {
    let users = scenario.users.iter().map(|user| {
        let attributes = [(USER_ID, user.id)].into_iter().chain(user.attributes.iter().copied());
        attributes.map(|(name, value)| (name, Value::from(value))).collect::<Vec<_>>()
    });
    batch(scenario, users.collect(), move |name, attributes| {
        usize::from(features.is_enabled_with(name, attributes.as_slice()))
    })
}

fn percentage(scenario: &Arc<Scenario>, features: FeatureFlagClient) -> Batch {
    let users = scenario.users.iter().map(|user| user.id).collect();
    batch(scenario, users, move |name, id| usize::from(features.is_enabled_with(name, &context! { user_id: *id })))
}

/// The default is no variant.
fn variants(scenario: &Arc<Scenario>, features: FeatureFlagClient) -> Batch {
    let users = scenario.users.iter().map(|user| user.id).collect();
    batch(scenario, users, move |name, id| features.variant(name, &context! { user_id: *id }, "").len())
}
