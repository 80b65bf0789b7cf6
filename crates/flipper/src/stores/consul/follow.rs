//! Follows all keys under the base key by a blocking query, which reports every change by any writer, and if its answers are large by
//! another of the hint (`hinted.rs`). A failed query, or an index that goes back, begins a doubt; a confirmed list of all flags ends it
//! (`start.rs`). If that takes too long, the watch emits `Lost`.

mod hinted;
mod known;
mod rest;
mod retry;
mod start;

use std::convert::Infallible;
use std::pin::pin;
use std::time::Instant;

use futures_util::future::{Either, FutureExt, select, try_join_all};
use tokio::sync::broadcast::Receiver;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Mutex, watch};

use self::known::{Difference, Known};
use self::rest::Rest;
use self::retry::Retry;
use super::ConsulFeatureFlagStore;
use super::errors;
use super::hints::SMALL;
use super::kv::{Listing, Read, Wait};
use super::rows::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::state::{Stored, Version, WatchEvent};
use crate::stores::base_key::is_deeper;

/// How many deleted flags are read, one by one: the token may have lost its rights.
const ASKED_FOR: usize = 8;

pub(super) async fn follow(store: ConsulFeatureFlagStore, events: Sender<WatchEvent>, lost: bool) {
    let (size, _) = watch::channel(0);
    let mut follower = Follower {
        store,
        events,
        lost: lost.then(String::new),
        doubt: None,
        following: false,
        known: Mutex::default(),
        size,
        confirmed: Mutex::default(),
    };
    let mut retry = Retry::default();
    loop {
        match follower.once(&mut retry).await {
            Err(End::Unwatched) => return,
            Err(End::Doubted(error)) => {
                tracing::debug!(store = %follower.store, %error, "all flags are read again");
                follower.doubt = Some(error);
                retry.soon().await;
            }
            Err(End::Failed(error)) => {
                if follower.lose(error).await.is_err() {
                    return;
                }
                retry.later().await;
            }
        }
    }
}

enum End {
    Unwatched,
    Doubted(Error),
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Doubted(error)
    }
}

struct Follower {
    store: ConsulFeatureFlagStore,
    events: Sender<WatchEvent>,
    /// While the store is lost.
    lost: Option<String>,
    /// What ended the last query, until a confirmed list.
    doubt: Option<Error>,
    following: bool,
    /// Locked until the events of each decision are sent, in order.
    known: Mutex<Known>,
    /// Of the last list of all flags; marked as changed with every answer.
    size: watch::Sender<usize>,
    confirmed: Mutex<Option<Instant>>,
}

impl Follower {
    async fn once(&mut self, retry: &mut Retry) -> Result<Infallible, End> {
        let puts = self.store.hints.puts();
        let index = self.start().await?;
        retry.read();
        let (changes, own, hints) = (pin!(self.changes(index, retry)), pin!(self.own(puts)), pin!(self.hinted()));
        let others = select(own, hints).map(|ended| ended.factor_first().0);
        select(changes, others).await.factor_first().0
    }

    async fn changes(&self, mut index: u64, retry: &mut Retry) -> Result<Infallible, End> {
        let mut rest = Rest::default();
        loop {
            let asked = Instant::now();
            let listing = self.wait(index).await;
            retry.waited(asked.elapsed(), listing.is_ok());
            let listing = listing?;
            let (new_index, lag, waited) = (listing.index, listing.lag, asked.elapsed() >= self.store.wait);
            if new_index < index || new_index == 0 {
                return Err(errors::went_back("store").into());
            }
            let rows = Rows::of(&self.store, listing).await?;
            let unexplained = self.take_in(rows, index).await?;
            self.confirm(asked, new_index == index, lag).await?;
            // Receivers run before the next query is sent.
            tokio::task::yield_now().await;
            index = new_index;
            let flags = self.known.lock().await.len();
            if unexplained || waited {
                rest = Rest::default();
            } else if !self.store.hints.is_explained(index) {
                tokio::time::sleep(rest.next(flags)).await;
            } else if *self.size.borrow() > SMALL {
                self.rest(flags, index).await?;
            }
        }
    }

    async fn wait(&self, index: u64) -> Result<Listing> {
        let wait = Wait { index, time: self.store.wait };
        self.unless_trouble(self.store.client.list(self.store.followed(), Read::Changed(wait))).await
    }

    /// Fails if another request does: this one may have lost its connection unnoticed.
    async fn unless_trouble<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let trouble = pin!(self.store.client.inner.trouble.notified());
        match select(pin!(answer), trouble).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Error::unavailable("another request to the store failed")),
        }
    }

    /// Returns whether any difference has no hint or own write. `before`: the index of the previous answer.
    async fn take_in(&self, rows: Rows, before: u64) -> Result<bool, End> {
        let mut known = self.known.lock().await;
        let Difference { changed, deleted } = known.compare(&rows).map_err(|_| errors::went_back("flag"))?;
        let hints = &self.store.hints;
        let foreign = |name: &&String| !hints.was_deleted_here(name, known.index(name));
        let foreign: Vec<_> = deleted.iter().filter(foreign).cloned().collect();
        if !foreign.is_empty() {
            self.check_deleted(&foreign, rows.index > before).await?;
        }
        let mut unexplained = !foreign.is_empty();
        for name in deleted {
            known.forget(&name);
            self.remove(name, rows.index).await?;
        }
        for row in &changed {
            unexplained |= !hints.is_explained(row.index);
            known.set(rows.name(row), row.index);
        }
        for flag in rows.flags(changed).await? {
            self.send(WatchEvent::Changed { flag, read_at: None }).await?;
        }
        for name in known.finish(rows.index) {
            self.remove(name, rows.index).await?;
        }
        self.set_size(rows.size());
        Ok(unexplained)
    }

    fn set_size(&self, bytes: usize) {
        self.store.hints.listed(bytes);
        self.size.send_replace(bytes);
    }

    /// Consul silently leaves out what the token may not read.
    async fn check_deleted(&self, names: &[String], index_rose: bool) -> Result<()> {
        if !index_rose {
            let message = "flags are missing though nothing was deleted: the Consul token may not read them now";
            return Err(Error::new(ErrorKind::Unauthorized).with_message(message));
        }
        self.check_absent(names).await
    }

    /// Fails if one is unreadable or exists: the token may have lacked its rights only during the list.
    async fn check_absent(&self, names: &[String]) -> Result<()> {
        // A deeper key may now belong to another base key.
        let names = names.iter().filter(|name| !is_deeper(name));
        let keys = names.map(|name| self.store.keys.of(name)).take(ASKED_FOR);
        let found =
            try_join_all(keys.map(|key| async move { self.store.client.get(&key, Read::Leader).await })).await?;
        if found.iter().any(|found| found.entry.is_some()) {
            let message = "the list of all flags left out one that exists";
            return Err(Error::unavailable(message));
        }
        Ok(())
    }

    async fn emit_read(&self, name: String, flag: Option<Stored>, index: u64) -> Result<(), End> {
        let mut known = self.known.lock().await;
        // A list that is as new decides: the flag may be deleted in it.
        if index <= known.index(&name).max(known.listed()) {
            return Ok(());
        }
        match flag {
            Some(flag) => {
                known.set(&name, index);
                self.send(WatchEvent::Changed { flag, read_at: None }).await
            }
            None => {
                known.remove(&name, index);
                // Even if only its writer knows of the flag: see `Known::put`.
                self.remove(name, index).await
            }
        }
    }

    async fn own(&self, mut puts: Receiver<(String, u64)>) -> Result<Infallible, End> {
        loop {
            // Not `Closed`: the store has the sender.
            let lagged = |_| Error::unavailable("more was written than could be followed");
            let (name, index) = puts.recv().await.map_err(lagged)?;
            let mut known = self.known.lock().await;
            if known.put(name.clone(), index) {
                self.remove(name, known.listed()).await?;
            }
        }
    }

    async fn remove(&self, name: String, index: u64) -> Result<(), End> {
        self.send(WatchEvent::Removed { name, version: Some(Version::ordered(index)), read_at: None }).await
    }

    async fn send(&self, event: WatchEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Unwatched)
    }

    async fn lose(&mut self, error: Error) -> Result<(), End> {
        let error = error.with_store(&self.store);
        let reason = error.chain();
        tracing::debug!(store = %self.store, %error, "changes of flags cannot be followed");
        if self.lost.as_ref() == Some(&reason) {
            return Ok(());
        }
        self.lost = Some(reason);
        self.send(WatchEvent::Lost(error)).await
    }
}
