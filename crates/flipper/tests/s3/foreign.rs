//! The Python library and this one on the same bucket.

use flipper::bucketing::{Percentage, PercentageBucketer};
use flipper::store::Precondition;
use flipper::{Condition, FeatureFlagClient, FeatureFlagStore, context};
use serde_json::json;

use crate::python::Python;
use crate::{Follow, flag, names, seaweedfs, store};

#[tokio::test]
async fn python_reads_what_rust_writes() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let Some(mut python) = Python::start("s3", server.port(), &bucket) else { return };
    let features = FeatureFlagClient::remote(store(server.port(), &bucket));

    features.create("F é+%~").enabled(true).client_data(json!({"team": "café", "n": 1.5})).await.unwrap();
    assert_eq!(python.ask(&json!(["is_enabled", "F é+%~", {}])), json!(true));
    assert_eq!(python.ask(&json!(["get_client_data", "F é+%~"])), json!({"team": "café", "n": 1.5}));
    features.add_condition("F é+%~", Condition::new().gt("user_id", 10)).await.unwrap();
    assert_eq!(python.ask(&json!(["is_enabled", "F é+%~", {"user_id": 11}])), json!(true));
    assert_eq!(python.ask(&json!(["is_enabled", "F é+%~", {"user_id": 10}])), json!(false));
    features.set_bucketer("F é+%~", PercentageBucketer::new(Percentage::new(0.25))).await.unwrap();
    assert_eq!(python.ask(&json!(["get_meta", "F é+%~"]))["bucketer"]["percentage"]["value"], json!(0.25));
    // Every object that we leave in the bucket is a flag: the original's list fails at any other.
    assert_eq!(python.ask(&json!(["list"])), json!(["F é+%~"]));
    features.destroy("F é+%~").await.unwrap();
    assert_eq!(python.ask(&json!(["exists", "F é+%~"])), json!(false));
    assert_eq!(python.ask(&json!(["list"])), json!([]));
}

#[tokio::test]
async fn rust_reads_what_python_writes() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let Some(mut python) = Python::start("s3", server.port(), &bucket) else { return };
    let store = store(server.port(), &bucket);
    let features = FeatureFlagClient::remote(store.clone());
    let mut follow = Follow::of(&store);
    assert!(follow.reset().await.is_empty());

    python.ask(&json!(["create", "F", true, {"team": "café"}]));
    let record = follow.change("F").await.0.unwrap().record.unwrap();
    assert_eq!((record.name(), record.is_enabled()), ("F", true));
    // Byte for byte what Python writes, with its content type.
    let stored = server.ask("GET", &format!("/{bucket}/F"), b"");
    assert_eq!(record.to_json(), stored.body);
    store.put(&flag("OURS", true), Precondition::Absent.into()).await.unwrap();
    let ours = server.ask("GET", &format!("/{bucket}/OURS"), b"");
    let kind =
        |head: &str| head.lines().find(|line| line.to_lowercase().starts_with("content-type")).map(str::to_owned);
    assert_eq!(kind(&ours.head), kind(&stored.head));

    python.ask(&json!(["add_condition", "F", {"plan__in": ["pro", "team"]}]));
    assert!(features.fetch_enabled("F", &context! { plan: "pro" }).await.unwrap());
    assert!(!features.fetch_enabled("F", &context! { plan: "free" }).await.unwrap());
    features.set_client_data("F", json!({"rust": 1})).await.unwrap();
    python.ask(&json!(["set_client_data", "F", {"python": 2}]));
    features.set_client_data("F", json!({"rust": 3})).await.unwrap();
    assert_eq!(python.ask(&json!(["get_client_data", "F"])), json!({"team": "café", "rust": 3, "python": 2}));
    python.ask(&json!(["create", "a/b", true, {}]));
    assert_eq!(names(&store.list().await.unwrap()), ["F", "OURS", "a/b"]);
    python.ask(&json!(["destroy", "F"]));
    assert!(store.get("F").await.unwrap().is_none());
}
