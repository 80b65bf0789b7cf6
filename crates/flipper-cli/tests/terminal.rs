//! Colours, questions, progress and narrow windows of a terminal.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::process::Command;

use support::terminal::Terminal;
use support::{flipper, run, succeed};
use tempfile::TempDir;

const GREEN: &str = "\u{1b}[32m";

struct Home(TempDir);

impl Home {
    /// With two flags.
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let data = r#"{"description": "the new checkout with everything that comes along"}"#;
        succeed(home.flipper().args(["create", "NEW_CHECKOUT", "--enable", "--data", data]));
        succeed(home.flipper().args(["create", "OLD"]));
        home
    }

    fn flipper(&self) -> Command {
        let mut flipper = flipper(self.0.path(), "sqlite:flags.db");
        flipper.env("TERM", "xterm-256color");
        flipper
    }

    fn names(&self) -> Vec<String> {
        let listed = succeed(self.flipper().arg("list"));
        listed.lines().skip(1).map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

#[test]
fn colours_are_for_terminals() {
    let home = Home::new();
    let on_screen = |command: &mut Command| Terminal::start(command, 80).end().1;
    assert!(on_screen(home.flipper().arg("list")).contains(GREEN));
    assert!(on_screen(home.flipper().arg("enable")).contains('\u{1b}'), "clap's errors");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = on_screen(home.flipper().arg("list").env(name, value));
        assert!(plain.contains("NEW_CHECKOUT") && !plain.contains('\u{1b}'), "{name}: {plain:?}");
    }
    let (_, out, err) = run(home.flipper().args(["list", "--filter", "NEW"]));
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "in a pipe");
}

#[test]
fn destroy_asks() {
    let home = Home::new();
    for (answer, stays) in [("n\n", true), ("\n", true), ("no\n", true), ("y\n", false)] {
        let mut terminal = Terminal::start(home.flipper().args(["destroy", "NEW_CHECKOUT"]).env("NO_COLOR", "1"), 100);
        terminal.expect("destroy NEW_CHECKOUT in sqlite:flags.db? It is ON for everybody. [y/N]");
        terminal.enter(answer);
        let (code, shown) = terminal.end();
        assert_eq!(home.names().contains(&"NEW_CHECKOUT".to_owned()), stays, "{answer:?}");
        assert_eq!(code, Some(if stays { 2 } else { 0 }));
        assert!(
            shown.contains(if stays { "NEW_CHECKOUT stays as it is" } else { "destroyed NEW_CHECKOUT" }),
            "{shown}"
        );
    }
}

#[test]
fn deleting_a_segment_asks_and_shows_what_names_it() {
    let home = Home::new();
    succeed(home.flipper().args(["segment", "set", "beta", "plan = pro"]));
    succeed(home.flipper().args(["rule", "add", "OLD", "in segment beta", "on"]));
    for (answer, stays) in [("n\n", true), ("y\n", false)] {
        let mut terminal =
            Terminal::start(home.flipper().args(["segment", "delete", "beta"]).env("NO_COLOR", "1"), 120);
        terminal.expect(
            "delete segment beta in sqlite:flags.db? OLD names it: without it neither `in segment beta` holds for a \
             caller, nor `not in segment beta`. [y/N]",
        );
        terminal.enter(answer);
        let (code, shown) = terminal.end();
        let listed = succeed(home.flipper().args(["segment", "list", "--json"]));
        assert_eq!(listed.contains("beta"), stays, "{answer:?}");
        assert_eq!(code, Some(if stays { 2 } else { 0 }));
        assert!(shown.contains(if stays { "segment beta stays as it is" } else { "deleted segment beta" }), "{shown}");
    }
}

#[test]
fn undo_shows_what_was_changed_while_it_asked() {
    let home = Home::new();
    succeed(home.flipper().args(["client-data", "set", "OLD", "owner=shop"]));
    let undo = |meanwhile: &[&str], answer: &str| {
        let mut terminal = Terminal::start(home.flipper().args(["undo", "OLD"]).env("NO_COLOR", "1"), 120);
        terminal.expect("undo `set_client_data` of OLD, by you (command), in sqlite:flags.db? [y/N]");
        if !meanwhile.is_empty() {
            succeed(home.flipper().env("FLIPPER_ACTOR", "bob").args(meanwhile));
        }
        terminal.enter(answer);
        terminal.end()
    };
    let (code, shown) = undo(&[], "n\n");
    assert!(code == Some(2) && shown.contains("OLD stays as it is"), "{shown}");

    let (code, shown) = undo(&["enable", "OLD", "--because", "incident 42"], "y\n");
    assert_eq!(code, Some(4), "{shown}");
    for part in [
        "- data owner: \"shop\"",
        "error: OLD was changed since, by bob (command): incident 42, and stays as it is now",
        "- enabled: false",
        "+ enabled: true",
        "`flipper undo OLD` shows that change",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let data = succeed(home.flipper().args(["client-data", "get", "OLD"]));
    assert_eq!(data.trim(), r#"{"owner": "shop"}"#);
}

#[test]
fn the_end_of_input_is_no_consent() {
    let home = Home::new();
    let mut terminal = Terminal::start(home.flipper().args(["destroy", "OLD"]), 100);
    terminal.expect("[y/N]");
    terminal.enter("\u{4}");
    assert_eq!(terminal.end().0, Some(2));
    assert_eq!(home.names(), ["NEW_CHECKOUT", "OLD"]);
}

#[test]
fn import_asks_before_it_destroys() {
    let home = Home::new();
    succeed(home.flipper().args(["export", "flags.json"]));
    succeed(home.flipper().args(["create", "LATER"]));
    let mut terminal = Terminal::start(home.flipper().args(["import", "flags.json", "--replace"]), 100);
    terminal.expect("destroy 1 flag that only sqlite:flags.db has (LATER)? [y/N]");
    terminal.enter("n\n");
    assert_eq!(terminal.end().0, Some(2));
    assert_eq!(home.names(), ["LATER", "NEW_CHECKOUT", "OLD"]);
}

#[test]
fn a_table_fits_the_window() {
    let home = Home::new();
    succeed(home.flipper().args(["condition", "add", "NEW_CHECKOUT", "plan in pro,team,enterprise"]));
    let at = |columns| {
        let (code, shown) = Terminal::start(home.flipper().arg("list").env("NO_COLOR", "1"), columns).end();
        assert_eq!(code, Some(0));
        shown
    };
    assert_eq!(
        at(40),
        "NAME          STATE  TARGETING\n\
         NEW_CHECKOUT  on     plan in [\"pro\", \"t…\n\
         OLD           off\n"
    );
    assert_eq!(
        at(80),
        "NAME          STATE  TARGETING                              AGE  DESCRIPTION\n\
         NEW_CHECKOUT  on     plan in [\"pro\", \"team\", \"enterprise\"]  now  the new checko…\n\
         OLD           off                                           now\n"
    );
    assert_eq!(at(8), "NAME\nNEW_CHE…\nOLD\n");
    let (_, out, _) = run(home.flipper().arg("list"));
    assert!(out.contains("everything that comes along"), "a pipe has no width");
    let help = Terminal::start(home.flipper().args(["rollout", "--help"]).env("NO_COLOR", "1"), 40).end().1;
    // clap does not wrap the usage line.
    let longest = help.lines().filter(|line| !line.starts_with("Usage")).map(|line| line.chars().count()).max();
    assert!(longest <= Some(40), "{help}");
}

#[test]
fn long_work_shows_its_progress() {
    let home = Home::new();
    let flags: Vec<_> = (0..3000)
        .map(|number| {
            format!("{{\"feature_name\": \"F{number}\", \"is_enabled\": true, \"meta\": {{\"created_date\": 1}}}}")
        })
        .collect();
    std::fs::write(home.0.path().join("many.json"), flags.join("\n")).unwrap();
    let (code, shown) = Terminal::start(home.flipper().args(["import", "many.json"]), 80).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(" of 3,000 flags ("), "{shown:?}");
    assert!(
        shown.ends_with("imported into sqlite:flags.db: 3,000 new, 0 changed, 0 destroyed, 0 as they were\n"),
        "{shown:?}"
    );
}
