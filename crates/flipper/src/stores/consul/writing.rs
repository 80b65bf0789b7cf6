//! Each write is one transaction of the flag, its entry in the history, and the hint.

use std::time::{Duration, Instant};

use super::ConsulFeatureFlagStore;
use super::errors;
use super::history;
use super::kv::{Entry, Failure, LARGEST_TRANSACTION, Operation, Read, Transaction};
use super::recent::Before;
use crate::error::{Error, ErrorKind, Result};
use crate::pause::Pause;
use crate::state::{Version, WriteOptions};
use crate::stores::base_key::hint_key;

const FRAME: usize = 1024;
/// For a write without a condition, whose entry has the flag as it was: it is repeated while others write the flag.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Pause = Pause::new(Duration::from_micros(500), Duration::from_millis(50));

pub(super) struct Write<'a> {
    pub(super) name: &'a str,
    pub(super) key: &'a str,
    /// That the flag must have; 0 for a missing flag.
    pub(super) index: Option<u64>,
    pub(super) options: &'a WriteOptions,
}

pub(super) async fn put(store: &ConsulFeatureFlagStore, write: &Write<'_>, value: Vec<u8>) -> Result<Version> {
    let written = match store.history_limits {
        Some(_) => put_with_entry(store, write, &value).await,
        None if !fits(write, &[&value]) => put_large(store, write, &value).await,
        None => {
            let operations = vec![Operation::set(write.key, &value, write.index)];
            let done =
                transact(store, write.name, operations, Kind { conditional: write.index.is_some(), ..PUT }).await;
            done.map(|entries| first(&entries))
        }
    };
    let index = written.map_err(|error| error.with_store(store).with_flag(write.name))?;
    store.hints.put(write.name, index);
    if let Some(limits) = store.history_limits {
        store.recent.keep(write.name, index, value);
        history::prune(store, limits);
    }
    Ok(Version::ordered(index))
}

pub(super) async fn delete(store: &ConsulFeatureFlagStore, write: &Write<'_>) -> Result<Version> {
    let deleted = match store.history_limits {
        Some(_) => delete_with_entry(store, write).await,
        None => {
            let mut operations = Vec::with_capacity(3);
            // `delete-cas` succeeds for a missing key.
            operations.extend(write.index.map(|index| Operation::check(write.key, index)));
            operations.push(Operation::delete(write.key));
            let kind = Kind { conditional: write.index.is_some(), deletes: true, ..PUT };
            transact(store, write.name, operations, kind).await.map(|entries| Deleted::At(last(&entries)))
        }
    };
    match deleted.map_err(|error| error.with_store(store).with_flag(write.name))? {
        Deleted::Missing(version) => Ok(version),
        Deleted::At(index) => {
            store.hints.deleted(write.name, index);
            if let Some(limits) = store.history_limits {
                store.recent.forget(write.name);
                history::prune(store, limits);
            }
            Ok(Version::ordered(index))
        }
    }
}

enum Deleted {
    At(u64),
    /// There was nothing to delete.
    Missing(Version),
}

async fn put_with_entry(store: &ConsulFeatureFlagStore, write: &Write<'_>, value: &[u8]) -> Result<u64> {
    let mut attempts = Attempts::new(store, write);
    loop {
        let (before, _) = attempts.before().await?;
        match put_once(store, write, value, &before).await {
            Err(error) => attempts.pause_after(error).await?,
            done => return done,
        }
    }
}

async fn put_once(store: &ConsulFeatureFlagStore, write: &Write<'_>, value: &[u8], before: &Before) -> Result<u64> {
    let mut entry = history::value(write.name, write.options, before.value.as_deref(), Some(value), true)?;
    if !fits(write, &[value, &entry]) {
        entry = history::value(write.name, write.options, before.value.as_deref(), Some(value), false)?;
    }
    if !fits(write, &[value, &entry]) {
        return put_large(store, write, value).await;
    }
    let key = history::new_key(store.keys.base(), write.name);
    let operations = vec![Operation::set(write.key, value, Some(before.index)), Operation::set(&key, &entry, None)];
    let kind = Kind { conditional: write.index.is_some(), entry_at: Some(1), ..PUT };
    transact(store, write.name, operations, kind).await.map(|entries| first(&entries))
}

async fn delete_with_entry(store: &ConsulFeatureFlagStore, write: &Write<'_>) -> Result<Deleted> {
    let mut attempts = Attempts::new(store, write);
    loop {
        let (before, index) = attempts.before().await?;
        if before.index == 0 {
            return store.version_of_absence(index).await.map(Deleted::Missing);
        }
        match delete_once(store, write, &before).await {
            Err(error) => attempts.pause_after(error).await?,
            Ok(index) => return Ok(Deleted::At(index)),
        }
    }
}

async fn delete_once(store: &ConsulFeatureFlagStore, write: &Write<'_>, before: &Before) -> Result<u64> {
    let mut entry = history::value(write.name, write.options, before.value.as_deref(), None, true)?;
    if !fits(write, &[&entry]) {
        entry = history::value(write.name, write.options, before.value.as_deref(), None, false)?;
    }
    let key = history::new_key(store.keys.base(), write.name);
    let operations = vec![
        Operation::check(write.key, before.index),
        Operation::delete(write.key),
        Operation::set(&key, &entry, None),
    ];
    let kind = Kind { conditional: write.index.is_some(), entry_at: Some(2), ..PUT };
    transact(store, write.name, operations, kind).await.map(|entries| last(&entries))
}

/// An entry has the flag as it was, so each write compares. Without a condition of the caller's it then begins again.
struct Attempts<'a> {
    store: &'a ConsulFeatureFlagStore,
    write: &'a Write<'a>,
    known: Option<Before>,
    began: Instant,
    pause: Pause,
}

impl<'a> Attempts<'a> {
    fn new(store: &'a ConsulFeatureFlagStore, write: &'a Write<'a>) -> Self {
        let known = match write.index {
            Some(0) => Some(Before::default()),
            index => store.recent.get(write.name, index),
        };
        Self { store, write, known, began: Instant::now(), pause: PAUSE }
    }

    /// As it is known, or else read, with the index of that answer.
    async fn before(&mut self) -> Result<(Before, Option<u64>)> {
        if let Some(before) = self.known.take() {
            return Ok((before, None));
        }
        let found = self.store.client.get(self.write.key, Read::Confirmed).await?;
        let before = found.entry.map(|entry| Before { index: entry.index, value: Some(entry.value.into()) });
        let before = before.unwrap_or_default();
        match self.write.index {
            Some(index) if index != before.index => Err(Error::new(ErrorKind::Conflict)),
            _ => Ok((before, found.index)),
        }
    }

    async fn pause_after(&mut self, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Conflict {
            return Err(error);
        }
        self.store.recent.forget(self.write.name);
        if self.write.index.is_some() || self.began.elapsed() > PATIENCE {
            return Err(error);
        }
        crate::background::sleep(self.pause.next()).await;
        Ok(())
    }
}

fn fits(write: &Write<'_>, values: &[&[u8]]) -> bool {
    let base64: usize = values.iter().map(|value| value.len().div_ceil(3) * 4).sum();
    base64 + write.key.len() * 12 + FRAME + super::hints::LARGEST <= LARGEST_TRANSACTION
}

fn first(entries: &[Entry]) -> u64 {
    entries.first().map_or(0, |entry| entry.index)
}

/// Of a set, with the transaction's index.
fn last(entries: &[Entry]) -> u64 {
    entries.last().map_or(0, |entry| entry.index)
}

#[derive(Clone, Copy)]
struct Kind {
    conditional: bool,
    /// It has no other set than the hint.
    deletes: bool,
    /// The place of the history's entry.
    entry_at: Option<usize>,
}

const PUT: Kind = Kind { conditional: false, deletes: false, entry_at: None };

async fn transact(
    store: &ConsulFeatureFlagStore,
    name: &str,
    mut operations: Vec<Operation<'_>>,
    kind: Kind,
) -> Result<Vec<Entry>> {
    let (hint, hint_key) = (store.hints.of(name), hint_key(store.keys.base()));
    if let Some(hint) = &hint {
        let mut hinted = operations.clone();
        hinted.push(Operation::set(&hint_key, hint, None));
        let own = operations.len();
        match store.client.transact(hinted).await {
            Ok(Transaction::Done(entries)) => return Ok(entries),
            Ok(Transaction::Refused(failures)) if failures.iter().any(|failure| failure.operation < own) => {
                return Err(refused(store, &failures, kind));
            }
            // Consul may have refused only the hint.
            Ok(Transaction::Refused(failures)) if failures.iter().any(|failure| errors::is_refusal(&failure.what)) => {}
            Ok(Transaction::Refused(failures)) => {
                return Err(refused(store, &failures, Kind { conditional: false, ..kind }));
            }
            Err(error) if error.kind() == ErrorKind::Unauthorized => {}
            Err(error) => return Err(error),
        }
    }
    let key;
    if kind.deletes {
        // Only a set returns the index. The same transaction deletes the value, so no reader sees it.
        key = store.keys.of(name);
        let place = operations.len() - 1;
        operations.insert(place, Operation::set(&key, b"", None));
    }
    match store.client.transact(operations).await? {
        Transaction::Done(entries) => {
            // It succeeded without the hint.
            if hint.is_some() {
                store.hints.forbid();
                tracing::warn!(%store, key = hint_key, "the Consul token does not allow writing the key by which changes are seen at once; with many flags they are seen later");
            }
            Ok(entries)
        }
        Transaction::Refused(failures) => Err(refused(store, &failures, kind)),
    }
}

fn refused(store: &ConsulFeatureFlagStore, failures: &[Failure], kind: Kind) -> Error {
    let refusal = failures.iter().find(|failure| errors::is_refusal(&failure.what));
    match (refusal.or(failures.first()), kind.conditional) {
        (Some(failure), _) if refusal.is_some() && kind.entry_at == Some(failure.operation) => {
            errors::of_operation(&failure.what).with_message(history::hint(store.keys.base()))
        }
        (Some(failure), _) if refusal.is_some() => errors::of_operation(&failure.what),
        (Some(_), true) => Error::new(ErrorKind::Conflict),
        // Of a comparison that is ours.
        (Some(failure), false) if kind.entry_at.is_some() && failure.operation == 0 => Error::new(ErrorKind::Conflict),
        (Some(failure), false) => errors::of_operation(&failure.what),
        (None, _) => Error::unavailable("the Consul agent refused a write and did not say why"),
    }
}

/// Without a hint and an entry: a transaction has room for three quarters of a value's limit.
async fn put_large(store: &ConsulFeatureFlagStore, write: &Write<'_>, value: &[u8]) -> Result<u64> {
    if !store.client.put(write.key, value.to_vec(), write.index).await? {
        return Err(Error::new(ErrorKind::Conflict));
    }
    // This call does not return the index.
    let found = store.client.get(write.key, Read::Confirmed).await?;
    Ok(match found.entry {
        Some(entry) if entry.value == value => entry.index,
        // A newer write came. This version is above all before it, below the present one, and matches none.
        Some(entry) => entry.index - 1,
        None => found.index.unwrap_or(1) - 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consul's text has the key, and each may have the word that it uses for a comparison.
    #[test]
    fn only_a_comparison_of_the_flag_is_tried_again() {
        let store = ConsulFeatureFlagStore::from_url("consul://127.0.0.1:1/search_index").unwrap();
        let kind = Kind { entry_at: Some(1), ..PUT };
        for operation in [0, 1] {
            let what = "failed to set key \"search_index/F\"".to_owned();
            let error = refused(&store, &[Failure { operation, what }], kind);
            assert_eq!(error.kind() == ErrorKind::Conflict, operation == 0, "{operation}");
        }
    }
}
