//! Limits and memory of a process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files and connections to the system's, for this process and its children. Skips `test` if that is less
/// than `files`.
#[must_use]
pub fn can_open(files: u64, test: &str) -> bool {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // The same for all tests, which run in parallel.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let enough = raised.is_ok() && maximum.is_none_or(|maximum| maximum >= files);
    if !enough {
        crate::skip(test, &format!("it takes {files} open files, and `ulimit -Hn` is {maximum:?}"));
    }
    enough
}

/// A process's resident memory in bytes.
#[must_use]
#[track_caller]
pub fn resident_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.unwrap_or_else(|error| panic!("no process {process}: {error}"));
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("process {process} does not say what it has: {status}")) * 1024
}
