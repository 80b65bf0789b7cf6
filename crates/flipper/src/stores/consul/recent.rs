//! The last states of a few flags: an entry of the history has the flag before, and a write that has just read it should not read it again.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lock::Mutex;

const MOST: usize = 256;
const LONGEST: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<String, Before>>);

/// A flag before a write.
#[derive(Clone, Debug, Default)]
pub(super) struct Before {
    /// 0 for a missing flag.
    pub(super) index: u64,
    pub(super) value: Option<Arc<[u8]>>,
}

impl Recent {
    pub(super) fn keep(&self, name: &str, index: u64, value: Vec<u8>) {
        let mut flags = self.0.lock();
        if value.len() > LONGEST {
            flags.remove(name);
            return;
        }
        if flags.len() >= MOST {
            flags.clear();
        }
        flags.insert(name.to_owned(), Before { index, value: Some(value.into()) });
    }

    pub(super) fn forget(&self, name: &str) {
        self.0.lock().remove(name);
    }

    /// Perhaps no longer the flag's; `index`: only if it is this one.
    pub(super) fn get(&self, name: &str, index: Option<u64>) -> Option<Before> {
        let before = self.0.lock().get(name).cloned();
        before.filter(|before| index.is_none_or(|index| index == before.index))
    }
}
