//! Rules, variants, prerequisites, schedules and segments in the store that the Python library reads and writes.

#![expect(clippy::unwrap_used, reason = "also in what the tests have in common")]

#[path = "support/python.rs"]
mod python;

use std::collections::BTreeSet;

use flipper::bucketing::Bucketer;
use flipper::client::Remote;
use flipper::evaluation::Reason;
use flipper::json::Json;
use flipper::store::Precondition;
use flipper::targeting::{Prerequisite, Rule, Schedule, Serve, Step, Variant, Variants, When, stored_name};
use flipper::{
    Condition, Context, FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore, RedisFeatureFlagStore, context,
};
use flipper_testkit::redis::RedisServer;
use serde_json::{Value, json};

use self::python::Python;

const CASES: &str = include_str!("../docs/rules-cases.jsonl");

const WHENS: [&str; 33] = [
    "plan = pro",
    "plan != pro",
    "age > 17",
    "age >= 17.5",
    "age < 18",
    "age <= 18",
    "plan in pro, team",
    "plan not in free, trial",
    "email starts with a, b",
    "email starts with ignoring case A",
    "email ends with @corp.com",
    "email ends with ignoring case @CORP.com",
    "email contains corp",
    "email contains ignoring case É",
    "email matches '^[a-c]+@'",
    "version = semver 2.0.0",
    "version != semver 2.0.0",
    "version > semver 2.0.0",
    "version >= semver 2.0.0-rc.1",
    "version < semver 2.0.0",
    "version <= semver 2.0.0",
    "at = date 2026-12-01",
    "at != date 2026-12-01",
    "at > date 2026-12-01",
    "at >= date 2026-12-01",
    "at < date 2026-12-01T10:00:00Z",
    "at <= date 2026-12-01",
    "ip in network 10.0.0.0/8, fd00::/8",
    "email exists",
    "not email exists",
    "plan = pro and (age > 17 or country in de, fr)",
    "in segment beta",
    "not (in segment beta or plan = pro)",
];

type Change = Box<dyn Fn(&mut FlagRecord)>;

fn when(text: &str) -> When {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn two_variants() -> Variants {
    Variants::new("user_id").with(Variant::new("red", 50.0)).with(Variant::new("blue", 50.0))
}

fn object(json: &str) -> Json {
    Json::parse(json).unwrap()
}

/// Each part, alone and with the others, by a name.
fn limited() -> Vec<(String, FlagRecord)> {
    let mut flags: Vec<(String, Change)> = Vec::new();
    for text in WHENS {
        flags
            .push((text.to_owned(), Box::new(move |flag| flag.set_rules(vec![Rule::new(Serve::On).when(when(text))]))));
    }
    let mut add = |name: &str, change: fn(&mut FlagRecord)| flags.push((name.to_owned(), Box::new(change)));
    let everybody: fn(&mut FlagRecord) = |flag| flag.set_rules(vec![Rule::new(Serve::On)]);
    let needs: fn(&mut FlagRecord) = |flag| flag.set_prerequisites(vec![Prerequisite::new("PLAIN")]);
    let from: fn(&mut FlagRecord) =
        |flag| flag.set_schedule(Some(Schedule { enable_at: Some(1), ..Schedule::default() }));
    let steps: fn(&mut FlagRecord) = |flag| {
        let steps = vec![Step { at: 1, share: 0.25 }, Step { at: 2, share: 1.0 }];
        flag.set_schedule(Some(Schedule { steps, by: "user_id".to_owned(), ..Schedule::default() }));
    };
    add("everybody", everybody);
    add("for none", |flag| flag.set_rules(vec![Rule::new(Serve::Off).named("é \"quoted\"")]));
    add("a share", |flag| flag.set_rules(vec![Rule::new(Serve::share(0.5, "user_id"))]));
    add("a share and variants", |flag| {
        flag.set_variants(Some(two_variants().off("red")));
        flag.set_rules(vec![Rule::new(Serve::Variant("red".to_owned())), Rule::new(Serve::share(0.5, "user_id"))]);
    });
    add("a prerequisite", needs);
    add("a prerequisite's variant", |flag| {
        flag.set_prerequisites(vec![Prerequisite::new("PLAIN").with_variant("red")]);
    });
    add("a time", from);
    add("an end", |flag| {
        flag.set_schedule(Some(Schedule { disable_at: Some(4_000_000_000), ..Schedule::default() }));
    });
    add("steps", steps);
    add("all", |flag| {
        let condition = Condition::new().eq("plan", "pro").gt("age", 17);
        flag.set_conditions(vec![condition.clone()]);
        flag.set_deny_conditions(vec![condition]);
        flag.set_strict(true);
        // Python does not read a flag with a salted bucketer at all.
        flag.set_bucketer(flipper::bucketing::ConsistentHashPercentageBucketer::new(1.0).into());
        flag.set_variants(Some(two_variants()));
        flag.set_rules(WHENS.iter().map(|text| Rule::new(Serve::On).when(when(text))).collect());
        flag.set_prerequisites(vec![Prerequisite::new("PLAIN"), Prerequisite::new("VARIANTS").with_variant("red")]);
        let steps = vec![Step { at: 2, share: 0.25 }];
        let times = (Some(1), Some(4_000_000_000));
        let schedule = Schedule { enable_at: times.0, disable_at: times.1, steps, by: "user_id".to_owned() };
        flag.set_schedule(Some(schedule));
    });
    let mut records = Vec::new();
    for (name, change) in flags {
        for enabled in [true, false] {
            let mut flag = FlagRecord::new(format!("{name} {enabled}").replace(['/', '@', '^', '\''], "-"), 1);
            flag.set_enabled(enabled);
            flag.set_client_data(object(r#"{"team": "café"}"#).as_object().unwrap().clone());
            change(&mut flag);
            flag.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(flag.is_off_for_python(), "{name}");
            records.push((name.clone(), flag));
        }
    }
    records
}

/// What a caller may be given; of each attribute a value for which rules hold, and one for which they do not.
fn contexts() -> Vec<Value> {
    vec![
        json!({}),
        json!({"user_id": 7}),
        json!({"plan": "pro", "age": 18, "email": "a@corp.com", "version": "2.1.0", "at": "2026-12-02", "ip": "10.1.2.3"}),
        json!({"plan": "free", "age": 17, "email": "x@y.org", "version": "1.0.0", "at": "2020-01-01", "ip": "11.1.2.3"}),
        json!({"nothing": null, "list": [1], "country": "de"}),
    ]
}

async fn put(features: &FeatureFlagClient<Remote>, flag: &FlagRecord) {
    features.put(flag, Precondition::Any).await.unwrap();
}

async fn read(features: &FeatureFlagClient<Remote>, name: &str) -> FlagRecord {
    (*features.fetch(name).await.unwrap().unwrap()).clone()
}

fn start() -> Option<(RedisServer, Python, FeatureFlagClient<Remote>)> {
    let server = RedisServer::start()?;
    let python = Python::start("redis", server.port(), "features")?;
    let features = FeatureFlagClient::remote(RedisFeatureFlagStore::from_url(&server.url()).unwrap());
    Some((server, python, features))
}

#[tokio::test]
async fn python_finds_limited_flags_off() {
    let Some((_server, mut python, features)) = start() else { return };
    put(&features, &FlagRecord::new("PLAIN", 1)).await;
    let flags = limited();
    for (name, flag) in &flags {
        put(&features, flag).await;
        for given in contexts() {
            assert_eq!(python.ask(&json!(["is_enabled", flag.name(), given])), json!(false), "{name} {given}");
        }
        assert_eq!(python.ask(&json!(["get_client_data", flag.name()])), json!({"team": "café"}), "{name}");
        // Reading has changed nothing.
        assert_eq!(read(&features, flag.name()).await, *flag, "{name}");
    }
    let names: Vec<_> = flags.iter().map(|(_, flag)| flag.name()).collect();
    let listed = python.ask(&json!(["list"]));
    assert!(names.iter().all(|name| listed.as_array().unwrap().contains(&json!(name))));
    // They are not all off here.
    assert!(features.fetch_enabled("everybody true", &context! {}).await.unwrap());
    assert!(features.fetch_enabled("plan = pro true", &context! { plan: "pro" }).await.unwrap());
}

#[tokio::test]
async fn variants_alone_are_on_as_here() {
    let Some((_server, mut python, features)) = start() else { return };
    for (limit, change) in [
        ("none", (|_| {}) as fn(&mut FlagRecord)),
        ("condition", |flag| flag.set_conditions(vec![Condition::new().eq("plan", "pro")])),
        ("bucketer", |flag| {
            let half = flipper::bucketing::ConsistentHashPercentageBucketer::new(0.5);
            flag.set_bucketer(half.key_whitelist(["user_id"]).into());
        }),
    ] {
        for enabled in [true, false] {
            let mut flag = FlagRecord::new(format!("VARIANTS {limit} {enabled}"), 1);
            flag.set_enabled(enabled);
            flag.set_variants(Some(two_variants().off("red")));
            change(&mut flag);
            assert!(!flag.is_off_for_python());
            put(&features, &flag).await;
            let fetched = |given: flipper::Context| {
                let features = &features;
                let name = flag.name().to_owned();
                async move { features.fetch_enabled(&name, &given).await.unwrap() }
            };
            for number in 0..20 {
                for given in [json!({}), json!({"user_id": number}), json!({"user_id": number, "plan": "pro"})] {
                    let ours = fetched(flipper::Context::try_from(given.clone()).unwrap()).await;
                    let theirs = python.ask(&json!(["is_enabled", flag.name(), given]));
                    assert_eq!(theirs, json!(ours), "{limit} {enabled} {given}");
                }
            }
        }
    }
}

/// Each record of the published cases, with the attributes of its case: one with a part that limits it is off, and any other is what is left
/// of it without variants, deny conditions and strictness. A salted bucketer it cannot load, and values that cannot be compared raise.
#[tokio::test]
async fn python_reads_the_published_cases() {
    let Some((_server, mut python, features)) = start() else { return };
    let mut asked = BTreeSet::new();
    let (mut off, mut alike, mut salted, mut unreadable) = (0, 0, 0, 0);
    for case in CASES.lines().map(|line| Json::parse(line).unwrap()) {
        let given = case.get("context").unwrap();
        for stored in case.get("flags").and_then(Json::as_array).unwrap() {
            if !asked.insert((stored.to_string(), given.to_string())) {
                continue;
            }
            let Ok(flag) = FlagRecord::from_json(stored.to_string()) else {
                unreadable += 1;
                continue;
            };
            put(&features, &flag).await;
            let answer = python.ask(&Json::from(vec!["answer".into(), flag.name().into(), given.clone()]));
            let (expected, counter) = if matches!(flag.bucketer(), Bucketer::Salted(_)) {
                (json!("InvalidBucketerTypeError"), &mut salted)
            } else if flag.is_off_for_python() {
                (json!(false), &mut off)
            } else {
                (what_is_left(&flag, given), &mut alike)
            };
            assert_eq!(answer, expected, "{given} {}", flag.to_json());
            *counter += 1;
        }
    }
    // 978, 113, 56 and 78 of the first ones.
    assert!(off > 950 && alike > 100 && salted > 50 && unreadable < 100, "{off} {alike} {salted} {unreadable}");
}

fn what_is_left(flag: &FlagRecord, given: &Json) -> Value {
    let mut left = flag.clone();
    left.set_variants(None);
    left.set_deny_conditions(Vec::new());
    left.set_strict(false);
    let store = MemoryFeatureFlagStore::new();
    store.put_text(left.name(), left.to_json());
    let context = Context::from(given.as_object().unwrap().clone());
    let evaluation = FeatureFlagClient::new(store).evaluate(left.name(), &context);
    match evaluation.reason {
        Reason::TypeMismatch { .. } => json!("TypeError"),
        _ => json!(evaluation.is_enabled),
    }
}

/// The Python library writes what it knows, and drops the rest: **a flag that it enables is on for everybody.**
#[tokio::test]
async fn a_write_of_python_drops_the_rest() {
    let Some((_server, mut python, features)) = start() else { return };
    for (name, flag) in limited() {
        put(&features, &flag).await;
        // It was read as off, and stays off.
        python.ask(&json!(["set_client_data", flag.name(), {"by": "python"}]));
        let written = read(&features, flag.name()).await;
        assert!(!written.is_enabled(), "{name}");
        let dropped = |flag: &FlagRecord| {
            flag.rules().is_empty()
                && flag.variants().is_none()
                && flag.prerequisites().is_empty()
                && flag.schedule().is_none()
                && !flag.is_off_for_python()
        };
        assert!(dropped(&written), "{name}");
        assert_eq!(python.ask(&json!(["get_client_data", flag.name()])), json!({"team": "café", "by": "python"}));

        put(&features, &flag).await;
        python.ask(&json!(["disable", flag.name()]));
        let written = read(&features, flag.name()).await;
        assert!(!written.is_enabled() && dropped(&written), "{name}");

        put(&features, &flag).await;
        python.ask(&json!(["enable", flag.name()]));
        let written = read(&features, flag.name()).await;
        assert!(written.is_enabled() && dropped(&written), "{name}");
    }
}

#[tokio::test]
async fn a_segment_is_a_flag_that_is_off() {
    let Some((_server, mut python, features)) = start() else { return };
    let beta = stored_name("beta");
    for text in WHENS.iter().filter(|text| !text.contains("segment")) {
        features.set_segment("beta", when(text)).await.unwrap();
        for given in contexts() {
            assert_eq!(python.ask(&json!(["is_enabled", beta, given])), json!(false), "{text} {given}");
        }
    }
    // The Python library lists it among the flags.
    assert_eq!(python.ask(&json!(["list"])), json!([beta]));
    python.ask(&json!(["set_client_data", beta, {"by": "python"}]));
    // Its condition is dropped, so it is a flag now, and a rule that names the segment does not hold.
    let written = read(&features, &beta).await;
    assert!(written.segment().is_none() && !written.is_enabled());
    features.create("F").enabled(true).await.unwrap();
    features.set_segment("beta", when("plan = pro")).await.unwrap();
    features.set_rules("F", [Rule::new(Serve::On).when(when("in segment beta")), Rule::new(Serve::Off)]).await.unwrap();
    assert!(features.fetch_enabled("F", &context! { plan: "pro" }).await.unwrap());
    python.ask(&json!(["enable", beta]));
    assert!(!features.fetch_enabled("F", &context! { plan: "pro" }).await.unwrap());
    // Set again it is a segment again.
    features.set_segment("beta", when("plan = pro")).await.unwrap();
    assert!(features.fetch_enabled("F", &context! { plan: "pro" }).await.unwrap());
}
