//! A program under test.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait_until;

/// A running program, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it, with its output in the file.
    pub(crate) fn start(command: &mut Command, output: &Path) -> Self {
        let output = File::create(output).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// `kill -STOP`, and waits until it has stopped.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        let id = self.0.id();
        // A running thread continues until the signal reaches it.
        let stopped =
            |status: String| status.lines().any(|line| line.starts_with("State:") && line.contains("(stopped)"));
        let threads = || fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten();
        let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        wait_until("the program has stopped", || threads().all(|thread| stopped(status(thread))));
    }

    /// `kill -CONT`.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
