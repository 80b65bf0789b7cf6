//! The same as a store that holds its flags in this process.
#![expect(clippy::unwrap_used, reason = "a test, though not in a test function")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use async_trait::async_trait;
use flipper::store::{FlagTable, Health, LocalFeatureFlagStore, Status, Updates};
use flipper::{Error, ErrorKind, Result};

use super::Fault as F;
use super::faulty::Faulty;

#[async_trait]
impl LocalFeatureFlagStore for Faulty {
    fn table(&self) -> &Arc<FlagTable> {
        let stale = &self.stale_table;
        match self.fault {
            F::TableIsAnother if self.once.swap(true, Ordering::Relaxed) => stale,
            F::TableIsEmpty | F::CorruptIsNotInTheTable => stale,
            F::TableKeepsDeleted => {
                for stored in self.right.table().list() {
                    stale.apply(stored);
                }
                stale
            }
            F::TableLags => {
                stale.reset(self.before.lock().unwrap().clone());
                stale
            }
            _ => self.right.table(),
        }
    }

    fn status(&self) -> Status {
        match self.fault {
            F::StatusHasNoSync => Status::new(Health::Live, None, Updates::Local),
            F::CloseIsLive | F::CorruptIsNotInTheStatus => {
                Status::new(Health::Live, Some(SystemTime::now()), Updates::Local)
            }
            _ => self.right.status(),
        }
    }

    async fn ready(&self) -> Result<()> {
        match self.fault {
            F::ReadyOnce if self.once.swap(true, Ordering::Relaxed) => Err(Error::new(ErrorKind::Unsupported)),
            _ => Ok(()),
        }
    }
}
