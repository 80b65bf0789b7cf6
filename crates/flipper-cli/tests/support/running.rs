//! A command that runs in the background.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use flipper_testkit::{PATIENCE, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// A running command, killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// Lines not yet returned: the two outputs arrive in any order.
    waiting: Vec<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                // Fails once the receiver is dropped.
                let _ = BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
            });
        }
        Self { child, lines, seen: Vec::new(), waiting: Vec::new() }
    }

    /// Waits for a line with this text. Each line is returned once.
    #[track_caller]
    pub(crate) fn line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.waiting.iter().position(|line| line.contains(part)) {
                return self.waiting.remove(place);
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    self.waiting.push(line);
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {part:?} within {PATIENCE:?}; it printed {:#?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without {part:?}; it printed {:#?}", self.seen),
            }
        }
    }

    /// What it has printed, as far as it was read.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let mut status: Option<ExitStatus> = None;
        wait_until("the command ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        (status.and_then(|status| status.code()), std::mem::take(&mut self.seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
