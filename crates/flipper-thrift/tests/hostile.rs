//! Clients that send invalid data, too much, too little or too slowly. The server logs why it closes, and serves the others.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, ThriftRpcFeatureFlagStore};
use flipper_testkit::{PATIENCE, wait_until, within};
use flipper_thrift::{Server, ServerOptions};
use support::{block_on, call, string};

fn serve(options: ServerOptions) -> Server {
    let store = MemoryFeatureFlagStore::new();
    block_on(store.put(&FlagRecord::new("F", 1), Precondition::Any.into())).unwrap();
    Server::start_with("127.0.0.1:0", store, options).unwrap()
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes, and returns the response until the server closes.
fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(server);
    // Fails if the server closes before all is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    answer
}

/// As `send`, but the server must close first.
fn send_and_wait(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(server);
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    answer
}

fn assert_serves(server: &Server) {
    let port = server.local_addr().port();
    let store = ThriftRpcFeatureFlagStore::new("127.0.0.1", port);
    assert!(block_on(store.get("F")).unwrap().is_some());
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(message);
    frame
}

fn get(name: &str) -> Vec<u8> {
    let mut arguments = vec![11, 0, 1];
    arguments.extend(string(name));
    arguments.push(0);
    call("Get", &arguments)
}

fn contains(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn golden_bytes_of_a_call() {
    let bytes: Vec<u8> = vec![0x80, 1, 0, 1, 0, 0, 0, 3, 0x47, 0x65, 0x74, 0, 0, 0, 0, 0x0b, 0, 1, 0, 0, 0, 1, 0x41, 0];
    let server = serve(ServerOptions::new());
    let answer = send(&server, &bytes);
    // A reply to Get, number 0, whose field 1 is the exception with code 0.
    assert_eq!(answer[..18], [0x80, 1, 0, 2, 0, 0, 0, 3, 0x47, 0x65, 0x74, 0, 0, 0, 0, 0x0c, 0, 1]);
    assert_eq!(answer[18..25], [8, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn random_bytes() {
    let server = serve(ServerOptions::new());
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..300 {
        let length = random.usize(1..2000);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        match random.u8(0..4) {
            0 => bytes.splice(..0, [0x80, 1, 0, 1]).for_each(drop),
            1 => bytes.splice(..0, [0x82, 0x21]).for_each(drop),
            2 => bytes.splice(..0, [0, 0, 4, 0, 0x80, 1, 0, 1, 0, 0, 0, 3, b'G', b'e', b't']).for_each(drop),
            _ => {}
        }
        send(&server, &bytes);
    }
    assert_serves(&server);
    wait_until("no connection is left", || server.connections() <= 1);
}

#[test]
fn other_protocols_are_closed_at_once() {
    let server = serve(ServerOptions::new());
    for bytes in [&b"GET / HTTP/1.1\r\nHost: flags\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"*1\r\n$4\r\nPING\r\n"] {
        let started = Instant::now();
        send_and_wait(&server, bytes);
        assert!(started.elapsed() < Duration::from_secs(5), "{bytes:?}");
    }
    assert_serves(&server);
}

#[test]
fn truncated_messages() {
    let server = serve(ServerOptions::new());
    let whole = get("F");
    for length in 1..whole.len() {
        assert!(send(&server, &whole[..length]).is_empty());
        assert!(send(&server, &framed(&whole)[..length]).is_empty());
    }
    assert!(contains(&send(&server, &whole), "NoOpBucketer"));
    assert!(contains(&send(&server, &framed(&whole)), "NoOpBucketer"));
}

#[test]
fn impossible_lengths() {
    let server = serve(ServerOptions::new());
    for length in [-1, i32::MIN, i32::MAX, 17 << 20] {
        let length = i32::to_be_bytes(length);
        let mut frame = length.to_vec();
        frame.extend([0x80, 1, 0, 1]);
        send_and_wait(&server, &frame);

        let mut name = vec![0x80, 1, 0, 1];
        name.extend(length);
        name.extend(b"Get");
        send_and_wait(&server, &name);

        let mut argument = vec![11, 0, 1];
        argument.extend(length);
        let answer = send_and_wait(&server, &call("Get", &argument));
        assert!(contains(&answer, "size"), "{}", String::from_utf8_lossy(&answer));

        // A list of conditions, and a list in a field that is skipped.
        for id in [3, 99] {
            let mut meta = vec![12, 0, 2, 15, 0, id, 13];
            meta.extend(length);
            let answer = send_and_wait(&server, &call("SetMeta", &meta));
            assert!(contains(&answer, "size"), "{}", String::from_utf8_lossy(&answer));
        }
    }
    assert!(!contains(&send_and_wait(&server, &[0, 0, 0, 0, 0x80]), "size"));
    assert_serves(&server);
}

#[test]
fn deep_nesting() {
    let server = serve(ServerOptions::new());
    let depth = 100_000;
    let structs: Vec<u8> = (0..depth).flat_map(|_| [12, 0, 9]).collect();
    let lists: Vec<u8> = [15, 0, 9].into_iter().chain((0..depth).flat_map(|_| [15, 0, 0, 0, 1])).collect();
    for arguments in [structs, lists] {
        for method in ["Get", "NoSuchMethod"] {
            let answer = send_and_wait(&server, &call(method, &arguments));
            let text = String::from_utf8_lossy(&answer);
            assert!(text.contains("depth") || text.contains("parse past"), "{text}");
        }
    }
    let compact: Vec<u8> = [0x82, 0x21, 1, 3].into_iter().chain(*b"Get").chain((0..depth).map(|_| 0x1c)).collect();
    send_and_wait(&server, &compact);
    assert_serves(&server);
}

#[test]
fn unknown_methods_leave_the_connection_open() {
    let server = serve(ServerOptions::new());
    for framing in [false, true] {
        let mut stream = connect(&server);
        let wrap = |message: Vec<u8>| if framing { framed(&message) } else { message };
        let mut arguments = vec![11, 0, 1];
        arguments.extend(string("an argument to pass over"));
        arguments.push(0);
        stream.write_all(&wrap(call("NoSuchMethod", &arguments))).unwrap();
        stream.write_all(&wrap(get("F"))).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(contains(&answer, "unknown method \"NoSuchMethod\""), "{}", String::from_utf8_lossy(&answer));
        assert!(contains(&answer, "NoOpBucketer"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn wrong_types_are_skipped() {
    let server = serve(ServerOptions::new());
    // A number for the name; a string for the switch; a map for the metadata.
    let number = [10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    let answer = send(&server, &[call("Get", &number), get("F")].concat());
    assert!(contains(&answer, "feature_name is missing"), "{}", String::from_utf8_lossy(&answer));
    assert!(contains(&answer, "NoOpBucketer"));

    let name = [&[11, 0, 1][..], &string("F")].concat();
    let switch = [&name[..], &[11, 0, 2], &string("yes"), &[0]].concat();
    let answer = send(&server, &[call("Set", &switch), get("F")].concat());
    assert!(contains(&answer, "is_enabled is missing"), "{}", String::from_utf8_lossy(&answer));

    let map = [&name[..], &[13, 0, 2, 11, 11, 0, 0, 0, 0, 0]].concat();
    let answer = send(&server, &[call("SetMeta", &map), get("F")].concat());
    assert!(contains(&answer, "meta is missing"), "{}", String::from_utf8_lossy(&answer));

    // Elements of another type than the list's are unreadable, and without frames that ends the connection.
    let elements = [&name[..], &[12, 0, 2, 15, 0, 3, 8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]].concat();
    for bytes in [call("SetMeta", &elements), framed(&call("SetMeta", &elements))] {
        send(&server, &bytes);
    }
    assert_serves(&server);
}

#[test]
fn what_is_not_utf8() {
    let server = serve(ServerOptions::new());
    let bad = call("Get", &[11, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0]);
    // The last byte of its only string, deep in a condition.
    let mut deep = vec![11, 0, 1];
    deep.extend(string("F"));
    deep.extend([12, 0, 2, 15, 0, 3, 13, 0, 0, 0, 1, 11, 15, 0, 0, 0, 1, 0, 0, 0, 1, b'v', 12, 0, 0, 0, 1]);
    deep.extend([11, 0, 2, 0, 0, 0, 1, 0xff, 0, 0, 0]);
    let unknown = call("NoSuchMethod", &[11, 0, 1, 0, 0, 0, 1, 0xff, 0]);
    let answer = send(&server, &[bad, call("SetMeta", &deep), unknown, get("F")].concat());
    let text = String::from_utf8_lossy(&answer);
    assert_eq!(text.matches("a string is not valid utf-8").count(), 2, "{text}");
    assert!(text.contains("unknown method"), "{text}");
    assert!(text.contains("NoOpBucketer"), "the connection stays open: {text}");
    assert_serves(&server);
}

#[test]
fn in_a_frame_a_bad_message_leaves_the_connection_open() {
    let server = serve(ServerOptions::new());
    let bad = framed(&call("Get", &[11, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0]));
    // Another one's string exceeds the frame.
    let beyond = framed(&call("Get", &[11, 0, 1, 0, 0, 1, 0, b'x']));
    let answer = send(&server, &[bad, beyond, framed(&get("F"))].concat());
    assert!(
        contains(&answer, "utf-8") && contains(&answer, "exceeds its frame"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(contains(&answer, "NoOpBucketer"));
}

#[test]
fn a_byte_at_a_time_is_cut_off() {
    let server = serve(ServerOptions::new().message_timeout(Duration::from_millis(500)));
    for message in [get("F"), framed(&get("F"))] {
        let mut stream = connect(&server);
        within(PATIENCE, move || {
            for byte in message.iter().cycle() {
                if stream.write_all(&[*byte]).is_err() {
                    break;
                }
                // The pace is under test: bytes keep coming, but no message is complete within its timeout.
                std::thread::sleep(Duration::from_millis(50));
            }
        });
    }
    assert_serves(&server);
}

/// Each message has its own timeout, even if reads do not end at messages.
#[test]
fn calls_ahead_of_their_answers_are_served_as_long_as_they_come() {
    let limit = Duration::from_secs(1);
    let server = serve(ServerOptions::new().message_timeout(limit));
    let mut stream = connect(&server);
    let message = get("F");
    let (first, second) = message.split_at(message.len() / 2);
    stream.write_all(first).unwrap();
    let started = Instant::now();
    while started.elapsed() < 3 * limit {
        // Elapsed time is under test: the total exceeds the timeout of one message.
        std::thread::sleep(limit / 10);
        stream.write_all(&[second, first].concat()).unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0, "cut off after {:?}", started.elapsed());
    }
}

#[test]
fn half_a_message_and_then_nothing_is_cut_off() {
    let server = serve(ServerOptions::new().message_timeout(Duration::from_millis(300)));
    send_and_wait(&server, &get("F")[..10]);
    send_and_wait(&server, &[0x00]);
    assert_serves(&server);
}

#[test]
fn slow_but_whole_is_served() {
    let server = serve(ServerOptions::new().message_timeout(Duration::from_secs(20)));
    let mut stream = connect(&server);
    stream.set_nodelay(true).unwrap();
    for message in [get("F"), get("F")] {
        for byte in message {
            stream.write_all(&[byte]).unwrap();
            // The pace is under test; each byte gets its own packet.
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut answer = vec![0; 8];
        stream.read_exact(&mut answer).unwrap();
        let mut rest = [0; 4096];
        let _ = stream.read(&mut rest).unwrap();
    }
}

#[test]
fn idle_connections_stay_by_default() {
    let server = serve(ServerOptions::new().message_timeout(Duration::from_millis(100)));
    let mut stream = connect(&server);
    // Meanwhile four message timeouts have passed.
    for _ in 0..4 {
        send_and_wait(&server, &get("F")[..10]);
    }
    stream.write_all(&get("F")).unwrap();
    let mut answer = [0; 64];
    assert!(stream.read(&mut answer).unwrap() > 0);

    let server = serve(ServerOptions::new().idle_timeout(Duration::from_millis(100)));
    assert!(send_and_wait(&server, &[]).is_empty());
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    let store = MemoryFeatureFlagStore::new();
    for number in 0..2000 {
        block_on(store.put(&FlagRecord::new(format!("F{number}"), 1), Precondition::Any.into())).unwrap();
    }
    let options = ServerOptions::new().write_timeout(Duration::from_millis(300));
    let server = Server::start_with("127.0.0.1:0", store, options).unwrap();
    let mut stream = connect(&server);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let list = call("List", &[0]);
    for _ in 0..200 {
        if stream.write_all(&list).is_err() {
            break;
        }
    }
    wait_until("the connection is closed", || server.connections() == 0);
}

#[test]
fn too_many_connections() {
    let log = support::Log::start();
    let server = serve(ServerOptions::new().max_connections(20));
    let mut streams: Vec<_> = (0..20).map(|_| connect(&server)).collect();
    wait_until("all are in", || server.connections() == 20);
    for _ in 0..500 {
        assert!(send_and_wait(&server, &[]).is_empty());
    }
    for stream in &mut streams {
        stream.write_all(&get("F")).unwrap();
        let mut answer = [0; 64];
        assert!(stream.read(&mut answer).unwrap() > 0);
    }
    assert!(log.text().contains("all 20 connections are in use"), "{}", log.text());
    assert!(log.text().lines().count() < 20, "a line a second, not one for each");
    drop(streams);
    wait_until("there is room again", || server.connections() == 0);
    assert_serves(&server);
}

#[test]
fn addresses_that_others_can_reach_are_refused() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = Server::start(address, MemoryFeatureFlagStore::new()).unwrap_err();
        assert_eq!(error.kind(), flipper::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("allow_remote"), "{error}");
    }
    let options = ServerOptions::new().allow_remote(true);
    let server = Server::start_with("0.0.0.0:0", MemoryFeatureFlagStore::new(), options).unwrap();
    server.shutdown();
    let taken = serve(ServerOptions::new());
    let error = Server::start(taken.local_addr(), MemoryFeatureFlagStore::new()).unwrap_err();
    assert!(error.to_string().contains("cannot be listened on"), "{error}");
}

/// As the fuzz target does, from valid messages with changes.
#[test]
fn changed_messages_do_no_harm() {
    let meta = [
        &[11, 0, 1][..],
        &string("F"),
        &[12, 0, 2, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 11, 0, 2],
        &string("{}"),
        &[0, 0],
    ]
    .concat();
    let compact = [&[0x82, 0x21, 1, 3][..], b"Get", &[0x18, 1, b'F', 0]].concat();
    let seeds = [
        get("F"),
        framed(&get("F")),
        call("SetMeta", &meta),
        framed(&call("SetMeta", &meta)),
        compact.clone(),
        framed(&compact),
    ];
    for seed in &seeds {
        assert_eq!(flipper_thrift::feed(seed), 1, "{seed:02x?}");
        assert_eq!(flipper_thrift::feed(&seed.repeat(3)), 3);
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..3000 {
        let mut bytes = seeds[random.usize(0..seeds.len())].repeat(random.usize(1..3));
        for _ in 0..random.usize(1..5) {
            let at = random.usize(0..bytes.len());
            match random.u8(0..4) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at] ^= 1 << random.u8(0..8),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.u8(..)),
            }
        }
        flipper_thrift::feed(&bytes);
    }
}
