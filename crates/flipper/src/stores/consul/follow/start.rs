use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{End, Follower};
use crate::error::Result;
use crate::state::{Updates, WatchEvent};
use crate::stores::consul::errors;
use crate::stores::consul::kv::Wait;
use crate::stores::consul::rows::Rows;

/// A failed query is no outage if a list succeeds within this time.
const AT_ONCE: Duration = Duration::from_millis(250);
const WHO: Duration = Duration::from_millis(250);
/// The longest rest between queries, and the interval of `Confirmed` while changes come.
const SECOND: Duration = Duration::from_secs(1);

impl Follower {
    pub(super) async fn start(&mut self) -> Result<u64, End> {
        let read_at = Instant::now();
        let mut rows = self.read_all().await.map_err(failed)?;
        let index = rows.index;
        if index == 0 {
            return Err(failed(errors::without_index().into()));
        }
        if self.following {
            if self.lost.is_none() && self.known.get_mut().is_newer_than(&rows) {
                let doubt = self.doubt.take();
                self.lose(doubt.unwrap_or_else(|| errors::went_back("store"))).await?;
            }
            // Flags that the token may not read are not deleted.
            let missing = self.known.get_mut().missing(&rows);
            self.check_absent(&missing).await.map_err(End::Failed)?;
        }
        self.doubt = None;
        self.known.get_mut().reset(&rows);
        self.set_size(rows.size());
        let (lag, all) = (rows.lag, std::mem::take(&mut rows.rows));
        let flags = rows.flags(all).await.map_err(End::Failed)?;
        if self.lost.take().is_some() {
            if let Ok(Some(identity)) = timeout(WHO, self.store.serving()).await {
                self.send(WatchEvent::Serving(identity)).await?;
            }
            self.send(WatchEvent::Restored).await?;
        }
        let valid_for = lag.map(|lag| lag + read_at.elapsed() + self.next_word());
        self.send(WatchEvent::Reset { flags, read_at: Some(read_at), valid_for }).await?;
        if !std::mem::replace(&mut self.following, true) {
            self.send(WatchEvent::Following(Updates::Push)).await?;
        }
        *self.confirmed.get_mut() = None;
        self.confirm(read_at, false, lag).await?;
        Ok(index)
    }

    /// If that takes long, emits the pending doubt as `Lost`.
    async fn read_all(&mut self) -> Result<Rows, End> {
        let store = self.store.clone();
        let mut reading = pin!(store.followed_now());
        if self.lost.is_none() && self.doubt.is_some() {
            if let Ok(read) = timeout(AT_ONCE, reading.as_mut()).await {
                return Ok(read?);
            }
            if let Some(doubt) = self.doubt.take() {
                self.lose(doubt).await?;
            }
        }
        Ok(reading.await?)
    }

    /// `asked`: when the query was sent. `lag`: how old the answer may be, if known.
    pub(super) async fn confirm(&self, asked: Instant, unchanged: bool, lag: Option<Duration>) -> Result<(), End> {
        let Some(lag) = lag else { return Ok(()) };
        let wait = self.store.wait;
        let waited = asked.elapsed() >= wait;
        let mut confirmed = self.confirmed.lock().await;
        if !waited && confirmed.is_some_and(|last| last.elapsed() < SECOND) {
            return Ok(());
        }
        *confirmed = Some(Instant::now());
        // Without a change, Consul watched until the wait ended, which began after `asked`.
        let at = if unchanged && waited { asked + wait } else { asked };
        let at = at.checked_sub(lag).unwrap_or(asked);
        self.send(WatchEvent::Confirmed { at, valid_for: at.elapsed() + self.next_word() }).await
    }

    fn next_word(&self) -> Duration {
        Wait { index: 0, time: self.store.wait }.longest() + self.store.client.inner.timeout + 2 * SECOND
    }
}

fn failed(end: End) -> End {
    match end {
        End::Doubted(error) => End::Failed(error),
        end => end,
    }
}
