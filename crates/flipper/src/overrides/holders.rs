use std::cell::RefCell;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use tokio::task;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Task(task::Id),
    Thread(ThreadId),
    /// A future or closure with inherited overrides.
    Carrier(u64),
}

#[derive(Debug)]
pub(crate) struct Carried {
    /// Whose overrides it sees; the last holder is bound to it alone.
    holders: Vec<Holder>,
}

thread_local! {
    /// What runs on this thread now, each inside the previous one.
    static RUNNING: RefCell<Vec<Arc<Carried>>> = const { RefCell::new(Vec::new()) };
}

impl Carried {
    /// Sees the overrides of this place, and its own under this number.
    pub(crate) fn here(number: u64) -> Self {
        let mut holders = visible();
        holders.push(Holder::Carrier(number));
        Self { holders }
    }

    /// Until the returned value is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> Entered {
        // Fails in a thread that is ending.
        let _ = RUNNING.try_with(|running| running.borrow_mut().push(self.clone()));
        Entered(())
    }
}

/// Ends on the thread where it began, in reverse order.
pub(crate) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = RUNNING.try_with(|running| running.borrow_mut().pop());
    }
}

fn innermost<T>(get: impl FnOnce(&Carried) -> T) -> Option<T> {
    RUNNING.try_with(|running| running.borrow().last().map(|carried| get(carried))).ok().flatten()
}

pub(crate) fn current() -> Holder {
    innermost(|carried| carried.holders.last().copied()).flatten().unwrap_or_else(task_or_thread)
}

pub(crate) fn visible() -> Vec<Holder> {
    let mut holders = innermost(|carried| carried.holders.clone()).unwrap_or_default();
    holders.extend(task::try_id().map(Holder::Task));
    holders.push(Holder::Thread(thread::current().id()));
    holders
}

fn task_or_thread() -> Holder {
    task::try_id().map_or_else(|| Holder::Thread(thread::current().id()), Holder::Task)
}
