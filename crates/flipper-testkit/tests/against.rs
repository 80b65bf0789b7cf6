//! `benchmarks/against`, but for what it measures.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flipper_testkit::{program, skip, wait_until};
use rustix::process::{Pid, Signal, kill_process_group};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn against(target: &Path) -> Command {
    let mut command = Command::new(root().join("benchmarks/against"));
    command.env("CARGO_TARGET_DIR", target).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn worktrees() -> String {
    text(&Command::new("git").current_dir(root()).args(["worktree", "list"]).output().unwrap().stdout)
}

/// A release has no history.
fn has_history() -> bool {
    let rev = Command::new("git").current_dir(root()).args(["rev-parse", "HEAD"]).output();
    let has = program("python3").is_some() && rev.is_ok_and(|output| output.status.success());
    if !has {
        skip("benchmarks/against", "it needs Python and the repository");
    }
    has
}

#[test]
fn it_says_what_is_wrong() {
    if !has_history() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| -> Output { against(folder.path()).args(arguments).output().unwrap() };
    let help = run(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("--rounds"), "{help:?}");
    for (arguments, message) in [
        (&["no-such-revision"][..], "no revision 'no-such-revision'"),
        (&["--hard"][..], "required: REV"),
        (&[][..], "required: REV"),
        (&["HEAD", "--rounds", "0"][..], "at least 1"),
    ] {
        let wrong = run(arguments);
        assert_eq!(wrong.status.code(), Some(2), "{arguments:?}");
        assert!(text(&wrong.stderr).contains(message), "{arguments:?}: {}", text(&wrong.stderr));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was built");
}

/// By Ctrl-C, which all processes of the terminal get, and by a supervisor.
#[test]
fn stopped_while_it_builds_it_leaves_no_worktree() {
    use std::os::unix::process::CommandExt;
    if !has_history() {
        return;
    }
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = against(folder.path());
        let mut running = command.arg("HEAD").stderr(Stdio::null()).process_group(0).spawn().unwrap();
        // Within it cargo has begun.
        wait_until("it builds", || folder.path().join("against/target").exists());
        let worktree = folder.path().join("against/worktree").display().to_string();
        assert!(worktrees().contains(&worktree));
        kill_process_group(Pid::from_child(&running), signal).unwrap();
        assert_eq!(running.wait().unwrap().code(), Some(code));
        assert!(!worktrees().contains(&worktree));
        assert!(!Path::new(&worktree).exists());
    }
}
