//! Whether the server keeps the conditions of writes. Some ignore them without a word, and then writers undo each other's changes. It shows
//! in a write that must fail.

use hyper::body::Bytes;
use tokio::sync::OnceCell;

use super::S3FeatureFlagStore;
use super::bucket::{If, Written};
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;

/// Written only where conditions are ignored. It is a flag, since other programs may list it meanwhile. As in the Python package.
const PROBE: &str = "flipper-conditional-writes";
/// Of no object.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";

/// Once for all clones of a store; a probe that failed or was refused is sent again.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    puts: OnceCell<bool>,
    deletes: OnceCell<bool>,
}

impl Conditions {
    pub(super) async fn hold_for_puts(&self, store: &S3FeatureFlagStore) -> Result<bool> {
        or_unauthorized(self.puts.get_or_try_init(|| probe_puts(store)).await)
    }

    pub(super) async fn hold_for_deletes(&self, store: &S3FeatureFlagStore) -> Result<bool> {
        or_unauthorized(self.deletes.get_or_try_init(|| probe_deletes(store)).await)
    }
}

/// Who may not write learns it from the write itself.
fn or_unauthorized(holds: Result<&bool>) -> Result<bool> {
    match holds {
        Err(error) if error.kind() == ErrorKind::Unauthorized => Ok(true),
        holds => holds.copied(),
    }
}

async fn probe_puts(store: &S3FeatureFlagStore) -> Result<bool> {
    let key = format!("{}{PROBE}", store.keys.prefix());
    let body = Bytes::from(FlagRecord::new(PROBE, 0).to_json());
    let put = store.bucket.put(&key, body, If::Matches(NO_ETAG.to_owned()), store.timeout).await;
    let holds = kept(put)?;
    if !holds {
        // A user without the right to delete leaves it there.
        let _ = store.bucket.delete(&key, If::Always, store.timeout).await;
    }
    Ok(holds)
}

/// Writes nothing: there is no such object.
pub(super) async fn probe_deletes(store: &S3FeatureFlagStore) -> Result<bool> {
    let key = format!("{}{PROBE}", store.keys.prefix());
    kept(store.bucket.delete(&key, If::Matches(NO_ETAG.to_owned()), store.timeout).await)
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
