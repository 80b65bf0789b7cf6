use std::sync::Arc;

use super::subject::{FOREIGN_NAMES, Subject, assert_same, at_once, flag, name, overlong, segment, with_data};
use crate::record::FlagRecord;
use crate::state::Precondition;
use crate::store::FeatureFlagStore;

/// See [`FeatureFlagStore::get`].
pub async fn get_missing(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    store.expect_missing(&name("MISSING")).await;
    // Also when another name begins with this one.
    let there = flag("THERE");
    store.put(&there, Precondition::Any).await;
    store.expect_missing(&there.name()[..there.name().len() - 1]).await;
    store.expect_missing(&format!("{}0", there.name())).await;
}

/// See [`FeatureFlagStore::get`].
pub async fn get_after_put(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let mut plain = flag("PLAIN");
    for enabled in [true, false] {
        plain.set_enabled(enabled);
        let version = store.put(&plain, Precondition::Any).await;
        store.expect(&plain, &version).await;
    }
    for full in [full(&name("FULL")), targeted(&name("TARGETED")), segment("SEGMENT")] {
        let version = store.put(&full, Precondition::Any).await;
        store.expect(&full, &version).await;
    }
}

/// A value in every field: quotes, text beyond ASCII, integers beyond 64 bits, floats to the last digit, unsorted keys, unknown fields.
fn full(name: &str) -> FlagRecord {
    let text = format!(
        r#"{{"feature_name": "{name}", "is_enabled": true, "meta": {{"client_data": {{
            "z": 123456789012345678901234567890, "a": [1.0, 1e-07, 0.1, null, true, []], "é": "quote \" back \\ slash \u0000 🐴", "": {{}}
        }}, "created_date": 1600000000,
        "conditions": [{{"plan": [{{"variable": "plan", "value": ["pro", 7], "operator": "in"}}]}}],
        "bucketer": {{"type": "PercentageBucketer", "percentage": {{"type": "Percentage", "value": 0.3}}}},
        "deny_conditions": [{{"country": [{{"variable": "country", "value": "XX", "operator": null}}]}}],
        "owner": {{"team": ["b", "a"]}}}}, "unknown": [1, 2.50, "three"]}}"#
    );
    FlagRecord::from_json(text).unwrap_or_else(|error| panic!("the suite's own flag cannot be read: {error:?}"))
}

/// What the Python library does not have.
fn targeted(name: &str) -> FlagRecord {
    let text = format!(
        r#"{{"feature_name": "{name}", "is_enabled": false, "meta": {{"created_date": 1600000000, "enabled": true,
        "rules": [{{"name": "é", "when": {{"any": [{{"segment": "x"}}, {{"not": {{"attribute": "a", "operator": "in", "value": [1, "b"]}}}}]}},
                   "serve": {{"share": 0.25, "by": "user_id"}}}}, {{"serve": {{"variant": "red"}}}}],
        "prerequisites": [{{"flag": "OTHER", "variant": "red"}}],
        "variants": {{"by": "user_id", "off": "red", "values": [{{"name": "red", "weight": 100000, "value": {{"a": 1.0}}}}]}},
        "schedule": {{"enable_at": 1600000000, "steps": [{{"at": 1600000001, "share": 0.5}}], "by": "user_id"}}}}}}"#
    );
    FlagRecord::from_json(text).unwrap_or_else(|error| panic!("the suite's own flag cannot be read: {error:?}"))
}

/// See [`FeatureFlagStore::get`].
pub async fn get_is_authoritative(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("SHARED");
    for round in 0..10 {
        let written = with_data(&record, "round", round);
        let version = store.put(&written, Precondition::Any).await;
        at_once((0..4).map(|_| {
            let (store, written, version) = (store.clone(), written.clone(), version.clone());
            async move { store.expect(&written, &version).await }
        }))
        .await;
    }
    store.delete(record.name(), Precondition::Any).await;
    at_once((0..4).map(|_| {
        let (store, name) = (store.clone(), record.name().to_owned());
        async move { store.expect_missing(&name).await }
    }))
    .await;
}

/// See [`FeatureFlagStore::get`].
pub async fn get_foreign_name(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let long = overlong();
    for foreign in FOREIGN_NAMES.into_iter().chain([long.as_str()]) {
        store.expect_missing(foreign).await;
    }
}

/// See [`FeatureFlagStore::get_cached`].
pub async fn get_cached_asks_the_store(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("ASKED");
    store.put(&record, Precondition::Any).await;
    for (name, there) in [(record.name(), true), (&name("MISSING"), false)] {
        let cached = store.0.get_cached(name).await;
        let cached = cached.unwrap_or_else(|error| panic!("`get_cached` of {name:?} failed: {error:?}"));
        assert_eq!(cached.is_some(), there, "`get_cached` of {name:?} returned {cached:?}");
        if let Some(stored) = cached {
            assert_same(&stored, &record, "`get_cached`");
        }
    }
}
