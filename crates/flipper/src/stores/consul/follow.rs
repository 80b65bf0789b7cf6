//! Changes as they happen: a task on the flipper thread that waits for the next change of any key under the base key.
//!
//! One blocking query follows the prefix and is the truth: it tells of every change, whoever made it. Where its answer is
//! large a second one follows the hint (`hinted.rs`).
//!
//! Whatever ends a query, an index that goes back included, is a doubt: a server that has just started answers from an older state
//! until its log is applied. A confirmed list of all ends the doubt (`start.rs`), and what it is not there for at once is `Lost`.

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

use self::known::{Known, News};
use self::rest::Rest;
use self::retry::Retry;
use super::ConsulFeatureFlagStore;
use super::errors;
use super::hints::SMALL;
use super::kv::{Listing, Read, Wait};
use super::rows::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::state::{Stored, Version, WatchEvent};
use crate::stores::deeper::is_deeper;

/// So many flags that are gone are asked for one by one, whether they may still be read.
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

/// Why following ended.
enum End {
    /// The stream was dropped.
    Unwatched,
    /// What is known may be older than the store: a query broke off, an index went back.
    Doubted(Error),
    /// All flags cannot be read.
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
    /// The reason that was told last, while the store is lost.
    lost: Option<String>,
    /// What ended the last query, until a confirmed list answers it.
    doubt: Option<Error>,
    /// Whether it was told how changes arrive.
    following: bool,
    /// Held from each decision until its events are sent, so that they are in order.
    known: Mutex<Known>,
    /// How many bytes the last list of all flags had; marked as changed with every answer.
    size: watch::Sender<usize>,
    /// When it was last told that all is told.
    confirmed: Mutex<Option<Instant>>,
}

impl Follower {
    /// Reads all flags, and then follows them for as long as that goes well.
    async fn once(&mut self, retry: &mut Retry) -> Result<Infallible, End> {
        let puts = self.store.hints.puts();
        let index = self.start().await?;
        retry.read();
        let (changes, own, hints) = (pin!(self.changes(index, retry)), pin!(self.own(puts)), pin!(self.hinted()));
        let others = select(own, hints).map(|ended| ended.factor_first().0);
        select(changes, others).await.factor_first().0
    }

    /// Waits for one change after the other.
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
            let news = self.take_in(rows, index).await?;
            self.confirm(asked, new_index == index, lag).await?;
            // Who is told has their turn before Consul is asked again.
            tokio::task::yield_now().await;
            index = new_index;
            let flags = self.known.lock().await.len();
            if news || waited {
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

    /// Waits for an answer, unless another request does not come through: the one that waits may have lost its connection
    /// too, and not know it.
    async fn unless_trouble<T>(&self, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let trouble = pin!(self.store.client.trouble().notified());
        match select(pin!(answer), trouble).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                Err(Error::new(ErrorKind::Unavailable)
                    .with_message("another request to the store did not come through"))
            }
        }
    }

    /// Tells what is different from before, and whether it was news. `before`: the index of the answer before.
    async fn take_in(&self, rows: Rows, before: u64) -> Result<bool, End> {
        let mut known = self.known.lock().await;
        let News { changed, gone } = known.compare(&rows).map_err(|_| errors::went_back("flag"))?;
        let hints = &self.store.hints;
        let foreign = |name: &&String| !hints.was_deleted_here(name, known.index(name));
        let foreign: Vec<_> = gone.iter().filter(foreign).cloned().collect();
        if !foreign.is_empty() {
            self.may_be_gone(&foreign, rows.index > before).await?;
        }
        let mut news = !foreign.is_empty();
        for name in gone {
            known.forget(&name);
            self.remove(name, rows.index).await?;
        }
        for row in &changed {
            news |= !hints.is_explained(row.index);
            known.set(rows.name(row), row.index);
        }
        for flag in rows.flags(changed).await? {
            self.send(WatchEvent::Changed { flag, read_at: None }).await?;
        }
        for name in known.finish(rows.index) {
            self.remove(name, rows.index).await?;
        }
        self.tell_size(rows.size());
        Ok(news)
    }

    fn tell_size(&self, bytes: usize) {
        self.store.hints.listed(bytes);
        self.size.send_replace(bytes);
    }

    /// Whether flags that were there and are not are gone, and not only out of sight: Consul leaves out of its answer what the
    /// token may not read, without a word.
    async fn may_be_gone(&self, names: &[String], index_rose: bool) -> Result<()> {
        if !index_rose {
            let message =
                "flags are not shown any more though nothing was deleted: the Consul token may not read them now";
            return Err(Error::new(ErrorKind::Unauthorized).with_message(message));
        }
        self.must_be_gone(names).await
    }

    /// An error if one of these flags may not be read, or is there: the token may have lost its rights for no longer than the list
    /// took.
    async fn must_be_gone(&self, names: &[String]) -> Result<()> {
        // What lies deeper may be another base key's flag by now.
        let names = names.iter().filter(|name| !is_deeper(name));
        let keys = names.map(|name| self.store.keys.of(name)).take(ASKED_FOR);
        let found =
            try_join_all(keys.map(|key| async move { self.store.client.get(&key, Read::Leader).await })).await?;
        if found.iter().any(|found| found.entry.is_some()) {
            let message = "the list of all flags left out one that is there";
            return Err(Error::new(ErrorKind::Unavailable).with_message(message));
        }
        Ok(())
    }

    /// Tells what a read of one flag found.
    async fn tell(&self, name: String, flag: Option<Stored>, index: u64) -> Result<(), End> {
        let mut known = self.known.lock().await;
        // What is not newer than a whole answer says nothing: the flag may be gone in that.
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
                // Also where nobody knows of it but who put it: see `Known::put`.
                self.remove(name, index).await
            }
        }
    }

    /// Takes note of the flags that this process puts.
    async fn own(&self, mut puts: Receiver<(String, u64)>) -> Result<Infallible, End> {
        loop {
            match puts.recv().await {
                Ok((name, index)) => {
                    let mut known = self.known.lock().await;
                    if known.put(name.clone(), index) {
                        self.remove(name, known.listed()).await?;
                    }
                }
                // Closed it cannot be: the store is here.
                Err(_) => {
                    let message = "more was written than could be followed";
                    return Err(Error::new(ErrorKind::Unavailable).with_message(message).into());
                }
            }
        }
    }

    async fn remove(&self, name: String, index: u64) -> Result<(), End> {
        self.send(WatchEvent::Removed { name, version: Some(Version::ordered(index)), read_at: None }).await
    }

    async fn send(&self, event: WatchEvent) -> Result<(), End> {
        self.events.send(event).await.map_err(|_| End::Unwatched)
    }

    /// Another reason is told too, so that the status has the present one.
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
