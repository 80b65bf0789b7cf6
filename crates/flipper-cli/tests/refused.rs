//! Flags that a store refuses to take: they are told, the others go on, and nobody is told that all is well.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::process::Command;

use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, SqliteFeatureFlagStore};
use flipper_testkit::consul::{ConsulAgent, MASTER_TOKEN};
use flipper_testkit::wait_until;
use rustix::process::Signal;
use support::running::Running;
use support::{flipper, run, succeed};

/// Creates a flag, or replaces its data, with so many bytes.
fn create(home: &Path, name: &str, bytes: usize) {
    let record = format!(
        r#"{{"feature_name": "{name}", "is_enabled": true, "meta": {{"client_data": {{"pad": "{}"}}, "created_date": 1}}}}"#,
        "x".repeat(bytes)
    );
    // Past the command, which allows half of it.
    let file = SqliteFeatureFlagStore::new(home.join("from.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(file.put(&FlagRecord::from_json(record).unwrap(), Precondition::Any)).unwrap();
}

fn names(home: &Path, store: &str) -> Vec<String> {
    let listed = succeed(flipper(home, store).args(["list"]));
    listed.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

const TOO_LARGE: usize = 600 * 1024;

#[test]
fn sync_tells_what_is_too_large_and_is_not_in_step() {
    let Some(consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let to = format!("consul://{}/flags", consul.address());
    for (name, bytes) in [("A", 1), ("LARGE", TOO_LARGE), ("Z", 1)] {
        create(home.path(), name, bytes);
    }
    let (code, _, err) = run(flipper(home.path(), "").args(["sync", "sqlite:from.db", &to]));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("error: flag LARGE: a flag may have 524288 bytes in Consul"), "{err}");
    assert!(err.contains("is not in step: 2 new, 0 changed, 0 destroyed, 0 as they were, 1 failed"), "{err}");
    assert_eq!(names(home.path(), &to), ["A", "Z"]);
}

#[test]
fn following_goes_on_with_the_others() {
    let Some(mut consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let to = format!("consul://{}/flags", consul.address());
    for (name, bytes) in [("A", 1), ("LARGE", TOO_LARGE)] {
        create(home.path(), name, bytes);
    }
    let follow = || {
        let mut command = flipper(home.path(), "");
        command.args(["sync", "sqlite:from.db", &to, "--follow"]);
        command
    };
    let mut sync = Running::start(&mut follow());
    sync.line("error: flag LARGE: a flag may have 524288 bytes");
    sync.line("is not in step: 1 new, 0 changed, 0 destroyed, 0 as they were, 1 failed");
    sync.line("following");

    // It is another now, and taken.
    create(home.path(), "LARGE", 1);
    sync.line("wrote LARGE");
    sync.line("is in step");
    // And one that was taken is refused; the others go on.
    create(home.path(), "A", TOO_LARGE);
    sync.line("error: flag A: a flag may have 524288 bytes");
    create(home.path(), "B", 1);
    sync.line("wrote B");

    // After an outage all is compared; what was refused is still.
    consul.kill();
    create(home.path(), "C", 1);
    sync.line("trying on");
    consul.restart();
    sync.line("is there again; 1 flag was refused by ");
    wait_until("C is there", || names(home.path(), &to).contains(&"C".to_owned()));
    sync.signal(Signal::INT);
    let (code, said) = sync.end();
    assert_eq!(code, Some(4), "{said:?}");
    let last = said.iter().find(|line| line.starts_with("interrupted")).unwrap();
    assert!(last.contains("1 flag was refused by ") && last.ends_with(": A"), "{last}");
    let in_step = said.iter().filter(|line| line.ends_with("in step")).count();
    assert_eq!(in_step, 1, "only while it was: {said:?}");
    let told = said.iter().filter(|line| line.contains("error: flag A:")).count();
    assert_eq!(told, 1, "each is told once: {said:?}");
}

const READER: &str = "aaaaaaaa-0000-0000-0000-00000000000a";
const SOME: &str = "aaaaaaaa-0000-0000-0000-00000000000b";

#[test]
fn a_token_that_may_not_write() {
    let Some(consul) = ConsulAgent::options().acl().start() else { return };
    consul.policy("read", r#"key_prefix "" { policy = "read" }"#);
    consul.token(READER, "read");
    consul.policy("some", r#"key_prefix "" { policy = "read" } key "flags/A" { policy = "write" }"#);
    consul.token(SOME, "some");
    let home = tempfile::tempdir().unwrap();
    let to = format!("consul://{}/flags", consul.address());
    for name in ["A", "B"] {
        create(home.path(), name, 1);
    }
    let sync = |token: &str, more: &[&str]| -> Command {
        let mut command = flipper(home.path(), "");
        command.env("CONSUL_HTTP_TOKEN", token).args(["sync", "sqlite:from.db", &to]).args(more);
        command
    };
    // Not each of thousands of flags is told: that is an error of its own.
    let (code, _, err) = run(&mut sync(READER, &[]));
    assert_eq!(code, 4);
    assert!(err.contains("refused access") && err.contains("0 of 2 flags were written"), "{err}");
    assert_eq!(err.matches("error:").count(), 1, "{err}");

    let mut follow = Running::start(&mut sync(SOME, &["--follow"]));
    follow.line("refused access");
    follow.line("is not in step: 1 new, 0 changed, 0 destroyed, 0 as they were, 1 failed");
    succeed(flipper(home.path(), "sqlite:from.db").args(["disable", "A"]));
    follow.line("wrote A");
    succeed(flipper(home.path(), "sqlite:from.db").args(["disable", "B"]));
    // Told before, so it is not told again; a third one is.
    succeed(flipper(home.path(), "sqlite:from.db").args(["create", "C"]));
    let told = follow.line("refused access");
    assert!(told.contains("flag C was not written"), "{told}");
    follow.signal(Signal::TERM);
    let (code, said) = follow.end();
    assert_eq!(code, Some(4), "{said:?}");
    assert!(said.iter().any(|line| line.contains("2 flags were refused by ") && line.ends_with(": B, C")), "{said:?}");
    assert!(!said.iter().any(|line| line.ends_with("in step")), "{said:?}");
    succeed(&mut sync(MASTER_TOKEN, &[]));
}
