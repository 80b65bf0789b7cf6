//! `watch`, and outages of its store.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::redis::RedisServer;
use rustix::process::Signal;
use support::running::Running;
use support::{flipper, run, succeed};

#[test]
fn watch_reports_each_change() {
    let home = tempfile::tempdir().unwrap();
    let flipper = |arguments: &[&str]| {
        let mut command = flipper(home.path(), "sqlite:flags.db");
        command.args(arguments);
        command
    };
    succeed(&mut flipper(&["create", "A"]));
    let mut all = Running::start(&mut flipper(&["watch"]));
    let mut one = Running::start(&mut flipper(&["watch", "B", "--json"]));
    all.line("following sqlite:flags.db, which has 1 flag");
    one.line("\"event\": \"begin\"");

    succeed(&mut flipper(&["enable", "A"]));
    assert!(all.line("~ A").contains("enabled: false -> true"));
    succeed(&mut flipper(&["create", "B", "--enable", "--data", r#"{"n": 1}"#]));
    assert!(all.line("+ B").contains("enabled: true, data n: 1"));
    succeed(&mut flipper(&["condition", "add", "B", "n > 3"]));
    assert!(all.line("~ B").contains("condition: n > 3"));
    succeed(&mut flipper(&["destroy", "B", "--yes"]));
    assert!(all.line("- B").contains("destroyed"));
    let removed = one.line("\"event\": \"removed\"");
    assert!(removed.contains("\"after\": null"), "{removed}");

    for watch in [all, one] {
        watch.signal(Signal::INT);
        let (code, lines) = watch.end();
        assert_eq!(code, Some(0));
        assert!(!lines.iter().any(|line| line.contains("\"name\": \"A\"")), "only B is watched: {lines:?}");
    }
}

/// No store reports it: the record stays the same.
#[test]
fn watch_reports_the_turns_of_schedules() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Running::start(flipper(home.path(), "memory:").args(["serve", "--http", "127.0.0.1:0"]));
    let line = server.line(" http=");
    let served = format!("http://{}", line.rsplit_once(" http=").unwrap().1.trim_matches('"'));
    let watches = ["sqlite:flags.db", &served].map(|url| {
        let flipper = |arguments: &[&str]| {
            let mut command = flipper(home.path(), url);
            command.args(arguments);
            command
        };
        succeed(&mut flipper(&["create", "A", "B", "OFF"]));
        let mut all = Running::start(&mut flipper(&["watch"]));
        let mut one = Running::start(&mut flipper(&["watch", "B", "--json"]));
        all.line("which has 3 flags");
        one.line("\"begin\"");
        // A flag that is disabled does not turn.
        succeed(&mut flipper(&["schedule", "OFF", "--enable-at", "+3s"]));
        succeed(&mut flipper(&["disable", "OFF"]));
        succeed(&mut flipper(&["schedule", "A", "--enable-at", "+3s", "--disable-at", "+4s"]));
        succeed(&mut flipper(&["schedule", "B", "--step", "50%@+4s", "--by", "user_id"]));
        (all, one)
    });
    for (mut all, mut one) in watches {
        all.line("~ A is on, as scheduled");
        all.line("~ A is off, as scheduled");
        all.line("~ B is on, as scheduled: 50% by user_id, in steps");
        let turned = one.line("\"turned\"");
        let expected = r#""name": "B", "enabled": true, "targeting": "50% by user_id, in steps", "next_turn": null}"#;
        assert!(turned.ends_with(expected), "{turned}");
        // The last turn was that of B.
        let printed = [all, one].map(|watch| {
            watch.signal(Signal::INT);
            watch.end().1
        });
        let turns = |lines: &[String], text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!((turns(&printed[0], "as scheduled"), turns(&printed[1], "turned")), (3, 1), "{printed:#?}");
    }
}

#[test]
fn watch_reports_a_restart() {
    let Some(mut redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let url = redis.url();
    let flipper = |arguments: &[&str]| {
        let mut command = flipper(home.path(), &url);
        command.args(arguments);
        command
    };
    succeed(&mut flipper(&["create", "A", "B"]));
    let mut watch = Running::start(&mut flipper(&["watch"]));
    watch.line("changes are pushed");
    succeed(&mut flipper(&["enable", "A"]));
    watch.line("enabled: false -> true");
    redis.kill();
    let lost = watch.line("lost:");
    assert!(lost.contains("is unreachable") && lost.contains("retrying"), "{lost}");
    redis.restart();
    watch.line("back:");
    succeed(&mut flipper(&["disable", "A"]));
    watch.line("enabled: true -> false");
    watch.signal(Signal::INT);
    let (_, lines) = watch.end();
    let count = lines.iter().filter(|line| *line == "changes are pushed").count();
    assert_eq!(count, 1, "it has not changed: {lines:?}");
}

#[test]
fn watch_survives_a_restart_of_consul() {
    let Some(mut consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let url = format!("consul://{}", consul.address());
    succeed(flipper(home.path(), &url).args(["create", "A"]));
    let mut watch = Running::start(flipper(home.path(), &url).arg("watch"));
    watch.line("changes are pushed");
    succeed(flipper(home.path(), &url).args(["enable", "A"]));
    watch.line("enabled: false -> true");
    consul.kill();
    watch.line("lost:");
    consul.restart();
    watch.line("back:");
    succeed(flipper(home.path(), &url).args(["disable", "A"]));
    watch.line("enabled: true -> false");
    watch.signal(Signal::INT);
    let (code, lines) = watch.end();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.starts_with("warning:")), "each outage is reported once: {lines:?}");
}

#[test]
fn watch_of_a_wrong_address_ends() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, err) = run(flipper(home.path(), "redis://u:secret@127.0.0.1:1").arg("watch"));
    assert_eq!(code, 4);
    assert!(err.contains("cannot be used: Connection refused") && !err.contains("secret"), "{err}");
}
