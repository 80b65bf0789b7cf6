//! Memory, open files and threads of this process and of the served ones.

use std::collections::BTreeMap;
use std::fs;
use std::process;

/// Beyond these a growth counts.
const MEMORY: u64 = 16 << 20;
/// After a slow moment each client's pool has so many connections, for 90 s.
const FILES: u64 = 64;
/// A pool keeps threads for the next calls.
const THREADS: u64 = 12;
/// Fewer samples show nothing.
pub(crate) const FEWEST: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    memory: u64,
    files: u64,
    threads: u64,
}

impl Sample {
    /// `None` if the process has ended.
    fn of(id: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let field = |name: &str| {
            let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        };
        let files = fs::read_dir(format!("/proc/{id}/fd")).ok()?.count();
        Some(Self { memory: field("VmRSS:")? * 1024, files: u64::try_from(files).ok()?, threads: field("Threads:")? })
    }
}

/// Samples of each process, each taken while all is calm.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    taken: BTreeMap<u32, Vec<Sample>>,
}

impl Resources {
    /// Of this process, and of each `flipper serve` that it started.
    pub(crate) fn take(&mut self) {
        self.take_of(process::id());
        children().into_iter().for_each(|id| self.take_of(id));
    }

    pub(crate) fn take_of(&mut self, id: u32) {
        if let Some(sample) = Sample::of(id) {
            self.taken.entry(id).or_default().push(sample);
        }
    }

    /// How many processes have too few samples for their growth.
    pub(crate) fn unjudged(&self) -> usize {
        self.taken.values().filter(|samples| samples.len() < FEWEST).count()
    }

    /// How each of the others grew: from the most in the second quarter to the least in the last, since connections come and go.
    pub(crate) fn grown(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, samples) in self.taken.iter().filter(|(_, samples)| samples.len() >= FEWEST) {
            let is_this = *id == process::id();
            let who = if is_this { "this process".to_owned() } else { format!("process {id}") };
            // Its relays and proxies have some sockets and threads for each connection.
            let share = if is_this { 2 } else { 10 };
            let quarter = samples.len() / 4;
            let (first, last) = (&samples[quarter..quarter * 2], &samples[samples.len() - quarter..]);
            let mut compare = |what: &str, slack: u64, share: u64, of: fn(&Sample) -> u64| {
                let (before, after) = (first.iter().map(of).max(), last.iter().map(of).min());
                if let (Some(before), Some(after)) = (before, after)
                    && after > before + before / share + slack
                {
                    found.push(format!("{what} of {who} grew from {before} to {after}"));
                }
            };
            compare("the memory", MEMORY, 10, |sample| sample.memory);
            compare("the open files", FILES, share, |sample| sample.files);
            compare("the threads", THREADS, share, |sample| sample.threads);
        }
        found
    }

    /// This process after a quarter of the time, and at the end.
    pub(crate) fn shown(&self) -> Option<String> {
        let samples = self.taken.get(&process::id())?;
        let (first, last) = (samples.get(samples.len() / 4)?, samples.last()?);
        let memory = |sample: &Sample| sample.memory >> 20;
        Some(format!(
            "{} → {} MiB, {} → {} files, {} → {} threads",
            memory(first),
            memory(last),
            first.files,
            last.files,
            first.threads,
            last.threads
        ))
    }
}

fn children() -> Vec<u32> {
    let lists = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = lists.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let ids: Vec<u32> =
        lists.flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect();
    let is_ours = |id: &u32| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "flipper");
    ids.into_iter().filter(is_ours).collect()
}
