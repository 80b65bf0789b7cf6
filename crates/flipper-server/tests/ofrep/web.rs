//! A page in Chromium, of another origin than the server.

use std::num::NonZeroU32;
use std::time::Instant;

use flipper::Condition;
use flipper::bucketing::SaltedPercentageBucketer;
use flipper_server::{AccessControl, NewToken, Role, TokenFile, Tokens};
use flipper_testkit::wait_until;
use serde_json::{Value, json};

use crate::support::{Server, Web};

/// The bulk requests of a page, without preflights: their status.
fn polls(web: &mut Web) -> Vec<Value> {
    let requests = web.requests();
    requests.iter().filter(|request| request["method"] == "POST").map(|request| request["status"].clone()).collect()
}

/// The requests for the stream so far.
fn streams(web: &mut Web) -> Vec<Value> {
    let is_stream = |request: &Value| request["url"].as_str().unwrap().ends_with("/ofrep/v1/streams/flags");
    web.requests().into_iter().filter(is_stream).collect()
}

fn server(web: &Web) -> Server {
    let origin = web.origin.clone();
    Server::with(move |app, _| app.cors_origins([&origin]).unwrap())
}

#[test]
fn a_page_reads_flags_and_values_and_follows_by_polling() {
    let Some(mut web) = Web::open() else { return };
    let server = server(&web);
    server.flag("ON", r#"{"color":"green","size":5.0,"link":{"to":"/x"}}"#, |_| {});
    server.flag("OFF", r#"{"color":"green"}"#, |flag| flag.set_enabled(false));
    server.flag("HALF", "{}", |flag| flag.set_bucketer(SaltedPercentageBucketer::new("user", 0.5).into()));
    server.flag("PRO", "{}", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    let options = json!({ "baseUrl": server.url(), "pollInterval": 300, "cacheMode": "disabled" });
    assert_eq!(web.start(&options, &json!({ "plan": "free" })), "ready");
    let on = web.details("boolean", "ON", &json!(false));
    let metadata = json!({ "flipper.reason_code": "enabled" });
    assert_eq!(on, json!({ "value": true, "variant": "on", "reason": "STATIC", "metadata": metadata }));
    let off = web.details("boolean", "OFF", &json!(true));
    assert_eq!((&off["value"], &off["reason"], &off["variant"]), (&json!(false), &json!("DISABLED"), &json!("off")));
    assert_eq!(web.details("string", "ON/color", &json!("red"))["value"], "green");
    assert_eq!(web.details("float", "ON/size", &json!(1))["value"], 5);
    assert_eq!(web.details("object", "ON/link", &json!({}))["value"], json!({ "to": "/x" }));
    for (kind, key, default, code) in [
        ("string", "OFF/color", json!("d"), "GENERAL"),
        ("boolean", "HALF", json!(true), "TARGETING_KEY_MISSING"),
        ("boolean", "NONE", json!(true), "FLAG_NOT_FOUND"),
    ] {
        let details = web.details(kind, key, &default);
        assert_eq!((&details["value"], &details["reason"]), (&default, &json!("ERROR")), "{key}: {details}");
        assert_eq!(details["errorCode"], code, "{key}: {details}");
    }
    // Nothing has changed: 304, without an event.
    wait_until("the page has polled", || polls(&mut web).iter().filter(|status| **status == 304).count() >= 3);
    let statuses = polls(&mut web);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    let changes = r#"events.filter(({ type }) => type === "PROVIDER_CONFIGURATION_CHANGED").map(({ flagsChanged }) => flagsChanged)"#;
    assert_eq!(web.eval(changes), json!([]));
    // One flag changes: one event, which names it.
    server.block_on(server.features.disable("ON")).unwrap();
    wait_until("the page has the change", || web.details("boolean", "ON", &json!(true))["value"] == false);
    let mut changed: Vec<_> = web.eval(changes)[0].as_array().unwrap().clone();
    changed.sort_by_key(ToString::to_string);
    assert_eq!(changed, [json!("ON"), json!("ON/color"), json!("ON/link"), json!("ON/size")]);
    // Another context, with the tag of this one.
    assert_eq!(web.details("boolean", "PRO", &json!(true))["value"], false);
    web.eval(r#"OpenFeature.setContext({ plan: "pro" })"#);
    assert_eq!(web.details("boolean", "PRO", &json!(false))["value"], true);
    assert_eq!(web.status(), "READY");
}

#[test]
fn a_page_follows_the_stream_and_asks_again_after_a_break() {
    let Some(mut web) = Web::open() else { return };
    let origin = web.origin.clone();
    let mut server = Server::with(move |app, url| app.cors_origins([&origin]).unwrap().public_url(url).unwrap());
    server.flag("F", "{}", |_| {});
    let options = json!({ "baseUrl": server.url(), "cacheMode": "disabled", "changeDetection": "sse" });
    assert_eq!(web.start(&options, &json!({})), "ready");
    assert_eq!(web.details("boolean", "F", &json!(false))["value"], true);
    // The first message of the stream is there as soon as the page is: the answer to it is a 304.
    wait_until("the page has asked again", || polls(&mut web).iter().any(|status| *status == 304));
    server.block_on(server.features.disable("F")).unwrap();
    wait_until("the page has the change", || web.details("boolean", "F", &json!(true))["value"] == false);
    assert_eq!(web.status(), "READY");
    // The page takes the stream's own message, and does not poll.
    let streams = streams(&mut web);
    assert!(streams.iter().all(|request| request["headers"].get("authorization").is_none()), "{streams:?}");
    assert!(polls(&mut web).len() <= 4, "{:?}", web.requests());
    // What changes while the stream is away is there when it is back.
    server.restart();
    server.block_on(server.features.enable("F")).unwrap();
    wait_until("the page has asked again", || web.details("boolean", "F", &json!(false))["value"] == true);
    // A burst neither holds its next request back, since that waits for silence, nor is each change a request.
    let (begun, before, mut changes) = (Instant::now(), polls(&mut web).len(), 0);
    wait_until("the page has asked five times", || {
        server.block_on(server.features.toggle("F")).unwrap();
        changes += 1;
        changes % 20 == 0 && polls(&mut web).len() >= before + 5
    });
    server.block_on(server.features.disable("F")).unwrap();
    wait_until("the page has the last one", || web.details("boolean", "F", &json!(true))["value"] == false);
    let (asked, most) = (polls(&mut web).len() - before, 3 + begun.elapsed().as_millis() / 200);
    assert!(u128::try_from(asked).unwrap() <= most, "{asked} requests for {changes} changes, {most} at most");
}

/// A stream that would be refused is not named: the provider would ask for it every second, for ever.
#[test]
fn a_page_of_a_server_without_flags_and_without_room_polls() {
    let Some(mut web) = Web::open() else { return };
    let origin = web.origin.clone();
    let server =
        Server::with(move |app, url| app.cors_origins([&origin]).unwrap().public_url(url).unwrap().max_streams(1));
    let (_, _other) = server.http().events("/ofrep/v1/streams/flags");
    // Its requests have two slashes then.
    let base = format!("{}/", server.url());
    let options = json!({ "baseUrl": base, "cacheMode": "disabled", "pollInterval": 50, "changeDetection": "sse" });
    assert_eq!(web.start(&options, &json!({})), "ready");
    let none = web.details("boolean", "F", &json!(true));
    assert_eq!((&none["value"], &none["errorCode"]), (&json!(true), &json!("FLAG_NOT_FOUND")), "{none}");
    wait_until("nothing has changed", || polls(&mut web).iter().filter(|status| **status == 304).count() >= 3);
    server.flag("F", "{}", |_| {});
    wait_until("the page has the first flag", || web.details("boolean", "F", &json!(false))["value"] == true);
    assert_eq!((web.status(), streams(&mut web)), ("READY".to_owned(), Vec::new()));
    assert!(web.requests().iter().all(|request| request["url"].as_str().unwrap().contains("//ofrep/")));
}

#[test]
fn a_page_that_cannot_ask_keeps_its_flags_and_goes_on() {
    let Some(mut web) = Web::open() else { return };
    let mut server = server(&web);
    server.flag("F", "{}", |_| {});
    let options = json!({ "baseUrl": server.url(), "pollInterval": 100, "cacheMode": "disabled" });
    assert_eq!(web.start(&options, &json!({})), "ready");
    server.stop();
    wait_until("the page notices", || web.status() == "STALE");
    assert_eq!(web.details("boolean", "F", &json!(false))["value"], true);
    server.restart();
    server.block_on(server.features.disable("F")).unwrap();
    wait_until("the page has the change", || web.details("boolean", "F", &json!(true))["value"] == false);
    // As docs/ofrep.md says.
    assert_eq!(web.status(), "STALE");
}

/// Without the headers of CORS, a page would not learn that its token is refused.
#[test]
fn a_page_sends_a_token() {
    let Some(mut web) = Web::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let new = NewToken { name: "web".into(), role: Role::Evaluate, prefixes: Vec::new(), lifetime: None };
    let (_, secret) = file.create(&new).unwrap();
    let access = AccessControl::new().tokens(Tokens::open(file.path()).unwrap());
    let origin = web.origin.clone();
    let server = Server::with(move |app, _| app.access(access.clone()).cors_origins([&origin]).unwrap());
    server.flag("F", "{}", |_| {});
    for (token, started, status) in [(secret.text(), "ready", "READY"), ("flp_none", "ProviderFatalError", "FATAL")] {
        let headers = [["Authorization", &format!("Bearer {token}")]];
        let options = json!({ "baseUrl": server.url(), "cacheMode": "disabled", "headers": headers });
        let answer = web.start(&options, &json!({}));
        assert!(answer.contains(started), "{answer}");
        assert_eq!(web.status(), status);
        assert_eq!(web.details("boolean", "F", &json!(false))["value"], status == "READY");
        web.eval(".reload");
    }
    // It may read how long to wait, and then does not use up each request that is allowed again.
    let (origin, access) = (web.origin.clone(), AccessControl::new().requests_per_second(NonZeroU32::MIN));
    let server = Server::with(move |app, _| app.access(access.clone()).cors_origins([&origin]).unwrap());
    server.flag("F", "{}", |_| {});
    let options = json!({ "baseUrl": server.url(), "cacheMode": "disabled", "pollInterval": 50 });
    assert_eq!(web.start(&options, &json!({})), "ready");
    let stale = "events.filter(({ type }) => type === 'PROVIDER_STALE').length";
    wait_until("it is refused again", || web.eval(stale).as_u64().unwrap() >= 3);
    // Chromium's protocol does not report a request whose answer the provider leaves unread.
    let metrics = server.metrics();
    let answered = |class: &str| {
        let line = format!("flipper_http_requests_total{{status=\"{class}\"}} ");
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u64>().ok()).unwrap_or_default()
    };
    assert!((3..=answered("2xx") + answered("3xx") + 1).contains(&answered("4xx")), "{metrics}");
}

#[test]
fn a_hidden_page_gives_its_stream_back() {
    let Some(mut web) = Web::open() else { return };
    let origin = web.origin.clone();
    let server =
        Server::with(move |app, url| app.cors_origins([&origin]).unwrap().public_url(url).unwrap().max_streams(1));
    server.flag("F", "{}", |_| {});
    let has_room = |server: &Server| server.http().bulk(&[], "{}").text.contains("eventStreams");
    assert_eq!(web.start(&json!({ "baseUrl": server.url(), "cacheMode": "disabled" }), &json!({})), "ready");
    wait_until("the page follows", || !has_room(&server));
    let show = |state: &str| {
        format!(
            "(Object.defineProperty(document, 'visibilityState', {{ value: '{state}', configurable: true }}), \
             document.dispatchEvent(new Event('visibilitychange')))"
        )
    };
    web.eval(&show("hidden"));
    // After the five seconds that the server asks for; by itself the provider would take two minutes.
    wait_until("the page has closed it", || has_room(&server));
    server.block_on(server.features.disable("F")).unwrap();
    web.eval(&show("visible"));
    wait_until("the page has the change", || web.details("boolean", "F", &json!(true))["value"] == false);
}

#[test]
fn a_page_that_was_there_before_the_server_may_start_again() {
    let Some(mut web) = Web::open() else { return };
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = json!({ "baseUrl": format!("http://{address}"), "cacheMode": "disabled", "pollInterval": 50 });
    let started = web.start(&options, &json!({}));
    assert!(started.contains("request failed"), "{started}");
    assert_eq!(web.details("boolean", "F", &json!(true))["errorCode"], "FLAG_NOT_FOUND");
    let server = server(&web);
    server.flag("F", "{}", |_| {});
    let options = json!({ "baseUrl": server.url(), "cacheMode": "disabled" });
    assert_eq!(web.start(&options, &json!({})), "ready");
    assert_eq!(web.details("boolean", "F", &json!(false))["value"], true);
}

#[test]
fn a_page_of_another_origin_gets_nothing() {
    let Some(mut web) = Web::open() else { return };
    let server = Server::with(|app, _| app.cors_origins(["https://other.example.com"]).unwrap());
    server.flag("F", "{}", |_| {});
    let started = web.start(&json!({ "baseUrl": server.url(), "cacheMode": "disabled" }), &json!({}));
    assert!(started.contains("request failed"), "{started}");
    assert_eq!(web.status(), "ERROR");
    assert_eq!(web.details("boolean", "F", &json!(false))["value"], false);
}

#[test]
fn a_page_may_be_anonymous() {
    let Some(mut web) = Web::open() else { return };
    let server = server(&web);
    server.flag("F", "{}", |flag| flag.add_condition(Condition::new().eq("targeting_key", "u1")));
    for (context, value) in [
        (json!({ "targetingKey": "u1" }), true),
        (json!({ "targetingKey": "u2" }), false),
        (json!({ "targetingKey": "" }), true),
        (json!({}), true),
    ] {
        let options = json!({ "baseUrl": server.url(), "cacheMode": "disabled" });
        assert_eq!(web.start(&options, &context), "ready");
        // A condition on a missing key is skipped.
        assert_eq!(web.details("boolean", "F", &json!(!value))["value"], value, "{context}");
        web.eval(".reload");
    }
}
