use std::time::Duration;

use tokio::time::sleep;

use crate::pause::Pause;

/// A query that lasted this long may be repeated at once, however it ended: load balancers end queries after a while.
const LONG: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Retry {
    broken_off: Option<Pause>,
    outage: Pause,
}

impl Retry {
    pub(super) fn read(&mut self) {
        self.outage.reset();
    }

    pub(super) fn waited(&mut self, time: Duration, well: bool) {
        if well || time >= LONG {
            self.broken_off = None;
        }
    }

    /// A failed query may be no outage.
    pub(super) async fn soon(&mut self) {
        match &mut self.broken_off {
            Some(pause) => sleep(pause.next()).await,
            None => self.broken_off = Some(Pause::default()),
        }
    }

    pub(super) async fn later(&mut self) {
        sleep(self.outage.next()).await;
    }
}
