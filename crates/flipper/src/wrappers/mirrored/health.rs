//! How current a mirror is.

use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::status::{Health, Status, Updates};

const NOT_YET: &str = "the store's flags have not arrived yet";

/// What is wrong, if anything is; each cause comes and goes by itself.
#[derive(Debug)]
pub(super) struct Following {
    /// Since when anything is wrong.
    since: Option<SystemTime>,
    ended: Option<Arc<str>>,
    lost: Option<Arc<str>>,
    unread: Option<Arc<str>>,
    last_sync: Option<SystemTime>,
    pub(super) updates: Updates,
}

impl Following {
    /// `last_known`: when the flags of the snapshot file were the store's.
    pub(super) fn new(last_known: Option<SystemTime>) -> Self {
        Self {
            since: Some(last_known.unwrap_or_else(SystemTime::now)),
            ended: None,
            lost: Some(NOT_YET.into()),
            unread: None,
            last_sync: last_known,
            updates: Updates::Push,
        }
    }

    /// All flags of the store have come.
    pub(super) fn synced(&mut self) {
        self.lost = None;
        self.last_sync = Some(SystemTime::now());
        self.refresh();
    }

    pub(super) fn lost(&mut self, reason: &str) {
        self.lost = Some(reason.into());
        self.refresh();
    }

    /// Single flags that had to be read again could not be; `None`: all could.
    pub(super) fn unread(&mut self, reason: Option<Arc<str>>) {
        self.unread = reason;
        self.refresh();
    }

    pub(super) fn ended(&mut self, reason: &str) {
        self.ended.get_or_insert_with(|| reason.into());
        self.refresh();
    }

    fn refresh(&mut self) {
        let wrong = self.ended.is_some() || self.lost.is_some() || self.unread.is_some();
        if !wrong {
            self.since = None;
        } else if self.since.is_none() {
            let now = SystemTime::now();
            self.since = Some(now);
            self.last_sync = Some(now);
        }
    }

    /// When the flags were last known to be the store's.
    pub(super) fn last_sync(&self) -> Option<SystemTime> {
        if self.since.is_none() { Some(SystemTime::now()) } else { self.last_sync }
    }

    pub(super) fn status(&self) -> Status {
        let reason = self.ended.as_ref().or(self.lost.as_ref()).or(self.unread.as_ref());
        let health = match (self.since, reason) {
            (Some(since), Some(reason)) => Health::Stale { since, reason: reason.clone() },
            _ => Health::Live,
        };
        Status::new(health, self.last_sync(), self.updates)
    }
}

/// What `ready` waits for.
#[derive(Clone, Debug)]
pub(super) enum First {
    Waiting,
    /// The store's flags are in.
    Synced,
    /// The store could not be reached, and those of the snapshot file are in.
    LastKnown,
    /// It will not be for as long as nobody changes anything.
    Failed(ErrorKind, Arc<str>),
}

impl First {
    pub(super) fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting)
    }

    pub(super) fn result(&self) -> Result<()> {
        match self {
            Self::Waiting | Self::Synced | Self::LastKnown => Ok(()),
            Self::Failed(kind, reason) => Err(Error::new(*kind).with_message(&**reason)),
        }
    }
}
