//! The Python library and this one on the same keys of a Consul agent, both ways.

#![expect(clippy::unwrap_used, reason = "also in what the tests have in common")]

#[path = "support/python.rs"]
mod python;

use flipper::bucketing::{Percentage, PercentageBucketer};
use flipper::{Condition, ConsulClient, ConsulFeatureFlagStore, FeatureFlagClient, FlagRecord, context};
use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::wait_until;
use serde_json::{Value, json};

use self::python::Python;

async fn connect(agent: &ConsulAgent, base_key: &str) -> FeatureFlagClient {
    let client = ConsulClient::builder().address(agent.address()).build().unwrap();
    let store = ConsulFeatureFlagStore::new(client).base_key(base_key).unwrap();
    let features = FeatureFlagClient::new(store);
    features.ready().await.unwrap();
    features
}

/// Python asks Consul again and again, and sees what it wrote itself a little later too.
#[track_caller]
fn wait_for(python: &mut Python, call: &Value, answer: &Value) {
    wait_until(&format!("Python answers {answer} to {call}"), || python.ask(call) == *answer);
}

#[tokio::test]
async fn python_reads_what_rust_writes() {
    let Some(agent) = ConsulAgent::options().dev().start() else { return };
    let Some(mut python) = Python::start("consul", agent.port(), "shared/features") else { return };
    for number in 0..200 {
        agent
            .put(&format!("shared/features/MANY{number}"), FlagRecord::new("MANY", 1_700_000_000).to_json().as_bytes());
    }
    let features = connect(&agent, "shared/features").await;

    features.create("F é").enabled(true).client_data(json!({"team": "café", "n": 1.5})).await.unwrap();
    wait_for(&mut python, &json!(["is_enabled", "F é", {}]), &json!(true));
    assert_eq!(python.ask(&json!(["get_client_data", "F é"])), json!({"team": "café", "n": 1.5}));
    features.add_condition("F é", Condition::new().gt("user_id", 10)).await.unwrap();
    wait_for(&mut python, &json!(["is_enabled", "F é", {"user_id": 10}]), &json!(false));
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {"user_id": 11}])), json!(true));
    features.set_bucketer("F é", PercentageBucketer::new(Percentage::new(0.25))).await.unwrap();
    wait_until("Python has the bucketer", || {
        python.ask(&json!(["get_meta", "F é"]))["bucketer"]["percentage"]["value"] == json!(0.25)
    });
    // Its watcher lives: what we keep beside the base key, where there are many flags, is nothing to it.
    assert!(agent.get("shared/.features.changed").is_some());
    for round in 0..20 {
        let name = format!("N{round}");
        features.create(&name).enabled(true).await.unwrap();
        wait_for(&mut python, &json!(["is_enabled", name, {}]), &json!(true));
        features.disable(&name).await.unwrap();
        wait_for(&mut python, &json!(["is_enabled", name, {}]), &json!(false));
    }
}

#[tokio::test]
async fn rust_reads_what_python_writes() {
    let Some(agent) = ConsulAgent::options().dev().start() else { return };
    let Some(mut python) = Python::start("consul", agent.port(), "features") else { return };
    let features = connect(&agent, "features").await;

    python.ask(&json!(["create", "F", true, {"team": "café"}]));
    wait_until("Python's flag is here", || features.is_enabled("F"));
    // Byte for byte what Python would write.
    assert_eq!(features.record("F").unwrap().to_json(), agent.get("features/F").unwrap());
    wait_for(&mut python, &json!(["exists", "F"]), &json!(true));
    python.ask(&json!(["add_condition", "F", {"plan__in": ["pro", "team"]}]));
    wait_until("Python's condition is here", || !features.is_enabled_with("F", &context! { plan: "free" }));
    assert!(features.is_enabled_with("F", &context! { plan: "pro" }));
    python.ask(&json!(["set_percentage", "F", 0.0]));
    wait_until("Python's bucketer is here", || !features.is_enabled("F"));

    // Each goes on from where the other left it.
    let data = json!(["get_client_data", "F"]);
    features.set_client_data("F", json!({"rust": 1})).await.unwrap();
    wait_for(&mut python, &data, &json!({"team": "café", "rust": 1}));
    python.ask(&json!(["set_client_data", "F", {"python": 2}]));
    wait_for(&mut python, &data, &json!({"team": "café", "rust": 1, "python": 2}));
    features.set_client_data("F", json!({"rust": 3})).await.unwrap();
    wait_for(&mut python, &data, &json!({"team": "café", "rust": 3, "python": 2}));
    python.ask(&json!(["destroy", "F"]));
    wait_until("the flag is gone here", || !features.exists("F"));
    assert!(features.status().is_live());
}
