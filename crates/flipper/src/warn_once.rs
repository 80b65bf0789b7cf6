use std::collections::HashSet;
use std::sync::Arc;

use crate::lock::Mutex;

/// Later ones are not logged.
const MOST: usize = 1000;

#[derive(Clone, Debug, Default)]
pub(crate) struct WarnOnce(Arc<Mutex<HashSet<String>>>);

impl WarnOnce {
    pub(crate) fn is_due(&self, what: &str) -> bool {
        let mut warned = self.0.lock();
        warned.len() < MOST && warned.insert(what.to_owned())
    }
}
