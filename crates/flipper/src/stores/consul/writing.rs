//! Each write is one transaction of the flag and the hint.

use super::ConsulFeatureFlagStore;
use super::errors;
use super::kv::{Entry, Failure, LARGEST_TRANSACTION, Operation, Read, Transaction};
use crate::error::{Error, ErrorKind, Result};
use crate::state::Version;
use crate::stores::base_key::hint_key;

const FRAME: usize = 1024;

/// `index`: 0 for a missing flag.
pub(super) async fn put(
    store: &ConsulFeatureFlagStore,
    name: &str,
    key: &str,
    value: Vec<u8>,
    index: Option<u64>,
) -> Result<Version> {
    let base64 = value.len().div_ceil(3) * 4;
    let written = if base64 + key.len() * 6 + FRAME + super::hints::LARGEST > LARGEST_TRANSACTION {
        put_large(store, key, value, index).await
    } else {
        let write = vec![Operation::set(key, &value, index)];
        let done = transact(store, name, write, index.is_some(), false).await;
        done.map(|entries| entries.first().map_or(0, |entry| entry.index))
    };
    let index = written.map_err(|error| error.with_store(store).with_flag(name))?;
    store.hints.put(name, index);
    Ok(Version::ordered(index))
}

pub(super) async fn delete(
    store: &ConsulFeatureFlagStore,
    name: &str,
    key: &str,
    index: Option<u64>,
) -> Result<Version> {
    let mut operations = Vec::with_capacity(3);
    // `delete-cas` succeeds for a missing key.
    operations.extend(index.map(|index| Operation::check(key, index)));
    operations.push(Operation::delete(key));
    let done = transact(store, name, operations, index.is_some(), true).await;
    // Of a set, with the transaction's index.
    let deleted = done.map(|entries| entries.last().map_or(0, |entry| entry.index));
    let index = deleted.map_err(|error| error.with_store(store).with_flag(name))?;
    store.hints.deleted(name, index);
    Ok(Version::ordered(index))
}

async fn transact(
    store: &ConsulFeatureFlagStore,
    name: &str,
    mut operations: Vec<Operation<'_>>,
    conditional: bool,
    deletes: bool,
) -> Result<Vec<Entry>> {
    let (hint, hint_key) = (store.hints.of(name), hint_key(store.keys.base()));
    if let Some(hint) = &hint {
        let mut hinted = operations.clone();
        hinted.push(Operation::set(&hint_key, hint, None));
        let own = operations.len();
        match store.client.transact(hinted).await {
            Ok(Transaction::Done(entries)) => return Ok(entries),
            Ok(Transaction::Refused(failures)) if failures.iter().any(|failure| failure.operation < own) => {
                return Err(refused(&failures, conditional));
            }
            // Consul may have refused only the hint.
            Ok(Transaction::Refused(failures)) if failures.iter().any(|failure| errors::is_refusal(&failure.what)) => {}
            Ok(Transaction::Refused(failures)) => return Err(refused(&failures, false)),
            Err(error) if error.kind() == ErrorKind::Unauthorized => {}
            Err(error) => return Err(error),
        }
    }
    let key;
    if deletes {
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
        Transaction::Refused(failures) => Err(refused(&failures, conditional)),
    }
}

fn refused(failures: &[Failure], conditional: bool) -> Error {
    let refusal = failures.iter().find(|failure| errors::is_refusal(&failure.what));
    match (refusal.or(failures.first()), conditional) {
        (Some(failure), _) if refusal.is_some() => errors::of_operation(&failure.what),
        (Some(_), true) => Error::new(ErrorKind::Conflict),
        (Some(failure), false) => errors::of_operation(&failure.what),
        (None, _) => Error::unavailable("the Consul agent refused a write and did not say why"),
    }
}

/// Without a hint: a transaction has room for three quarters of a value's limit.
async fn put_large(store: &ConsulFeatureFlagStore, key: &str, value: Vec<u8>, index: Option<u64>) -> Result<u64> {
    if !store.client.put(key, value.clone(), index).await? {
        return Err(Error::new(ErrorKind::Conflict));
    }
    // This call does not return the index.
    let found = store.client.get(key, Read::Confirmed).await?;
    Ok(match found.entry {
        Some(entry) if entry.value == value => entry.index,
        // A newer write came. This version is above all before it, below the present one, and matches none.
        Some(entry) => entry.index - 1,
        None => found.index.unwrap_or(1) - 1,
    })
}
