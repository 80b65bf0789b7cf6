use hyper::body::Bytes;

use super::bucket::{Found, If, LARGEST, Written, too_large};
use super::{S3FeatureFlagStore, conditions, etag, reading, version};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{FlagRecord, validate_name};
use crate::state::{Precondition, Version};
use crate::stores::base_key::{is_deeper, taken};

/// Without a hint.
pub(super) async fn put(store: &S3FeatureFlagStore, record: &FlagRecord, when: &Precondition) -> Result<Version> {
    let name = record.name();
    validate_name(name)?;
    let key = store.keys.of(name).ok_or_else(unkept)?;
    let body = Bytes::from(record.to_json());
    if body.len() > LARGEST {
        return Err(Error::invalid_input(too_large(body.len() as u64)));
    }
    if is_deeper(name) && reading::is_foreign(store, name, &key).await? {
        return Err(taken(name));
    }
    let holds = store.conditions.hold_for_puts(store, when).await?;
    let when = condition(store, &key, when, holds, false).await?;
    match store.bucket.put(&key, body, when, store.timeout).await? {
        Written::Done(Some(etag)) => Ok(version(&etag)),
        Written::Done(None) | Written::Refused => Err(Error::new(ErrorKind::Conflict)),
    }
}

/// Without a hint. Returns whether anything may have been deleted.
pub(super) async fn delete(store: &S3FeatureFlagStore, name: &str, when: &Precondition) -> Result<bool> {
    let is_expected = matches!(when, Precondition::Unchanged(_));
    let conflict = || Error::new(ErrorKind::Conflict);
    let Some(key) = store.keys.of(name) else { return if is_expected { Err(conflict()) } else { Ok(false) } };
    if matches!(when, Precondition::Absent) {
        return if reading::get(store, name).await?.is_some() { Err(conflict()) } else { Ok(false) };
    }
    // To this store, what is no flag of its own is absent.
    if is_deeper(name) && reading::is_foreign(store, name, &key).await? {
        return if is_expected { Err(conflict()) } else { Ok(false) };
    }
    let holds = !is_expected || store.conditions.hold_for_deletions(store).await?;
    let when = condition(store, &key, when, holds, true).await?;
    match store.bucket.delete(&key, when, store.timeout).await? {
        Written::Done(_) => Ok(true),
        Written::Refused => Err(conflict()),
    }
}

/// Where the server ignores conditions, this compares, and a write in between is lost.
async fn condition(
    store: &S3FeatureFlagStore,
    key: &str,
    when: &Precondition,
    holds: bool,
    deletes: bool,
) -> Result<If> {
    let expected = match when {
        Precondition::Any => return Ok(If::Always),
        Precondition::Absent => None,
        // Another store's version matches no flag here.
        Precondition::Unchanged(version) => Some(etag(version).ok_or_else(|| Error::new(ErrorKind::Conflict))?),
    };
    if holds {
        return Ok(expected.map_or(If::Missing, If::Matches));
    }
    if !store.unconditional {
        return Err(conditions::missing(deletes));
    }
    let found = match store.bucket.get(key, If::Always, store.timeout).await? {
        Found::Object { etag, .. } | Found::Odd { etag, .. } => Some(etag),
        Found::Missing | Found::Same => None,
    };
    let is_so = found.map(|etag| version(&etag)) == expected.map(|etag| version(&etag));
    if is_so { Ok(If::Always) } else { Err(Error::new(ErrorKind::Conflict)) }
}

fn unkept() -> Error {
    Error::new(ErrorKind::InvalidName).with_message(
        "servers with S3's interface do not keep this name: empty, over 1,024 bytes with the prefix, with a backslash, a control \
         character, or an empty part, `.` or `..` between its slashes; nor is `flipper-conditional-writes` a flag",
    )
}
