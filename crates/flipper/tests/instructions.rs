//! How many instructions a check takes in a release build, counted by valgrind: a rise of more than 5 % fails. The counts are the
//! largest of two folders.
//!
//! `COUNTS=overwrite cargo test -p flipper-client --test instructions` replaces `tests/instructions/counts.txt`; say in the commit why.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

const PROGRAM: &str = include_str!("instructions/program.rs");
/// As in the program.
const CHECKS: u64 = 1_000;
const ROWS: [&str; 11] =
    ["name", "handle", "missing", "condition", "twenty", "owned", "salted", "hash", "rule", "prerequisite", "variant"];
/// The map's hash has a seed of each run, in some of which two names share a group. Comparing a name at the end of a page takes longer.
const RUNS: usize = 7;
/// Beside the counts that are known. Where the crate is changes what is inlined, by up to 3 % between folders.
const MOST: f64 = 1.05;

/// The fewest of some runs, for one check.
fn count(program: &Path, row: &str) -> f64 {
    let run = |run: usize| {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted*"]);
        // Both depend on addresses, which valgrind does not vary.
        let (bytes, text) = ((run * 1_040).to_string(), "x".repeat(run * 48));
        let output = valgrind.arg(program).args([row, &bytes]).env("PADDING", text).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let counted = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
        assert!(output.status.success(), "{row}: {text}");
        counted.unwrap_or_else(|| panic!("valgrind counted nothing: {text}")) / CHECKS
    };
    (0..RUNS).map(run).min().unwrap() as f64
}

fn compiler() -> String {
    let version = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version").output().unwrap();
    String::from_utf8(version.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_check_takes_no_more_instructions() {
    let Some(_) = flipper_testkit::program("valgrind") else {
        return flipper_testkit::skip("the count of instructions", "valgrind is not installed");
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions/counts.txt");
    let overwrite = env::var("COUNTS").is_ok_and(|what| what == "overwrite");
    let known = fs::read_to_string(&file).unwrap_or_default();
    // Another compiler makes other code.
    let (of, counts) = known.split_once('\n').unwrap_or_default();
    if !overwrite && of != compiler() {
        return flipper_testkit::not_checked("the count of instructions", &format!("it was made with {of}"));
    }
    let below = env!("CARGO_TARGET_TMPDIR");
    let (mut cargo, _) = flipper_testkit::package(below, "instructions", PROGRAM, &[]);
    let built = cargo.args(["build", "--quiet", "--offline", "--release"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let program = Path::new(below).join("target/release/instructions");
    let (mut table, mut more) = (format!("{}\n", compiler()), Vec::new());
    for row in ROWS {
        let count = count(&program, row);
        let known = counts.lines().find_map(|line| line.strip_prefix(row)?.trim().parse::<f64>().ok());
        writeln!(table, "{row} {count}").unwrap();
        match known {
            Some(known) if count <= known * MOST => {}
            known => more.push(format!("{row}: {count}, and it was {known:?}")),
        }
    }
    print!("{table}");
    if overwrite {
        fs::write(file, table).unwrap();
    } else {
        assert!(more.is_empty(), "{}", more.join("\n"));
    }
}
