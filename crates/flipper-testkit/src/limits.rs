//! Limits and memory of a process.

use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files and connections to the system's, for this process and its children, and returns it.
pub fn open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // The same for all tests, which run in parallel.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    (if raised.is_ok() { maximum } else { current }).unwrap_or(u64::MAX)
}

/// Whether that limit is at least `files`. If not, skips `test`.
#[must_use]
pub fn can_open(files: u64, test: &str) -> bool {
    let most = open_files();
    if most < files {
        crate::skip(test, &format!("it takes {files} open files, and `ulimit -Hn` is {most}"));
    }
    most >= files
}

/// The processor time that a process has used.
#[must_use]
#[track_caller]
pub fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    let stat = stat.unwrap_or_else(|error| panic!("no process {process}: {error}"));
    // Behind its name, in parentheses, field 3 follows. Fields 14 and 15 are its own time and the system's.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
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
