use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::lock::Mutex;

/// After its answer, while its caller records the version.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// Above this, finished ones are removed.
const FEW: usize = 64;

/// A pushed change cannot be ordered against a pending own write, after which the mirror must read again: the watch emits only a `Hint`.
#[derive(Default)]
pub(super) struct Writing(Mutex<HashMap<String, Writes>>);

#[derive(Default)]
struct Writes {
    pending: usize,
    ended: Option<Instant>,
}

impl Writes {
    fn count(&self) -> bool {
        self.pending > 0 || self.ended.is_some_and(|ended| ended.elapsed() < AFTERWARDS)
    }
}

impl Writing {
    pub(super) fn begin<'a>(&'a self, name: &'a str) -> Write<'a> {
        let mut names = self.0.lock();
        if names.len() > FEW {
            names.retain(|_, writes| writes.count());
        }
        names.entry(name.to_owned()).or_default().pending += 1;
        Write { writing: self, name }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.lock().get(name).is_some_and(Writes::count)
    }
}

pub(super) struct Write<'a> {
    writing: &'a Writing,
    name: &'a str,
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if let Some(writes) = self.writing.0.lock().get_mut(self.name) {
            writes.pending -= 1;
            writes.ended = Some(Instant::now());
        }
    }
}
