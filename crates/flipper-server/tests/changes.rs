//! Streams of changes, and mirrors that follow them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use flipper::json::Json;
use flipper::store::{Health, LocalFeatureFlagStore, Precondition};
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_server::{App, HttpOptions, Limits};
use flipper_testkit::{Harm, Relay, block_on, wait_until};
use support::{Running, connect};

struct Event {
    name: String,
    id: String,
    data: Json,
}

/// A stream, line by line: chunks end at line breaks here, and their sizes are no lines of events.
struct Stream {
    lines: BufReader<TcpStream>,
    head: String,
}

impl Stream {
    fn open(address: SocketAddr, head: &str) -> Self {
        let mut stream = connect(address);
        stream.write_all(support::request(head, "").as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Self { lines, head }
    }

    /// `None` at the end.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event { name: String::new(), id: String::new(), data: Json::Null };
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("data", data)) => event.data = Json::parse(data).unwrap(),
                _ if line == "\n" && !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    }

    /// The next event that is no heartbeat.
    fn change(&mut self) -> Event {
        loop {
            let event = self.next().unwrap();
            let is_beat = event.data["changes"].as_array().is_some_and(<[Json]>::is_empty)
                && event.data["reset"].as_bool() == Some(false);
            if !is_beat {
                return event;
            }
        }
    }
}

fn names(event: &Event) -> Vec<String> {
    let changes = event.data["changes"].as_array().unwrap();
    changes.iter().map(|change| change["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_stream_goes_on_where_it_was() {
    let server = Running::memory();
    let mut stream = Stream::open(server.address, "GET /api/v1/changes");
    for header in ["content-type: text/event-stream", "x-accel-buffering: no", "cache-control: no-store"] {
        assert!(stream.head.to_lowercase().contains(header), "{}", stream.head);
    }
    let hello = stream.next().unwrap();
    assert_eq!((&*hello.name, hello.data["store"].as_str().is_some()), ("hello", true));
    let reset = stream.next().unwrap();
    assert_eq!(reset.data["reset"].as_bool(), Some(true));

    server.expect(201, "POST /api/v1/flags", r#"{"name": "A", "enabled": true}"#);
    let created = stream.change();
    assert_eq!((&*created.name, names(&created)), ("changes", vec!["A".to_owned()]));
    let text = created.data["changes"][0]["record"].as_str().unwrap();
    assert!(FlagRecord::from_json(text).unwrap().is_enabled());
    assert_eq!(created.data["lost"], Json::Null);
    // At least once a second, without a change.
    let beat = stream.next().unwrap();
    assert!(names(&beat).is_empty() && beat.data["at_us"].as_i64() > created.data["at_us"].as_i64());
    drop(stream);

    server.expect(201, "POST /api/v1/flags", r#"{"name": "B"}"#);
    server.expect(204, "DELETE /api/v1/flags/A", "");
    for head in [
        format!("GET /api/v1/changes\nLast-Event-ID: {}", created.id),
        format!("GET /api/v1/changes?cursor={}", created.id),
    ] {
        let mut again = Stream::open(server.address, &head);
        assert_eq!(again.next().unwrap().data["server"], hello.data["server"]);
        let missed = again.change();
        assert_eq!(
            (names(&missed), missed.data["reset"].as_bool()),
            (vec!["B".to_owned(), "A".to_owned()], Some(false))
        );
        assert_eq!(missed.data["changes"][1]["absent"].as_bool(), Some(true));
    }
    for cursor in ["1:1", "x", "%00"] {
        let mut again = Stream::open(server.address, &format!("GET /api/v1/changes?flags=true&cursor={cursor}"));
        again.next().unwrap();
        assert_eq!(again.next().unwrap().data["reset"].as_bool(), Some(true), "{cursor}");
        let flags = again.next().unwrap();
        assert_eq!((&*flags.name, flags.data["flags"][0]["name"].as_str()), ("flags", Some("B")));
        assert_eq!(flags.data["more"].as_bool(), Some(false));
    }
}

#[test]
fn all_flags_come_in_pages() {
    let store = MemoryFeatureFlagStore::new();
    for number in 0..2000 {
        block_on(store.put(&FlagRecord::new(format!("F{number}"), 7), Precondition::Any.into())).unwrap();
    }
    let server = Running::over(store);
    let mut stream = Stream::open(server.address, "GET /api/v1/changes?flags=true");
    let (mut count, mut pages) = (0, 0);
    loop {
        let event = stream.next().unwrap();
        if event.name == "flags" {
            count += event.data["flags"].as_array().unwrap().len();
            pages += 1;
            if event.data["more"].as_bool() == Some(false) {
                break;
            }
        }
    }
    assert!(count == 2000 && pages > 3, "{count} flags in {pages} pages");
}

fn enabled(store: &impl LocalFeatureFlagStore, name: &str) -> Option<bool> {
    store.table().get(name)?.record.ok().map(|record| record.is_enabled())
}

#[test]
fn a_mirror_of_a_relay_follows_through_restarts() {
    let backing = MemoryFeatureFlagStore::new();
    let first = Running::over(backing.clone());
    let address = first.address;
    let second = Running::over(MirroredFeatureFlagStore::new(first.store()));
    let mirror = MirroredFeatureFlagStore::new(second.store());
    let features = FeatureFlagClient::new(mirror.clone());
    block_on(features.ready()).unwrap();
    for number in 0..20 {
        let body = format!("{{\"enabled\": {}}}", number % 2 == 0);
        first.send("PUT /api/v1/flags/A", &body);
        wait_until("the flip arrives", || enabled(&mirror, "A") == Some(number % 2 == 0));
    }
    // Through both servers, and back.
    block_on(features.create("B").enabled(true)).unwrap();
    first.expect(200, "GET /api/v1/flags/B", "");
    assert!(features.is_enabled("B"));

    drop(first);
    wait_until("the loss shows", || !mirror.status().is_live());
    assert_eq!(enabled(&mirror, "A"), Some(false));
    let stale = second.expect(200, "GET /api/v1/flags", "");
    assert_eq!(stale.json()["status"]["health"].as_str(), Some("stale"));
    assert!(stale.header("flipper-stale").unwrap().starts_with("since=20"), "{stale:?}");
    assert_eq!(stale.json()["flags"].as_array().unwrap().len(), 2);
    let refused = second.expect(503, "PATCH /api/v1/flags/A", r#"{"enabled": true}"#);
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("unavailable", Some("1")));
    assert!(second.expect(200, "GET /readyz", "").body.contains("stale since"));
    let evaluation = second.expect(200, "POST /api/v1/evaluate/A", "{}").json();
    // A cache that kept it would call the flag stale for as long as it stays in this version.
    let tag = second.send("GET /api/v1/flags/A", "").header("etag").unwrap().to_owned();
    let flag = second.expect(200, &format!("GET /api/v1/flags/A\nIf-None-Match: {tag}"), "");
    assert_eq!(flag.header("cache-control"), Some("no-store"));
    for json in [flag.json(), evaluation] {
        assert!(json["stale"]["since"].as_i64().is_some_and(|since| since > 1_700_000_000), "{json}");
        assert!(json["stale"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{json}");
    }

    let mut flag = FlagRecord::new("A", 7);
    flag.set_enabled(true);
    block_on(backing.put(&flag, Precondition::Any.into())).unwrap();
    let listener = TcpListener::bind(address).unwrap();
    let _first = Running::on(listener, App::new(Arc::new(backing)), HttpOptions::default());
    wait_until("all is current again", || mirror.status().is_live() && enabled(&mirror, "A") == Some(true));
}

#[test]
fn a_connection_that_hangs_is_noticed() {
    let server = Running::memory();
    let relay = Relay::start(server.address.port());
    let store = flipper::HttpFeatureFlagStore::builder(format!("http://127.0.0.1:{}", relay.port())).build().unwrap();
    let mirror = MirroredFeatureFlagStore::new(store);
    block_on(mirror.ready()).unwrap();
    server.expect(201, "POST /api/v1/flags", r#"{"name": "A", "enabled": true}"#);
    wait_until("the flag arrives", || enabled(&mirror, "A") == Some(true));
    relay.harm(Harm::Refuse);
    wait_until("the loss shows", || matches!(mirror.status().health, Health::Stale { .. }));
    relay.harm(Harm::None);
    wait_until("it is live again", || mirror.status().is_live());
    // Events in pieces, late.
    relay.harm(Harm::Delay(Duration::from_millis(30)));
    server.expect(200, "PATCH /api/v1/flags/A", r#"{"enabled": false}"#);
    wait_until("the flip arrives", || enabled(&mirror, "A") == Some(false));
    // Connections that break off in the middle of an event.
    relay.harm(Harm::Cut(3));
    for number in 0..10 {
        let on = number % 2 == 0;
        server.expect(200, "PATCH /api/v1/flags/A", &format!("{{\"enabled\": {on}}}"));
        wait_until("the flip arrives", || enabled(&mirror, "A") == Some(on));
    }
}

#[test]
fn a_follower_that_does_not_read_is_closed() {
    let options = HttpOptions::default().write_time(Duration::from_millis(200));
    let server = Running::start(App::new(Arc::new(MemoryFeatureFlagStore::new())), options);
    let mut stream = connect(server.address);
    stream.write_all(support::request("GET /api/v1/changes", "").as_bytes()).unwrap();
    wait_until("it is connected", || server.connections() == 1);
    // More than the system's buffers take.
    let large = "x".repeat(250_000);
    let mut number = 0;
    wait_until("it is closed", || {
        number += 1;
        server.expect(
            200 + u16::from(number == 1),
            "PUT /api/v1/flags/A",
            &format!(r#"{{"client_data": {{"n": {number}, "x": "{large}"}}}}"#),
        );
        server.connections() == 0
    });
    // It got fewer events than there were changes, each with the last state.
    drop(stream);
}

#[test]
fn streams_have_a_limit() {
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).limits(Limits::default().streams(2));
    let server = Running::start(app, HttpOptions::default());
    let streams = [(); 2].map(|()| Stream::open(server.address, "GET /api/v1/changes"));
    let refused = server.expect(503, "GET /api/v1/changes", "");
    assert_eq!((refused.code().as_str(), refused.header("retry-after")), ("overloaded", Some("1")));
    assert!(server.send("GET /metrics", "").body.contains("flipper_http_followers 2\n"));
    drop(streams);
    wait_until("there is a place", || server.send("GET /metrics", "").body.contains("flipper_http_followers 0\n"));
}

#[test]
fn the_end_is_orderly() {
    let mut server = Running::memory();
    let mut stream = Stream::open(server.address, "GET /api/v1/changes");
    stream.next().unwrap();
    let address = server.address;
    let looking = std::thread::spawn(move || {
        // Until the listener is closed.
        let mut was_red = false;
        while let Ok(mut stream) = TcpStream::connect(address) {
            let mut answer = Vec::new();
            let asked = stream.write_all(support::request("GET /readyz", "").as_bytes());
            if asked.is_err() || std::io::Read::read_to_end(&mut stream, &mut answer).is_err() {
                break;
            }
            was_red |= String::from_utf8_lossy(&answer).contains("503");
        }
        was_red
    });
    server.shutdown(Duration::from_millis(300));
    assert!(looking.join().unwrap(), "the end was not announced");
    while stream.next().is_some() {}
}
