//! Behind nginx, which keeps connections, buffers and compresses answers, and so makes their tags weak.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;

use flipper::{Condition, MemoryFeatureFlagStore};
use flipper_server::AccessControl;
use flipper_testkit::{Nginx, program, skip, wait_until};
use serde_json::{Value, json};

use crate::support::{Client, Server, Web};

const BULK: &str = "/ofrep/v1/evaluate/flags";
const STREAM: &str = "/ofrep/v1/streams/flags";
const PRO: &str = r#"{"context":{"plan":"pro"}}"#;

/// With a flag for a plan, and pages of this origin.
fn behind_nginx(page: Option<&str>) -> Option<(Server, Nginx)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nginx = Nginx::before(listener.local_addr().unwrap())?;
    let (page, url) = (page.map(str::to_owned), url_of(&nginx));
    let server = Server::on(listener, Arc::new(MemoryFeatureFlagStore::new()), move |app, _| {
        let app = app.access(AccessControl::new().open_to_everyone()).cors_origins(&page).unwrap();
        app.public_url(&url).unwrap()
    });
    server.flag("F", r#"{"a b":"grün"}"#, |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    Some((server, nginx))
}

/// Of the server's own paths; those under `/team` are decoded.
fn url_of(nginx: &Nginx) -> String {
    format!("http://{}", nginx.address())
}

/// What `curl` prints for a POST: the head, then the body, which it unpacks.
#[track_caller]
fn curl(url: &str, headers: &[&str], body: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, body).unwrap();
    let mut command = Command::new("curl");
    command.args(["-sS", "-i", "--compressed", "--noproxy", "*", "-H", "Expect:", "--data-binary"]);
    command.arg(format!("@{}", file.display())).args(headers.iter().flat_map(|header| ["-H", header])).arg(url);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}{:?}", output.stderr));
    (head.to_lowercase(), body.to_owned())
}

fn has_curl() -> bool {
    let found = program("curl").is_some();
    if !found {
        skip("curl", "it is not installed");
    }
    found
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[track_caller]
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(other, _)| *other == name).unwrap_or_else(|| panic!("no {name}: {head}")).1
}

#[test]
fn a_weak_tag_is_as_good_and_errors_are_the_servers() {
    let Some((server, nginx)) = behind_nginx(None).filter(|_| has_curl()) else { return };
    let url = url_of(&nginx);
    for path in [BULK.to_owned(), format!("{BULK}/F")] {
        let url = format!("{url}{path}");
        let (head, body) = curl(&url, &["X-Request-ID: r-1"], PRO);
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let flag = json_of(&body);
        let flag = if path == BULK { &flag["flags"][0] } else { &flag };
        assert_eq!((&flag["key"], &flag["value"]), (&json!("F"), &json!(true)));
        assert_eq!((header(&head, "content-encoding"), header(&head, "x-request-id")), ("gzip", "r-1"));
        let tag = header(&head, "etag");
        assert!(tag.starts_with("w/\""), "{head}");
        // The head is in lower case here.
        let asked = format!("If-None-Match: {}", tag.replace("w/", "W/"));
        let (again, nothing) = curl(&url, &[&asked], PRO);
        assert!(again.starts_with("http/1.1 304") && nothing.is_empty(), "{again}");
        assert_eq!(header(&again, "etag"), tag.trim_start_matches("w/"));
        // Another context, then another configuration.
        assert!(curl(&url, &[&asked], r#"{"context":{"plan":"free"}}"#).0.starts_with("http/1.1 200"));
        server.block_on(server.features.disable("F")).unwrap();
        assert!(curl(&url, &[&asked], PRO).0.starts_with("http/1.1 200"));
        server.block_on(server.features.enable("F")).unwrap();
    }
    let large = |length: usize| format!(r#"{{"context":{{"a":"{}"}}}}"#, "x".repeat(length));
    for (path, body, status, code) in [
        (format!("{BULK}/NONE"), "{}".to_owned(), 404, "FLAG_NOT_FOUND"),
        (format!("{BULK}/F/none"), PRO.to_owned(), 404, "FLAG_NOT_FOUND"),
        (BULK.to_owned(), "[".to_owned(), 400, "PARSE_ERROR"),
        (BULK.to_owned(), large(100_000), 400, "INVALID_CONTEXT"),
        ("/ofrep/v2".to_owned(), "{}".to_owned(), 404, "GENERAL"),
    ] {
        let (head, answer) = curl(&format!("{url}{path}"), &[], &body);
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
        assert_eq!(json_of(&answer)["errorCode"], code, "{path}");
        assert!(header(&head, "content-type").starts_with("application/json"));
    }
    // Beyond a megabyte nginx refuses by itself.
    let (head, answer) = curl(&format!("{url}{BULK}"), &[], &large(1_100_000));
    assert!(head.starts_with("http/1.1 413") && answer.contains("nginx"), "{head}");
}

#[test]
fn a_stream_arrives_at_once() {
    let Some((server, nginx)) = behind_nginx(None) else { return };
    let streams = server.http().bulk(&[], "{}").json()["eventStreams"].clone();
    assert_eq!(streams[0]["url"], format!("{}{STREAM}", url_of(&nginx)));
    let (head, mut events) = crate::support::Http::connect(nginx.address()).events(STREAM);
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert!(events.message().contains("refetchEvaluation"));
    for _ in 0..3 {
        server.block_on(server.features.toggle("F")).unwrap();
        // Long before the next heartbeat, which comes after 15 s; else this would wait for one.
        let revision = server.store.table().revision();
        assert!(events.next().unwrap().starts_with(&format!("id: {revision}\n")));
    }
}

/// Each keeps its connection, asks for compression, and gets its own errors for what nginx answers by itself.
#[test]
fn sdks_get_answers_and_a_server_that_is_away_is_an_error() {
    let Some((mut server, nginx)) = behind_nginx(None) else { return };
    let mut clients: Vec<_> =
        [Client::node(&url_of(&nginx)), Client::python(&url_of(&nginx))].into_iter().flatten().collect();
    let pro = json!({ "plan": "pro" });
    let works = |clients: &mut [Client]| {
        for client in clients {
            let on = client.details("boolean", "F", &json!(false), &pro);
            assert_eq!(
                (&on["value"], &on["reason"]),
                (&json!(true), &json!("TARGETING_MATCH")),
                "{}: {on}",
                client.name
            );
            let colour = client.details("string", "F/a b", &json!("red"), &pro);
            assert_eq!((&colour["value"], &colour["errorCode"]), (&json!("grün"), &Value::Null), "{}", client.name);
            let none = client.details("boolean", "NONE", &json!(true), &pro);
            assert_eq!(
                (&none["value"], &none["errorCode"]),
                (&json!(true), &json!("FLAG_NOT_FOUND")),
                "{}",
                client.name
            );
        }
    };
    works(&mut clients);
    let is_default = |clients: &mut [Client], context: &Value| {
        for client in clients {
            let details = client.details("boolean", "F", &json!(false), context);
            assert_eq!((&details["value"], &details["errorCode"]), (&json!(false), &json!("GENERAL")), "{details}");
        }
    };
    is_default(&mut clients, &json!({ "plan": "pro", "large": "x".repeat(1_100_000) }));
    server.stop();
    is_default(&mut clients, &pro);
    server.restart();
    works(&mut clients);
}

#[test]
fn a_page_polls_with_weak_tags_and_follows_the_stream() {
    let Some(mut web) = Web::open() else { return };
    let origin = web.origin.clone();
    let Some((server, nginx)) = behind_nginx(Some(&origin)) else { return };
    let options = json!({ "baseUrl": url_of(&nginx), "cacheMode": "disabled", "changeDetection": "sse" });
    assert_eq!(web.start(&options, &json!({ "plan": "pro" })), "ready");
    assert_eq!(web.details("boolean", "F", &json!(false))["value"], true);
    let asked = |web: &mut Web, status: u16| web.requests().iter().any(|request| request["status"] == status);
    // The first message of the stream makes it ask again.
    wait_until("the page has asked again", || asked(&mut web, 304));
    let requests = web.requests();
    let tags = requests.iter().filter_map(|request| request["headers"]["if-none-match"].as_str());
    assert!(tags.clone().count() > 0 && tags.clone().all(|tag| tag.starts_with("W/")), "{requests:?}");
    server.block_on(server.features.disable("F")).unwrap();
    wait_until("the page has the change", || web.details("boolean", "F", &json!(true))["value"] == false);
    assert_eq!(web.status(), "READY");
}
