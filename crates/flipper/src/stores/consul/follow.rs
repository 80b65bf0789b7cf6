//! Changes as they happen: a task on the flipper thread that waits for the next change of any key under the base key.
//!
//! One blocking query follows the prefix and is the truth: it tells of every change, whoever made it. Where its answer is
//! large a second one follows the hint (`hinted.rs`).

mod hinted;
mod known;
mod rest;

use std::convert::Infallible;
use std::pin::pin;
use std::time::Instant;

use futures_util::future::{Either, FutureExt, select, try_join_all};
use tokio::sync::broadcast::Receiver;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Mutex, watch};

use self::known::{Known, News};
use self::rest::Rest;
use super::bare::Bare;
use super::hints::SMALL;
use super::kv::{Listing, Wait};
use super::rows::Rows;
use crate::error::{Error, ErrorKind, Result};
use crate::pause::Pause;
use crate::status::Updates;
use crate::store::{Stored, Version, WatchEvent};

/// So many flags that are gone are asked for one by one, whether they may still be read.
const ASKED_FOR: usize = 8;

pub(super) async fn follow(store: Bare, events: Sender<WatchEvent>, lost: bool) {
    let (size, _) = watch::channel(0);
    let mut follower =
        Follower { store, events, lost: lost.then_some(None), following: false, known: Mutex::default(), size };
    let mut pause = Pause::default();
    loop {
        match follower.once(&mut pause).await {
            Err(End::Unwatched) => return,
            Err(End::Again(why)) => tracing::debug!(store = %follower.store, why, "all flags are read again"),
            Err(End::Failed(error)) => {
                if follower.lose(error).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// Why following ended.
enum End {
    /// The stream was dropped.
    Unwatched,
    /// The index went back: Consul has begun anew, and all must be read.
    Again(&'static str),
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

struct Follower {
    store: Bare,
    events: Sender<WatchEvent>,
    /// The kind of the error that was told last, while the store is lost.
    lost: Option<Option<ErrorKind>>,
    /// Whether it was told how changes arrive.
    following: bool,
    /// Held from each decision until its events are sent, so that they are in order.
    known: Mutex<Known>,
    /// How many bytes the last list of all flags had; marked as changed with every answer.
    size: watch::Sender<usize>,
}

impl Follower {
    /// Reads all flags, and then follows them for as long as that goes well.
    async fn once(&mut self, pause: &mut Pause) -> Result<Infallible, End> {
        let puts = self.store.hints.puts();
        let index = self.start().await?;
        let (changes, own, hints) = (pin!(self.changes(index, pause)), pin!(self.own(puts)), pin!(self.hinted()));
        let others = select(own, hints).map(|ended| ended.factor_first().0);
        select(changes, others).await.factor_first().0
    }

    async fn start(&mut self) -> Result<u64, End> {
        let read_at = Instant::now();
        let listing = self.store.first_listing().await?;
        let mut rows = Rows::believed(&self.store, listing).await?;
        let index = rows.index;
        if index == 0 {
            return Err(super::errors::without_index().into());
        }
        self.known.get_mut().reset(&rows);
        self.tell_size(rows.size());
        let all = std::mem::take(&mut rows.rows);
        let flags = rows.flags(all).await?;
        if self.lost.take().is_some() {
            self.send(WatchEvent::Restored).await?;
        }
        self.send(WatchEvent::Reset { flags, read_at: Some(read_at) }).await?;
        if !std::mem::replace(&mut self.following, true) {
            self.send(WatchEvent::Following(Updates::Push)).await?;
        }
        Ok(index)
    }

    /// Waits for one change after the other.
    async fn changes(&self, mut index: u64, pause: &mut Pause) -> Result<Infallible, End> {
        let mut rest = Rest::default();
        loop {
            let asked = Instant::now();
            let listing = self.wait(index).await?;
            *pause = Pause::default();
            let (new_index, waited) = (listing.index, asked.elapsed() >= self.store.wait);
            if new_index < index || new_index == 0 {
                return Err(End::Again("the index of the store went back"));
            }
            let rows = Rows::of(&self.store, listing).await?;
            let news = self.take_in(rows, index).await?;
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
        self.unless_trouble(self.store.client.list(self.store.followed(), Some(wait))).await
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
        let News { changed, gone } = known.compare(&rows).map_err(|_| End::Again("the index of a flag went back"))?;
        let hints = &self.store.hints;
        let foreign = |name: &&String| !hints.was_deleted_here(name, known.index(name));
        let foreign: Vec<_> = gone.iter().filter(foreign).cloned().collect();
        if !foreign.is_empty() {
            self.may_be_gone(&foreign, rows.rows.is_empty(), rows.index > before).await?;
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
    async fn may_be_gone(&self, names: &[String], all: bool, index_rose: bool) -> Result<()> {
        if !index_rose {
            let message =
                "flags are not shown any more though nothing was deleted: the Consul token may not read them now";
            return Err(Error::new(ErrorKind::Unauthorized).with_message(message));
        }
        if all {
            return self.may_read(self.store.keys.prefix()).await;
        }
        let keys = names.iter().map(|name| self.store.keys.of(name)).take(ASKED_FOR);
        try_join_all(keys.map(|key| async move { self.may_read(&key).await })).await.map(|_| ())
    }

    /// An error if not: a single key that may not be read is refused, other than a prefix.
    async fn may_read(&self, key: &str) -> Result<()> {
        self.store.client.get(key, None).await.map(|_| ())
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
                Err(_) => return Err(End::Again("more was written than could be followed")),
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
        let kind = error.kind();
        tracing::debug!(store = %self.store, %error, "changes of flags cannot be followed");
        // Another reason is told too.
        if self.lost.replace(Some(kind)) == Some(Some(kind)) {
            return Ok(());
        }
        self.send(WatchEvent::Lost(error.with_store(&self.store))).await
    }
}
