//! What the callers of the SDKs for servers get: JavaScript, Python and Rust.

use std::num::NonZeroU32;

use flipper::Condition;
use flipper::bucketing::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer};
use flipper::store::{Corrupt, Stored, Version};
use flipper_server::{AccessControl, NewToken, Role, TokenFile, Tokens};
use flipper_testkit::wait_until;
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
    // Another type than the stored one is a mismatch, and the default. JavaScript has one type of numbers.
    for (kind, key, default) in
        [("string", "F/size", json!("d")), ("boolean", "F/color", json!(true)), ("integer", "F/ratio", json!(7))]
    {
        for (name, details) in value(kind, key, &default) {
            if name == "node" && kind == "integer" {
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
        for (key, value) in [("a b+c/d e", 1), ("a b+c/x/y", 2)] {
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
    // The order in which a client sends attributes is not part of the hash.
    let expected = server.features.is_enabled_with("HASH", &flipper::context! { a: "x", b: 2, user: "u1" });
    is(answers("HASH", &json!({ "b": 2, "targetingKey": "u1", "a": "x" })), expected);
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

/// A server with a token for flags that begin with `web.`, and the token.
fn with_token(access: impl FnOnce(AccessControl) -> AccessControl) -> (Server, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let new = NewToken { name: "web".into(), role: Role::Evaluate, prefixes: vec!["web.".into()], lifetime: None };
    let (_, secret) = file.create(&new).unwrap();
    let tokens = Tokens::open(file.path()).unwrap();
    let server = Server::with(|app, _| app.access(access(AccessControl::new().tokens(tokens))));
    server.flag("web.F", "{}", |_| {});
    server.flag("F", "{}", |_| {});
    (server, secret.text().to_owned())
}

#[test]
fn tokens_are_sent_and_refusals_are_errors() {
    let (server, token) = with_token(|access| access);
    for (token, key, value) in [(&*token, "web.F", true), (&token, "F", false), ("flp_none", "web.F", false)] {
        for mut client in Client::with_token(&server.url(), token) {
            let details = client.details("boolean", key, &json!(false), &json!({}));
            assert_eq!(details["value"], value, "{} {key}: {details}", client.name);
            let code = if value { Value::Null } else { json!("GENERAL") };
            assert_eq!(details["errorCode"], code, "{} {key}: {details}", client.name);
        }
    }
}

/// With `Retry-After` in seconds, the one form that all read, a provider waits without a request.
#[test]
fn a_limited_provider_pauses_and_goes_on() {
    let (server, token) = with_token(|access| access.requests_per_second(NonZeroU32::MIN));
    for mut client in Client::with_token(&server.url(), &token) {
        let mut is_on = || client.details("boolean", "web.F", &json!(false), &json!({}))["value"] == true;
        wait_until("it is answered", &mut is_on);
        wait_until("the limit is reached", || !is_on());
        // Each request would be refused, and asked without a pause the limit would be reached for good.
        wait_until("it is answered again", &mut is_on);
    }
}
