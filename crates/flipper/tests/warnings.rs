//! Warnings in the log: writes that Python would spoil, and targeting that has no effect.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "support/log.rs"]
mod log;

use std::fmt;

use async_trait::async_trait;
use flipper::bucketing::SaltedPercentageBucketer;
use flipper::store::{Capabilities, Precondition, Stored, Version, WriteOptions};
use flipper::targeting::{Prerequisite, Rule, Schedule, Serve, Variant, Variants, When};
use flipper::{Condition, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, Result};
use flipper_testkit::block_on;
use log::log_of;

/// A store that other languages share, like Redis.
#[derive(Debug)]
struct Shared(MemoryFeatureFlagStore, bool);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

#[async_trait]
impl FeatureFlagStore for Shared {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.0.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.0.put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.0.delete(name, options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.0.list().await
    }

    fn capabilities(&self) -> Capabilities {
        if self.1 { Capabilities::default().shared_with_python() } else { Capabilities::default() }
    }
}

/// The log of a flag that gets deny conditions and a salted bucketer, and of others with one part each that Python does not know.
fn log_of_writes(shared: bool) -> Vec<String> {
    log_of(|| {
        block_on(async {
            let features = FeatureFlagClient::remote(Box::new(Shared(MemoryFeatureFlagStore::new(), shared)));
            features.create("PLAIN").enabled(true).await.unwrap();
            features.create("X").await.unwrap();
            features
                .update("X", |record| {
                    record.set_deny_conditions(vec![Condition::new().eq("country", "XX")]);
                    Ok(())
                })
                .await
                .unwrap();
            features.set_bucketer("X", SaltedPercentageBucketer::new("user_id", 0.5)).await.unwrap();
            let mut strict = FlagRecord::new("STRICT", 1);
            strict.set_strict(true);
            features.put(&strict, Precondition::Any).await.unwrap();
            features.create("RULES").await.unwrap();
            features.set_rules("RULES", [Rule::new(Serve::Off)]).await.unwrap();
            let mut records = ["NEEDS", "LATER", "VARIANTS"].map(|name| FlagRecord::new(name, 1));
            records[0].set_prerequisites(vec![Prerequisite::new("PLAIN")]);
            records[1].set_schedule(Some(Schedule { enable_at: Some(1), ..Schedule::default() }));
            records[2].set_variants(Some(Variants::new("id").with(Variant::new("a", 100.0))));
            features.put_all(&records, Precondition::Any).await.into_iter().for_each(|result| drop(result.unwrap()));
            features.set_segment("beta", When::All(Vec::new())).await.unwrap();
        });
    })
}

#[test]
fn writes_that_python_would_spoil_cause_warnings() {
    let log = log_of_writes(true);
    let expected = [
        ("X", "the flag has deny conditions"),
        ("X", "the flag has deny conditions"),
        ("X", "SaltedPercentageBucketer"),
        ("STRICT", "the flag is strict"),
        ("RULES", "the flag has rules, prerequisites or a schedule"),
        ("NEEDS", "the flag has rules, prerequisites or a schedule"),
        ("LATER", "the flag has rules, prerequisites or a schedule"),
        ("VARIANTS", "the flag has variants"),
        ("segments/beta", "the segment is a flag for the Python library"),
    ];
    assert_eq!(log.len(), expected.len(), "{log:#?}");
    for (line, (flag, text)) in log.iter().zip(expected) {
        let flag = format!("flag=\"{flag}\"");
        assert!(line.contains("WARN") && line.contains(&flag) && line.contains(text), "{line}, not {text}");
    }
}

#[test]
fn a_store_that_python_does_not_share_warns_of_nothing() {
    assert_eq!(log_of_writes(false), [""; 0]);
}

#[test]
fn conditions_beside_a_bucketer_are_warned_about_once() {
    let log = log_of(|| {
        block_on(async {
            let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
            features.create("X").await.unwrap();
            features.set_bucketer("X", SaltedPercentageBucketer::new("user_id", 0.25)).await.unwrap();
            features.add_condition("X", Condition::new().eq("plan", "pro")).await.unwrap();
            features.enable("X").await.unwrap();
        });
    });
    assert_eq!(log.len(), 1, "{log:#?}");
    assert!(log[0].contains("flag=\"X\"") && log[0].contains("the conditions alone decide"), "{log:#?}");
}

#[cfg(feature = "tower")]
#[test]
fn a_gate_that_ignores_conditions_warns_once() {
    use std::convert::Infallible;

    use flipper::tower::{FeatureGate, ScopeLayer};
    use http::{Request, Response};
    use tower_layer::Layer;
    use tower_service::Service;

    #[derive(Clone)]
    struct Open;

    impl Service<Request<()>> for Open {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = std::future::Ready<std::result::Result<Response<String>, Infallible>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::result::Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(Ok(Response::new(String::new())))
        }
    }

    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("PRO").enabled(true)).unwrap();
    let gate = FeatureGate::new(&features, "PRO");
    let ask = || block_on(gate.layer(Open).call(Request::new(()))).unwrap().status();
    assert_eq!(log_of(|| assert_eq!(ask(), 200)), [""; 0], "it has no conditions yet");

    block_on(features.add_condition("PRO", Condition::new().eq("plan", "pro"))).unwrap();
    let log = log_of(|| assert_eq!([ask(), ask()], [200, 200]));
    assert_eq!(log.len(), 1, "{log:#?}");
    assert!(log[0].contains("flag=\"PRO\"") && log[0].contains("conditions, which are not looked at"), "{log:#?}");

    let scoped = ScopeLayer::new(&features, |_| flipper::Context::new().with("plan", "free"));
    let gate = FeatureGate::new(&features, "PRO");
    let ask = || block_on(scoped.layer(gate.layer(Open)).call(Request::new(()))).unwrap().status();
    assert_eq!(log_of(|| assert_eq!(ask(), 404)), [""; 0]);
}

#[test]
fn circles_of_whole_records_are_logged_if_they_were_written() {
    let own = |name: &str| {
        let mut record = FlagRecord::new(name, 1);
        record.set_prerequisites(vec![Prerequisite::new(name)]);
        record
    };
    let mut segment = FlagRecord::new("segments/u", 1);
    segment.set_segment(Some(When::Segment("u".into())));
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("OLD")).unwrap();
    let lines = log_of(|| {
        let results = block_on(features.put_all(&[own("OLD"), own("NEW"), segment], Precondition::Absent));
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("the flag was written as it is, and is off") && lines[0].contains("NEW"), "{lines:?}");
    assert!(lines[1].contains("the segment was written as it is, and holds for no caller"), "{lines:?}");
}
