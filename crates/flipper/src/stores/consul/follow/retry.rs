//! When it is tried again after a query ended.

use std::time::Duration;

use crate::pause::Pause;

/// A query that lasted so long does no harm when it is asked again at once, however it ended: load balancers end them after a
/// while.
const LONG: Duration = Duration::from_secs(1);

/// Nothing is waited for the first time, and then more and more, until a query went well.
#[derive(Default)]
pub(super) struct Retry {
    pause: Option<Pause>,
}

impl Retry {
    /// Notes how a query ended that waited for a change.
    pub(super) fn waited(&mut self, time: Duration, well: bool) {
        if well || time >= LONG {
            self.pause = None;
        }
    }

    /// After a query that broke off: whether that is an outage is not known yet.
    pub(super) async fn soon(&mut self) {
        match &mut self.pause {
            Some(pause) => tokio::time::sleep(pause.next()).await,
            None => self.pause = Some(Pause::default()),
        }
    }

    /// After an outage.
    pub(super) async fn later(&mut self) {
        tokio::time::sleep(self.pause.get_or_insert_default().next()).await;
    }
}
