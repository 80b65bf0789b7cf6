use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{End, Follower};
use crate::pause::Pause;
use crate::stores::consul::errors;
use crate::stores::consul::kv::Wait;

/// A rest ends when this library has written nothing for this long.
const QUIET: Duration = Duration::from_secs(60);
/// From a hinted change to the authoritative list.
const TRUTH: Duration = Duration::from_secs(1);
/// From an index to its hint at most, or to the answer of an own write.
const GRACE: Duration = Duration::from_millis(2);
/// Between queries of the index: Consul visits all flags.
const FOR_EACH_FLAG: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_secs(1);

/// For answers without a visible change: the query also covers keys that only start like the base key; in an empty folder the index is the
/// whole store's; and a server may not support waiting.
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
    /// Pauses the list while this library writes. After a hinted change it returns with nothing new, and delays the next hint; with
    /// frequent writes Consul would do little else. Meanwhile a query of one line reports changes; the first unexplained one ends the rest.
    pub(super) async fn rest(&self, flags: usize, mut index: u64) -> Result<(), End> {
        let began = Instant::now();
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
