//! Many connections, to a server in a process of its own.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, Precondition};
use flipper_testkit::{Child, child_role, wait_until};
use support::{Raw, block_on};

/// In a child: the server, until the parent has no more to say.
#[test]
fn child() {
    let Some(role) = child_role() else {
        let child = Child::spawn("server", &["8"]);
        child.line().unwrap();
        return child.succeed();
    };
    let store = MemoryFeatureFlagStore::new();
    block_on(store.put(&FlagRecord::new("F", 1), Precondition::Any)).unwrap();
    let options = flipper_thrift::ServerOptions::new().max_connections(role.arguments[0].parse().unwrap());
    let server = flipper_thrift::Server::start_with("127.0.0.1:0", store, options).unwrap();
    role.say(&server.local_addr().port().to_string());
    while role.hear().is_some() {}
}

fn serve(connections: &str) -> (Child, SocketAddr) {
    let child = Child::spawn("server", &[connections]);
    let port = child.line().unwrap().parse().unwrap();
    (child, SocketAddr::from(([127, 0, 0, 1], port)))
}

fn resident(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn get(raw: &mut Raw) -> bool {
    raw.call(|client| client.get(Some("F".to_owned()))).is_ok()
}

#[test]
fn two_thousand_idle_connections() {
    let (child, address) = serve("4096");
    let mut first = Raw::connect(address);
    assert!(get(&mut first));
    let before = resident(&child);
    let mut idle: Vec<_> = (0..2000).map(|_| Raw::connect(address)).collect();
    assert!(idle.iter_mut().all(get), "each makes a call");
    let after = resident(&child);
    println!("{} KiB", after - before);
    assert!(after - before < 64 << 10, "{} KiB", after - before);
    assert!(get(&mut first));
    assert!(idle.iter_mut().all(get), "and another one");
    child.succeed();
}

#[test]
fn ten_thousand_connections() {
    let (child, address) = serve("1000");
    let mut served: Vec<_> = (0..1000).map(|_| Raw::connect(address)).collect();
    assert!(served.iter_mut().all(get));
    let refused: Vec<_> = (0..9000).map(|_| TcpStream::connect(address).unwrap()).collect();
    for mut stream in &refused {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = (&mut stream).write(&[0x80]);
        // Closed, and if a byte of ours was still unread, with a reset.
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    }
    assert!(served.iter_mut().all(get), "the others are served");
    drop(served);
    wait_until("there is room again", || get(&mut Raw::connect(address)));
    child.succeed();
}
