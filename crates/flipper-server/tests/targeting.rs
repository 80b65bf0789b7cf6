//! Rules, variants, prerequisites, schedules and segments over the JSON API, and through a store over it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use flipper::evaluation::Operator;
use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::targeting::{Prerequisite, Test, When, stored_name};
use flipper::{
    FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore, context,
};
use flipper_server::{AccessControl, App, HttpOptions, Limits, NewToken, Role, TokenFile, Tokens};
use flipper_testkit::{block_on, wait_until};
use support::Running;

const RULES: &str = r#"[
    {"name": "staff", "when": "email ends with \"@corp.com\" or in segment beta", "serve": "on"},
    {"when": {"attribute": "plan", "operator": "eq", "value": "pro"}, "serve": {"share": 0.25, "by": "user_id"}},
    {"serve": "off"}]"#;

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

#[test]
fn a_flag_has_rules_variants_prerequisites_and_a_schedule() {
    let server = Running::memory();
    server.expect(201, "PUT /api/v1/segments/beta", r#"{"when": "country in de, fr"}"#);
    server.expect(201, "POST /api/v1/flags", r#"{"name": "BASE", "enabled": true}"#);
    let at = in_seconds(3600);
    let variants = r#"{"by": "user_id", "off": "red", "values": [{"name": "red", "weight": 50000, "value": "r"},
        {"name": "blue", "weight": 50000, "value": "b"}]}"#;
    let body = format!(
        r#"{{"name": "A", "enabled": true, "rules": {RULES}, "variants": {variants},
        "prerequisites": [{{"flag": "BASE"}}], "schedule": {{"disable_at": {at}}}}}"#
    );
    let created = server.expect(201, "POST /api/v1/flags", &body).json();
    let stored = created["rules"][0]["when"]["any"][1].to_string();
    assert_eq!(stored, r#"{"segment": "beta"}"#);
    assert_eq!(
        created["rules"][1].to_string(),
        r#"{"when": {"attribute": "plan", "operator": "eq", "value": "pro"}, "serve": {"share": 0.25, "by": "user_id"}}"#
    );
    assert_eq!(created["variants"]["off"].as_str(), Some("red"));
    assert_eq!(created["prerequisites"].to_string(), r#"[{"flag": "BASE"}]"#);
    assert_eq!(created["schedule"].to_string(), format!(r#"{{"disable_at": {at}}}"#));
    assert_eq!(created["enabled"].as_bool(), Some(true));

    let evaluate =
        |context: &str| server.expect(200, "POST /api/v1/evaluate/A", &format!(r#"{{"context": {context}}}"#)).json();
    let answer = evaluate(r#"{"country": "fr", "user_id": 7}"#);
    assert_eq!((answer["enabled"].as_bool(), answer["rule"].as_str()), (Some(true), Some("rule")));
    assert_eq!(answer["reason"].as_str(), Some("rule 0 (\"staff\")"));
    let chosen = answer["variant"]["name"].as_str().unwrap();
    assert_eq!(answer["variant"]["value"].as_str().unwrap(), &chosen[..1]);
    let off = evaluate(r#"{"country": "es"}"#);
    assert_eq!(off["enabled"].as_bool(), Some(false));
    assert_eq!(off["variant"].to_string(), r#"{"name": "red", "value": "r"}"#);
    server.expect(200, "PATCH /api/v1/flags/BASE", r#"{"enabled": false}"#);
    let off = evaluate(r#"{"country": "fr"}"#);
    assert_eq!((off["enabled"].as_bool(), off["rule"].as_str()), (Some(false), Some("prerequisite")));

    // A null clears what is one; other fields stay.
    let cleared = server
        .expect(200, "PATCH /api/v1/flags/A", r#"{"variants": null, "schedule": null, "prerequisites": []}"#)
        .json();
    assert!(cleared["variants"].is_null() && cleared["schedule"].is_null(), "{cleared}");
    assert_eq!(cleared["rules"], created["rules"]);
    assert!(evaluate(r#"{"country": "fr"}"#)["variant"].is_null());
    let replaced = server.expect(200, "PUT /api/v1/flags/A", r#"{"enabled": true}"#).json();
    assert_eq!(replaced["rules"].to_string(), "[]");

    let bulk = format!(
        r#"[{{"op": "change", "name": "A", "rules": {RULES}}}, {{"op": "create", "name": "B", "rules": [{{"serve": {{"variant": "x"}}}}]}}]"#
    );
    let results = server.expect(200, "POST /api/v1/bulk", &bulk).json();
    assert_eq!(results["results"][0]["status"].as_i64(), Some(200));
    assert_eq!(results["results"][1]["status"].as_i64(), Some(422));
    assert!(results["results"][1]["error"]["detail"].as_str().unwrap().contains("there is no variant \"x\""));
}

#[test]
fn what_contradicts_itself_is_refused_with_the_librarys_words() {
    let server = Running::memory();
    for name in ["A", "B", "C"] {
        server.expect(201, "POST /api/v1/flags", &format!(r#"{{"name": "{name}"}}"#));
    }
    server.expect(200, "PATCH /api/v1/flags/B", r#"{"prerequisites": [{"flag": "A"}]}"#);
    let tag = server.expect(200, "GET /api/v1/flags/A", "").header("etag").unwrap().to_owned();
    let heads = [
        "PATCH /api/v1/flags/A".to_owned(),
        format!("PATCH /api/v1/flags/A\nIf-Match: {tag}"),
        "PUT /api/v1/flags/A".to_owned(),
    ];
    let past = in_seconds(-3600);
    let schedule = format!(r#"{{"schedule": {{"enable_at": {past}}}}}"#);
    for (body, shown) in [
        (r#"{"rules": [{"serve": "on"}, {"when": "plan ~ pro", "serve": "on"}]}"#, "item 1"),
        (r#"{"rules": [{"when": "plan ~ pro", "serve": "on"}]}"#, "at character 6"),
        (r#"{"rules": [{"when": "in segment none", "serve": "on"}]}"#, "there is no segment \\\"none\\\""),
        (r#"{"rules": [{"serve": "maybe"}]}"#, "serves \\\"maybe\\\""),
        (r#"{"rules": [{"serve": "on", "then": 1}]}"#, "unknown field \\\"then\\\""),
        (r#"{"rules": [{"serve": {"share": 2, "by": "id"}}]}"#, "0 to 1"),
        (r#"{"rules": {}}"#, "must be an array"),
        (r#"{"prerequisites": [{"flag": "B"}]}"#, "circle: A \\u2192 B \\u2192 A"),
        (r#"{"prerequisites": [{"flag": "A"}]}"#, "circle: A \\u2192 A"),
        (r#"{"prerequisites": [{"flag": "NONE"}]}"#, "\\\"NONE\\\" is no flag that exists"),
        (r#"{"prerequisites": [{"flag": "C", "variant": "red"}]}"#, "has no variant \\\"red\\\""),
        (r#"{"prerequisites": ["B"]}"#, "prerequisite 0 must be an object"),
        (
            r#"{"variants": {"by": "id", "values": [{"name": "a", "weight": 40000}]}}"#,
            "add up to 40%, so 60% are missing",
        ),
        (
            r#"{"variants": {"by": "id", "values": [{"name": "a", "weight": 50000}, {"name": "b", "weight": 50000, "value": 1}]}}"#,
            "all must have one type",
        ),
        (r#"{"variants": []}"#, "variants"),
        (schedule.as_str(), "has passed"),
        (r#"{"schedule": {}}"#, "the schedule has no time"),
        (r#"{"schedule": {"steps": [{"at": 4000000000, "share": 2}], "by": "id"}}"#, "from 0 to 1"),
    ] {
        for head in &heads {
            let refused = server.expect(422, head, body);
            assert_eq!(refused.code(), "invalid_input", "{body}");
            assert!(refused.body.contains(shown), "{head} {body}: {}", refused.body);
        }
    }
    assert_eq!(server.expect(200, "GET /api/v1/flags/A", "").header("etag"), Some(&*tag), "nothing was written");
    let created = server.expect(422, "POST /api/v1/flags", r#"{"name": "D", "prerequisites": [{"flag": "NONE"}]}"#);
    assert!(created.body.contains("no flag that exists"), "{}", created.body);
}

#[test]
fn enabled_turns_a_flag_on_now() {
    let server = Running::memory();
    let (soon, later) = (in_seconds(3600), in_seconds(7200));
    let scheduled = format!(r#"{{"enabled": true, "schedule": {{"enable_at": {soon}, "disable_at": {later}}}}}"#);
    let tag = server.expect(201, "PUT /api/v1/flags/A", &scheduled).header("etag").unwrap().to_owned();
    let is_on = |name: &str| {
        server.expect(200, &format!("POST /api/v1/evaluate/{name}"), "{}").json()["enabled"].as_bool().unwrap()
    };
    assert!(!is_on("A"));
    // The end stays.
    let changed = server
        .expect(200, &format!("PATCH /api/v1/flags/A\nIf-Match: {tag}"), r#"{"enabled": true, "strict": true}"#)
        .json();
    assert_eq!(changed["schedule"].to_string(), format!(r#"{{"disable_at": {later}}}"#));
    assert!(is_on("A"));
    server.expect(200, "PUT /api/v1/flags/A", &scheduled);
    server.expect(200, "POST /api/v1/bulk", r#"[{"op": "change", "name": "A", "enabled": true}]"#);
    assert!(is_on("A"));
    server.expect(200, "PUT /api/v1/flags/A", &scheduled);
    server.expect(200, "PATCH /api/v1/flags/A", r#"{"enabled": true}"#);
    assert!(is_on("A"));
    // A schedule does not turn on what is off, and one of the same request counts.
    server.expect(200, "PUT /api/v1/flags/A", "{}");
    let disabled =
        server.expect(200, "PATCH /api/v1/flags/A", &format!(r#"{{"schedule": {{"disable_at": {later}}}}}"#)).json();
    assert_eq!(disabled["enabled"].as_bool(), Some(false));
    server.expect(200, "PATCH /api/v1/flags/A", &scheduled);
    assert!(!is_on("A"));
}

#[test]
fn a_variant_that_grows_keeps_its_callers() {
    let server = Running::memory();
    let variants = |red: u32, blue: u32, green: u32| {
        format!(
            r#"{{"variants": {{"by": "id", "values": [{{"name": "red", "weight": {red}}}, {{"name": "blue", "weight": {blue}}}, {{"name": "green", "weight": {green}}}]}}, "enabled": true}}"#
        )
    };
    server.expect(201, "PUT /api/v1/flags/A", &variants(30_000, 30_000, 40_000));
    let all = || -> Vec<String> {
        let one = |id| {
            server.expect(200, "POST /api/v1/evaluate/A", &format!(r#"{{"context": {{"id": {id}}}}}"#)).json()["variant"]["name"].to_string()
        };
        (0..60).map(one).collect()
    };
    let before = all();
    for head in ["PATCH /api/v1/flags/A", "PUT /api/v1/flags/A"] {
        server.expect(200, head, &variants(60_000, 30_000, 10_000));
        for (before, after) in before.iter().zip(all()) {
            assert!(
                *before == after || (before == "\"green\"" && after == "\"red\""),
                "{head}: {before} became {after}"
            );
        }
        server.expect(200, head, &variants(30_000, 30_000, 40_000));
    }
}

#[test]
fn a_segments_life() {
    let server = Running::memory();
    let created = server.expect(201, "PUT /api/v1/segments/beta\nIf-None-Match: *", r#"{"when": "plan = pro"}"#);
    let first = created.header("etag").unwrap().to_owned();
    assert_eq!(created.json()["name"].as_str(), Some("beta"));
    assert_eq!(created.json()["when"].to_string(), r#"{"attribute": "plan", "operator": "eq", "value": "pro"}"#);
    server.expect(412, "PUT /api/v1/segments/beta\nIf-None-Match: *", r#"{"when": "plan = pro"}"#);
    let read = server.expect(200, "GET /api/v1/segments/beta", "");
    assert_eq!((read.header("etag"), &read.body), (Some(&*first), &created.body));
    server.expect(304, &format!("GET /api/v1/segments/beta\nIf-None-Match: {first}"), "");
    let second = server.expect(200, &format!("PUT /api/v1/segments/beta\nIf-Match: {first}"), r#"{"when": {"any": [{"segment": "beta2"}]}}"#.replace("{\"segment\": \"beta2\"}", r#"{"attribute": "id", "operator": "in", "value": [1, 2]}"#).as_str());
    server.expect(412, &format!("PUT /api/v1/segments/beta\nIf-Match: {first}"), r#"{"when": "a = 1"}"#);
    server.expect(412, &format!("DELETE /api/v1/segments/beta\nIf-Match: {first}"), "");
    assert_eq!(second.json()["created_date"], created.json()["created_date"]);

    server.expect(201, "PUT /api/v1/segments/all", r#"{"when": "in segment beta or plan = pro"}"#);
    let circle = server.expect(422, "PUT /api/v1/segments/beta", r#"{"when": "in segment all"}"#);
    assert!(circle.body.contains("in a circle"), "{}", circle.body);
    for (body, shown) in [
        ("{}", "lacks the field"),
        (r#"{"when": "plan"}"#, "when"),
        (r#"{"when": 7}"#, "when"),
        (r#"{"when": "a = 1", "x": 1}"#, "unknown field"),
    ] {
        let refused = server.expect(422, "PUT /api/v1/segments/beta", body);
        assert!(refused.body.contains(shown), "{body}: {}", refused.body);
    }
    assert_eq!(server.expect(422, "PUT /api/v1/segments/a%2Fb", r#"{"when": "a = 1"}"#).code(), "invalid_name");

    server.expect(201, "POST /api/v1/flags", r#"{"name": "t", "enabled": true}"#);
    server.expect(
        201,
        "POST /api/v1/flags",
        r#"{"name": "A", "enabled": true, "rules": [{"when": "in segment all", "serve": "on"}, {"serve": "off"}]}"#,
    );
    let page = server.expect(200, "GET /api/v1/segments?limit=1", "").json();
    assert_eq!((page["segments"][0]["name"].as_str(), page["next"].as_str()), (Some("all"), Some("all")));
    let page = server.expect(200, "GET /api/v1/segments?after=all", "").json();
    assert_eq!((page["segments"][0]["name"].as_str(), page["next"].as_str()), (Some("beta"), None));
    // A segment is no flag, but is kept with them.
    let flags = server.expect(200, "GET /api/v1/flags", "");
    assert!(!flags.body.contains("segments/"), "{}", flags.body);
    for head in ["GET", "DELETE"] {
        let refused = server.expect(404, &format!("{head} /api/v1/flags/segments/beta"), "");
        assert!(refused.json()["hint"].as_str().unwrap().contains("/api/v1/segments/beta"));
    }
    for head in [
        "PATCH /api/v1/flags/segments%2Fbeta",
        "PUT /api/v1/flags/segments%2Fbeta",
        "POST /api/v1/evaluate/segments/beta",
    ] {
        server.expect(404, head, "{}");
    }
    let bulk = server.expect(200, "POST /api/v1/bulk", r#"[{"op": "destroy", "name": "segments/beta"}]"#).json();
    assert_eq!(bulk["results"][0]["status"].as_i64(), Some(404));
    assert!(server.expect(200, "GET /metrics", "").body.contains("\nflipper_flags 2\n"));
    for head in ["GET /api/v1/export", "GET /api/v1/records", "GET /api/v1/history"] {
        assert!(server.expect(200, head, "").body.contains("segments/beta"), "{head}");
    }
    let exported = server.expect(200, "GET /api/v1/export", "").body;

    let is_on = |id: u8| {
        server.expect(200, "POST /api/v1/evaluate/A", &format!(r#"{{"context": {{"id": {id}}}}}"#)).json()["enabled"]
            .as_bool()
    };
    assert_eq!((is_on(1), is_on(3)), (Some(true), Some(false)));
    server.expect(204, "DELETE /api/v1/segments/beta", "");
    assert_eq!(is_on(1), Some(false));
    for head in ["GET /api/v1/segments/beta", "DELETE /api/v1/segments/beta"] {
        assert_eq!(server.expect(404, head, "").json()["segment"].as_str(), Some("beta"));
    }
    server.expect(200, "POST /api/v1/import?mode=merge", &exported);
    assert_eq!(is_on(1), Some(true));
}

#[test]
fn an_unreadable_segment_can_be_replaced_and_deleted() {
    for method in ["PUT", "DELETE"] {
        let store = MemoryFeatureFlagStore::new();
        store.put_text("segments/beta", "{");
        let server = Running::over(store);
        let read = server.expect(200, "GET /api/v1/segments/beta", "");
        assert!(read.json()["unreadable"].as_str().is_some(), "{}", read.body);
        assert_eq!(server.expect(200, "GET /api/v1/flags", "").json()["flags"].to_string(), "[]");
        let body = if method == "PUT" { r#"{"when": "a = 1"}"# } else { "" };
        server.expect(if method == "PUT" { 200 } else { 204 }, &format!("{method} /api/v1/segments/beta"), body);
    }
}

#[test]
fn a_flag_with_the_name_of_a_segment_stays_a_flag() {
    let store = MemoryFeatureFlagStore::new();
    let mut flag = FlagRecord::new("segments/beta", 1);
    flag.set_enabled(true);
    let version = block_on(store.put(&flag, Precondition::Any.into())).unwrap();
    let server = Running::over(store);
    let tag = server.expect(200, "GET /api/v1/flags/segments/beta", "").header("etag").unwrap().to_owned();
    for condition in [String::new(), format!("\nIf-Match: {tag}"), "\nIf-Match: *".to_owned()] {
        let head = format!("PUT /api/v1/segments/beta{condition}");
        let refused = server.expect(409, &head, r#"{"when": "plan = pro"}"#).json();
        assert!(refused["hint"].as_str().unwrap().contains("/api/v1/flags/segments"), "{refused}");
        let refused = server.expect(404, &format!("DELETE /api/v1/segments/beta{condition}"), "").json();
        assert!(refused["hint"].as_str().unwrap().contains("/api/v1/flags/segments"), "{refused}");
    }
    server.expect(404, "GET /api/v1/segments/beta", "");
    let stored = block_on(server.store().get("segments/beta")).unwrap().unwrap();
    assert_eq!((&*stored.record.unwrap(), stored.version), (&flag, version));
}

#[test]
fn a_tokens_prefixes_are_of_the_segments_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens"));
    let token = |prefix: &str| {
        let new =
            NewToken { name: format!("ci {prefix}"), role: Role::Write, prefixes: vec![prefix.into()], lifetime: None };
        file.create(&new).unwrap().1.text().to_owned()
    };
    let (shop, other) = (token("shop."), token("other."));
    let of_the_place = ["s", "se", "segments"].map(token);
    let tokens = Tokens::open(file.path()).unwrap();
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).access(AccessControl::new().tokens(tokens));
    let server = Running::start(app, HttpOptions::default());
    let body = r#"{"when": "plan = pro"}"#;
    let with = |head: &str, token: &str| format!("{head}\nAuthorization: Bearer {token}");
    server.expect(403, &with("PUT /api/v1/segments/shop.staff", &other), body);
    server.expect(201, &with("PUT /api/v1/segments/shop.staff", &shop), body);
    for (token, names) in [(&shop, 1), (&other, 0)] {
        let listed = server.expect(200, &with("GET /api/v1/segments", token), "").json();
        assert_eq!(listed["segments"].as_array().unwrap().len(), names);
        // A follower gets what its flags name.
        let records = server.expect(200, &with("GET /api/v1/records", token), "");
        assert_eq!(records.body.contains("segments/shop.staff"), names == 1);
    }
    // Not by the name under which it is in the store.
    for (token, reads) in of_the_place.iter().zip([true, false, false]) {
        let status = if reads { 200 } else { 403 };
        server.expect(status, &with("GET /api/v1/segments/shop.staff", token), "");
        let records = server.expect(200, &with("GET /api/v1/records", token), "");
        assert_eq!(records.body.contains("segments/shop.staff"), reads);
    }
    server.expect(403, &with("GET /api/v1/segments/shop.staff", &other), "");
    server.expect(403, &with("DELETE /api/v1/segments/shop.staff", &other), "");
    let text = FlagRecord::new("segments/shop.staff", 1).to_json();
    let put = format!(r#"[{{"put": {}}}]"#, flipper::json::Json::from(text.as_str()));
    server.expect(403, &with("POST /api/v1/records", &other), &put);
}

#[test]
fn a_reason_names_the_flags_of_the_token_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens"));
    let token = |name: &str, prefixes: &[&str]| {
        let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        let new = NewToken { name: name.into(), role: Role::Evaluate, prefixes, lifetime: None };
        file.create(&new).unwrap().1.text().to_owned()
    };
    let (shop, all) = (token("shop", &["shop."]), token("all", &[]));
    let store = MemoryFeatureFlagStore::new();
    for (name, needed) in
        [("lab.rocket", None), ("shop.base", None), ("shop.a", Some("lab.rocket")), ("shop.b", Some("shop.base"))]
    {
        let mut flag = FlagRecord::new(name, 1);
        flag.set_enabled(needed.is_some());
        flag.set_prerequisites(needed.map(Prerequisite::new).into_iter().collect());
        block_on(store.put(&flag, Precondition::Any.into())).unwrap();
    }
    let app = App::new(Arc::new(store)).access(AccessControl::new().tokens(Tokens::open(file.path()).unwrap()));
    let server = Running::start(app, HttpOptions::default());
    for (token, name, expected) in [
        (&shop, "shop.a", "another flag, which must be on, is off"),
        (&shop, "shop.b", "the flag \"shop.base\", which must be on, is off"),
        (&all, "shop.a", "the flag \"lab.rocket\", which must be on, is off"),
    ] {
        let answer = server.expect(200, &format!("POST /api/v1/evaluate/{name}\nAuthorization: Bearer {token}"), "{}");
        let answer = answer.json();
        assert_eq!((answer["reason"].as_str(), answer["rule"].as_str()), (Some(expected), Some("prerequisite")));
    }
}

/// As long as those of a UUID.
fn callers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:036}")).collect()
}

#[test]
fn a_segment_may_list_a_hundred_thousand_callers() {
    let server = Running::memory();
    let ids = callers(100_000);
    let list = ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(",");
    let body = format!(r#"{{"when": {{"attribute": "id", "operator": "in", "value": [{list}]}}}}"#);
    server.expect(201, "PUT /api/v1/segments/large", &body);
    let rule = r#"{"name": "A", "enabled": true, "rules": [{"when": "in segment large or in segment more", "serve": "on"}, {"serve": "off"}]}"#;
    let when: When = When::check(
        "id",
        Test::Compare(Operator::In, ids.iter().map(|id| format!("m{id}")).collect::<Vec<_>>().into()),
    );

    // Through a store over the server, in both directions.
    block_on(async {
        let store = MirroredFeatureFlagStore::new(server.store());
        store.ready().await.unwrap();
        let features = FeatureFlagClient::new(store);
        features.set_segment("more", when.clone()).await.unwrap();
        server.expect(201, "POST /api/v1/flags", rule);
        wait_until("the flag is there", || features.exists("A"));
        for (id, expected) in [(ids[99_999].clone(), true), (format!("m{}", ids[0]), true), ("other".to_owned(), false)]
        {
            assert_eq!(features.is_enabled_with("A", &context! { id: &id }), expected, "{id}");
            let answer = server.expect(200, "POST /api/v1/evaluate/A", &format!(r#"{{"context": {{"id": "{id}"}}}}"#));
            assert_eq!(answer.json()["enabled"].as_bool(), Some(expected), "{id}");
        }
        let stored = server.store().get(&stored_name("more")).await.unwrap().unwrap();
        assert_eq!(stored.record.unwrap().segment(), Some(&when));
    });
    // The limit is the operator's.
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).limits(Limits::default().body(1 << 20).record(2 << 20));
    let server = Running::start(app, HttpOptions::default());
    assert_eq!(server.expect(413, "PUT /api/v1/segments/large", &body).code(), "too_large");
}

#[test]
fn a_schedule_turns_at_the_server_and_at_its_followers() {
    let store = MemoryFeatureFlagStore::new();
    let mut flag = FlagRecord::new("A", 1);
    flag.set_enabled(true);
    flag.set_schedule(Some(flipper::targeting::Schedule { enable_at: Some(in_seconds(2)), ..Default::default() }));
    block_on(store.put(&flag, Precondition::Any.into())).unwrap();
    let server = Running::over(store);
    block_on(async {
        let mirror = MirroredFeatureFlagStore::new(server.store());
        mirror.ready().await.unwrap();
        let features = FeatureFlagClient::new(mirror);
        assert!(!features.is_enabled("A"));
        wait_until("it is on", || features.is_enabled("A"));
    });
    assert_eq!(server.expect(200, "POST /api/v1/evaluate/A", "{}").json()["enabled"].as_bool(), Some(true));
}

#[test]
fn a_circle_of_whole_records_has_a_name() {
    let server = Running::memory();
    let circles = |text: &str| {
        let status = server.expect(200, "GET /api/v1/status", "").json();
        assert_eq!(status["circles"], flipper::json::Json::parse(text).unwrap());
    };
    circles("[]");
    let put = |name: &str, other: &str| {
        let mut record = FlagRecord::new(name, 1);
        record.set_enabled(true);
        record.set_prerequisites(vec![Prerequisite::new(other)]);
        let text = flipper::json::Json::from(record.to_json());
        let body = format!(r#"[{{"put": {text}, "when": "any"}}]"#);
        assert!(server.expect(200, "POST /api/v1/records", &body).json().to_string().contains("version"));
    };
    put("A", "B");
    put("B", "A");
    put("USES", "A");
    circles(r#"["A → B → A"]"#);
    // A flag of it can be taken out, and no other write makes one.
    let refused = server.expect(422, "PATCH /api/v1/flags/A", r#"{"prerequisites": [{"flag": "USES"}]}"#);
    assert!(refused.json()["detail"].as_str().unwrap().contains("A → USES → A"), "{}", refused.body);
    server.expect(200, "PATCH /api/v1/flags/A", r#"{"prerequisites": []}"#);
    circles("[]");
}

/// The circle that the server finds first goes by a flag that the token may not read.
#[test]
fn circles_are_those_among_the_flags_of_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let secret = |name: &str, prefixes: &[&str]| {
        let prefixes = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        let token = NewToken { name: name.to_owned(), role: Role::Read, prefixes, lifetime: None };
        file.create(&token).unwrap().1.text().to_owned()
    };
    let (pay, all) = (secret("pay", &["pay."]), secret("all", &[]));
    let store = MemoryFeatureFlagStore::new();
    for (name, needed) in [("pay.a", &["z", "pay.b"][..]), ("pay.b", &["pay.a"]), ("z", &["pay.b"])] {
        let mut record = FlagRecord::new(name, 1);
        record.set_prerequisites(needed.iter().map(|&name| Prerequisite::new(name)).collect());
        block_on(store.put(&record, Precondition::Any.into())).unwrap();
    }
    let known = Tokens::open(file.path()).unwrap();
    let app = App::new(Arc::new(store)).access(AccessControl::new().tokens(known));
    let server = Running::start(app, HttpOptions::default());
    for (secret, circle) in [(&pay, "pay.a → pay.b → pay.a"), (&all, "pay.a → z → pay.b → pay.a")] {
        let head = format!("GET /api/v1/status\nAuthorization: Bearer {secret}");
        let status = server.expect(200, &head, "").json();
        assert_eq!(status["circles"], flipper::json::Json::parse(&format!("[{circle:?}]")).unwrap());
    }
}
