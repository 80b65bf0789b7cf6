use std::sync::atomic::{AtomicU64, Ordering};

use flipper::{Error, ErrorKind};

#[derive(Clone, Copy)]
pub(super) enum Call {
    Get,
    List,
    Put,
    Delete,
}

/// In the order of [`Call`].
const CALLS: [&str; 4] = ["get", "list", "put", "delete"];
const OUTCOMES: [&str; 3] = ["ok", "refused", "error"];

#[derive(Debug, Default)]
pub(super) struct Calls([[AtomicU64; OUTCOMES.len()]; CALLS.len()]);

impl Calls {
    pub(super) fn count<T>(&self, call: Call, result: &Result<T, Error>) {
        let outcome = match result {
            Ok(_) => 0,
            Err(error) => match error.kind() {
                // The caller's mistake, or another writer was faster.
                ErrorKind::Conflict | ErrorKind::InvalidName | ErrorKind::InvalidInput => 1,
                _ => 2,
            },
        };
        self.0[call as usize][outcome].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        CALLS.iter().zip(&self.0).flat_map(|(call, counters)| {
            OUTCOMES.iter().zip(counters).map(|(outcome, count)| (*call, *outcome, count.load(Ordering::Relaxed)))
        })
    }
}
