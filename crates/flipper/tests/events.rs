//! The events that subscribers receive of writes.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};
use std::thread;

use flipper::events::{Post, Pre, Subscriber, Verb, WriteEvent};
use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, MemoryFeatureFlagStore};
use flipper_testkit::block_on;
use serde_json::json;

type Log = Arc<Mutex<Vec<String>>>;

struct Recorder(&'static str, Log);

impl Recorder {
    fn note(&self, when: &str, event: &WriteEvent) {
        let verb = match event.verb() {
            Verb::Create { is_enabled, client_data } => {
                format!("create {is_enabled} {}", client_data.as_ref().map_or("-".to_owned(), ToString::to_string))
            }
            Verb::SetClientData(data) => format!("set_client_data {}", flipper::json::Json::from(data.clone())),
            verb => format!("{verb:?}").to_lowercase(),
        };
        self.1.lock().unwrap().push(format!("{}{when} {} {verb}", self.0, event.name()));
    }
}

impl Subscriber for Recorder {
    fn pre(&self, event: &WriteEvent) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.note("pre", event);
        Ok(())
    }

    fn post(&self, event: &WriteEvent) {
        self.note("post", event);
    }
}

fn taken(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// Runs a future on a thread that is inside `block_on`.
fn elsewhere<F: IntoFuture<Output: Send> + Send>(future: F) -> F::Output {
    thread::scope(|scope| scope.spawn(|| block_on(future)).join()).unwrap()
}

fn client() -> FeatureFlagClient {
    FeatureFlagClient::new(MemoryFeatureFlagStore::new())
}

#[test]
fn every_verb_calls_before_and_after() {
    let (features, log) = (client(), Log::default());
    let _subscription = features.subscribe(Recorder("", log.clone()));
    block_on(async {
        features.create("X").enabled(true).client_data(json!({ "a": 1 })).await?;
        features.create("Y").await?;
        features.disable("X").await?;
        features.enable("X").await?;
        features.set_client_data("X", json!({ "b": 2 })).await?;
        features.update("X", |_| Ok(())).await?;
        features.destroy("X").await
    })
    .unwrap();
    let expected = [
        r#"X create true {"a": 1}"#,
        "Y create false -",
        "X disable",
        "X enable",
        r#"X set_client_data {"a": 1, "b": 2}"#,
        "X update",
        "X destroy",
    ];
    let expected: Vec<_> =
        expected.iter().flat_map(|event| [format!("pre {event}"), format!("post {event}")]).collect();
    assert_eq!(taken(&log), expected);
}

#[test]
fn a_call_without_a_write_calls_no_subscriber() {
    let (features, log) = (client(), Log::default());
    block_on(features.create("X")).unwrap();
    let _subscription = features.subscribe(Recorder("", log.clone()));
    block_on(features.create("X").or_get()).unwrap();
    block_on(features.create("X")).unwrap_err();
    block_on(features.enable("missing")).unwrap_err();
    block_on(features.set_client_data("X", "no object")).unwrap_err();
    features.is_enabled("X");
    assert_eq!(taken(&log), [""; 0]);
}

#[test]
fn a_veto_prevents_the_write() {
    let (features, log) = (client(), Log::default());
    let _recorder = features.subscribe(Recorder("", log.clone()));
    let veto = features.subscribe(Pre(|event: &WriteEvent| match event.verb() {
        Verb::Enable | Verb::Create { is_enabled: true, .. } => Err("not on a Friday".into()),
        _ => Ok(()),
    }));
    block_on(features.create("X")).unwrap();
    taken(&log);
    let error = block_on(features.enable("X")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Vetoed);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "not on a Friday");
    assert!(!features.is_enabled("X"));
    assert_eq!(taken(&log), ["pre X enable"], "no post for what did not happen");
    assert_eq!(block_on(features.create("Y").enabled(true)).unwrap_err().kind(), ErrorKind::Vetoed);
    assert!(!features.exists("Y"));

    drop(veto);
    block_on(features.enable("X")).unwrap();
    assert!(features.is_enabled("X"));
}

#[test]
fn subscribers_are_called_in_order_and_once_per_write() {
    let store = MemoryFeatureFlagStore::new();
    let (features, log) = (FeatureFlagClient::new(store.clone()), Log::default());
    block_on(features.create("X")).unwrap();
    let _first = features.subscribe(Recorder("1 ", log.clone()));
    let clone = features.clone();
    let _second = clone.subscribe(Recorder("2 ", log.clone()));
    let mut attempts = 0;
    block_on(features.update("X", |record| {
        attempts += 1;
        if attempts < 4 {
            let other = flipper::FlagRecord::new("X", attempts);
            elsewhere(store.put(&other, Precondition::Any.into()))?;
        }
        record.set_enabled(true);
        Ok(())
    }))
    .unwrap();
    assert_eq!(attempts, 4);
    assert_eq!(taken(&log), ["1 pre X update", "2 pre X update", "1 post X update", "2 post X update"]);
}

#[test]
fn a_subscriber_may_write_flags_itself() {
    let features = client();
    let other = features.clone();
    let _subscription = features.subscribe(Post(move |event: &WriteEvent| {
        if event.name() == "X" {
            elsewhere(other.create("AUDIT").replace()).unwrap();
        }
    }));
    block_on(features.create("X")).unwrap();
    assert!(features.exists("AUDIT"));
}

#[test]
fn a_panic_after_a_write_is_only_logged() {
    let (features, log) = (client(), Log::default());
    let _panics = features.subscribe(Post(|_: &WriteEvent| panic!("a test asked for it")));
    let _hears = features.subscribe(Recorder("", log.clone()));
    block_on(features.create("X").enabled(true)).unwrap();
    block_on(features.disable("X")).unwrap();
    assert!(!features.is_enabled("X"));
    assert_eq!(taken(&log), ["pre X create true -", "post X create true -", "pre X disable", "post X disable"]);
}

#[test]
fn a_panic_before_a_write_vetoes_it() {
    let features = client();
    block_on(features.create("X")).unwrap();
    let panics = features.subscribe(Pre(|_: &WriteEvent| panic!("a test asked for it")));
    let error = block_on(features.enable("X")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Vetoed);
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("a test asked for it"));
    assert!(!features.is_enabled("X"));
    drop(panics);
    block_on(features.enable("X")).unwrap();
}

mod panicking {
    use std::time::SystemTime;

    use flipper::bucketing::CustomBucketer;
    use flipper::context::Attributes;
    use flipper::evaluation::{Clock, RandomSource};
    use flipper::json::Object;

    #[derive(Debug)]
    pub(crate) struct Panics;

    impl Clock for Panics {
        fn now(&self) -> SystemTime {
            panic!("a test asked for it")
        }
    }

    impl RandomSource for Panics {
        fn next(&self) -> f64 {
            panic!("a test asked for it")
        }
    }

    impl CustomBucketer for Panics {
        fn bucketer_type(&self) -> &str {
            "Panics"
        }

        fn fields(&self) -> Object {
            Object::new()
        }

        fn is_enabled(&self, _: &str, _: &dyn Attributes) -> bool {
            panic!("a test asked for it")
        }
    }
}

#[test]
fn checks_outlive_panics_of_what_they_call() {
    use flipper::bucketing::{LinearRampPercentage, Percentage, PercentageBucketer};
    use flipper::{Bucketer, context};
    use panicking::Panics;

    let features = FeatureFlagClient::builder().clock(Panics).random(Panics).build(MemoryFeatureFlagStore::new());
    for name in ["CUSTOM", "RANDOM", "RAMP"] {
        block_on(features.create(name).enabled(true)).unwrap();
    }
    let ramp =
        LinearRampPercentage::new(0.0, 1.0, std::time::Duration::from_secs(1)).starting_at(std::time::UNIX_EPOCH);
    block_on(features.set_bucketer("CUSTOM", Bucketer::Custom(Arc::new(Panics)))).unwrap();
    block_on(features.set_bucketer("RANDOM", PercentageBucketer::new(Percentage::new(0.999_999_999)))).unwrap();
    block_on(features.set_bucketer("RAMP", PercentageBucketer::new(ramp))).unwrap();
    for _ in 0..3 {
        assert!(!features.is_enabled_with("CUSTOM", &context! { user_id: 1 }));
        assert!(!features.evaluate("CUSTOM", &context! {}).is_enabled);
        assert!(features.is_enabled("RANDOM") && features.is_enabled("RAMP"));
    }
}

#[test]
fn a_factory_that_panics_makes_its_flags_unreadable_and_no_more() {
    flipper::bucketing::register_bucketer("PanickingFactory", |_| panic!("a test asked for it")).unwrap();
    let text = r#"{"feature_name": "X", "is_enabled": true, "meta": {"created_date": 1, "bucketer": {"type": "PanickingFactory"}}}"#;
    assert_eq!(flipper::FlagRecord::from_json(text).unwrap_err().kind(), ErrorKind::Corrupt);
}
