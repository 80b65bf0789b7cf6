use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use http::StatusCode;

/// For `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// By the first digit of the status, from 1.
    requests: [AtomicU64; 5],
    connections: Arc<AtomicUsize>,
}

impl Counts {
    pub(crate) fn request(&self, status: StatusCode) {
        if let Some(counter) = self.requests.get(usize::from(status.as_u16() / 100).wrapping_sub(1)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = u64> {
        self.requests.iter().map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Until the guard is dropped.
    pub(crate) fn connection(&self) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::AcqRel);
        OpenConnection(self.connections.clone())
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

pub(crate) struct OpenConnection(Arc<AtomicUsize>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
