//! The Python library and this one on the same keys, both ways.

#![expect(clippy::unwrap_used, reason = "also in what the tests have in common")]

#[path = "support/python.rs"]
mod python;

use flipper::bucketing::{Percentage, PercentageBucketer};
use flipper::store::WatchEvent;
use flipper::{Condition, FeatureFlagClient, FeatureFlagStore, RedisFeatureFlagStore, context};
use flipper_testkit::redis::RedisServer;
use futures_util::StreamExt;
use serde_json::json;

use self::python::Python;

#[tokio::test]
async fn python_reads_what_rust_writes() {
    let Some(server) = RedisServer::start() else { return };
    let Some(mut python) = Python::start("redis", server.port(), "shared/features") else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap().base_key("shared/features");
    let features = FeatureFlagClient::remote(store);

    features.create("F é").enabled(true).client_data(json!({"team": "café", "n": 1.5})).await.unwrap();
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {}])), json!(true));
    assert_eq!(python.ask(&json!(["get_client_data", "F é"])), json!({"team": "café", "n": 1.5}));
    features.add_condition("F é", Condition::new().gt("user_id", 10)).await.unwrap();
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {"user_id": 11}])), json!(true));
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {"user_id": 10}])), json!(false));
    features.set_bucketer("F é", PercentageBucketer::new(Percentage::new(0.25))).await.unwrap();
    let meta = python.ask(&json!(["get_meta", "F é"]));
    assert_eq!(meta["bucketer"]["percentage"]["value"], json!(0.25));
    features.disable("F é").await.unwrap();
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {}])), json!(false));
    assert_eq!(python.ask(&json!(["list"])), json!(["F é"]));
    features.destroy("F é").await.unwrap();
    assert_eq!(python.ask(&json!(["exists", "F é"])), json!(false));
}

#[tokio::test]
async fn rust_reads_what_python_writes() {
    let Some(server) = RedisServer::start() else { return };
    let Some(mut python) = Python::start("redis", server.port(), "features") else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    let features = FeatureFlagClient::remote(store.clone());
    let mut watch = store.watch();
    assert!(matches!(watch.next().await, Some(WatchEvent::Serving(_))));
    assert!(matches!(watch.next().await, Some(WatchEvent::Reset { flags, .. }) if flags.is_empty()));

    python.ask(&json!(["create", "F", true, {"team": "café"}]));
    let told = loop {
        if let Some(WatchEvent::Changed { flag, .. }) = watch.next().await {
            break flag;
        }
    };
    let record = told.record.unwrap();
    assert_eq!((record.name(), record.is_enabled()), ("F", true));
    // Byte for byte what Python would write.
    assert_eq!(record.to_json(), server.command(&["GET", "features/F"]).text());

    python.ask(&json!(["add_condition", "F", {"plan__in": ["pro", "team"]}]));
    assert!(features.fetch_enabled("F", &context! { plan: "pro" }).await.unwrap());
    assert!(!features.fetch_enabled("F", &context! { plan: "free" }).await.unwrap());
    python.ask(&json!(["set_percentage", "F", 0.0]));
    assert!(!features.fetch_enabled("F", &context! {}).await.unwrap());

    // Each goes on from where the other left it.
    features.set_client_data("F", json!({"rust": 1})).await.unwrap();
    python.ask(&json!(["set_client_data", "F", {"python": 2}]));
    features.set_client_data("F", json!({"rust": 3})).await.unwrap();
    assert_eq!(python.ask(&json!(["get_client_data", "F"])), json!({"team": "café", "rust": 3, "python": 2}));
    python.ask(&json!(["destroy", "F"]));
    assert!(store.get("F").await.unwrap().is_none());
}
