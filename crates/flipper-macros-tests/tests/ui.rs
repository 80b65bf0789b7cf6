//! Programs that compile, and the errors of those that do not.
//!
//! A snapshot in `ui/fail` has our part of each error: message, place and notes of our traits. The rest changes with the compiler
//! and the library's source. Snapshots in `ui/whole` are complete, as a user sees them.
//!
//! `TRYBUILD=overwrite cargo test -p flipper-macros-tests --test ui` writes the snapshots. Each message must say what to do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/errors.rs"]
mod errors;

use std::fs;
use std::path::Path;

#[test]
fn whole_messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/whole/*.rs");
}

#[test]
fn first_lines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/fail");
    let overwrite = std::env::var("TRYBUILD").is_ok_and(|mode| mode == "overwrite");
    let compiled = errors::of_programs_in(&folder);
    assert!(compiled.len() > 30, "only {} programs", compiled.len());
    let mut differing = String::new();
    for (program, errors) in compiled {
        let snapshot = folder.join(program).with_extension("stderr");
        if overwrite {
            fs::write(&snapshot, &errors).unwrap();
        }
        let expected = fs::read_to_string(&snapshot).unwrap_or_default();
        if expected.is_empty() || expected != errors {
            differing += &format!("\n{}, expected:\n{expected}\ncompiled:\n{errors}", snapshot.display());
        }
    }
    assert!(differing.is_empty(), "TRYBUILD=overwrite writes these:{differing}");
}
