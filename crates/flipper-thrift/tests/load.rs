//! Many connections, to a server in its own process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_testkit::{Child, can_open, child_role, resident_memory, wait_until};
use support::{Raw, block_on, call};

/// In a child: the server, until the parent closes the input.
#[test]
fn child() {
    let Some(role) = child_role() else {
        let child = Child::spawn("server", &["8"]);
        child.line().unwrap();
        return child.succeed();
    };
    let store = MemoryFeatureFlagStore::new();
    block_on(store.put(&FlagRecord::new("F", 1), Precondition::Any.into())).unwrap();
    let options = flipper_thrift::ServerOptions::new().max_connections(role.arguments[0].parse().unwrap());
    let server = flipper_thrift::Server::start_with("127.0.0.1:0", store, options).unwrap();
    role.say(&server.local_addr().port().to_string());
    while role.hear().is_some() {
        role.say(&server.connections().to_string());
    }
}

fn serve(connections: &str) -> (Child, SocketAddr) {
    let child = Child::spawn("server", &[connections]);
    let port = child.line().unwrap().parse().unwrap();
    (child, SocketAddr::from(([127, 0, 0, 1], port)))
}

fn get(raw: &mut Raw) -> bool {
    raw.call(|client| client.get(Some("F".to_owned()))).is_ok()
}

#[test]
fn two_thousand_idle_connections() {
    if !can_open(3000, "two_thousand_idle_connections") {
        return;
    }
    let (child, address) = serve("4096");
    let mut first = Raw::connect(address);
    assert!(get(&mut first));
    let before = resident_memory(child.id());
    let mut idle: Vec<_> = (0..2000).map(|_| Raw::connect(address)).collect();
    assert!(idle.iter_mut().all(get), "each makes a call");
    let after = resident_memory(child.id());
    assert!(after - before < 64 << 20, "{} bytes", after - before);
    assert!(get(&mut first));
    assert!(idle.iter_mut().all(get), "and another one");
    child.succeed();
}

#[test]
fn a_long_list_that_never_comes_takes_no_memory() {
    let (mut child, address) = serve("1000");
    let mut streams = Vec::new();
    let before = resident_memory(child.id());
    for _ in 0..200 {
        let mut meta = vec![12, 0, 2, 15, 0, 3, 13];
        meta.extend(90_000_i32.to_be_bytes());
        let mut text = vec![11, 0, 1];
        text.extend(2_000_000_i32.to_be_bytes());
        for message in [call("SetMeta", &meta), call("Get", &text)] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&message).unwrap();
            streams.push(stream);
        }
    }
    wait_until("all are connected", || {
        child.say("connections");
        child.line().as_deref() == Some("400")
    });
    let after = resident_memory(child.id());
    assert!(after < before + (64 << 20), "{before} to {after} bytes");
    child.succeed();
}

#[test]
fn ten_thousand_connections() {
    if !can_open(12_000, "ten_thousand_connections") {
        return;
    }
    let (child, address) = serve("1000");
    let mut served: Vec<_> = (0..1000).map(|_| Raw::connect(address)).collect();
    assert!(served.iter_mut().all(get));
    let refused: Vec<_> = (0..9000).map(|_| TcpStream::connect(address).unwrap()).collect();
    for mut stream in &refused {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = (&mut stream).write(&[0x80]);
        // Closed, by a reset if a byte of ours was unread.
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    }
    assert!(served.iter_mut().all(get), "the others are served");
    drop(served);
    wait_until("there is room again", || get(&mut Raw::connect(address)));
    child.succeed();
}
