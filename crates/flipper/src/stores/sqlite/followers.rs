//! The threads that follow the file for a store, and what they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use tokio::sync::watch;

/// What a follower is asked.
pub(super) enum Request {
    /// Something may have happened to the file.
    Hint,
    /// End.
    Close,
    #[cfg(test)]
    Panic,
    /// Be notified of another folder, as if of this one nothing came.
    #[cfg(test)]
    Deafen(std::path::PathBuf),
}

/// The threads that follow the file for a store.
#[derive(Debug, Default)]
pub(super) struct Followers {
    all: watch::Sender<Vec<(u64, Sender<Request>)>>,
    last: AtomicU64,
    closed: AtomicBool,
}

impl Followers {
    pub(super) fn register(self: &Arc<Self>, requests: Sender<Request>) -> Registered {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.all.send_modify(|all| all.push((number, requests)));
        Registered(self.clone(), number)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Asks all for this.
    pub(super) fn ask(&self, request: impl Fn() -> Request) {
        for (_, requests) in self.all.borrow().iter() {
            // Fails where the thread is about to end.
            let _ = requests.send(request());
        }
    }

    /// Ends all, and waits until none has the file open.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ask(|| Request::Close);
        // The sender lives as long as this.
        let _ = self.all.subscribe().wait_for(Vec::is_empty).await;
    }
}

/// A follower in the list, until it is dropped.
pub(super) struct Registered(Arc<Followers>, u64);

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.all.send_modify(|all| all.retain(|(number, _)| *number != self.1));
    }
}
