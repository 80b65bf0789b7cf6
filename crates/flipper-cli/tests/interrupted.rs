//! Interrupts, kills and outages during long work: no flag is half written, the progress is printed, and the same command
//! continues.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::redis::{RedisServer, Reply};
use flipper_testkit::wait_until;
use rustix::process::Signal;
use support::running::Running;
use support::terminal::Terminal;
use support::{flipper, run, succeed};

const MANY: usize = 20_000;

fn write_many(path: &Path) {
    let mut text = String::from("[\n");
    for number in 0..MANY {
        let comma = if number == 0 { "" } else { ",\n" };
        let data = "x".repeat(200);
        write!(text, "{comma}{{\"feature_name\": \"FLAG_{number:05}\", \"is_enabled\": true, \"meta\": {{\"client_data\": {{\"pad\": \"{data}\"}}, \"created_date\": 1700000000}}}}").unwrap();
    }
    fs::write(path, text + "\n]\n").unwrap();
}

fn count(redis: &RedisServer) -> usize {
    let number = |command: &[&str]| match redis.command(command) {
        Reply::Number(count) => usize::try_from(count).unwrap(),
        other => panic!("{other:?}"),
    };
    number(&["DBSIZE"]).saturating_sub(number(&["EXISTS", ".features.history"]))
}

/// Stops the command in the middle of its work.
fn hold(running: &Running, redis: &RedisServer) {
    wait_until("it has begun", || count(redis) > 0);
    running.signal(Signal::STOP);
    let there = count(redis);
    assert!(there < MANY, "it was done before it could be interrupted");
}

fn interrupt_and_go_on(redis: &RedisServer, signal: Signal, code: Option<i32>, command: impl Fn() -> Command) {
    let running = Running::start(&mut command());
    hold(&running, redis);
    running.signal(signal);
    running.signal(Signal::CONT);
    let (ended, lines) = running.end();
    let there = count(redis);
    assert_eq!(ended, code, "{lines:?}");
    assert!(there < MANY, "nothing was interrupted");
    if code.is_some() {
        let line = lines.iter().find(|line| line.contains("interrupted")).unwrap();
        let how_far = format!("{} of 20,000 flags were written, each as a whole; the same command", thousands(there));
        assert!(line.contains(&how_far), "{there}: {line}");
    }
    let (ended, _, err) = run(&mut command());
    assert_eq!(ended, 0, "{err}");
    assert!(err.contains(&format!("{} as they were", thousands(there))), "{there} were there: {err}");
    assert_eq!(count(redis), MANY);
}

fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

#[test]
fn import() {
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::TERM, Some(143)), (Signal::KILL, None)] {
        let Some(redis) = RedisServer::start() else { return };
        let home = tempfile::tempdir().unwrap();
        write_many(&home.path().join("many.json"));
        interrupt_and_go_on(&redis, signal, code, || {
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
    interrupt_and_go_on(&redis, Signal::INT, Some(130), || {
        let mut sync = flipper(home.path(), "");
        sync.args(["sync", "sqlite:many.db", &redis.url()]);
        sync
    });
    let (code, _, err) = run(flipper(home.path(), "").args(["diff", "sqlite:many.db", &redis.url()]));
    assert_eq!(code, 0);
    assert_eq!(err, "no difference: 20,000 flags in both\n");
}

#[test]
fn a_store_dies_during_an_import() {
    let (Some(mut redis), home) = (RedisServer::start(), tempfile::tempdir().unwrap()) else { return };
    write_many(&home.path().join("many.json"));
    let url = redis.url();
    let mut import = flipper(home.path(), &url);
    let running = Running::start(import.args(["import", "many.json"]));
    hold(&running, &redis);
    redis.kill();
    running.signal(Signal::CONT);
    let (code, lines) = running.end();
    assert_eq!(code, Some(4), "{lines:?}");
    let line = lines.iter().find(|line| line.starts_with("error:")).unwrap();
    assert!(line.contains("of 20,000 flags were written, each as a whole, and maybe some of "), "{line}");
    assert!(line.contains(" more; the same command goes on from there"), "{line}");
    redis.restart();
    succeed(&mut import);
    assert_eq!(count(&redis), MANY);
}

#[test]
fn a_frozen_store_does_not_block_the_command() {
    for (signal, expected) in [(Some(Signal::INT), 130), (Some(Signal::TERM), 143), (None, 4)] {
        let (Some(redis), home) = (RedisServer::start(), tempfile::tempdir().unwrap()) else { return };
        write_many(&home.path().join("many.json"));
        let mut import = flipper(home.path(), &redis.url());
        let running = Running::start(import.args(["import", "many.json"]));
        hold(&running, &redis);
        redis.pause();
        if let Some(signal) = signal {
            running.signal(signal);
        }
        running.signal(Signal::CONT);
        let (code, lines) = running.end();
        assert_eq!(code, Some(expected), "{lines:?}");
        let line = lines.iter().find(|line| line.starts_with("error:")).unwrap();
        let written: usize = {
            let (_, rest) = line.split_once("; ").unwrap();
            rest.split(' ').next().unwrap().replace(',', "").parse().unwrap()
        };
        assert!(line.contains(" of 20,000 flags were written, each as a whole"), "{line}");
        redis.resume();
        assert!(written <= count(&redis), "{line}");
        succeed(&mut import);
        assert_eq!(count(&redis), MANY);
    }
}

#[test]
fn a_frozen_store_is_asked_once() {
    let (Some(redis), home) = (RedisServer::start(), tempfile::tempdir().unwrap()) else { return };
    let names: Vec<_> = (0..200).map(|number| format!("FLAG_{number}")).collect();
    succeed(flipper(home.path(), &redis.url()).arg("create").args(&names));
    redis.pause();
    for (before, after) in [
        (&["enable"][..], &[][..]),
        (&["destroy", "--yes"], &[]),
        (&["data", "get"], &[]),
        (&["rollout"], &["10%"]),
        (&["check"], &["n=1"]),
        (&["condition", "list"], &[]),
    ] {
        let (code, out, err) = run(flipper(home.path(), &redis.url()).args(before).args(&names).args(after));
        assert_eq!((code, out.as_str(), err.lines().count()), (4, "", 1), "{before:?}: {err}");
        assert!(err.ends_with("; 199 more flags were not tried\n"), "{before:?}: {err}");
    }
    redis.resume();
    succeed(flipper(home.path(), &redis.url()).arg("enable").args(&names));
}

#[test]
fn a_loading_store_has_its_own_hint() {
    let (Some(mut redis), home) = (RedisServer::start(), tempfile::tempdir().unwrap()) else { return };
    write_many(&home.path().join("many.json"));
    succeed(flipper(home.path(), &redis.url()).args(["import", "many.json"]));
    redis.kill();
    redis.restart_with("key-load-delay 1000\nloading-process-events-interval-bytes 1024");
    let mut error = String::new();
    wait_until("it is seen loading", || {
        error = run(flipper(home.path(), &redis.url()).arg("list")).2;
        error.contains("loading")
    });
    assert!(error.contains("it has just started and is loading its data"), "{error}");
    assert!(!error.contains("is this the right one"), "{error}");
}

#[test]
fn before_anything_is_written() {
    let Some(consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let there = format!("consul://{}/flags", consul.address());
    succeed(flipper(home.path(), &there).args(["create", "A"]));
    succeed(flipper(home.path(), &there).args(["export", "flags.json"]));
    fs::write(home.path().join("kept.json"), "what was there").unwrap();
    let proxy = ConsulProxy::start(consul.port(), Fault::None);
    proxy.hold("GET /v1/kv");
    let url = format!("consul://{}/flags", proxy.address());
    for (arguments, expected) in [
        (&["import", "flags.json", "--replace"][..], "nothing was imported"),
        (&["import", "flags.json"], "nothing was imported"),
        (&["sync", &url, "sqlite:new.db"], "nothing was written"),
        (&["sync", &url, "sqlite:new.db", "--follow"], "nothing was written"),
        (&["export", "kept.json"], "kept.json is as it was"),
        (&["export", "new.json"], "new.json is as it was"),
    ] {
        let before = proxy.requests().len();
        let running = Running::start(flipper(home.path(), &url).args(arguments));
        wait_until("it asks the store", || proxy.requests().len() > before);
        running.signal(Signal::INT);
        let (code, lines) = running.end();
        assert_eq!(code, Some(130), "{arguments:?}: {lines:?}");
        assert!(lines.contains(&format!("error: interrupted; {expected}")), "{arguments:?}: {lines:?}");
    }
    assert_eq!(fs::read_to_string(home.path().join("kept.json")).unwrap(), "what was there");
    let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let parts: Vec<_> = names.filter(|name| name.starts_with("new.json") || name.contains(".part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
}

#[test]
fn at_a_question() {
    let home = tempfile::tempdir().unwrap();
    let at_home = || flipper(home.path(), "sqlite:flags.db");
    succeed(at_home().args(["create", "A", "B"]));
    fs::write(home.path().join("none.json"), "[]").unwrap();
    let mut terminal = Terminal::start(at_home().args(["import", "none.json", "--replace"]), 100);
    terminal.expect("[y/N]");
    terminal.signal(Signal::INT);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("interrupted; nothing was changed"), "{shown}");
    assert_eq!(succeed(at_home().args(["list", "--json"])).matches("\"name\"").count(), 2);
}

#[test]
fn an_export_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    write_many(&home.path().join("many.json"));
    succeed(flipper(home.path(), "sqlite:many.db").args(["import", "many.json"]));
    fs::write(home.path().join("out.json"), "what was there").unwrap();
    for (signal, expected) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let part = |id| home.path().join(format!("out.json.{id}.part"));
        // The file is written quickly, so it takes a few tries to stop in the middle.
        let caught = (0..100).any(|_| {
            let mut running = Running::start(flipper(home.path(), "sqlite:many.db").args(["export", "out.json"]));
            let part = part(running.id());
            while running.is_running() && !part.exists() {}
            running.signal(Signal::STOP);
            let was_in_the_middle = part.exists();
            running.signal(signal);
            running.signal(Signal::CONT);
            let (code, lines) = running.end();
            assert!(!part.exists(), "{lines:?}");
            let interrupted = code == Some(expected) && was_in_the_middle;
            if interrupted {
                assert!(lines.contains(&"error: interrupted; out.json is as it was".to_owned()), "{lines:?}");
                let left = fs::read_to_string(home.path().join("out.json")).unwrap();
                assert_eq!(left, "what was there");
            }
            fs::write(home.path().join("out.json"), "what was there").unwrap();
            interrupted
        });
        assert!(caught, "it was never interrupted");
    }
}
