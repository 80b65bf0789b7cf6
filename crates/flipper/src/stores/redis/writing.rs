//! Which flags this store is writing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A change that is told while a write of one's own is under way cannot be put in order with it: who follows would have to read
/// again when the write is done. So the watch does not read it in the first place, and gives a hint.
#[derive(Default)]
pub(super) struct Writing(Mutex<HashMap<String, usize>>);

impl Writing {
    pub(super) fn begin<'a>(&'a self, name: &'a str) -> Write<'a> {
        *self.lock().entry(name.to_owned()).or_default() += 1;
        Write { writing: self, name }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Write<'a> {
    writing: &'a Writing,
    name: &'a str,
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        let mut names = self.writing.lock();
        if let Some(count) = names.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                names.remove(self.name);
            }
        }
    }
}
