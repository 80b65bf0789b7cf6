//! Test support for Flipper: child processes, servers, small disks and waiting. All clean up after themselves, and panic on failure.
//! Servers whose program is missing print `SKIP` and return `None`.

use std::io::Write;
use std::path::PathBuf;

mod child;
pub mod consul;
mod corpus;
mod disk;
#[cfg(target_os = "linux")]
mod limits;
mod nginx;
mod package;
mod port;
#[cfg(target_os = "linux")]
pub mod postgres;
mod process;
pub mod python;
pub mod redis;
mod relay;
pub mod s3;
mod shared;
mod tls;
mod wait;

pub use child::{Child, Role, child_role, run_together};
pub use corpus::corpus;
pub use disk::SmallDisk;
#[cfg(target_os = "linux")]
pub use limits::{can_open, open_files, processor_time, resident_memory};
pub use nginx::Nginx;
pub use package::package;
pub use port::free_port;
pub use relay::{Harm, Relay};
pub use shared::Shared;
pub use tls::write as write_certificates;
pub use wait::{PATIENCE, block_on, wait_until, within};

/// Prints that a test did not run, and why. Panics if `CI` is set, since everything must run there.
pub fn skip(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} must not be skipped where CI is set: {why}");
    // Bypasses the test harness, which captures prints; in one piece, since tests run in parallel.
    let _ = std::io::stderr().write_all(format!("SKIP {what}: {why}\n").as_bytes());
}

/// Prints that a test has nothing to compare with here, and why; also where `CI` is set.
pub fn not_checked(what: &str, why: &str) {
    let _ = std::io::stderr().write_all(format!("NOT CHECKED: {what}: {why}\n").as_bytes());
}

/// The path of a program, if it is installed.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Whether this process is root.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
