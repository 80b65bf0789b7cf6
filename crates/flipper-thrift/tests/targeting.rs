//! Flags with rules and the like, for the Python library's client: it finds them off, and its writes keep what it does not know.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use flipper::client::Remote;
use flipper::targeting::{Prerequisite, Rule, Schedule, Serve, Step, Variant, Variants, When, stored_name};
use flipper::{FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore, context};
use flipper_thrift::Server;
use serde_json::{Value, json};
use support::{Python, block_on};

struct Both {
    features: FeatureFlagClient<Remote>,
    python: Python,
    _server: Server,
}

impl Both {
    fn start() -> Option<Self> {
        let store = MemoryFeatureFlagStore::new();
        let server = Server::start("127.0.0.1:0", store.clone()).unwrap();
        let port = server.local_addr().port().to_string();
        let python = Python::start("targeting.py", &[&port], false)?;
        let both = Self { features: FeatureFlagClient::remote(store), python, _server: server };
        block_on(async {
            for name in ["DISABLED", "NEEDS", "PLAIN", "RULES", "SCHEDULED", "STEPS", "VARIANTS"] {
                both.features.create(name).enabled(name != "DISABLED").client_data(json!({"team": "a"})).await.unwrap();
            }
            let beta: When = "plan = pro".parse().unwrap();
            both.features.set_segment("beta", beta).await.unwrap();
            for name in ["RULES", "DISABLED"] {
                let rule = Rule::new(Serve::On).when("in segment beta".parse::<When>().unwrap());
                both.features.set_rules(name, [rule, Rule::new(Serve::Off)]).await.unwrap();
            }
            both.features.set_prerequisites("NEEDS", [Prerequisite::new("PLAIN")]).await.unwrap();
            let off_at = Schedule { disable_at: Some(4_000_000_000), ..Schedule::default() };
            both.features.set_schedule("SCHEDULED", off_at).await.unwrap();
            let steps = vec![Step { at: 4_000_000_000, share: 0.5 }];
            let steps = Schedule { steps, by: "user_id".to_owned(), ..Schedule::default() };
            both.features.set_schedule("STEPS", steps).await.unwrap();
            let variants = Variants::new("user_id").with(Variant::new("a", 50.0)).with(Variant::new("b", 50.0));
            both.features.set_variants("VARIANTS", variants).await.unwrap();
        });
        Some(both)
    }

    fn ask(&mut self, call: &Value) -> Value {
        serde_json::from_str(&self.python.ask(&call.to_string())).unwrap()
    }

    fn record(&self, name: &str) -> FlagRecord {
        block_on(async { (*self.features.fetch(name).await.unwrap().unwrap()).clone() })
    }

    fn is_on(&self, name: &str, plan: &str) -> bool {
        block_on(async { self.features.fetch_enabled(name, &context! { plan: plan }).await.unwrap() })
    }
}

#[test]
fn what_python_would_find_on_for_everybody_is_off() {
    let Some(mut both) = Both::start() else { return };
    for name in ["RULES", "NEEDS", "SCHEDULED", "STEPS", "DISABLED"] {
        for given in [json!({}), json!({"plan": "pro"}), json!({"plan": "pro", "user_id": 7})] {
            assert_eq!(both.ask(&json!(["is_enabled", name, given])), json!(false), "{name} {given}");
        }
    }
    // Without conditions it is on for everybody here, too.
    for name in ["PLAIN", "VARIANTS"] {
        assert_eq!(both.ask(&json!(["is_enabled", name, {"user_id": 7}])), json!(true), "{name}");
    }
    assert!(both.is_on("RULES", "pro") && !both.is_on("RULES", "free"));
}

#[test]
fn segments_are_not_in_the_list() {
    let Some(mut both) = Both::start() else { return };
    let flags = ["DISABLED", "NEEDS", "PLAIN", "RULES", "SCHEDULED", "STEPS", "VARIANTS"];
    assert_eq!(both.ask(&json!(["list"])), json!(flags));
    let beta = stored_name("beta");
    // A flag after it in the order, so that pages count flags alone.
    block_on(async { both.features.create("zebra").await.unwrap() });
    assert_eq!(both.ask(&json!(["page", 2, 6])), json!(["VARIANTS", "zebra"]));
    assert_eq!(both.ask(&json!(["raw", beta])), json!(false));
    assert_eq!(both.ask(&json!(["is_enabled", beta, {"plan": "pro"}])), json!(false));

    let before = both.record(&beta);
    let refused = both.ask(&json!(["enable", beta]));
    assert!(refused.as_str().unwrap().contains("a segment is neither on nor off"), "{refused}");
    assert_eq!(both.record(&beta), before);
    both.ask(&json!(["set_client_data", beta, {"owner": "me"}]));
    both.ask(&json!(["add_condition", beta, {"plan": "free"}]));
    assert_eq!(both.record(&beta).segment(), before.segment());
    assert_eq!(both.ask(&json!(["is_enabled", beta, {}])), json!(false));
    assert!(both.is_on("RULES", "pro"));
}

#[test]
fn no_write_loses_what_python_does_not_know() {
    let Some(mut both) = Both::start() else { return };
    for name in ["RULES", "NEEDS", "SCHEDULED", "STEPS"] {
        let before = both.record(name);
        for call in [
            json!(["enable", name]),
            json!(["set_client_data", name, {"owner": "me"}]),
            json!(["add_condition", name, {"plan": "pro"}]),
            json!(["set_conditions", name]),
            json!(["set_percentage", name, 1.0]),
            // It was read as off, and its meta data without the rules.
            json!(["write_meta", name]),
        ] {
            assert_eq!(both.ask(&call), json!(null), "{call}");
            let now = both.record(name);
            assert_eq!(now.rules(), before.rules(), "{call}");
            assert_eq!(now.prerequisites(), before.prerequisites(), "{call}");
            assert_eq!(now.schedule(), before.schedule(), "{call}");
            assert!(now.is_enabled() && now.is_off_for_python(), "{call}");
            assert_eq!(both.ask(&json!(["is_enabled", name, {"plan": "pro"}])), json!(false), "{call}");
            if name == "RULES" {
                assert!(both.is_on(name, "pro") && !both.is_on(name, "free"), "{call}");
            }
        }
    }
    both.ask(&json!(["set_client_data", "VARIANTS", {"owner": "me"}]));
    both.ask(&json!(["disable", "VARIANTS"]));
    assert_eq!(both.record("VARIANTS").variants().unwrap().values.len(), 2);
}

#[test]
fn its_switch_is_the_flags_own() {
    let Some(mut both) = Both::start() else { return };
    both.ask(&json!(["disable", "RULES"]));
    assert!(!both.record("RULES").is_enabled());
    assert!(!both.is_on("RULES", "pro"));
    both.ask(&json!(["enable", "RULES"]));
    assert!(both.is_on("RULES", "pro") && !both.is_on("RULES", "free"));
    // Enabled there, it follows its rules, and is not on for everybody.
    both.ask(&json!(["enable", "DISABLED"]));
    assert!(both.is_on("DISABLED", "pro") && !both.is_on("DISABLED", "free"));
    assert_eq!(both.ask(&json!(["is_enabled", "DISABLED", {"plan": "pro"}])), json!(false));
    // What it was shown, written back, turns the flag off: to the server that is a wish like any other.
    assert_eq!(both.ask(&json!(["write_switch", "RULES"])), json!(null));
    let record = both.record("RULES");
    assert!(!record.is_enabled() && record.rules().len() == 2);
}
