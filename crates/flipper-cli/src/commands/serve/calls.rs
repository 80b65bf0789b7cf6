//! Counts calls of the store by outcome.

use std::sync::atomic::{AtomicU64, Ordering};

use flipper::{Error, ErrorKind};

#[derive(Clone, Copy)]
pub(super) enum Call {
    Get,
    List,
    Put,
    Delete,
}

const CALLS: [(Call, &str); 4] =
    [(Call::Get, "get"), (Call::List, "list"), (Call::Put, "put"), (Call::Delete, "delete")];
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
        CALLS.iter().flat_map(move |(call, name)| {
            let counters = &self.0[*call as usize];
            OUTCOMES.iter().zip(counters).map(move |(outcome, count)| (*name, *outcome, count.load(Ordering::Relaxed)))
        })
    }
}
