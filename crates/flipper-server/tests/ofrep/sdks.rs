//! What the callers of the SDKs for servers get: JavaScript, Python and Rust.

use flipper::Condition;
use flipper::bucketing::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer};
use flipper::store::{Corrupt, Stored, Version};
use flipper::targeting::{Rule, Serve, When};
use serde_json::{Value, json};

use crate::support::{Client, Server};

/// The fields that are asked for, of the same call by every client.
#[track_caller]
fn details(
    clients: &mut [Client],
    kind: &str,
    key: &str,
    default: &Value,
    context: &Value,
) -> Vec<(&'static str, Value)> {
    clients.iter_mut().map(|client| (client.name, client.details(kind, key, default, context))).collect()
}

/// The Rust provider reports `Static` and no variant's metadata whatever it gets.
fn reads_reasons(name: &str) -> bool {
    name != "rust"
}

#[test]
fn flags_have_answers_with_reasons_and_flat_metadata() {
    let server = Server::start();
    server.flag("ON", "{}", |_| {});
    server.flag("OFF", "{}", |flag| flag.set_enabled(false));
    server.flag("PRO", "{}", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    server.flag("HALF", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("targeting_key", 1.0).into()));
    let mut clients = Client::all(&server.url());
    // The opposite of the answer is the default, so that no client can have returned that.
    for (key, value, reason, finer) in [
        ("ON", true, "STATIC", "enabled"),
        ("OFF", false, "DISABLED", "disabled"),
        ("PRO", true, "TARGETING_MATCH", "conditions_met"),
        ("HALF", true, "SPLIT", "bucket"),
    ] {
        let context = json!({ "targetingKey": "7", "plan": "pro" });
        for (name, details) in details(&mut clients, "boolean", key, &json!(!value), &context) {
            assert_eq!(details["value"], value, "{name} {key}: {details}");
            assert_eq!(details["errorCode"], Value::Null, "{name} {key}: {details}");
            if reads_reasons(name) {
                assert_eq!(details["reason"], reason, "{name} {key}");
                assert_eq!(details["variant"], if value { "on" } else { "off" }, "{name} {key}");
                assert_eq!(details["metadata"], json!({ "flipper.reason_code": finer }), "{name} {key}");
            }
        }
    }
    // A condition on what the context lacks is skipped: no client fails on the reason for it.
    for (name, details) in details(&mut clients, "boolean", "PRO", &json!(false), &json!({})) {
        assert_eq!((&details["value"], &details["errorCode"]), (&json!(true), &Value::Null), "{name}: {details}");
        assert!(!reads_reasons(name) || details["reason"] == "UNKNOWN", "{name}: {details}");
    }
}

#[test]
fn values_have_the_types_that_were_stored() {
    let server = Server::start();
    let data = r#"{"color":"grün","size":5,"ratio":5.0,"big":9007199254740993,"link":{"to":"/x","n":[1,"a"],"none":null},"yes":true}"#;
    server.flag("F", data, |_| {});
    let mut clients = Client::all(&server.url());
    let mut value = |kind: &str, key: &str, default: &Value| details(&mut clients, kind, key, default, &json!({}));
    let equal = |answers: Vec<(&str, Value)>, expected: &Value| {
        for (name, details) in answers {
            assert_eq!(&details["value"], expected, "{name}: {details}");
            assert_eq!(details["errorCode"], Value::Null, "{name}: {details}");
        }
    };
    equal(value("string", "F/color", &json!("red")), &json!("grün"));
    equal(value("integer", "F/size", &json!(0)), &json!(5));
    equal(value("boolean", "F/yes", &json!(false)), &json!(true));
    equal(value("object", "F/link", &json!({})), &json!({ "to": "/x", "n": [1, "a"] }));
    equal(value("string", "F/link/to", &json!("")), &json!("/x"));
    for (name, details) in value("float", "F/ratio", &json!(0.5)) {
        assert_eq!(details["value"].as_f64(), Some(5.0), "{name}: {details}");
    }
    for (name, details) in value("integer", "F/big", &json!(0)) {
        // JavaScript has no such integer.
        let expected: u64 = if name == "node" { 9_007_199_254_740_992 } else { 9_007_199_254_740_993 };
        assert_eq!(details["value"], expected, "{name}: {details}");
    }
    // Another type than the stored one is a mismatch, and the default. JavaScript has one type of numbers; to Rust an integer is a float too, and to
    // Python a boolean is an integer.
    for (kind, key, default, except) in [
        ("string", "F/size", json!("d"), &[][..]),
        ("boolean", "F/color", json!(true), &[]),
        ("integer", "F/ratio", json!(7), &["node"]),
        ("float", "F/size", json!(7.5), &["node", "rust"]),
        ("integer", "F/yes", json!(7), &["python"]),
        ("float", "F/yes", json!(7.5), &[]),
    ] {
        for (name, details) in value(kind, key, &default) {
            if except.contains(&name) {
                assert_eq!(
                    (&details["errorCode"], details["value"] == default),
                    (&Value::Null, false),
                    "{name} {key}: {details}"
                );
                continue;
            }
            assert_eq!((&details["value"], &details["reason"]), (&default, &json!("ERROR")), "{name} {key}: {details}");
        }
    }
}

#[test]
fn errors_reach_the_caller_with_their_codes() {
    let server = Server::start();
    server.flag("OFF", r#"{"a":"b"}"#, |flag| flag.set_enabled(false));
    server.flag("AGE", "{}", |flag| flag.add_condition(Condition::new().gt("age", 18)));
    server.flag("HALF", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("user", 0.5).into()));
    let broken = Stored { name: "BROKEN".into(), version: Version::ordered(1), record: Err(Corrupt::new("no JSON")) };
    assert!(server.store.table().apply(broken));
    let mut clients = Client::all(&server.url());
    for (kind, key, code, message) in [
        ("boolean", "NONE", "FLAG_NOT_FOUND", "there is no flag \"NONE\""),
        ("string", "OFF/c", "GENERAL", "is off"),
        ("string", "OFF/a", "GENERAL", "is off"),
        ("boolean", "AGE", "INVALID_CONTEXT", "\"age\""),
        ("boolean", "HALF", "TARGETING_KEY_MISSING", "\"user\""),
        ("boolean", "BROKEN", "PARSE_ERROR", "cannot be read"),
    ] {
        let default = if kind == "string" { json!("d") } else { json!(true) };
        for (name, details) in details(&mut clients, kind, key, &default, &json!({ "age": "x" })) {
            assert_eq!((&details["value"], &details["reason"]), (&default, &json!("ERROR")), "{name} {key}: {details}");
            // To the Rust provider every 400 is an invalid context.
            let expected = match name {
                "rust" if code == "FLAG_NOT_FOUND" => "FlagNotFound",
                "rust" => "InvalidContext",
                _ => code,
            };
            assert_eq!(details["errorCode"], expected, "{name} {key}: {details}");
            if name != "rust" {
                assert!(details["errorMessage"].as_str().unwrap().contains(message), "{name} {key}: {details}");
            }
        }
    }
}

#[test]
fn keys_and_base_urls_are_read_as_they_are_sent() {
    let server = Server::start();
    server.flag("a b+c", r#"{"d e":1,"x":{"y":2}}"#, |_| {});
    server.flag("100%", "{}", |_| {});
    for base in [server.url(), format!("{}/", server.url())] {
        let mut clients = Client::all(&base);
        for (key, value) in [("a b+c/d e", 1), ("a b+c/x/y", 2), ("a b+c//x//y", 2)] {
            for (name, details) in details(&mut clients, "integer", key, &json!(0), &json!({})) {
                assert_eq!(details["value"], value, "{name} {base} {key}: {details}");
            }
        }
        // Some send a bare `%`.
        for (name, details) in details(&mut clients, "boolean", "100%", &json!(false), &json!({})) {
            assert_eq!((&details["value"], &details["errorCode"]), (&json!(true), &Value::Null), "{name}: {details}");
        }
        // Not the answer for all flags.
        for (name, details) in details(&mut clients, "boolean", "", &json!(true), &json!({})) {
            let code = if name == "rust" { "FlagNotFound" } else { "FLAG_NOT_FOUND" };
            assert_eq!((&details["value"], &details["errorCode"]), (&json!(true), &json!(code)), "{name}: {details}");
        }
    }
    // Names that a client asks for in another way: the answer is of another flag, or that it is not found.
    for (name, other) in [("c#d", Some("c")), ("e\\f", None), ("i ", None)] {
        server.flag(name, "{}", |flag| flag.set_enabled(false));
        if let Some(other) = other {
            server.flag(other, "{}", |_| {});
        }
    }
    let mut clients = Client::all(&server.url());
    for (key, seen) in [
        ("c#d", json!({ "node": "STATIC", "python": "STATIC", "rust": "STATIC" })),
        ("e\\f", json!({ "node": "FLAG_NOT_FOUND", "python": "DISABLED", "rust": "FlagNotFound" })),
        ("i ", json!({ "node": "FLAG_NOT_FOUND", "python": "DISABLED", "rust": "FlagNotFound" })),
    ] {
        for (name, details) in details(&mut clients, "boolean", key, &json!(true), &json!({})) {
            let found = if details["errorCode"].is_null() { &details["reason"] } else { &details["errorCode"] };
            assert_eq!(*found, seen[name], "{name} {key}: {details}");
        }
    }
    // A wrong base path is an error to all, though not the same one.
    for (name, details) in
        details(&mut Client::all(&format!("{}/wrong", server.url())), "boolean", "a b+c", &json!(true), &json!({}))
    {
        assert_eq!((&details["value"], &details["reason"]), (&json!(true), &json!("ERROR")), "{name}: {details}");
    }
}

#[test]
fn contexts_mean_the_same_from_every_client() {
    let server = Server::with(|app, _| app.targeting_key_as("user"));
    let hash = ConsistentHashPercentageBucketer::new(0.5);
    server.flag("HASH", "{}", |flag| flag.set_bucketer(hash.clone().into()));
    server.flag("USER", "{}", |flag| flag.add_condition(Condition::new().eq("user", "u1")));
    server.flag("NUMBER", "{}", |flag| flag.add_condition(Condition::new().eq("n", 1).gt("big", 1e20)));
    let mut clients = Client::all(&server.url());
    let mut answers = |key: &str, context: &Value| details(&mut clients, "boolean", key, &json!(false), context);
    let is = |answers: Vec<(&str, Value)>, expected: bool| {
        for (name, details) in answers {
            assert_eq!(details["value"], expected, "{name}: {details}");
        }
    };
    is(answers("USER", &json!({ "targetingKey": "u1" })), true);
    is(answers("USER", &json!({ "targetingKey": "u2" })), false);
    is(answers("USER", &json!({ "user": "u1" })), true);
    is(answers("NUMBER", &json!({ "n": 1.0, "big": 1e21 })), true);
    is(answers("NUMBER", &json!({ "n": 2, "big": 1e21 })), false);
    // JavaScript sends any key as it is. One that is empty is as none.
    server.flag("NUMBERED", "{}", |flag| flag.add_condition(Condition::new().eq("user", 42)));
    if let Some(mut node) = Client::node(&server.url()) {
        for (key, context) in [
            ("NUMBERED", json!({ "targetingKey": 42 })),
            ("USER", json!({ "targetingKey": null, "user": "u1" })),
            ("USER", json!({ "targetingKey": "", "user": "u1" })),
        ] {
            let details = node.details("boolean", key, &json!(false), &context);
            assert_eq!((&details["value"], &details["reason"]), (&json!(true), &json!("TARGETING_MATCH")), "{context}");
        }
    }
    // The order in which a client sends attributes is not part of the hash.
    let expected = server.features.is_enabled_with("HASH", &flipper::context! { a: "x", b: 2, user: "u1" });
    is(answers("HASH", &json!({ "b": 2, "targetingKey": "u1", "a": "x" })), expected);
}

/// `2026-01-02T03:04:05.000Z` of JavaScript, `2026-01-02 3:04:05.0 +00:00:00` of Rust.
#[test]
fn rules_read_dates_as_the_clients_send_them() {
    let server = Server::start();
    for (name, rule) in [("AT", "at = date 2026-01-02T03:04:05Z"), ("AFTER", "at > date 2026-01-02T03:04:05Z")] {
        let rule = Rule::new(Serve::On).when(rule.parse::<When>().unwrap());
        server.flag(name, "{}", |flag| flag.set_rules(vec![rule.clone(), Rule::new(Serve::Off)]));
    }
    for mut client in Client::all(&server.url()) {
        let mut ask = |key: &str, seconds: u32| {
            client.details("boolean", key, &json!(false), &json!({ "at": { "$date": seconds } }))
        };
        let (at, before, after) = (ask("AT", 1_767_323_045), ask("AFTER", 1_767_323_045), ask("AFTER", 1_767_323_046));
        if client.name == "python" {
            assert_eq!((&at["value"], &at["errorCode"]), (&json!(false), &json!("GENERAL")), "it sends no dates: {at}");
            continue;
        }
        let values = [at, before, after].map(|details| details["value"].clone());
        assert_eq!(values, [json!(true), json!(false), json!(true)], "{}", client.name);
    }
}

#[test]
fn what_is_no_text_or_number_elsewhere_fails_no_flag_that_does_not_look_at_it() {
    let server = Server::start();
    server.flag("F", "{}", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    // As JavaScript and Python cut texts; a Rust string has none. Python sends all digits of a number.
    let digits = "9".repeat(400);
    for mut client in [Client::node(&server.url()), Client::python(&server.url())].into_iter().flatten() {
        for odd in [r#""a\ud83d""#, "1180591620717411303424", &digits] {
            let asked =
                format!(r#"{{"type":"boolean","key":"F","default":false,"context":{{"plan":"pro","odd":{odd}}}}}"#);
            let details = client.ask(&asked);
            let expected = (&json!(true), &json!("TARGETING_MATCH"));
            assert_eq!((&details["value"], &details["reason"]), expected, "{} {odd}", client.name);
        }
    }
}
