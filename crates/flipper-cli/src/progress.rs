use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::text::thousands;

const EVERY: Duration = Duration::from_millis(100);

pub(crate) struct Progress {
    what: &'static str,
    total: usize,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        Self { what, total, shown: None, is_terminal: io::stderr().is_terminal() }
    }

    pub(crate) fn at(&mut self, done: usize) {
        if !self.is_terminal || self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let percent = done * 100 / self.total.max(1);
        self.show(&format!("{} {} of {} flags ({percent}%)", self.what, thousands(done), thousands(self.total)));
    }

    fn show(&self, text: &str) {
        let mut stderr = io::stderr();
        // To the start of the line, and clear it.
        let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            self.show("");
        }
    }
}
