//! Byte by byte: paths, bodies, shapes, tags and limits.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use flipper::bucketing::{
    ConsistentHashPercentageBucketer, LinearRampPercentage, PercentageBucketer, SaltedPercentageBucketer,
};
use flipper::store::{Corrupt, Precondition, Stored, Version};
use flipper::{Condition, FeatureFlagClient, FlagRecord};
use http::Request;
use serde_json::json;
use tower::ServiceExt;

use crate::support::Server;

#[test]
fn an_answer_has_all_members_in_the_same_order() {
    let server = Server::start();
    server.flag("ON", "{}", |_| {});
    server.flag("OFF", "{}", |flag| flag.set_enabled(false));
    let mut http = server.http();
    let on = http.evaluate("ON", "{}");
    assert_eq!(on.status, 200);
    assert_eq!(on.header("content-type"), Some("application/json"));
    assert_eq!(on.header("cache-control"), Some("private, no-cache"));
    let expected =
        r#"{"key":"ON","value":true,"variant":"on","reason":"STATIC","metadata":{"flipper.reason_code":"enabled"}}"#;
    assert_eq!(on.text, expected);
    let off = r#"{"key":"OFF","value":false,"variant":"off","reason":"DISABLED","metadata":{"flipper.reason_code":"disabled"}}"#;
    assert_eq!(http.evaluate("OFF", "{}").text, off);
    assert_eq!(http.bulk(&[], "{}").text, format!("{{\"flags\":[{off},{expected}]}}"));
}

#[test]
fn a_server_without_flags_has_an_empty_list() {
    assert_eq!(Server::start().http().bulk(&[], "").text, r#"{"flags":[]}"#);
}

#[test]
fn every_reason_is_one_of_the_standard() {
    let server = Server::start();
    server.flag("CONDITIONS", "{}", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    server.flag("DENY", "{}", |flag| flag.set_deny_conditions(vec![Condition::new().eq("plan", "pro")]));
    server.flag("HASH", "{}", |flag| flag.set_bucketer(ConsistentHashPercentageBucketer::new(0.5).into()));
    server.flag("RANDOM", "{}", |flag| flag.set_bucketer(PercentageBucketer::new(0.5).into()));
    server.flag("SALTED", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("user", 1.0).into()));
    let mut http = server.http();
    let mut reason = |key: &str, context: &str| {
        let answer = http.evaluate(key, &format!(r#"{{"context":{context}}}"#)).json();
        (
            answer["reason"].as_str().unwrap().to_owned(),
            answer["metadata"]["flipper.reason_code"].as_str().unwrap().to_owned(),
        )
    };
    let pairs = [
        ("CONDITIONS", r#"{"plan":"pro"}"#, "TARGETING_MATCH", "conditions_met"),
        ("CONDITIONS", r#"{"plan":"free"}"#, "TARGETING_MATCH", "condition_failed"),
        // All conditions were skipped.
        ("CONDITIONS", r#"{"a":1}"#, "UNKNOWN", "conditions_met"),
        ("CONDITIONS", "{}", "UNKNOWN", "enabled"),
        ("DENY", r#"{"plan":"pro"}"#, "TARGETING_MATCH", "denied"),
        ("HASH", r#"{"user":1}"#, "SPLIT", "bucket"),
        ("RANDOM", "{}", "SPLIT", "random"),
        ("SALTED", "{}", "SPLIT", "no_bucket_attribute"),
    ];
    for (key, context, standard, finer) in pairs {
        assert_eq!(reason(key, context), (standard.to_owned(), finer.to_owned()), "{key} {context}");
    }
}

#[test]
fn values_are_those_of_the_client_data() {
    let server = Server::start();
    let data = r#"{"button":"gr\"ün","size":5.0,"count":12345678901234567890,"tiny":1e-7,"list":[1,null],"link":{"to":"x","no":null},"none":null,"yes":true}"#;
    server.flag("F", data, |_| {});
    server.flag("OFF", r#"{"a":1}"#, |flag| flag.set_enabled(false));
    let mut http = server.http();
    let texts = [
        ("button", r#""gr\"ün""#),
        ("size", "5.0"),
        ("count", "12345678901234567890"),
        ("tiny", "1e-07"),
        ("list", "[1,null]"),
        ("link", r#"{"to":"x"}"#),
        ("link/to", r#""x""#),
        ("yes", "true"),
    ];
    let bulk = http.bulk(&[], "{}");
    for (key, value) in texts {
        let answer = http.evaluate(&format!("F/{key}"), "{}");
        let start = format!(r#"{{"key":"F/{key}","value":{value},"variant":"on","reason":"STATIC","#);
        assert!(answer.text.starts_with(&start), "{answer:?}");
        // Inner ones are in the object of the first level.
        assert_eq!(bulk.text.contains(&start), !key.contains('/'), "{key}");
    }
    http.evaluate("F/none", "{}").is_error(400, "F/none", "GENERAL", "null");
    http.evaluate("F/missing", "{}").is_error(404, "F/missing", "FLAG_NOT_FOUND", "nothing under \"missing\"");
    http.evaluate("F/link/to/x", "{}").is_error(404, "F/link/to/x", "FLAG_NOT_FOUND", "nothing under");
    http.evaluate("OFF/a", "{}").is_error(400, "OFF/a", "GENERAL", "is off");
    assert_eq!(bulk.flag("OFF/a")["errorCode"], "GENERAL");
    assert_eq!(bulk.flag("F/none")["errorCode"], "GENERAL");
}

#[test]
fn a_flag_may_have_a_slash_in_its_own_name() {
    let server = Server::start();
    server.flag("a", r#"{"b":1,"c":{"d":2}}"#, |_| {});
    let mut record = FlagRecord::new("a/b", 1);
    record.set_client_data([("k", 3)].into_iter().collect());
    record.set_enabled(true);
    server.block_on(server.store.put(&record, Precondition::Any.into())).unwrap();
    let mut http = server.http();
    let mut value = |key: &str| http.evaluate(key, "{}").json()["value"].clone();
    assert_eq!(value("a/b"), json!(true), "the flag of that name");
    assert_eq!(value("a/b/k"), json!(3));
    assert_eq!(value("a/c/d"), json!(2));
    let bulk = http.bulk(&[], "{}");
    assert_eq!(bulk.flag("a/b/k")["value"], 3);
}

#[test]
fn keys_are_read_as_clients_write_them() {
    let server = Server::start();
    for name in ["a b", "a+b", "100%", "ü?#\\"] {
        server.flag(name, "{}", |_| {});
    }
    let mut http = server.http();
    for (path, key) in [
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("100%", "100%"),
        ("100%25", "100%"),
        ("%C3%BC%3F%23%5C", "ü?#\\"),
        ("a%20b?flagConfigEtag=x", "a b"),
    ] {
        let answer = http.evaluate(path, "{}");
        assert_eq!((answer.status, &answer.json()["key"]), (200, &json!(key)), "{path}");
    }
    for path in ["//ofrep/v1/evaluate/flags/100%", "/ofrep/v1//evaluate/flags//100%"] {
        assert_eq!(http.post(path, &[], "{}").status, 200, "{path}");
    }
    assert_eq!(http.post("//ofrep/v1/evaluate/flags", &[], "{}").json()["flags"].as_array().unwrap().len(), 4);
    // Not the answer for all flags.
    http.evaluate("", "{}").is_error(404, "", "FLAG_NOT_FOUND", "no flag \"\"");
}

#[test]
fn every_error_has_all_members() {
    let server = Server::start();
    server.flag("HASH", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("user", 0.5).into()));
    server.flag("COMPARED", r#"{"a":1}"#, |flag| flag.add_condition(Condition::new().gt("age", 18)));
    let broken = Stored { name: "BROKEN".into(), version: Version::ordered(1), record: Err(Corrupt::new("no JSON")) };
    assert!(server.store.table().apply(broken));
    let mut http = server.http();
    http.evaluate("NONE", "{}").is_error(404, "NONE", "FLAG_NOT_FOUND", "there is no flag \"NONE\"");
    http.evaluate("NONE/key", "{}").is_error(404, "NONE/key", "FLAG_NOT_FOUND", "there is no flag \"NONE\"");
    http.evaluate("BROKEN", "{}").is_error(400, "BROKEN", "PARSE_ERROR", "cannot be read");
    http.evaluate("HASH", "{}").is_error(400, "HASH", "TARGETING_KEY_MISSING", "\"user\"");
    let wrong = r#"{"context":{"age":"x"}}"#;
    http.evaluate("COMPARED", wrong).is_error(400, "COMPARED", "INVALID_CONTEXT", "\"age\"");
    http.evaluate("HASH", "{\"context\":\n{,}}").is_error(400, "HASH", "PARSE_ERROR", "line 2 column 2");
    http.evaluate("HASH", r#"{"context":1}"#).is_error(400, "HASH", "INVALID_CONTEXT", "no object");
    http.bulk(&[], "[").is_error(400, "", "PARSE_ERROR", "line 1 column 2");
    http.request("GET", "/ofrep/v1/evaluate/flags/HASH", &[], b"").is_error(405, "HASH", "GENERAL", "POST only");
    let answer = http.request("GET", "/ofrep/v1/evaluate/flags", &[], b"");
    answer.is_error(405, "", "GENERAL", "POST only");
    assert_eq!(answer.header("allow"), Some("POST"));
    for path in ["/ofrep", "/ofrep/", "//ofrep/v2", "/ofrep/v1/configuration"] {
        http.post(path, &[], "{}").is_error(404, "", "GENERAL", "no such path");
    }
    // One bad flag is no reason to withhold the others.
    let bulk = http.bulk(&[], wrong);
    assert_eq!(bulk.status, 200);
    for (key, code) in [
        ("BROKEN", "PARSE_ERROR"),
        ("HASH", "TARGETING_KEY_MISSING"),
        ("COMPARED", "INVALID_CONTEXT"),
        ("COMPARED/a", "INVALID_CONTEXT"),
    ] {
        assert_eq!(bulk.flag(key)["errorCode"], code, "{key}");
    }
    // Everywhere else it is not OFREP's form.
    let other = http.post("/other", &[], "{}");
    assert_eq!((other.status, other.header("content-type")), (404, Some("application/problem+json")));
}

/// They are asked in two ways: by a server of ours before its routes, and as routes of another program, which has more paths.
#[test]
fn another_program_has_the_same_answers() {
    let server = Server::start();
    server.flag("a b", r#"{"c":1}"#, |_| {});
    server.flag("HALF", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("user", 0.5).into()));
    let (router, mut http) = (server.app.clone().router(), server.http());
    let ask = |method: &str, path: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1)));
        server.block_on(router.clone().oneshot(request.extension(peer).body(Body::from(body)).unwrap())).unwrap()
    };
    let bulk = "/ofrep/v1/evaluate/flags";
    let single = |key: &str| format!("{bulk}/{key}");
    let paths = [single("a%20b"), single("a%20b/c"), single("NONE"), single("HALF"), single(""), bulk.to_owned()];
    for (method, path, body) in paths
        .iter()
        .flat_map(|path| [("POST", &**path, "{}"), ("POST", path, "["), ("GET", path, "")])
        .chain([("POST", "//ofrep/v1//evaluate/flags", "{}"), ("POST", "/ofrep", "{}"), ("POST", "/ofrep/v2", "{}")])
    {
        let ours = http.request(method, path, &[], body.as_bytes());
        let theirs = ask(method, path, body);
        assert_eq!(theirs.status(), ours.status, "{method} {path}");
        for name in ["etag", "cache-control", "content-type", "allow"] {
            let theirs = theirs.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(theirs, ours.header(name), "{method} {path} {name}");
        }
        let theirs = server.block_on(to_bytes(theirs.into_body(), usize::MAX)).unwrap();
        assert_eq!(theirs, ours.text, "{method} {path}");
    }
    let other = ask("POST", "/other", "{}");
    assert_eq!(
        (other.status().as_u16(), other.headers().get("content-type")),
        (404, None),
        "it is left to the program"
    );
}

#[test]
fn requests_are_bounded() {
    let server = Server::start();
    server.flag("F", "{}", |_| {});
    let context = |inner: &str| format!(r#"{{"context":{{"a":{inner}}}}}"#);
    let mut http = server.http();
    assert_eq!(http.evaluate("F", &context(&format!("\"{}\"", "x".repeat(64 * 1024 - 40)))).status, 200);
    let large = context(&format!("\"{}\"", "x".repeat(64 * 1024)));
    server.http().evaluate("F", &large).is_error(400, "F", "INVALID_CONTEXT", "larger than the 65536 bytes");
    let deep = context(&("[".repeat(5000) + &"]".repeat(5000)));
    http.evaluate("F", &deep).is_error(400, "F", "PARSE_ERROR", "nests deeper than 512");
    let many: Vec<_> = (0..1001).map(|number| format!("\"a{number}\":1")).collect();
    let many = format!(r#"{{"context":{{{}}}}}"#, many.join(","));
    http.evaluate("F", &many).is_error(400, "F", "INVALID_CONTEXT", "1001 attributes");
}

#[test]
fn a_context_is_read_as_clients_send_it() {
    let server = Server::with(|app, _| app.targeting_key_as("user"));
    server.flag("F", "{}", |flag| flag.add_condition(Condition::new().eq("user", 42)));
    server.flag("N", "{}", |flag| flag.add_condition(Condition::new().eq("n", 1)));
    server.flag("BIG", "{}", |flag| flag.add_condition(Condition::new().eq("n", 1e21)));
    let mut http = server.http();
    let mut value = |key: &str, context: &str| {
        let answer = http.evaluate(key, &format!(r#"{{"context":{context}}}"#)).json();
        (answer["value"].as_bool().unwrap(), answer["metadata"]["flipper.reason_code"].as_str().unwrap().to_owned())
    };
    let met = (true, "conditions_met".to_owned());
    // The key replaces an attribute of its name.
    for context in [
        r#"{"targetingKey":42,"user":7}"#,
        r#"{"user":42}"#,
        r#"{"targetingKey":"","user":42}"#,
        r#"{"targetingKey":null,"user":42.0}"#,
    ] {
        assert_eq!(value("F", context), met, "{context}");
    }
    // By value.
    for context in [r#"{"n":1}"#, r#"{"n":1.0}"#, r#"{"n":1e0}"#] {
        assert_eq!(value("N", context), met, "{context}");
    }
    assert_eq!(value("BIG", r#"{"n":1e+21}"#), met);
    assert_eq!(value("BIG", r#"{"n":1000000000000000000000}"#), met);
    // Attributes that no condition looks at.
    for odd in [r#""\ud83d""#, &"9".repeat(400), "1e400", "NaN", r#"{"a":[[]]}"#] {
        assert_eq!(value("N", &format!(r#"{{"odd":{odd},"n":1}}"#)), met, "{odd}");
    }
    for odd in [r#""\ud83d""#, "[1]", "{}"] {
        assert_eq!(
            value("F", &format!(r#"{{"targetingKey":{odd}}}"#)),
            (false, "condition_failed".to_owned()),
            "{odd}"
        );
    }
}

#[test]
fn a_tag_is_of_the_answer() {
    let server = Server::start();
    server.flag("F", "{}", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    server.flag("G", r#"{"a":1}"#, |_| {});
    let mut http = server.http();
    let pro = r#"{"context":{"plan":"pro"}}"#;
    for path in ["/ofrep/v1/evaluate/flags/F", "/ofrep/v1/evaluate/flags"] {
        let first = http.post(path, &[], pro);
        let tag = first.tag();
        for asked in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = http.post(path, &[("If-None-Match", &asked)], pro);
            assert_eq!((again.status, &*again.text, again.tag()), (304, "", tag.clone()), "{path} {asked}");
        }
        // Another context with the tag of this one.
        let other = http.post(path, &[("If-None-Match", &tag)], r#"{"context":{"plan":"free"}}"#);
        assert_eq!(other.status, 200);
        assert_ne!(other.tag(), tag);
        // Attributes that nothing looks at change nothing.
        assert_eq!(http.post(path, &[("If-None-Match", &tag)], r#"{"context":{"plan":"pro","x":1}}"#).status, 304);
    }
    let tag = http.bulk(&[], pro).tag();
    server.block_on(server.features.set_client_data("G", json!({ "a": 2 }))).unwrap();
    // At once, also in a list of flags that is kept.
    let changed = http.bulk(&[("If-None-Match", &tag)], pro);
    assert_eq!((changed.status, &changed.flag("G/a")["value"]), (200, &json!(2)));
    server.block_on(server.features.destroy("G")).unwrap();
    assert!(!http.bulk(&[], pro).text.contains("\"G"));
    server.flag("E", "{}", |_| {});
    assert!(http.bulk(&[], pro).text.starts_with(r#"{"flags":[{"key":"E","#));
}

#[test]
fn a_tag_is_of_a_bulk_answer_that_is_kept_and_of_one_that_is_not() {
    let server = Server::start();
    server.flag("LONG", &json!({ "a": "x".repeat(5000) }).to_string(), |_| {});
    server.flag("PLAN", "{}", |flag| flag.add_condition(Condition::new().eq("plan", "pro").gt("age", 18)));
    server.flag("SHARE", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("user", 0.5).into()));
    let mut http = server.http();
    let contexts = [
        "{}",
        r#"{"plan":"pro"}"#,
        r#"{"plan":"free"}"#,
        r#"{"plan":1}"#,
        r#"{"age":"x"}"#,
        r#"{"user":1}"#,
        r#"{"user":7}"#,
    ];
    let mut answers: Vec<(String, String)> = Vec::new();
    // Twice: the texts of the first time are kept.
    for context in contexts.iter().chain(&contexts) {
        let answer = http.bulk(&[], &format!(r#"{{"context":{context}}}"#));
        assert_eq!(answer.json()["flags"].as_array().unwrap().len(), 4, "{context}");
        answers.push((answer.text.clone(), answer.tag()));
    }
    for (text, tag) in &answers {
        let of_text = answers.iter().filter(|(other, _)| other == text).count();
        assert_eq!(of_text, answers.iter().filter(|(_, other)| other == tag).count(), "{tag} {text}");
    }
    assert!(answers.iter().any(|(text, _)| *text != answers[0].0));
}

/// The flags are the same, and read in another way.
#[test]
fn strictness_counts_at_once() {
    let server = Server::start();
    server.flag("F", "{}", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    let mut http = server.http();
    let lacking = r#"{"context":{"a":1}}"#;
    let first = http.bulk(&[], lacking);
    assert_eq!(first.flag("F")["value"], true);
    let _strict = FeatureFlagClient::builder().strict(true).build(server.store.clone());
    let strict = http.bulk(&[("If-None-Match", &first.tag())], lacking);
    assert_eq!((strict.status, &strict.flag("F")["value"]), (200, &json!(false)));
}

#[test]
fn what_time_or_chance_decides_has_no_tag() {
    let server = Server::start();
    let day = Duration::from_secs(86_400);
    let ramp = || LinearRampPercentage::new(0.0, 1.0, day).starting_at(SystemTime::now() - day / 2);
    let mut http = server.http();
    server.flag("FIXED", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("user", 0.5).into()));
    server.flag("ALL", "{}", |flag| flag.set_bucketer(PercentageBucketer::new(1.0).into()));
    let user = r#"{"context":{"user":"x"}}"#;
    http.bulk(&[], user).tag();
    let passing: [(&str, flipper::Bucketer); 4] = [
        ("RANDOM", PercentageBucketer::new(0.5).into()),
        ("RANDOM_RAMP", PercentageBucketer::new(ramp()).into()),
        ("HASH_RAMP", ConsistentHashPercentageBucketer::new(ramp()).into()),
        ("SALTED_RAMP", SaltedPercentageBucketer::new("user", ramp()).into()),
    ];
    for (name, bucketer) in passing {
        server.flag(name, "{}", |flag| flag.set_bucketer(bucketer.clone()));
        for answer in [http.evaluate(name, user), http.bulk(&[], user)] {
            assert_eq!(
                (answer.status, answer.header("etag"), answer.header("cache-control")),
                (200, None, Some("no-store")),
                "{name}"
            );
        }
        let path = format!("/ofrep/v1/evaluate/flags/{name}");
        assert_eq!(http.post(&path, &[("If-None-Match", "*")], user).status, 200, "{name}");
        server.block_on(server.features.destroy(name)).unwrap();
    }
    http.bulk(&[], user).tag();
    // Conditions decide, and the bucketer is not asked.
    server.flag("CONDITIONS", "{}", |flag| {
        flag.set_bucketer(PercentageBucketer::new(0.5).into());
        flag.add_condition(Condition::new().eq("user", "x"));
    });
    http.bulk(&[], user).tag();
}
