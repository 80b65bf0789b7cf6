//! What a process may use, and does.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process and its children have so many files and connections open; where that is more than the system allows, says that
/// `test` is skipped.
#[must_use]
pub fn can_open(files: u64, test: &str) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return true;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }) {
        Ok(()) => true,
        Err(error) => {
            crate::skip(test, &format!("it takes {files} open files, see `ulimit -Hn`: {error}"));
            false
        }
    }
}

/// How many bytes of memory a process has.
///
/// # Panics
///
/// If there is no such process.
#[must_use]
#[track_caller]
pub fn resident_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_else(|error| panic!("no process {process}: {error}"));
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("process {process} does not say what it has: {status}")) * 1024
}
