use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::lock::Mutex;

/// Only names with a pending write take memory.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Box<str>, Arc<AsyncMutex<()>>>>);

pub(super) struct Turn<'a> {
    turns: &'a Turns,
    name: Box<str>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(super) async fn take(&self, name: &str) -> Turn<'_> {
        let lock = self.0.lock().entry(name.into()).or_default().clone();
        // From here on, dropping the future tidies up as well.
        let mut turn = Turn { turns: self, name: name.into(), guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut locks = self.turns.0.lock();
        self.guard = None;
        if locks.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use futures_executor::block_on;

    use super::*;

    #[test]
    fn names_that_nothing_writes_take_no_memory() {
        let turns = Turns::default();
        for number in 0..100 {
            drop(block_on(turns.take(&format!("FLAG_{number}"))));
        }
        assert_eq!(turns.0.lock().len(), 0);
        let first = block_on(turns.take("F"));
        {
            let mut second = pin!(turns.take("F"));
            assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(first);
            drop(block_on(second));
        }
        assert_eq!(turns.0.lock().len(), 0);
        let first = block_on(turns.take("F"));
        {
            let mut dropped = pin!(turns.take("F"));
            assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(first);
        assert_eq!(turns.0.lock().len(), 0);
    }
}
