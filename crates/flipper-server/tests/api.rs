//! The JSON API, byte by byte.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use flipper::events::{Pre, WriteEvent};
use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, Limits, Metrics};
use flipper_testkit::block_on;
use support::Running;

#[test]
fn a_flags_life() {
    let server = Running::memory();
    let body = r#"{"name": "A", "enabled": true, "client_data": {"n": 123456789012345678901234567890, "é": 1.0},
        "conditions": ["plan in pro, team"], "bucketer": {"type": "ConsistentHashPercentageBucketer", "key_whitelist": ["id"],
        "percentage": {"type": "Percentage", "value": 0.5}}}"#;
    let created = server.expect(201, "POST /api/v1/flags", body);
    assert_eq!(created.header("location"), Some("flags/A"));
    let first = created.header("etag").unwrap().to_owned();
    assert!(
        created.body.contains("123456789012345678901234567890") && created.body.contains("1.0"),
        "{}",
        created.body
    );
    assert_eq!(server.expect(409, "POST /api/v1/flags", body).code(), "flag_exists");

    let read = server.expect(200, "GET /api/v1/flags/A", "");
    assert_eq!((read.header("etag"), &read.body), (Some(&*first), &created.body));
    assert_eq!(format!("\"{}\"", read.json()["version"].as_str().unwrap()), first);
    let again = server.expect(304, &format!("GET /api/v1/flags/A\nIf-None-Match: {first}"), "");
    assert_eq!((again.body.as_str(), again.header("etag")), ("", Some(&*first)));

    let patch = r#"{"client_data": {"é": null, "x": [1]}, "enabled": false}"#;
    let changed = server.expect(200, &format!("PATCH /api/v1/flags/A\nIf-Match: {first}"), patch);
    let second = changed.header("etag").unwrap().to_owned();
    assert_eq!(changed.json()["client_data"].to_string(), r#"{"n": 123456789012345678901234567890, "x": [1]}"#);
    assert_eq!(changed.json()["enabled"].as_bool(), Some(false));
    assert_eq!(changed.json()["conditions"], created.json()["conditions"]);

    let lost = server.expect(412, &format!("PATCH /api/v1/flags/A\nIf-Match: {first}"), patch);
    assert_eq!(lost.code(), "precondition_failed");
    server.expect(412, &format!("DELETE /api/v1/flags/A\nIf-Match: {first}"), "");
    server.expect(200, &format!("PATCH /api/v1/flags/A\nIf-Match: \"o0\", {second}"), r#"{"enabled": true}"#);

    // What one patch does not name stays as the others left it.
    let bucketer = r#"{"type": "SaltedPercentageBucketer", "percentage": {"type": "Percentage", "value": 0.25}, "bucket_by": "id"}"#;
    for (field, value) in [
        ("conditions", r#"["plan = pro", "age > 17"]"#),
        ("deny_conditions", r#"["country = xx"]"#),
        ("bucketer", bucketer),
    ] {
        let changed = server.expect(200, "PATCH /api/v1/flags/A", &format!(r#"{{"{field}": {value}}}"#));
        assert_ne!(changed.header("etag"), Some(&*second));
    }
    let decides = |context: &str, enabled: bool, rule: &str| {
        let answer = server.expect(200, "POST /api/v1/evaluate/A", &format!(r#"{{"context": {context}}}"#)).json();
        assert_eq!((answer["enabled"].as_bool(), answer["rule"].as_str()), (Some(enabled), Some(rule)), "{answer}");
    };
    decides(r#"{"plan": "pro", "age": 20, "country": "xx"}"#, false, "denied");
    decides(r#"{"plan": "pro", "age": 16}"#, false, "condition_failed");
    decides(r#"{"plan": "pro", "age": 20}"#, true, "conditions_met");
    let emptied = server.expect(200, "PATCH /api/v1/flags/A", r#"{"conditions": [], "deny_conditions": []}"#).json();
    assert_eq!((emptied["bucketer"].to_string(), emptied["enabled"].as_bool()), (bucketer.to_owned(), Some(true)));
    decides(r#"{"country": "xx"}"#, false, "no_bucket_attribute");

    let replaced = server.expect(200, "PUT /api/v1/flags/A", r#"{"strict": true}"#);
    assert_eq!(replaced.json()["client_data"].to_string(), "{}");
    assert_eq!(replaced.json()["created_date"], created.json()["created_date"]);
    server.expect(412, "PUT /api/v1/flags/A\nIf-None-Match: *", "{}");
    server.expect(201, "PUT /api/v1/flags/B\nIf-None-Match: *", "{}");
    server.expect(404, "PUT /api/v1/flags/C\nIf-Match: *", "{}");
    server.expect(204, "DELETE /api/v1/flags/A", "");
    for head in ["GET /api/v1/flags/A", "DELETE /api/v1/flags/A"] {
        assert_eq!(server.expect(404, head, "").code(), "flag_not_found");
    }
    assert_eq!(server.expect(404, "PATCH /api/v1/flags/A", "{}").code(), "flag_not_found");
}

#[test]
fn names_in_paths() {
    let store = MemoryFeatureFlagStore::new();
    let names = ["a/b", "/", "a//b/", "..", "a b%é+?#", "%2F", "\u{1}"];
    for name in names {
        block_on(store.put(&FlagRecord::new(name, 7), Precondition::Any.into())).unwrap();
    }
    let server = Running::over(store);
    for (path, name) in [
        ("a/b", "a/b"),
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("%2F", "/"),
        ("/", "/"),
        ("a//b/", "a//b/"),
        ("..", ".."),
        ("%2E%2e", ".."),
        ("a%20b%25%C3%A9+%3F%23", "a b%é+?#"),
        ("%252F", "%2F"),
        ("%01", "\u{1}"),
    ] {
        let read = server.expect(200, &format!("GET /api/v1/flags/{path}"), "");
        assert_eq!(read.json()["name"].as_str(), Some(name), "{path}");
        server.expect(200, &format!("POST /api/v1/evaluate/{path}"), "{}");
        let tag = read.header("etag").unwrap();
        server.expect(200, &format!("PATCH /api/v1/flags/{path}\nIf-Match: {tag}"), "{}");
    }
    for (path, code) in [
        ("%", "bad_request"),
        ("a%2", "bad_request"),
        ("%zz", "bad_request"),
        ("%FF", "bad_request"),
        (&"x".repeat(4097), "invalid_name"),
    ] {
        let refused = server.send(&format!("GET /api/v1/flags/{path}"), "");
        assert_eq!((refused.status == 400 || refused.status == 422, refused.code().as_str()), (true, code), "{path}");
    }
    for name in ["", "a/b2", "a\\nb"] {
        let refused = server.expect(422, "POST /api/v1/flags", &format!("{{\"name\": \"{name}\"}}"));
        assert_eq!(refused.code(), "invalid_name");
    }
    let created = server.expect(201, "POST /api/v1/flags", r#"{"name": "ä ."}"#);
    assert_eq!(created.header("location"), Some("flags/%C3%A4%20%2E"));
}

#[test]
fn lists_in_pages() {
    let store = MemoryFeatureFlagStore::new();
    for number in 0..250 {
        let mut flag = FlagRecord::new(format!("F{number:03}"), 7);
        flag.set_enabled(number % 2 == 0);
        block_on(store.put(&flag, Precondition::Any.into())).unwrap();
    }
    let server = Running::over(store);
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.expect(200, &format!("GET /api/v1/flags?limit=70&after={after}"), "").json();
        let flags = page["flags"].as_array().unwrap();
        names.extend(flags.iter().map(|flag| flag["name"].as_str().unwrap().to_owned()));
        assert_eq!(page["status"]["health"].as_str(), Some("live"));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
        assert_eq!(flags.len(), 70);
    }
    assert_eq!(names, (0..250).map(|number| format!("F{number:03}")).collect::<Vec<_>>());

    let filtered = server.expect(200, "GET /api/v1/flags?enabled=true&prefix=F00", "");
    let shown: Vec<_> =
        filtered.json()["flags"].as_array().unwrap().iter().map(|flag| flag["name"].to_string()).collect();
    assert_eq!(shown, ["\"F000\"", "\"F002\"", "\"F004\"", "\"F006\"", "\"F008\""]);
    let tag = filtered.header("etag").unwrap();
    let head = format!("GET /api/v1/flags?enabled=true&prefix=F00\nIf-None-Match: \"x\", {tag}");
    server.expect(304, &head, "");
    server.expect(200, "PATCH /api/v1/flags/F000", r#"{"enabled": false}"#);
    server.expect(200, &head, "");
    for query in ["limit=0", "limit=x", "limit=10001", "enabled=1", "page=2", "limit=1&limit=2"] {
        let refused = server.expect(400, &format!("GET /api/v1/flags?{query}"), "");
        assert!(refused.json()["parameter"].as_str().is_some(), "{}", refused.body);
    }
}

#[test]
fn bad_bodies() {
    let server = Running::memory();
    server.expect(201, "POST /api/v1/flags", r#"{"name": "A"}"#);
    for (body, status, shown) in [
        ("{\n  \"enabled\": tru }", 400, "line 2 column 14"),
        ("{\"enabled\": NaN}", 400, "column"),
        ("{\"enabled\": true} x", 400, "column 19"),
        ("[]", 422, "must be an object, not an array"),
        (r#"{"enable": true}"#, 422, "unknown field \\\"enable\\\""),
        (r#"{"name": "B"}"#, 422, "unknown field \\\"name\\\""),
        (r#"{"enabled": "yes"}"#, 422, "must be true or false, not a string"),
        (r#"{"client_data": [1]}"#, 422, "must be an object"),
        (r#"{"conditions": ["plan in pro team"]}"#, 422, "at character 13"),
        (r#"{"conditions": [{}]}"#, 422, "without checks"),
        (r#"{"conditions": [7]}"#, 422, "conditions"),
        (r#"{"bucketer": {"type": "?"}}"#, 422, "bucketer"),
        (
            r#"{"bucketer": {"type": "PercentageBucketer", "percentage": {"type": "Percentage", "value": 25}}}"#,
            422,
            "0 to 1",
        ),
    ] {
        let refused = server.expect(status, "PATCH /api/v1/flags/A", body);
        assert!(refused.body.contains(shown), "{body}: {}", refused.body);
    }
    assert_eq!(server.expect(400, "PATCH /api/v1/flags/A", "{").code(), "malformed_json");
    let refused = server.expect(415, "PATCH /api/v1/flags/A\nContent-Type: text/plain", "{}");
    assert_eq!(refused.code(), "unsupported_media_type");
    server.expect(415, "PATCH /api/v1/flags/A\nContent-Encoding: gzip\nContent-Type: application/json", "{}");
    server.expect(200, "PATCH /api/v1/flags/A\nContent-Type: application/merge-patch+json; charset=utf-8", "{}");
    server.expect(422, "PATCH /api/v1/flags/A", &format!(r#"{{"client_data": {{"a": "{}"}}}}"#, "x".repeat(300_000)));
    let large = server.expect(413, "PATCH /api/v1/flags/A", &"x".repeat((1 << 20) + 1));
    assert_eq!(large.code(), "too_large");
    for (head, code, status) in [
        ("GET /api/v1/flag", "no_such_path", 404),
        ("GET /api/v2/flags", "no_such_path", 404),
        ("GET /", "no_such_path", 404),
        ("DELETE /api/v1/flags", "method_not_allowed", 405),
        ("POST /api/v1/flags/A", "method_not_allowed", 405),
        ("GET /api/v1/flags/A\nIf-Match: x", "", 200),
        ("DELETE /api/v1/flags/A\nIf-Match: o1", "bad_request", 400),
        ("DELETE /api/v1/flags/A\nIf-None-Match: *", "bad_request", 400),
        ("DELETE /api/v1/flags/A?force=1", "bad_request", 400),
    ] {
        let answer = server.expect(status, head, "");
        if status >= 400 {
            assert_eq!(answer.code(), code, "{head}");
        }
    }
    assert_eq!(server.send("DELETE /api/v1/flags", "").header("allow"), Some("GET, HEAD, POST"));
}

/// Other programs store such flags.
#[test]
fn a_flag_with_too_much_data_can_be_switched_off() {
    let text = format!(
        r#"{{"feature_name": "A", "is_enabled": true, "meta": {{"client_data": {{"a": "{}"}}, "created_date": 7}}}}"#,
        "x".repeat(600_000)
    );
    let store = MemoryFeatureFlagStore::new();
    block_on(store.put(&FlagRecord::from_json(&text).unwrap(), Precondition::Any.into())).unwrap();
    let server = Running::over(store);
    let tag = server.expect(200, "GET /api/v1/flags/A", "").header("etag").unwrap().to_owned();
    let changed = server.expect(200, &format!("PATCH /api/v1/flags/A\nIf-Match: {tag}"), r#"{"enabled": false}"#);
    let tag = changed.header("etag").unwrap();
    server.expect(422, &format!("PATCH /api/v1/flags/A\nIf-Match: {tag}"), r#"{"client_data": {"b": 1}}"#);
    server.expect(200, &format!("PATCH /api/v1/flags/A\nIf-Match: {tag}"), r#"{"client_data": {"a": null}}"#);
}

#[test]
fn writers_that_must_name_a_version() {
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).require_if_match(true);
    let server = Running::start(app, HttpOptions::default());
    let created = server.expect(201, "POST /api/v1/flags", r#"{"name": "A"}"#);
    for (method, body) in [("PATCH", "{}"), ("PUT", "{}"), ("DELETE", "")] {
        let refused = server.expect(428, &format!("{method} /api/v1/flags/A"), body);
        assert_eq!(refused.code(), "precondition_required");
        assert!(refused.json()["hint"].as_str().unwrap().contains("ETag"));
    }
    server.expect(201, "PUT /api/v1/flags/B\nIf-None-Match: *", "{}");
    let tag = created.header("etag").unwrap();
    server.expect(204, &format!("DELETE /api/v1/flags/A\nIf-Match: {tag}"), "");
    let results = server.expect(200, "POST /api/v1/bulk", r#"[{"op": "destroy", "name": "B"}]"#).json();
    assert_eq!(results["results"][0]["status"].as_i64(), Some(428));
}

#[test]
fn subscribers_veto() {
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new()));
    let subscription = app.features().subscribe(Pre(|event: &WriteEvent| match event.name().starts_with("FROZEN") {
        true => Err("no change before the holidays".into()),
        false => Ok(()),
    }));
    let server = Running::start(app, HttpOptions::default());
    let refused = server.expect(403, "POST /api/v1/flags", r#"{"name": "FROZEN"}"#);
    assert_eq!(refused.code(), "vetoed");
    assert!(refused.body.contains("before the holidays"));
    server.expect(404, "GET /api/v1/flags/FROZEN", "");
    drop(subscription);
    server.expect(201, "POST /api/v1/flags", r#"{"name": "FROZEN"}"#);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let server = Arc::new(Running::memory());
    server.expect(201, "POST /api/v1/flags", r#"{"name": "A", "client_data": {"n": 0}}"#);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let server = server.clone();
            std::thread::spawn(move || {
                for _ in 0..10 {
                    // With a version it is one attempt; without one, the merge of another key loses nothing either.
                    loop {
                        let read = server.expect(200, "GET /api/v1/flags/A", "");
                        let next = read.json()["client_data"]["n"].as_i64().unwrap() + 1;
                        let tag = read.header("etag").unwrap().to_owned();
                        let body = format!(r#"{{"client_data": {{"n": {next}}}}}"#);
                        let written = server.send(&format!("PATCH /api/v1/flags/A\nIf-Match: {tag}"), &body);
                        if written.status == 200 {
                            break;
                        }
                        assert_eq!(written.status, 412, "{}", written.body);
                    }
                    server.expect(200, "PATCH /api/v1/flags/A", &format!(r#"{{"client_data": {{"w{writer}": 1}}}}"#));
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let data = server.expect(200, "GET /api/v1/flags/A", "").json()["client_data"].clone();
    assert_eq!(data["n"].as_i64(), Some(40));
    assert_eq!(data.as_object().unwrap().len(), 5, "{data}");
}

#[test]
fn evaluation_says_why() {
    let server = Running::memory();
    let body = r#"{"name": "A", "enabled": true, "conditions": ["plan = pro"]}"#;
    server.expect(201, "POST /api/v1/flags", body);
    for (context, enabled, rule) in [
        (r#"{"plan": "pro"}"#, true, "conditions_met"),
        (r#"{"plan": "free"}"#, false, "condition_failed"),
        (r#"{"plan": 7}"#, false, "condition_failed"),
    ] {
        let answer = server.expect(200, "POST /api/v1/evaluate/A", &format!(r#"{{"context": {context}}}"#)).json();
        assert_eq!((answer["enabled"].as_bool(), answer["rule"].as_str()), (Some(enabled), Some(rule)), "{answer}");
    }
    let answer = server.expect(200, "POST /api/v1/evaluate/A", "{}").json();
    assert_eq!(answer["not_given"].to_string(), r#"["plan"]"#);
    assert_eq!(server.expect(404, "POST /api/v1/evaluate/B", "{}").code(), "flag_not_found");
    server.expect(422, "POST /api/v1/evaluate/A", r#"{"context": [], "user": 1}"#);
}

#[test]
fn many_writes_at_once() {
    let server = Running::memory();
    let operations = r#"[
        {"op": "create", "name": "A", "enabled": true},
        {"op": "create", "name": "A"},
        {"op": "change", "name": "A", "client_data": {"x": 1}},
        {"op": "change", "name": "A", "enabled": false, "if_version": "o0"},
        {"op": "replace", "name": "B", "strict": true},
        {"op": "destroy", "name": "C"},
        {"op": "destroy", "name": "B"}
    ]"#;
    let results = server.expect(200, "POST /api/v1/bulk", operations).json();
    let statuses: Vec<_> =
        results["results"].as_array().unwrap().iter().map(|result| result["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [201, 409, 200, 412, 201, 404, 204]);
    assert_eq!(results["results"][1]["error"]["code"].as_str(), Some("flag_exists"));
    let read = server.expect(200, "GET /api/v1/flags/A", "").json();
    assert_eq!(
        (read["enabled"].as_bool(), read["version"].clone()),
        (Some(true), results["results"][2]["version"].clone())
    );
    for (body, shown) in [
        (r#"[{"op": "create", "name": "Z"}, {"op": "rename", "name": "A"}]"#, "operation 1"),
        (r#"[{"op": "create", "name": "Z"}, {"op": "create", "name": "A", "x": 1}]"#, "unknown field"),
        ("{}", "array"),
    ] {
        let refused = server.expect(422, "POST /api/v1/bulk", body);
        assert!(refused.body.contains(shown), "{}", refused.body);
    }
    server.expect(404, "GET /api/v1/flags/Z", "");
}

/// Each of a thousand writes takes a while. The answer says what was not tried, and comes in time.
#[test]
fn many_slow_writes() {
    let limits = Limits::default().request_time(Duration::from_secs(8));
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).limits(limits);
    let _slow = app.features().subscribe(Pre(|_: &WriteEvent| {
        std::thread::sleep(Duration::from_millis(6));
        Ok(())
    }));
    let server = Running::start(app, HttpOptions::default());
    let operations = |operation: &dyn Fn(usize) -> String| {
        let operations: Vec<_> = (0..1000).map(operation).collect();
        format!("[{}]", operations.join(","))
    };
    let bulk = operations(&|number| format!(r#"{{"op": "create", "name": "A{number:03}"}}"#));
    let results = server.expect(200, "POST /api/v1/bulk", &bulk).json()["results"].clone();
    let results = results.as_array().unwrap();
    assert_eq!((results.len(), results[0]["status"].as_i64()), (1000, Some(201)));
    assert_eq!(results[999]["error"]["code"].as_str(), Some("overloaded"));
    let records = operations(&|number| {
        let text = FlagRecord::new(format!("B{number:03}"), 7).to_json().replace('"', "\\\"");
        format!(r#"{{"put": "{text}", "when": "any"}}"#)
    });
    let results = server.expect(200, "POST /api/v1/records", &records).json();
    let results = results.as_array().unwrap();
    assert!(results.len() == 1000 && results[0]["version"].as_str().is_some(), "{}", results[0]);
    assert_eq!(results[999]["error"]["code"].as_str(), Some("unavailable"));
    assert_eq!(results[999]["error"]["nothing_written"].as_bool(), Some(true), "{}", results[999]);
}

#[test]
fn exports_are_imported() {
    let store = MemoryFeatureFlagStore::new();
    for name in ["A", "B", "a/b"] {
        block_on(store.put(&FlagRecord::new(name, 7), Precondition::Any.into())).unwrap();
    }
    let (from, to) = (Running::over(store), Running::memory());
    let export = from.expect(200, "GET /api/v1/export", "");
    assert_eq!((export.body.lines().count(), export.header("flipper-left-out")), (5, Some("0")));
    let dry = to.expect(200, "POST /api/v1/import?dry_run=true", &export.body).json();
    assert_eq!((dry["created"].as_i64(), dry["dry_run"].as_bool()), (Some(3), Some(true)));
    assert_eq!(to.expect(200, "GET /api/v1/export", "").body, "[\n]\n");
    let done = to.expect(200, "POST /api/v1/import", &export.body).json();
    assert_eq!((done["created"].as_i64(), done["failed"].to_string().as_str()), (Some(3), "[]"));
    assert_eq!(to.expect(200, "GET /api/v1/export", "").body, export.body);

    to.expect(200, "PATCH /api/v1/flags/A", r#"{"enabled": true}"#);
    to.expect(201, "POST /api/v1/flags", r#"{"name": "C"}"#);
    let refused = to.expect(409, "POST /api/v1/import", &export.body);
    assert_eq!((refused.code().as_str(), refused.json()["flags"].to_string().as_str()), ("flags_differ", r#"["A"]"#));
    let merged = to.expect(200, "POST /api/v1/import?mode=merge", &export.body).json();
    assert_eq!((merged["changed"].as_i64(), merged["unchanged"].as_i64()), (Some(1), Some(2)));
    let replaced = to.expect(200, "POST /api/v1/import?mode=replace", &export.body).json();
    assert_eq!(replaced["destroyed"].as_i64(), Some(1));
    assert_eq!(to.expect(200, "GET /api/v1/export", "").body, export.body);

    let wrong = "[\n{\"feature_name\": \"X\"},\n  {\"is_enabled\": 1,}\n]";
    let refused = to.expect(400, "POST /api/v1/import", wrong);
    assert_eq!(refused.code(), "malformed_flags");
    let problems = refused.json()["problems"].to_string();
    assert!(problems.contains("at line 2 column 1") && problems.contains("at line 3 column 20"), "{problems}");
    assert_eq!(to.expect(200, "GET /api/v1/export", "").body, export.body);
    to.expect(400, "POST /api/v1/import?mode=all", "[]");
}

#[test]
fn exact_records() {
    let server = Running::memory();
    let text = FlagRecord::new("a/b", 7).to_json().replace('"', "\\\"");
    let put =
        format!(r#"[{{"put": "{text}", "when": "absent"}}, {{"get": "a/b"}}, {{"known": "a/b"}}, {{"get": ""}}]"#);
    let results = server.expect(200, "POST /api/v1/records", &put).json();
    assert_eq!(results[0]["version"], results[1]["version"]);
    assert_eq!(results[1], results[2]);
    assert_eq!((results[3]["name"].as_str(), results[3]["absent"].as_bool()), (Some(""), Some(true)));
    let conflict = server.expect(200, "POST /api/v1/records", &format!(r#"[{{"put": "{text}", "when": "absent"}}]"#));
    assert_eq!(conflict.json()[0]["error"]["code"].as_str(), Some("conflict"));
    for wrong in [r#"[{"get": "a", "put": "b"}]"#, r#"[{"put": "{}"}]"#, r#"[{"delete": "a", "when": "then"}]"#, "[{}]"]
    {
        server.expect(422, "POST /api/v1/records", wrong);
    }
    let listed = server.expect(200, "GET /api/v1/records", "");
    let lines: Vec<_> = listed.body.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, r#"{"end": 1}"#));
}

#[test]
fn limits_are_the_operators() {
    let limits = Limits::default().body(100);
    let more = |metrics: &mut Metrics| metrics.gauge("more", "Of the program.", 1.0);
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).limits(limits).metrics_of(Arc::new(more));
    let server = Running::start(app, HttpOptions::default());
    server.expect(413, "POST /api/v1/flags", &format!(r#"{{"name": "{}"}}"#, "x".repeat(100)));
    // Without its length.
    let chunked = "POST /api/v1/flags\nTransfer-Encoding: chunked\nContent-Type: application/json";
    let bytes = support::request(chunked, "") + &format!("80\r\n{}\r\n0\r\n\r\n", "x".repeat(128));
    let refused = support::exchange(server.address, &bytes);
    assert_eq!(refused.status, 413);
    let metrics = server.expect(200, "GET /metrics", "");
    assert!(metrics.body.contains("flipper_http_requests_total{status=\"4xx\"} 2\n"), "{}", metrics.body);
    assert!(metrics.body.ends_with("\nmore 1\n"));
    assert_eq!(server.expect(200, "GET /healthz", "").body, "it runs\n");
    assert_eq!(server.expect(200, "GET /readyz?max_stale=1s", "").body, "flags are current\n");
}

#[test]
fn requests_have_ids() {
    let server = Running::memory();
    let answer = server.send("GET /healthz\nX-Request-Id: mine-1", "");
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    let answer = server.send("GET /healthz\nX-Request-Id: a\tb", "");
    assert_eq!(answer.header("x-request-id").unwrap().len(), 16);
}
