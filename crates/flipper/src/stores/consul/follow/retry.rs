//! When it is tried again after a query ended.

use std::time::Duration;

use tokio::time::sleep;

use crate::pause::Pause;

/// A query that lasted so long does no harm when it is asked again at once, however it ended: load balancers end them after a
/// while.
const LONG: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Retry {
    /// `None`: at once.
    broken_off: Option<Pause>,
    outage: Pause,
}

impl Retry {
    /// Notes that all flags were read.
    pub(super) fn read(&mut self) {
        self.outage.reset();
    }

    /// Notes how a query ended that waited for a change.
    pub(super) fn waited(&mut self, time: Duration, well: bool) {
        if well || time >= LONG {
            self.broken_off = None;
        }
    }

    /// After a query that broke off, which may be no outage.
    pub(super) async fn soon(&mut self) {
        match &mut self.broken_off {
            Some(pause) => sleep(pause.next()).await,
            None => self.broken_off = Some(Pause::default()),
        }
    }

    /// After all flags could not be read.
    pub(super) async fn later(&mut self) {
        sleep(self.outage.next()).await;
    }
}
