//! The contestants, one file each.

mod configcat;
mod eppo;
mod flagsmith;
mod flipper;
mod growthbook;
mod launchdarkly;
mod limit;
mod open_feature;
mod optimizely;
mod posthog;
mod statsig;
mod unleash;
mod yggdrasil;

use crate::peer::Peer;

#[must_use]
pub fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(limit::Limit::Xxh3),
        Box::new(limit::Limit::Murmur3),
        Box::new(limit::Limit::Sha1),
        Box::new(flipper::ByName),
        Box::new(flipper::ByHandle),
        Box::new(flipper::CompatibleHash),
        Box::new(flipper::ByRule),
        Box::new(open_feature::OfFlipper),
        Box::new(open_feature::OfMap),
        Box::new(yggdrasil::Yggdrasil),
        Box::new(unleash::Unleash),
        Box::new(launchdarkly::LaunchDarkly),
        Box::new(growthbook::Client),
        Box::new(growthbook::Engine),
        Box::new(statsig::Statsig),
        Box::new(eppo::Eppo),
        Box::new(configcat::ConfigCat),
        Box::new(posthog::PostHog),
        Box::new(optimizely::Optimizely),
        Box::new(flagsmith::Flagsmith),
    ]
}
