//! What commands take on many flags: of memory, per flag its text and at most a few hundred bytes; few system calls for their output.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::stores::{self, Make};
use support::{FLIPPER, clean, flipper, succeed};

/// More flags in the second run than in the first: the difference in memory is theirs.
const MORE: usize = 12_000;
/// Limit in bytes per flag: the text has 230, a record in memory takes 1,500.
const OF_ONE: u64 = 700;

fn write(path: &Path, flags: usize) {
    let flag = |number| {
        format!(
            r#"{{"feature_name": "FLAG_{number:05}", "is_enabled": true, "meta": {{"client_data": {{"description": "a flag of many", "owner": "shop"}}, "created_date": 1700000000, "conditions": [], "bucketer": {{"type": "NoOpBucketer"}}}}}}"#
        )
    };
    fs::write(path, (0..flags).map(flag).collect::<Vec<_>>().join("\n")).unwrap();
}

/// The peak memory of a command, in bytes.
#[track_caller]
fn peak(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(line.map_or(0, |line| line.trim().split(' ').next().unwrap().parse().unwrap()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        // The kernel keeps the peak, so only growth after the last look is missed.
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "{command:?}: {status}");
    assert!(peak > 0, "{command:?}: nothing was measured");
    peak * 1024
}

fn measure(make: Make, flags: usize) -> Option<Vec<(String, u64)>> {
    let home = tempfile::tempdir().unwrap();
    let store = make(home.path())?;
    write(&home.path().join("many.json"), flags);
    let at_store = |arguments: &[&str]| {
        let mut command = flipper(home.path(), &store.url);
        // One arena: by default each thread keeps freed memory in one of its own, which varies.
        command.env("MALLOC_ARENA_MAX", "1").args(arguments);
        command
    };
    // Imported into the file, since the Thrift server would sync each flag to the disk.
    let served = home.path().join("served.db").exists();
    let url = if served { "sqlite:served.db" } else { &store.url };
    succeed(flipper(home.path(), url).args(["import", "many.json"]));
    let commands = [
        &["import", "many.json", "--replace", "--yes"][..],
        &["import", "many.json", "--merge"],
        &["export", "out.json"],
        &["sync", &store.url, "sqlite:copy.db"],
        &["sync", &store.url, "sqlite:copy.db", "--delete", "--yes"],
        &["diff", &store.url, "sqlite:copy.db"],
    ];
    let taken = commands.map(|arguments| (arguments.join(" "), peak(&mut at_store(arguments))));
    Some(taken.into())
}

/// `page`: flags per read of the store.
fn play(make: Make, page: usize) {
    let (Some(few), Some(many)) = (measure(make, page), measure(make, page + MORE)) else { return };
    for ((command, few), (_, many)) in few.into_iter().zip(many) {
        let each = many.saturating_sub(few) / MORE as u64;
        assert!(each < OF_ONE, "{command:?} takes {each} bytes for each flag, more than {OF_ONE}");
    }
}

#[test]
fn sqlite() {
    play(stores::sqlite, 4_000);
}

#[test]
fn redis() {
    play(stores::redis, 4_000);
}

#[test]
fn thrift() {
    // Two pages of its server, the most per read.
    play(stores::thrift, 20_000);
}

/// Lines without styles, as in a pipe, are written in large parts.
#[test]
fn a_list_takes_few_writes() {
    let home = tempfile::tempdir().unwrap();
    write(&home.path().join("many.json"), MORE);
    succeed(flipper(home.path(), "sqlite:flags.db").args(["import", "many.json"]));
    // The kernel adds the counts of a program that has ended to those of the shell that started it.
    let script = r#""$0" list > list.txt && "$0" get FLAG_00000 > flag.txt && cat /proc/$$/io"#;
    let mut shell = clean("sh", home.path());
    shell.env("FLIPPER_STORE", "sqlite:flags.db").args(["-c", script, FLIPPER]);
    let counts = shell.output().unwrap();
    assert!(counts.status.success(), "{counts:?}");
    let lines = fs::read_to_string(home.path().join("list.txt")).unwrap().lines().count();
    assert!(lines > MORE, "{lines} lines");
    let text = String::from_utf8(counts.stdout).unwrap();
    let writes: usize = text.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap();
    // Threads that wake each other write, too: some hundred times on a busy machine.
    assert!((2..MORE / 5).contains(&writes), "{writes} writes");
}
