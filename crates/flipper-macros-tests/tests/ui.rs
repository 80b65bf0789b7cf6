//! Programs that compile, and the errors of those that do not.
//!
//! A snapshot in `ui/fail` has our part of each error: message, place and notes of our traits. The rest changes with the compiler
//! and the library's source. Snapshots in `ui/whole` are complete, as a user sees them.
//!
//! `SNAPSHOTS=overwrite cargo test -p flipper-macros-tests --test ui` writes the snapshots. Each message must say what to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/programs.rs"]
mod programs;

use std::fs;
use std::process::Command;

use programs::Compiled;

#[test]
fn programs_that_run() {
    let compiled = programs::in_folder("pass");
    assert!(compiled.len() > 2);
    for (program, compiled) in compiled {
        let Some(executable) = &compiled.executable else { panic!("{}: {}", program.display(), compiled.whole()) };
        assert!(Command::new(executable).status().unwrap().success(), "{}", program.display());
    }
}

#[test]
fn whole_messages() {
    compare("whole", 9, Compiled::whole);
}

#[test]
fn first_lines() {
    compare("fail", 30, Compiled::first_lines);
}

fn compare(folder: &str, more_than: usize, shown: impl Fn(&Compiled) -> String) {
    let overwrite = std::env::var("SNAPSHOTS").is_ok_and(|mode| mode == "overwrite");
    let compiled = programs::in_folder(folder);
    assert!(compiled.len() > more_than, "only {} programs", compiled.len());
    let mut differing = String::new();
    for (program, compiled) in compiled {
        assert!(compiled.executable.is_none(), "{} compiles", program.display());
        let (snapshot, errors) = (program.with_extension("stderr"), shown(compiled));
        if overwrite {
            fs::write(&snapshot, &errors).unwrap();
        }
        let expected = fs::read_to_string(&snapshot).unwrap_or_default();
        if expected.is_empty() || expected != errors {
            differing += &format!("\n{}, expected:\n{expected}\ncompiled:\n{errors}", snapshot.display());
        }
    }
    assert!(differing.is_empty(), "SNAPSHOTS=overwrite writes these:{differing}");
}

const WITHOUT_FEATURE: &str = r#"
flipper::flags! { struct Flags { new_checkout } }

#[flipper::is_enabled(features, "MY_FEATURE")]
fn sound(features: &flipper::FeatureFlagClient) {}

fn main() {}
"#;

#[test]
fn without_the_feature_the_compiler_names_it() {
    let (mut cargo, _) = flipper_testkit::package(env!("CARGO_TARGET_TMPDIR"), "without_feature", WITHOUT_FEATURE, &[]);
    // A check would build all that the library needs once more.
    let output = cargo.args(["build", "--quiet", "--offline", "--color=never"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for expected in [
        "cannot find `flags` in `flipper`",
        "cannot find `is_enabled` in `flipper`",
        "the item is gated behind the `macros` feature",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
}
