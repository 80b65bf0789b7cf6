//! Warnings of which one of each kind is enough.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// So many are remembered; those beyond are not emitted.
const MOST: usize = 1000;

/// What was warned of. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct WarnOnce(Arc<Mutex<HashSet<String>>>);

impl WarnOnce {
    /// Whether to warn of this: the first time, while there are not too many.
    pub(crate) fn is_due(&self, what: &str) -> bool {
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        warned.len() < MOST && warned.insert(what.to_owned())
    }
}
