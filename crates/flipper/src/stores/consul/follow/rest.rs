//! Leaving Consul alone for a while after an answer that brought nothing new.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{End, Follower};
use crate::pause::Pause;
use crate::stores::consul::errors;
use crate::stores::consul::kv::Wait;

/// A rest ends when this library has written nothing for so long.
const QUIET: Duration = Duration::from_secs(60);
/// After a change that a hint explains, the list of all is asked for so much later, for it is the truth.
const TRUTH: Duration = Duration::from_secs(1);
/// A hint is here that much later than word of a change, at the most; an own write knows its index that much later.
const GRACE: Duration = Duration::from_millis(2);
/// Between two questions for the index, for each flag: Consul goes through all of them.
const FOR_EACH_FLAG: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses that grow, for answers that nothing explains: keys that only begin like the base key are followed too; in an empty
/// folder the index is that of all keys of the store; and a server may not know how to wait.
pub(super) struct Rest(Pause);

impl Default for Rest {
    fn default() -> Self {
        Self(Pause::new(Duration::from_millis(2), LONGEST))
    }
}

impl Rest {
    pub(super) fn next(&mut self, flags: usize) -> Duration {
        let longest =
            if flags == 0 { LONGEST } else { (for_each(flags) * 5).clamp(Duration::from_millis(10), LONGEST) };
        self.0.next().min(longest)
    }
}

fn for_each(flags: usize) -> Duration {
    LONGEST.min(FOR_EACH_FLAG.saturating_mul(u32::try_from(flags).unwrap_or(u32::MAX)))
}

impl Follower {
    /// What was written by this process, or told by a hint, makes Consul list all flags once more, which holds up the next
    /// hint: those who write often would have Consul do little else. So the list is left alone while this library writes.
    /// Meanwhile a query whose answer is one line tells of changes, and ends the rest with the first that no hint explains.
    ///
    /// `index`: of the last answer.
    pub(super) async fn rest(&self, flags: usize, mut index: u64) -> Result<(), End> {
        let began = Instant::now();
        // Once something was told: then the list is asked for.
        let mut over = None;
        loop {
            let asked = std::time::Instant::now();
            let wait = Wait { index, time: self.store.wait };
            let newest = self.unless_trouble(self.store.client.newest(self.store.followed(), wait));
            let (newest, lag) = match select(pin!(until(over)), pin!(newest)).await {
                Either::Left(_) => return Ok(()),
                Either::Right((newest, _)) => newest?,
            };
            if newest < index {
                return Err(errors::went_back("store").into());
            }
            if newest != index {
                if timeout(GRACE, self.store.hints.explained(newest)).await.is_err() {
                    return Ok(());
                }
                over = over.or_else(|| Some(Instant::now() + TRUTH));
            } else if over.is_none() {
                self.confirm(asked, true, lag).await?;
                if began.elapsed() >= QUIET {
                    return Ok(());
                }
            }
            index = newest;
            if let Either::Left(_) = select(pin!(until(over)), pin!(sleep(for_each(flags)))).await {
                return Ok(());
            }
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
