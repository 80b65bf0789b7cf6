//! The writers of one flag in this process, one after another.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::background;
use crate::lock::Mutex;

/// Only names with a pending write take memory.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Box<str>, Queue>>);

#[derive(Debug, Default)]
struct Queue {
    lock: Arc<AsyncMutex<()>>,
    /// So many turns have ended.
    ended: u64,
}

pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    name: Box<str>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    pub(crate) async fn take(&self, name: &str) -> Turn<'_> {
        let lock = self.0.lock().entry(name.into()).or_default().lock.clone();
        // From here on, dropping the future tidies up as well.
        let mut turn = Turn { turns: self, name: name.into(), guard: None };
        turn.guard = Some(lock.lock_owned().await);
        turn
    }

    /// Waits for a turn of this name, while turns end within `longest` of each other.
    pub(crate) async fn wait<'a>(
        &self,
        name: &str,
        mut turn: Pin<&mut (impl Future<Output = Turn<'a>> + Send)>,
        longest: Duration,
    ) -> Option<Turn<'a>> {
        loop {
            let ended = self.ended(name);
            match background::within(longest, turn.as_mut()).await {
                Ok(turn) => return Some(turn),
                Err(_) if self.ended(name) == ended => return None,
                Err(_) => {}
            }
        }
    }

    fn ended(&self, name: &str) -> Option<u64> {
        self.0.lock().get(name).map(|queue| queue.ended)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.0.lock();
        let Some(queue) = queues.get_mut(&self.name) else { return };
        // Not if it was given up before it came.
        queue.ended += u64::from(self.guard.take().is_some());
        if Arc::strong_count(&queue.lock) == 1 {
            queues.remove(&self.name);
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

    #[test]
    fn only_a_turn_that_is_too_long_is_not_waited_for() {
        let turns = Turns::default();
        let (short, day) = (Duration::from_millis(1), Duration::from_secs(86_400));
        let wait = |longest| block_on(turns.wait("F", pin!(turns.take("F")), longest)).is_some();
        let first = block_on(turns.take("F"));
        assert!(!wait(short));
        assert_eq!(turns.ended("F"), Some(0), "none of them had a turn");
        let mut second = pin!(turns.take("F"));
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(first);
        drop(block_on(second));
        assert!(wait(day));
    }
}
