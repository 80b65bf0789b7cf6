//! Flags whose answers depend on rules, variants, other flags, segments and time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::bucketing::{LinearRampPercentage, PercentageBucketer};
use flipper::json::Json;
use flipper::targeting::{Prerequisite, Rule, Schedule, Serve, Variant, Variants, When};
use flipper_testkit::wait_until;
use serde_json::{Value, json};

use crate::support::{Client, Server};

fn colours() -> Variants {
    Variants::new("user").with(Variant::new("red", 50.0).value("#f00")).with(Variant::new("blue", 50.0).value("#00f"))
}

fn only(value: Json) -> Option<Variants> {
    Some(Variants::new("user").with(Variant::new("all", 100.0).value(value)))
}

fn when(text: &str) -> When {
    text.parse().unwrap()
}

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

#[test]
fn a_flag_with_variants_has_their_values() {
    let server = Server::start();
    server.flag("F", r#"{"a":1}"#, |flag| flag.set_variants(Some(colours())));
    server.flag("OFF", "{}", |flag| {
        flag.set_variants(Some(colours()));
        flag.set_enabled(false);
    });
    server.flag("OFF_RED", "{}", |flag| {
        flag.set_variants(Some(colours().off("red")));
        flag.set_enabled(false);
    });
    server.flag("NUMBER", "{}", |flag| flag.set_variants(only(Json::try_from(5.0).unwrap())));
    server.flag("NULL", "{}", |flag| flag.set_variants(only(Json::Null)));
    let mut http = server.http();
    let rest = |code: &str| format!(r#""metadata":{{"flipper.reason_code":"{code}"}}}}"#);
    let chosen = server.features.evaluate("F", &flipper::context! { user: "7" }).variant.unwrap();
    let user = r#"{"context":{"user":"7"}}"#;
    let expected = [
        (
            "F",
            format!(
                r##"{{"key":"F","value":{},"variant":"{}","reason":"STATIC",{}"##,
                chosen.value(),
                chosen.name(),
                rest("enabled")
            ),
        ),
        ("F/a", format!(r#"{{"key":"F/a","value":1,"variant":"on","reason":"STATIC",{}"#, rest("enabled"))),
        ("NULL", format!(r#"{{"key":"NULL","variant":"all","reason":"STATIC",{}"#, rest("enabled"))),
        ("NUMBER", format!(r#"{{"key":"NUMBER","value":5.0,"variant":"all","reason":"STATIC",{}"#, rest("enabled"))),
        // The caller's default.
        ("OFF", format!(r#"{{"key":"OFF","variant":"off","reason":"DISABLED",{}"#, rest("disabled"))),
        (
            "OFF_RED",
            format!(r##"{{"key":"OFF_RED","value":"#f00","variant":"red","reason":"DISABLED",{}"##, rest("disabled")),
        ),
    ];
    for (key, text) in &expected {
        assert_eq!(http.evaluate(key, user).text, *text, "{key}");
    }
    let all: Vec<_> = expected.into_iter().map(|(_, text)| text).collect();
    assert_eq!(http.bulk(&[], user).text, format!("{{\"flags\":[{}]}}", all.join(",")));
    // Nothing to choose a variant by; the client data need none.
    http.evaluate("F", "{}").is_error(400, "F", "TARGETING_KEY_MISSING", "no \"user\" to choose a variant by");
    assert_eq!(http.evaluate("F/a", "{}").json()["value"], 1);
    let bulk = http.bulk(&[], "{}");
    assert_eq!(
        (&bulk.flag("F")["errorCode"], &bulk.flag("F/a")["value"]),
        (&json!("TARGETING_KEY_MISSING"), &json!(1))
    );
}

#[test]
fn the_sdks_return_the_variants_value_or_the_default() {
    let server = Server::with(|app, _| app.targeting_key_as("user"));
    server.flag("F", "{}", |flag| flag.set_variants(Some(colours())));
    server.flag("OFF", "{}", |flag| {
        flag.set_variants(Some(colours()));
        flag.set_enabled(false);
    });
    server.flag("OFF_RED", "{}", |flag| {
        flag.set_variants(Some(colours().off("red")));
        flag.set_enabled(false);
    });
    let chosen = server.features.evaluate("F", &flipper::context! { user: "7" }).variant.unwrap();
    let context = json!({ "targetingKey": "7" });
    for mut client in Client::all(&server.url()) {
        let name = client.name;
        let mut ask = |key: &str| client.details("string", key, &json!("grey"), &context);
        let details = ask("F");
        assert_eq!(details["value"], *chosen.value().as_str().unwrap(), "{name}: {details}");
        let is_full = name != "rust";
        assert!(!is_full || details["variant"] == chosen.name(), "{name}: {details}");
        let details = ask("OFF_RED");
        assert_eq!(details["value"], "#f00", "{name}: {details}");
        assert!(
            !is_full || (&details["variant"], &details["reason"]) == (&json!("red"), &json!("DISABLED")),
            "{details}"
        );
        let details = ask("OFF");
        assert_eq!(details["value"], "grey", "{name}: {details}");
        // Python knows an answer without a value; to the others it is an error with the default.
        assert!(
            name != "python" || (&details["errorCode"], &details["reason"]) == (&Value::Null, &json!("DISABLED")),
            "{details}"
        );
        // A boolean is no text.
        let details = client.details("boolean", "F", &json!(true), &context);
        assert_eq!((&details["value"], &details["reason"]), (&json!(true), &json!("ERROR")), "{name}: {details}");
    }
}

#[test]
fn rules_have_their_reasons() {
    let server = Server::start();
    server.flag("F", "{}", |flag| {
        flag.set_rules(vec![
            Rule::new(Serve::On).when(when("plan = pro")),
            Rule::new(Serve::share(1.0, "user")).when(when("plan = team")),
            Rule::new(Serve::share(0.5, "user")).when(when("plan = new")),
            Rule::new(Serve::Off),
        ]);
    });
    let mut http = server.http();
    let mut ask = |plan: &str| http.evaluate("F", &format!(r#"{{"context":{{"plan":"{plan}"}}}}"#));
    for (plan, value, reason) in
        [("pro", true, "TARGETING_MATCH"), ("team", true, "SPLIT"), ("x", false, "TARGETING_MATCH")]
    {
        let answer = ask(plan).json();
        assert_eq!((&answer["value"], &answer["reason"]), (&json!(value), &json!(reason)), "{plan}");
        assert_eq!(answer["metadata"]["flipper.reason_code"], "rule");
    }
    ask("new").is_error(400, "F", "TARGETING_KEY_MISSING", "\"user\"");
}

#[test]
fn a_tag_changes_with_what_the_flag_needs() {
    let server = Server::start();
    server.flag("NEEDED", "{}", |_| {});
    server.block_on(server.features.set_segment("beta", when("plan = pro"))).unwrap();
    server.flag("BY_FLAG", r#"{"a":1}"#, |flag| flag.set_prerequisites(vec![Prerequisite::new("NEEDED")]));
    server.flag("BY_SEGMENT", "{}", |flag| {
        flag.set_rules(vec![Rule::new(Serve::On).when(When::Segment("beta".into())), Rule::new(Serve::Off)]);
    });
    let (mut http, pro) = (server.http(), r#"{"context":{"plan":"pro"}}"#);
    let keys = ["/BY_FLAG", "/BY_SEGMENT", ""].map(|key| format!("/ofrep/v1/evaluate/flags{key}"));
    let mut tags = || keys.each_ref().map(|path| http.post(path, &[], pro).tag());
    let first = tags();
    assert_eq!(tags(), first);
    server.block_on(server.features.disable("NEEDED")).unwrap();
    let second = tags();
    assert!(first[0] != second[0] && first[1] == second[1] && first[2] != second[2]);
    server.block_on(server.features.set_segment("beta", when("plan = free"))).unwrap();
    let third = tags();
    assert!(second[0] == third[0] && second[1] != third[1] && second[2] != third[2]);
    let bulk = http.bulk(&[], pro);
    assert_eq!(bulk.flag("BY_FLAG")["metadata"]["flipper.reason_code"], "prerequisite");
    assert_eq!(
        (&bulk.flag("BY_SEGMENT")["value"], &bulk.flag("BY_FLAG/a")["errorCode"]),
        (&json!(false), &json!("GENERAL"))
    );
    // A segment is no flag.
    assert!(!bulk.text.contains("segments/"), "{}", bulk.text);
    for key in ["segments/beta", "segments%2Fbeta", "segments/beta/x"] {
        let answer = http.evaluate(key, pro);
        assert_eq!((answer.status, &answer.json()["errorCode"]), (404, &json!("FLAG_NOT_FOUND")), "{key}");
    }
    server.flag("segments", r#"{"beta":2}"#, |_| {});
    assert_eq!(http.evaluate("segments/beta", pro).json()["value"], 2);
}

#[test]
fn a_tag_changes_when_a_schedule_turns() {
    let server = Server::start();
    server.flag("F", "{}", |_| {});
    let tag = server.http().bulk(&[], "{}").tag();
    server.flag("SOON", "{}", |flag| {
        flag.set_schedule(Some(Schedule { enable_at: Some(in_seconds(2)), ..Schedule::default() }));
    });
    let mut http = server.http();
    let before = http.bulk(&[], "{}");
    assert_ne!(before.tag(), tag);
    assert_eq!((&before.flag("SOON")["value"], &before.flag("SOON")["reason"]), (&json!(false), &json!("DISABLED")));
    let single = http.evaluate("SOON", "{}").tag();
    wait_until("the flag is on", || http.bulk(&[("If-None-Match", &before.tag())], "{}").status == 200);
    assert_eq!(http.bulk(&[], "{}").flag("SOON")["value"], true);
    assert_ne!(http.evaluate("SOON", "{}").tag(), single);
}

#[test]
fn what_passes_by_another_flag_or_a_rule_has_no_tag() {
    let server = Server::start();
    let day = Duration::from_secs(86_400);
    let ramp = LinearRampPercentage::new(0.0, 1.0, day).starting_at(SystemTime::now() - day / 2);
    server.flag("CHANCE", "{}", |flag| flag.set_bucketer(PercentageBucketer::new(0.5).into()));
    server.flag("BETWEEN", "{}", |flag| flag.set_prerequisites(vec![Prerequisite::new("CHANCE")]));
    server.flag("BY_CHANCE", "{}", |flag| flag.set_prerequisites(vec![Prerequisite::new("BETWEEN")]));
    server.flag("BY_RAMP", "{}", |flag| {
        flag.set_rules(vec![
            Rule::new(Serve::Off).when(when("plan = free")),
            Rule::new(Serve::share(ramp.clone(), "user")),
        ]);
    });
    server.flag("OFF", "{}", |flag| {
        flag.set_prerequisites(vec![Prerequisite::new("CHANCE")]);
        flag.set_enabled(false);
    });
    let mut http = server.http();
    let user = r#"{"context":{"user":"x"}}"#;
    for key in ["BETWEEN", "BY_CHANCE", "BY_RAMP"] {
        assert_eq!(http.evaluate(key, user).header("etag"), None, "{key}");
    }
    http.evaluate("BY_RAMP", r#"{"context":{"plan":"free"}}"#).tag();
    http.evaluate("OFF", user).tag();
}
