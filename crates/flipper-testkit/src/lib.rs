//! Test support for Flipper: child processes, small disks and waiting, all of which clean up after themselves.

mod child;
mod disk;
pub mod python;
mod wait;

pub use child::{Child, Role, child_role};
pub use disk::SmallDisk;
pub use wait::{PATIENCE, wait_until, within};

/// Says visibly that a test did not run, and why. Where `CI` is set everything must run, and this panics.
///
/// # Panics
///
/// If the environment variable `CI` is set.
#[expect(clippy::print_stderr, reason = "a person must see it")]
pub fn skip(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} must not be skipped where CI is set: {why}");
    eprintln!("SKIP {what}: {why}");
}

/// Whether this process may do everything.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
