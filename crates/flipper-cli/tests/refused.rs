//! A store refuses some flags: each is reported, the others are written, and the exit code is not 0.
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

/// Creates a flag, or replaces its data, with this many bytes.
fn create(home: &Path, name: &str, bytes: usize) {
    let record = format!(
        r#"{{"feature_name": "{name}", "is_enabled": true, "meta": {{"client_data": {{"pad": "{}"}}, "created_date": 1}}}}"#,
        "x".repeat(bytes)
    );
    // Not with the command, whose limit is half of this.
    let file = SqliteFeatureFlagStore::new(home.join("from.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(file.put(&FlagRecord::from_json(record).unwrap(), Precondition::Any.into())).unwrap();
}

fn names(home: &Path, store: &str) -> Vec<String> {
    let listed = succeed(flipper(home, store).args(["list"]));
    listed.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

const TOO_LARGE: usize = 600 * 1024;

#[test]
fn sync_reports_what_is_too_large_and_is_not_in_step() {
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
fn no_flag_is_written_before_the_segment_that_it_names() {
    let Some(consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let to = format!("consul://{}/flags", consul.address());
    let from = |arguments: &[&str]| succeed(flipper(home.path(), "sqlite:from.db").args(arguments));
    from(&["segment", "set", "blocked", "id = 1"]);
    from(&["segment", "set", "wide", "in segment blocked or id = 2"]);
    for flag in ["A", "B", "C"] {
        from(&["enable", "--create", flag]);
    }
    from(&["rule", "add", "A", "not in segment wide", "on"]);
    // It keeps its condition, and gets too large.
    let file = SqliteFeatureFlagStore::new(home.path().join("from.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let stored = file.get("segments/blocked").await.unwrap().unwrap();
        let mut record = (*stored.record.unwrap()).clone();
        record.set_client_data([("pad", "x".repeat(TOO_LARGE))].into_iter().collect());
        file.put(&record, Precondition::Any.into()).await.unwrap();
    });
    let (code, _, err) = run(flipper(home.path(), "").args(["sync", "sqlite:from.db", &to]));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("wide: it names segment blocked, which was not written"), "{err}");
    assert!(err.contains("flag A: it names segment wide, which was not written"), "{err}");
    assert!(err.contains("2 new, 0 changed, 0 destroyed, 0 as they were, 3 failed"), "{err}");
    assert_eq!(names(home.path(), &to), ["B", "C"]);

    // A flag that is refused may still name a segment that is to go.
    let there = |arguments: &[&str]| succeed(flipper(home.path(), &to).args(arguments));
    there(&["segment", "set", "old", "id = 1"]);
    there(&["rule", "add", "B", "not in segment old", "on"]);
    create(home.path(), "B", TOO_LARGE);
    let (code, _, err) = run(flipper(home.path(), "").args(["sync", "sqlite:from.db", &to, "--delete", "--yes"]));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("old: it is kept, since flags that may name it were refused"), "{err}");
    assert!(there(&["segment", "list"]).contains("old"));
}

#[test]
fn following_continues_with_the_other_flags() {
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

    // What needs it would be on by an older one.
    succeed(flipper(home.path(), "sqlite:from.db").args(["prerequisite", "add", "A", "LARGE"]));
    sync.line("error: flag A: it needs LARGE, which was not written");

    create(home.path(), "LARGE", 1);
    sync.line("wrote LARGE");
    sync.line("is in step");
    // An accepted flag is refused later.
    create(home.path(), "A", TOO_LARGE);
    sync.line("error: flag A: a flag may have 524288 bytes");
    create(home.path(), "B", 1);
    sync.line("wrote B");

    // Consul refuses it in the comparison after an outage too.
    consul.kill();
    create(home.path(), "C", 1);
    sync.line("retrying");
    consul.restart();
    sync.line("is reachable again; 1 flag was refused by ");
    wait_until("C is there", || names(home.path(), &to).contains(&"C".to_owned()));
    sync.signal(Signal::INT);
    let (code, lines) = sync.end();
    assert_eq!(code, Some(4), "{lines:?}");
    let last = lines.iter().find(|line| line.starts_with("interrupted")).unwrap();
    assert!(last.contains("1 flag was refused by ") && last.ends_with(": A"), "{last}");
    let in_step = lines.iter().filter(|line| line.ends_with("in step")).count();
    assert_eq!(in_step, 1, "printed once, while it was: {lines:?}");
    let reports = lines.iter().filter(|line| line.contains("error: flag A: a flag may have")).count();
    assert_eq!(reports, 1, "reported once: {lines:?}");
}

/// Without it, the rules of that flag would hold for others.
#[test]
fn following_keeps_a_segment_while_a_flag_is_refused() {
    let Some(mut consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let to = format!("consul://{}/flags", consul.address());
    let from = |arguments: &[&str]| succeed(flipper(home.path(), "sqlite:from.db").args(arguments));
    from(&["segment", "set", "inner", "id = 1"]);
    from(&["segment", "set", "outer", "in segment inner"]);
    from(&["segment", "set", "old", "id = 1"]);
    for flag in ["A", "B", "t"] {
        from(&["enable", "--create", flag]);
    }
    from(&["rule", "add", "B", "not in segment old", "on"]);
    let sync = ["sync", "sqlite:from.db", &to, "--follow", "--max-deletions", "100%"];
    let mut sync = Running::start(flipper(home.path(), "").args(sync));
    sync.line("following");

    // Without its rule it is refused.
    create(home.path(), "B", TOO_LARGE);
    sync.line("error: flag B: a flag may have 524288 bytes");
    from(&["segment", "delete", "old", "--yes"]);
    sync.line("old: it is kept, since flags that may name it were refused");
    assert!(succeed(flipper(home.path(), &to).args(["segment", "list"])).contains("old"));
    create(home.path(), "B", 1);
    sync.line("wrote B");
    sync.line("destroyed segments/old");

    // After an outage too, each goes before what it may name.
    consul.kill();
    sync.line("retrying");
    from(&["destroy", "t", "--yes"]);
    from(&["segment", "delete", "outer", "--yes"]);
    from(&["segment", "delete", "inner", "--yes"]);
    consul.restart();
    sync.line("destroyed segments/inner");
    let destroyed: Vec<_> = sync.seen().iter().filter(|line| line.starts_with("destroyed")).collect();
    assert_eq!(destroyed[1..], ["destroyed t", "destroyed segments/outer", "destroyed segments/inner"]);
}

const READER: &str = "aaaaaaaa-0000-0000-0000-00000000000a";
const SOME: &str = "aaaaaaaa-0000-0000-0000-00000000000b";

#[test]
fn a_token_that_may_not_write() {
    let Some(consul) = ConsulAgent::options().acl().start() else { return };
    consul.policy("read", r#"key_prefix "" { policy = "read" }"#);
    consul.token(READER, "read");
    let some = r#"key_prefix "" { policy = "read" } key "flags/A" { policy = "write" } key_prefix ".flags.history/" { policy = "write" }"#;
    consul.policy("some", some);
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
    // If all flags are refused, there is one error instead of one for each.
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
    // B was reported before and is not reported again; C is.
    succeed(flipper(home.path(), "sqlite:from.db").args(["create", "C"]));
    let line = follow.line("refused access");
    assert!(line.contains("flag C was not written"), "{line}");
    follow.signal(Signal::TERM);
    let (code, lines) = follow.end();
    assert_eq!(code, Some(4), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.contains("2 flags were refused by ") && line.ends_with(": B, C")),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.ends_with("in step")), "{lines:?}");
    succeed(&mut sync(MASTER_TOKEN, &[]));
}
