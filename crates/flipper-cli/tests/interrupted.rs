//! Ctrl-C and kills in the middle of long work: no flag is half written, and the same command goes on.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use flipper_testkit::redis::{RedisServer, Reply};
use flipper_testkit::wait_until;
use rustix::process::Signal;
use support::running::Running;
use support::{flipper, run, succeed};

const MANY: usize = 20_000;

fn write_many(path: &Path) {
    let mut text = String::from("[\n");
    for number in 0..MANY {
        let comma = if number == 0 { "" } else { ",\n" };
        let data = "x".repeat(200);
        write!(text, "{comma}{{\"feature_name\": \"FLAG_{number:05}\", \"is_enabled\": true, \"meta\": {{\"client_data\": {{\"pad\": \"{data}\"}}, \"created_date\": 1700000000}}}}").unwrap();
    }
    std::fs::write(path, text + "\n]\n").unwrap();
}

fn count(redis: &RedisServer) -> usize {
    match redis.command(&["DBSIZE"]) {
        Reply::Number(count) => usize::try_from(count).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Interrupts the command once it has written something, then lets it go on to the end.
fn interrupt_and_go_on(redis: &RedisServer, signal: Signal, command: impl Fn() -> Command) {
    let running = Running::start(&mut command());
    wait_until("it has begun", || count(redis) > 0);
    running.signal(signal);
    let (code, said) = running.end();
    let there = count(redis);
    if code == Some(130) {
        assert!(there < MANY);
        let told = said.iter().find(|line| line.contains("interrupted")).unwrap();
        assert!(told.contains("the same command goes on from there"), "{told}");
    } else if code == Some(0) {
        // It was faster than the signal; the wait above makes that rare.
        assert_eq!(there, MANY);
    } else {
        assert_eq!((code, signal), (None, Signal::KILL), "{said:?}");
    }
    let (code, _, err) = run(&mut command());
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains(&format!("{there_shown} as they were", there_shown = thousands(there))) || signal == Signal::KILL,
        "{there} were there: {err}"
    );
    assert_eq!(count(redis), MANY);
}

fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

#[test]
fn import() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let Some(redis) = RedisServer::start() else { return };
        let home = tempfile::tempdir().unwrap();
        write_many(&home.path().join("many.json"));
        interrupt_and_go_on(&redis, signal, || {
            let mut import = flipper(home.path(), &redis.url());
            import.args(["import", "many.json"]);
            import
        });
    }
}

#[test]
fn sync() {
    let (Some(redis), home) = (RedisServer::start(), tempfile::tempdir().unwrap()) else { return };
    write_many(&home.path().join("many.json"));
    succeed(flipper(home.path(), "sqlite:many.db").args(["import", "many.json"]));
    interrupt_and_go_on(&redis, Signal::INT, || {
        let mut sync = flipper(home.path(), "");
        sync.args(["sync", "sqlite:many.db", &redis.url()]);
        sync
    });
    let (code, _, err) = run(flipper(home.path(), "").args(["diff", "sqlite:many.db", &redis.url()]));
    assert_eq!(code, 0);
    assert_eq!(err, "no difference: 20,000 flags in both\n");
}

#[test]
fn a_store_that_dies_meanwhile() {
    let (Some(mut redis), home) = (RedisServer::start(), tempfile::tempdir().unwrap()) else { return };
    write_many(&home.path().join("many.json"));
    let url = redis.url();
    let mut import = flipper(home.path(), &url);
    let running = Running::start(import.args(["import", "many.json"]));
    wait_until("it has begun", || count(&redis) > 0);
    redis.kill();
    let (code, said) = running.end();
    assert_eq!(code, Some(4), "{said:?}");
    let told = said.iter().find(|line| line.starts_with("error:")).unwrap();
    assert!(
        told.contains("of 20,000 flags were written, each as a whole; the same command goes on from there"),
        "{told}"
    );
    redis.restart();
    succeed(&mut import);
    assert_eq!(count(&redis), MANY);
}
