use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use tokio::sync::watch;

pub(super) enum Request {
    Hint,
    Close,
    #[cfg(test)]
    Panic,
    /// Another folder, so that no notification comes.
    #[cfg(test)]
    Deafen(std::path::PathBuf),
}

#[derive(Debug, Default)]
pub(super) struct Followers {
    all: watch::Sender<Vec<(u64, Sender<Request>)>>,
    last: AtomicU64,
    pub(super) closed: AtomicBool,
}

impl Followers {
    pub(super) fn register(self: &Arc<Self>, requests: Sender<Request>) -> Registered {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.all.send_modify(|all| all.push((number, requests)));
        Registered(self.clone(), number)
    }

    pub(super) fn ask(&self, request: impl Fn() -> Request) {
        for (_, requests) in self.all.borrow().iter() {
            // The thread may be ending.
            let _ = requests.send(request());
        }
    }

    /// Waits until each thread has closed the file.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ask(|| Request::Close);
        // `self` keeps the sender alive.
        let _ = self.all.subscribe().wait_for(Vec::is_empty).await;
    }
}

pub(super) struct Registered(Arc<Followers>, u64);

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.all.send_modify(|all| all.retain(|(number, _)| *number != self.1));
    }
}
