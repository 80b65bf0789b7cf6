//! `sync --follow`: outages of both stores, and foreign writers.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::wait_until;
use rustix::process::Signal;
use support::running::Running;
use support::{flipper, run, succeed};

#[test]
fn sync_follows_through_outages_of_both_sides() {
    let (Some(mut from), Some(mut to)) = (RedisServer::start(), RedisServer::start()) else { return };
    let home = tempfile::tempdir().unwrap();
    let (from_url, to_url) = (from.url(), to.url());
    let at = |url: &str, arguments: &[&str]| {
        let mut command = flipper(home.path(), url);
        command.args(arguments);
        command
    };
    let has = |url: &str, name: &str, wanted: Option<bool>| {
        let (code, _, _) = run(&mut at(url, &["check", name]));
        code == match wanted {
            Some(true) => 0,
            Some(false) => 1,
            None => 3,
        }
    };
    succeed(&mut at(&from_url, &["create", "A", "B", "C"]));
    succeed(&mut at(&to_url, &["create", "ONLY_THERE"]));
    let mut sync = Running::start(&mut at("memory:", &["sync", &from_url, &to_url, "--follow"]));
    sync.line("3 new");
    sync.line("following");

    succeed(&mut at(&from_url, &["enable", "A"]));
    wait_until("A is on there", || has(&to_url, "A", Some(true)));
    succeed(&mut at(&from_url, &["destroy", "B", "--yes"]));
    wait_until("B is deleted there", || has(&to_url, "B", None));

    // Changes during an outage of the target are written afterwards.
    to.kill();
    succeed(&mut at(&from_url, &["disable", "A"]));
    succeed(&mut at(&from_url, &["destroy", "C", "--yes"]));
    sync.line("retrying");
    to.restart();
    wait_until("A is off there", || has(&to_url, "A", Some(false)));
    wait_until("C is deleted there", || has(&to_url, "C", None));

    // A source that comes back empty does not empty the target.
    from.restart_empty();
    assert!(sync.line("no longer in").contains("1 flag no longer in"));
    assert!(has(&to_url, "A", Some(false)));
    succeed(&mut at(&from_url, &["create", "NEW"]));
    wait_until("NEW is there", || has(&to_url, "NEW", Some(false)));
    // Its answer has come, too.
    sync.line("wrote NEW");
    assert!(has(&to_url, "ONLY_THERE", Some(false)));

    sync.signal(Signal::INT);
    assert_eq!(sync.end().0, Some(0));
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, url: &str, arguments: &[&str]) -> std::process::Command {
        let mut command = flipper(self.0.path(), url);
        command.args(arguments);
        command
    }

    /// `FLAG_1` to `FLAG_12`, which are on.
    fn fill(&self, url: &str) {
        let names: Vec<_> = (1..=12).map(|number| format!("FLAG_{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        succeed(self.at(url, &["create", "--enable"]).args(names));
    }

    fn count(&self, url: &str) -> usize {
        succeed(&mut self.at(url, &["list", "--json"])).matches("\"name\"").count()
    }

    fn follow(&self, from: &str, to: &str, more: &[&str]) -> Running {
        let mut sync = Running::start(self.at("memory:", &["sync", from, to, "--follow"]).args(more));
        sync.line("following");
        sync
    }
}

/// Interrupts it: the exit code and the last message.
fn interrupt(sync: Running) -> (Option<i32>, String) {
    sync.signal(Signal::INT);
    let (code, lines) = sync.end();
    (code, lines.iter().find(|line| line.starts_with("interrupted")).unwrap_or_else(|| panic!("{lines:?}")).clone())
}

#[test]
fn a_source_that_is_emptied_empties_nothing() {
    let (Some(from), Some(to)) = (RedisServer::start(), RedisServer::start()) else { return };
    let place = Place::new();
    place.fill(&from.url());
    let mut sync = place.follow(&from.url(), &to.url(), &[]);
    from.command(&["FLUSHALL"]);
    let line = sync.line("error:");
    assert!(line.contains("12 of 12 flags in ") && line.contains("12 flags kept in "), "{line}");
    assert!(line.contains("--delete --max-deletions 100%"), "{line}");
    assert_eq!(place.count(&to.url()), 12);
    succeed(&mut place.at(&from.url(), &["create", "NEW"]));
    sync.line("wrote NEW");
    let (code, last) = interrupt(sync);
    assert_eq!(code, Some(4));
    assert!(last.contains("12 flags kept, though destroyed in "), "{last}");

    // A new start has the same result, until the option allows it.
    let again = ["sync", &from.url(), &to.url(), "--follow", "--delete", "--yes"];
    let (code, _, err) = run(&mut place.at("memory:", &again));
    assert!(code == 2 && err.contains("12 of 13 flags in ") && err.contains("nothing was written"), "{err}");
    assert_eq!(place.count(&to.url()), 13);
    let sync = place.follow(&from.url(), &to.url(), &["--delete", "--yes", "--max-deletions", "100%"]);
    assert_eq!(place.count(&to.url()), 1);
    assert_eq!(interrupt(sync), (Some(0), "interrupted, with all changes written".to_owned()));
}

#[test]
fn a_consul_source_that_is_emptied_empties_nothing() {
    let Some(from) = ConsulAgent::start() else { return };
    let place = Place::new();
    let url = format!("consul://{}/flags", from.address());
    place.fill(&url);
    let mut sync = place.follow(&url, "sqlite:to.db", &[]);
    from.ask("DELETE", "/v1/kv/flags?recurse", b"");
    let line = sync.line("error:");
    assert!(line.contains("12 of 12 flags in "), "{line}");
    assert_eq!(place.count("sqlite:to.db"), 12);
    succeed(&mut place.at(&url, &["create", "FLAG_1"]));
    sync.line("wrote FLAG_1");
    let (code, last) = interrupt(sync);
    assert_eq!(code, Some(4));
    assert!(last.contains("11 flags kept, though destroyed in "), "{last}");
}

#[test]
fn as_many_as_are_allowed_are_destroyed() {
    let place = Place::new();
    for (limit, destroyed) in [("100%", 12), ("12", 12), ("50%", 6), ("6", 6), ("0", 0)] {
        let (from, to) = (format!("sqlite:from{limit}.db"), format!("sqlite:to{limit}.db"));
        place.fill(&from);
        let mut sync = place.follow(&from, &to, &["--max-deletions", limit]);
        let names: Vec<_> = (1..=destroyed.max(1)).map(|number| format!("FLAG_{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        succeed(place.at(&from, &["destroy", "--yes"]).args(names));
        if destroyed == 0 {
            sync.line("error: 1 of 12 flags in ");
        }
        wait_until("they are deleted", || place.count(&to) == 12 - destroyed);
        assert_eq!(interrupt(sync).0, Some(if destroyed == 0 { 4 } else { 0 }), "{limit}");
    }
    for limit in ["101%", "-1", "x", "1.5", "%"] {
        let limit = format!("--max-deletions={limit}");
        assert_eq!(run(&mut place.at("", &["sync", "sqlite:a", "sqlite:b", &limit])).0, 2, "{limit}");
    }
    // Without --follow the limit applies if it is given.
    let sync = ["sync", "sqlite:from100%.db", "sqlite:to0.db", "--delete", "--yes"];
    let (code, _, err) = run(place.at("", &sync).args(["--max-deletions", "50%"]));
    assert!(code == 2 && err.contains("12 of 12 flags in sqlite:to0.db would be destroyed"), "{err}");
    succeed(&mut place.at("", &sync));
    assert_eq!(place.count("sqlite:to0.db"), 0);
}

#[test]
fn a_source_that_comes_back_with_a_part_destroys_nothing() {
    let (Some(mut from), Some(to)) = (RedisServer::start(), RedisServer::start()) else { return };
    let place = Place::new();
    place.fill(&from.url());
    let mut sync = place.follow(&from.url(), &to.url(), &[]);
    from.kill();
    sync.line("retrying");
    from.restart_empty();
    succeed(&mut place.at(&from.url(), &["create", "FLAG_1"]));
    sync.line("flags no longer in ");
    wait_until("what it has is written", || run(&mut place.at(&to.url(), &["check", "FLAG_1"])).0 == 1);
    assert_eq!(place.count(&to.url()), 12);
    assert_eq!(interrupt(sync).0, Some(0));
    // With --delete these are still too many.
    let mut sync = place.follow(&from.url(), "sqlite:to.db", &["--delete", "--yes"]);
    let more: Vec<_> = (2..=12).map(|number| format!("FLAG_{number}")).collect();
    succeed(place.at(&from.url(), &["create"]).args(&more));
    wait_until("all are written", || place.count("sqlite:to.db") == 12);
    from.restart_empty();
    sync.line(" of 12 flags in ");
    assert_eq!(place.count("sqlite:to.db"), 12);
    assert_eq!(interrupt(sync).0, Some(4));
}

#[test]
fn foreign_changes_of_the_target_are_undone() {
    let (Some(to), Some(consul)) = (RedisServer::start(), ConsulAgent::start()) else { return };
    let place = Place::new();
    place.fill("sqlite:from.db");
    let consul_url = format!("consul://{}/flags", consul.address());
    for url in [to.url(), consul_url, "sqlite:to.db".to_owned()] {
        let mut sync = place.follow("sqlite:from.db", &url, &[]);
        let is_same = || {
            let diff = run(&mut place.at("", &["diff", "sqlite:from.db", &url, "--json"])).1;
            diff.contains("\"equal\": true")
        };
        // Our own change, which comes back from the target as an event.
        succeed(&mut place.at("sqlite:from.db", &["toggle", "FLAG_1"]));
        sync.line("wrote FLAG_1");
        succeed(&mut place.at(&url, &["disable", "FLAG_2"]));
        assert!(sync.line("was changed by others").contains("0 new, 1 changed"));
        wait_until("it is as it was", is_same);
        let names: Vec<_> = (1..=12).map(|number| format!("FLAG_{number}")).collect();
        succeed(place.at(&url, &["destroy", "--yes"]).args(&names));
        wait_until("all exist again", is_same);
        sync.line("was changed by others");
        assert_eq!(interrupt(sync), (Some(0), "interrupted, with all changes written".to_owned()), "{url}");
    }
    let sync = place.follow("sqlite:from.db", &to.url(), &[]);
    to.command(&["FLUSHALL"]);
    wait_until("all exist again", || place.count(&to.url()) == 12);
    to.command(&["SET", "features/FLAG_3", "no flag"]);
    wait_until("it can be read again", || run(&mut place.at(&to.url(), &["check", "FLAG_3"])).0 == 0);
    assert_eq!(interrupt(sync).0, Some(0));
}

#[test]
fn unreadable_flags_are_listed_at_the_end() {
    let (Some(from), place) = (RedisServer::start(), Place::new()) else { return };
    succeed(&mut place.at(&from.url(), &["create", "A", "B"]));
    from.command(&["SET", "features/UNREADABLE", "no flag"]);
    let mut sync = place.follow(&from.url(), "sqlite:to.db", &[]);
    let (code, last) = interrupt(sync);
    assert_eq!(code, Some(4));
    assert!(last.starts_with("interrupted; 1 flag cannot be read in ") && last.ends_with(": UNREADABLE"), "{last}");

    sync = place.follow(&from.url(), "sqlite:to.db", &[]);
    from.command(&["SET", "features/A", "no flag"]);
    sync.line("A in ");
    succeed(&mut place.at(&from.url(), &["destroy", "A", "UNREADABLE", "--yes"]));
    wait_until("A is deleted", || place.count("sqlite:to.db") == 1);
    assert_eq!(interrupt(sync), (Some(0), "interrupted, with all changes written".to_owned()));
}

#[test]
fn what_a_flag_needs_is_written_before_it() {
    let (Some(from), Some(to)) = (RedisServer::start(), RedisServer::start()) else { return };
    let home = tempfile::tempdir().unwrap();
    let at = |url: String, arguments: &[&str]| {
        let mut command = flipper(home.path(), &url);
        command.args(arguments);
        command
    };
    let write = |arguments: &[&str]| succeed(&mut at(from.url(), arguments));
    write(&["create", "A", "B", "C", "--enable"]);
    let mut sync = Running::start(&mut at("memory:".into(), &["sync", &from.url(), &to.url(), "--follow"]));
    sync.line("following");

    // It hears of A first, and reads it when it names all the others.
    sync.signal(Signal::STOP);
    write(&["data", "set", "A", "owner=horses"]);
    write(&["segment", "set", "blocked", "id = 1"]);
    write(&["segment", "set", "wide", "in segment blocked or id = 2"]);
    write(&["disable", "C"]);
    write(&["prerequisite", "add", "B", "C"]);
    write(&["rule", "add", "A", "in segment wide", "off"]);
    write(&["prerequisite", "add", "A", "B"]);
    sync.signal(Signal::CONT);
    sync.line("wrote C");
    sync.line("wrote B");
    sync.line("wrote segments/blocked");
    sync.line("wrote segments/wide");
    sync.line("wrote A");
    interrupt(sync);

    // A transfer too, in which names come in their order.
    write(&["enable", "C"]);
    write(&["prerequisite", "remove", "B", "C"]);
    write(&["prerequisite", "add", "C", "B"]);
    succeed(&mut at("memory:".into(), &["sync", &from.url(), &to.url()]));
    // The newest first. A watch may read the two in another order.
    let history = succeed(&mut at(to.url(), &["history", "--limit", "2"]));
    let order: Vec<_> = history.lines().map(|line| line.split_once(" ~ ").map(|(_, change)| &change[..1])).collect();
    assert_eq!(order, [Some("C"), Some("B")], "{history}");
}
