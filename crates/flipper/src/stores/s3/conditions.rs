//! Whether the server keeps the conditions of writes. Some ignore them without a word, and then writers undo each other's changes. It shows
//! in a write that must fail.

use hyper::body::Bytes;
use tokio::sync::OnceCell;

use super::S3FeatureFlagStore;
use super::bucket::{If, Written};
use super::keys::PROBE;
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;
use crate::state::Precondition;

/// Of no object.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

/// Once for all clones of a store; a probe that failed or was refused is sent again. A server may keep some of them alone.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    creations: OnceCell<bool>,
    changes: OnceCell<bool>,
    deletions: OnceCell<bool>,
}

impl Conditions {
    pub(super) async fn hold_for_puts(&self, store: &S3FeatureFlagStore, when: &Precondition) -> Result<bool> {
        or_unauthorized(match when {
            Precondition::Any => return Ok(true),
            Precondition::Absent => self.creations.get_or_try_init(|| probe_creations(store)).await,
            Precondition::Unchanged(_) => self.changes.get_or_try_init(|| probe_changes(store)).await,
        })
    }

    pub(super) async fn hold_for_deletions(&self, store: &S3FeatureFlagStore) -> Result<bool> {
        or_unauthorized(self.deletions.get_or_try_init(|| probe_deletions(store)).await)
    }
}

/// Who may not write learns it from the write itself.
fn or_unauthorized(holds: Result<&bool>) -> Result<bool> {
    match holds {
        Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(true),
        holds => holds.copied(),
    }
}

/// Creates an object twice. Nothing else shows it: the condition holds unless there is an object, and a flag's may be another one by then.
async fn probe_creations(store: &S3FeatureFlagStore) -> Result<bool> {
    // It is there while another writer tries it, or since a user without the right to delete did.
    if put(store, If::Missing).await? {
        return Ok(true);
    }
    let holds = put(store, If::Missing).await;
    // Only who created it deletes it, so the second of two writers finds it, or creates it itself.
    delete(store).await;
    holds
}

/// Written only where the condition is ignored.
async fn probe_changes(store: &S3FeatureFlagStore) -> Result<bool> {
    let holds = put(store, If::Matches(NO_ETAG.to_owned())).await?;
    if !holds {
        delete(store).await;
    }
    Ok(holds)
}

/// Writes nothing: there is no such object.
pub(super) async fn probe_deletions(store: &S3FeatureFlagStore) -> Result<bool> {
    kept(store.bucket.delete(&store.keys.probe(), If::Matches(NO_ETAG.to_owned()), store.timeout).await)
}

/// Whether the condition kept it from being written.
async fn put(store: &S3FeatureFlagStore, when: If) -> Result<bool> {
    let body = Bytes::from(FlagRecord::new(PROBE, 0).to_json());
    kept(store.bucket.put(&store.keys.probe(), body, when, store.timeout).await)
}

/// A user without the right to delete leaves it there.
async fn delete(store: &S3FeatureFlagStore) {
    let _ = store.bucket.delete(&store.keys.probe(), If::Always, store.timeout).await;
}

fn kept(written: Result<Written>) -> Result<bool> {
    match written {
        Ok(written) => Ok(written == Written::Refused),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn missing(deletes: bool) -> Error {
    let message = match deletes {
        false => "the server ignores the conditions of writes, so writers would undo each other's changes",
        true => "the server ignores the conditions of deletions, so one could delete a newer change",
    };
    let hint = "`unconditional_writes` accepts that";
    Error::new(ErrorKind::Unsupported).with_message(format!("{message}; {hint}"))
}
