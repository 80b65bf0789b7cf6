//! The stream of events, as a browser reads it.

use std::time::Instant;

use flipper_testkit::wait_until;
use serde_json::json;

use crate::support::Server;

const STREAM: &str = "/ofrep/v1/streams/flags";
const REFETCH: &str = "data: {\"type\":\"refetchEvaluation\"}\n\n";

fn server() -> Server {
    let server = Server::with(|app, url| app.public_url(&format!("{url}/")).unwrap());
    server.flag("F", "{}", |_| {});
    server
}

#[test]
fn the_answer_for_all_flags_names_the_stream() {
    let server = server();
    let stream = json!([{ "type": "sse", "url": format!("{}{STREAM}", server.url()), "inactivityDelaySec": 5 }]);
    assert_eq!(server.http().bulk(&[], "{}").json()["eventStreams"], stream);
    // A browser would look for a relative one on the page's own server.
    assert_eq!(Server::start().http().bulk(&[], "{}").json().get("eventStreams"), None);
}

#[test]
fn a_stream_begins_with_a_message_and_has_one_for_each_change() {
    let server = server();
    let (head, mut events) = server.http().events(STREAM);
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    let revision = server.store.table().revision();
    assert_eq!(events.message(), format!("retry: 1000\nid: {revision}\n{REFETCH}"));
    server.block_on(server.features.disable("F")).unwrap();
    assert_eq!(events.message(), format!("id: {}\n{REFETCH}", revision + 1));
    // Another follower, and one that comes back.
    let (_, mut other) = server.http().events(STREAM);
    assert_eq!(other.message(), format!("retry: 1000\nid: {}\n{REFETCH}", revision + 1));
    server.block_on(server.features.destroy("F")).unwrap();
    for events in [&mut events, &mut other] {
        assert_eq!(events.message(), format!("id: {}\n{REFETCH}", revision + 2));
    }
}

#[test]
fn a_burst_is_few_messages_and_the_last_one_is_after_it() {
    let server = server();
    let (_, mut events) = server.http().events(STREAM);
    events.message();
    let begun = Instant::now();
    for _ in 0..300 {
        server.block_on(server.features.toggle("F")).unwrap();
    }
    let last = format!("id: {}\n{REFETCH}", server.store.table().revision());
    let mut messages = 1;
    while events.message() != last {
        messages += 1;
    }
    // Under test is the rate: one at once, then one per 200 ms.
    let most = 2 + begun.elapsed().as_millis() / 200;
    assert!(messages <= most, "{messages} messages, {most} at most");
}

#[test]
fn a_draining_server_ends_streams_and_names_none() {
    let server = server();
    let (_, mut events) = server.http().events(STREAM);
    events.message();
    server.app.drain();
    assert_eq!(events.next(), None);
    assert_eq!(server.http().bulk(&[], "{}").json().get("eventStreams"), None);
    let refused = server.http().request("GET", STREAM, &[], b"");
    refused.is_error(503, "", "GENERAL", "ending");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(server.http().evaluate("F", "{}").status, 200, "evaluations go on");
}

#[test]
fn streams_are_bounded() {
    let server = Server::with(|app, url| app.public_url(url).unwrap().max_streams(2));
    let streams: Vec<_> = (0..2).map(|_| server.http().events(STREAM)).collect();
    server.http().request("GET", STREAM, &[], b"").is_error(503, "", "GENERAL", "as many streams");
    assert_eq!(server.http().bulk(&[], "{}").json().get("eventStreams"), None);
    drop(streams);
    // The server notices a closed connection by itself.
    wait_until("there is room again", || server.http().bulk(&[], "{}").text.contains("eventStreams"));
    let (head, _events) = server.http().events(STREAM);
    assert_eq!(head.status, 200);
}

#[test]
fn a_stream_takes_gets_only() {
    server().http().post(STREAM, &[], "{}").is_error(405, "", "GENERAL", "GET only");
}
