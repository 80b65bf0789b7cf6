use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::bucket::{Found, If, LARGEST, too_large};
use super::http::AT_ONCE;
use super::listing::Object;
use super::{S3FeatureFlagStore, version};
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;
use crate::state::{Corrupt, Stored, Version};
use crate::stores::base_key::is_ours;

/// S3 returns no more.
pub(super) const PAGE: usize = 1000;

/// A listed object under a flag's name.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) version: Version,
    size: u64,
}

/// What a read found under a flag's name.
pub(super) enum Read {
    Missing,
    Flag(Stored),
    /// An object that is no flag of this store.
    Foreign(Version),
}

pub(super) async fn get(store: &S3FeatureFlagStore, name: &str) -> Result<Option<Stored>> {
    let Some(key) = store.keys.of(name) else { return Ok(None) };
    Ok(match read(store, name, &key).await? {
        Read::Flag(flag) => Some(flag),
        Read::Missing | Read::Foreign(_) => None,
    })
}

/// Whether a deeper key holds something that is no flag of this store.
pub(super) async fn is_foreign(store: &S3FeatureFlagStore, name: &str, key: &str) -> Result<bool> {
    Ok(matches!(read(store, name, key).await?, Read::Foreign(_)))
}

pub(super) async fn read(store: &S3FeatureFlagStore, name: &str, key: &str) -> Result<Read> {
    let flag = match store.bucket.get(key, If::Always, store.timeout).await? {
        Found::Missing | Found::Same => return Ok(Read::Missing),
        Found::Object { etag, body } => {
            let record = FlagRecord::from_json(&body).map(Arc::new).map_err(|error| Corrupt::new(error.to_string()));
            Stored { name: name.to_owned(), version: version(&etag), record }
        }
        Found::Odd { etag, why } => odd(name, version(&etag), &why),
    };
    Ok(if is_ours(&flag) { Read::Flag(flag) } else { Read::Foreign(flag.version) })
}

fn odd(name: &str, version: Version, why: &str) -> Stored {
    Stored { name: name.to_owned(), version, record: Err(Corrupt::new(why)) }
}

/// One page of the list, and where the next begins.
pub(super) async fn list_page(
    store: &S3FeatureFlagStore,
    after: Option<&str>,
) -> Result<(Vec<Listed>, Option<String>)> {
    let page = store.bucket.list(store.keys.prefix(), after, PAGE, store.timeout).await?;
    let mut listed = Vec::with_capacity(page.objects.len());
    for Object { key, etag, size } in page.objects {
        match store.keys.name(&key) {
            Some(name) => listed.push(Listed { name: name.to_owned(), version: version(&etag), size }),
            None if key == store.keys.probe() => {}
            None => store.warn_of_key(&key),
        }
    }
    if page.next.is_some() && page.next.as_deref() == after {
        return Err(Error::unavailable("the server's list does not go on"));
    }
    Ok((listed, page.next))
}

pub(super) async fn list(store: &S3FeatureFlagStore) -> Result<Vec<Listed>> {
    let (mut all, mut next) = list_page(store, None).await?;
    while let Some(token) = next {
        let (page, after) = list_page(store, Some(&token)).await?;
        all.extend(page);
        next = after;
    }
    Ok(all)
}

/// In any order. An object that cannot be read, unlike another one just after it, is odd; `readable` names one that could be read before.
pub(super) async fn read_all(
    store: &S3FeatureFlagStore,
    listed: Vec<Listed>,
    readable: Option<&str>,
) -> Result<Vec<(String, Read)>> {
    let reads = listed.into_iter().map(|object| async move {
        let read = read_listed(store, &object).await;
        match read {
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            read => Ok((object, read)),
        }
    });
    let (mut read, mut failed) = (Vec::new(), Vec::new());
    let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
    while let Some((object, result)) = reads.try_next().await? {
        match result {
            Ok(found) => read.push((object.name, found)),
            Err(error) => failed.push((object, error)),
        }
    }
    let Some((_, error)) = failed.first() else { return Ok(read) };
    let could_be_read = read.iter().find(|(_, found)| !matches!(found, Read::Missing)).map(|(name, _)| name.as_str());
    let other = could_be_read.or(readable).and_then(|name| Some((name, store.keys.of(name)?)));
    // The credentials may have lost their rights meanwhile.
    let is_readable = match other {
        Some((name, key)) => self::read(store, name, &key).await.is_ok(),
        None => false,
    };
    if !is_readable {
        return Err(error.copy());
    }
    read.extend(failed.into_iter().map(|(object, error)| {
        let flag = odd(&object.name, object.version, &error.chain());
        (object.name, if is_ours(&flag) { Read::Flag(flag) } else { Read::Foreign(flag.version) })
    }));
    Ok(read)
}

async fn read_listed(store: &S3FeatureFlagStore, object: &Listed) -> Result<Read> {
    let Some(key) = store.keys.of(&object.name) else { return Ok(Read::Missing) };
    if object.size > LARGEST as u64 {
        let flag = odd(&object.name, object.version.clone(), &too_large(object.size));
        return Ok(if is_ours(&flag) { Read::Flag(flag) } else { Read::Foreign(flag.version) });
    }
    read(store, &object.name, &key).await
}

pub(super) fn flags(read: Vec<(String, Read)>) -> Vec<Stored> {
    let flag = |read| match read {
        (_, Read::Flag(flag)) => Some(flag),
        (_, Read::Missing | Read::Foreign(_)) => None,
    };
    read.into_iter().filter_map(flag).collect()
}
