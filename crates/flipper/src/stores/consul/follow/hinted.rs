//! After a hinted change, only the changed flag is read.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::pending;
use std::time::Instant;

use futures_util::future::join_all;

use super::rest::Rest;
use super::{End, Follower};
use crate::error::ErrorKind;
use crate::stores::base_key::hint_key;
use crate::stores::consul::ConsulFeatureFlagStore;
use crate::stores::consul::errors;
use crate::stores::consul::hints::SMALL;
use crate::stores::consul::kv::{Read, Wait};

impl Follower {
    pub(super) async fn hinted(&self) -> Result<Infallible, End> {
        let mut size = self.size.subscribe();
        loop {
            // `self` keeps the sender alive.
            let _ = size.wait_for(|size| *size > SMALL).await;
            size.mark_unchanged();
            self.hints().await?;
            // A missing key's query returns at any change. Its first writer changes a flag too, which the list reports.
            let _ = size.changed().await;
        }
    }

    /// Until the key is deleted, or the list is small.
    async fn hints(&self) -> Result<(), End> {
        let (client, key) = (&self.store.client, hint_key(self.store.keys.base()));
        let mut seen = HashSet::new();
        let mut rest = Rest::default();
        let mut index = None;
        while *self.size.borrow() > SMALL {
            let asked = Instant::now();
            let read = match index {
                Some(index) => Read::Changed(Wait { index, time: self.store.wait }),
                None => Read::Confirmed,
            };
            let found = match client.get(&key, read).await {
                // Without hints the list reports every change, a little later.
                Err(error) if error.kind() == ErrorKind::Unauthorized => pending().await,
                found => found?,
            };
            let Some(entry) = found.entry else { return Ok(()) };
            if index.is_some_and(|index| entry.index < index) {
                return Err(errors::went_back("hint").into());
            }
            self.store.hints.explain(entry.index);
            let names = self.store.hints.read(&entry.value, &mut seen);
            // The list already has the changes hinted before it was read.
            if index.is_some() {
                join_all(names.into_iter().map(|name| self.read(name)))
                    .await
                    .into_iter()
                    .collect::<Result<(), End>>()?;
            }
            let new = Some(entry.index);
            if new == index && asked.elapsed() < self.store.wait {
                tokio::time::sleep(rest.next(0)).await;
            }
            index = new;
        }
        Ok(())
    }

    async fn read(&self, name: String) -> Result<(), End> {
        let key = self.store.keys.of(&name);
        let before = self.known.lock().await.index(&name);
        match self.store.client.get(&key, Read::Leader).await {
            Ok(found) => {
                if found.index.is_some_and(|index| index < before) {
                    return Err(errors::went_back("flag").into());
                }
                let index = found.entry.as_ref().map(|entry| entry.index).or(found.index).unwrap_or(0);
                let flag = found.entry.and_then(|entry| ConsulFeatureFlagStore::stored(&name, &entry));
                self.emit_read(name, flag, index).await
            }
            // The list shows what else the token may not read.
            Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
