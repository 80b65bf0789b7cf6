//! Which flags this store is writing, or has just written.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For so long a write counts as being under way after its answer came: who made it still has to take note.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// More names than this are looked through for those that can be forgotten.
const FEW: usize = 64;

/// A change that is told while a write of one's own is under way cannot be put in order with it: who follows would have to read
/// again when the write is done. So the watch does not read it in the first place, and gives a hint.
#[derive(Default)]
pub(super) struct Writing(Mutex<HashMap<String, Writes>>);

#[derive(Default)]
struct Writes {
    under_way: usize,
    ended: Option<Instant>,
}

impl Writes {
    fn count(&self) -> bool {
        self.under_way > 0 || self.ended.is_some_and(|ended| ended.elapsed() < AFTERWARDS)
    }
}

impl Writing {
    pub(super) fn begin<'a>(&'a self, name: &'a str) -> Write<'a> {
        let mut names = self.lock();
        if names.len() > FEW {
            names.retain(|_, writes| writes.count());
        }
        names.entry(name.to_owned()).or_default().under_way += 1;
        Write { writing: self, name }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(Writes::count)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Writes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Write<'a> {
    writing: &'a Writing,
    name: &'a str,
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if let Some(writes) = self.writing.lock().get_mut(self.name) {
            writes.under_way -= 1;
            writes.ended = Some(Instant::now());
        }
    }
}
