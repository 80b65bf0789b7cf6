//! The places of followers, and who has them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// One that follows the changes.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "page"), expect(dead_code, reason = "only the page shows them"))]
pub(crate) struct Follows {
    /// As the log names the caller.
    pub(crate) who: String,
    /// As it names itself.
    pub(crate) program: String,
    pub(crate) since: SystemTime,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    follows: BTreeMap<u64, Follows>,
}

/// Of one follower, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    number: u64,
}

impl Places {
    pub(crate) fn take(&self, most: usize, follows: Follows) -> Option<Place> {
        let mut taken = self.lock();
        if taken.follows.len() >= most {
            return None;
        }
        let number = taken.next;
        taken.next += 1;
        taken.follows.insert(number, follows);
        Some(Place { places: self.clone(), number })
    }

    pub(crate) fn taken(&self) -> usize {
        self.lock().follows.len()
    }

    #[cfg(feature = "page")]
    pub(crate) fn all(&self) -> Vec<Follows> {
        self.lock().follows.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // No code that can panic leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().follows.remove(&self.number);
    }
}
