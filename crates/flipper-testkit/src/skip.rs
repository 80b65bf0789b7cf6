//! What happens when a test's other party is not installed.

use std::io::Write;
use std::path::PathBuf;

/// Says so, past the capture of the test harness; where `CI` is set, that is a failure.
///
/// # Panics
///
/// Where `CI` is set.
pub fn skip(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: {why}, and CI is set");
    let _ = writeln!(std::io::stderr(), "SKIP {what}: {why}");
}

/// Where a program is, if it is installed.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
