//! The history: a key for each write, in its transaction. The keys' indexes are the order of the writes.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use tokio::sync::Mutex;

use super::ConsulFeatureFlagStore;
use super::kv::{self, Item, Listing, Operation, Read, Transaction};
use super::rows::apart;
use crate::background;
use crate::error::{Error, ErrorKind, Result};
use crate::state::{
    Cause, Corrupt, Entry, EntryId, FlagState, HistoryLimits, HistoryPage, HistoryQuery, Stored, Version, WriteOptions,
};
use crate::stores::base_key::history_key;

/// Larger lists are parsed off the flipper thread.
const LARGE: usize = 256 * 1024;
/// Of a transaction.
const MOST_OPERATIONS: usize = 64;
/// A write deletes at most so many entries, so that none takes long.
const DELETED_AT_ONCE: usize = 16 * MOST_OPERATIONS;

/// A value of Consul's.
#[derive(Debug, Deserialize, Serialize)]
struct Kept<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    /// In milliseconds.
    at: u64,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    verb: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    actor: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    before: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    after: Option<Cow<'a, str>>,
    /// The transaction has no room for both states.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    too_large: bool,
}

/// Consul keeps everything in memory.
pub(super) fn default_limits() -> HistoryLimits {
    HistoryLimits::default().entries(1000)
}

pub(super) fn prefix(base: &str) -> String {
    format!("{}/", history_key(base))
}

/// All entries of a flag: its name may be too long, or have bytes that a key may not.
fn folder(base: &str, name: &str) -> String {
    let digest = Sha1::digest(name);
    let hash: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}{hash}/", prefix(base))
}

/// That of no other entry.
pub(super) fn new_key(base: &str, name: &str) -> String {
    format!("{}{:012x}{:016x}", folder(base, name), now(), fastrand::u64(..))
}

/// Without room for both states the entry has none.
pub(super) fn value(
    name: &str,
    options: &WriteOptions,
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    has_room: bool,
) -> Result<Vec<u8>> {
    let cause = options.cause.as_deref();
    let text = |state: Option<&'_ [u8]>| state.map(|state| String::from_utf8_lossy(state).into_owned().into());
    let kept = Kept {
        name: name.into(),
        at: now(),
        verb: options.verb.map(Cow::from),
        actor: cause.and_then(Cause::actor).map(Cow::from),
        reason: cause.and_then(Cause::reason).map(Cow::from),
        source: cause.map(Cause::source).map(Cow::from),
        // Without room an empty text still says whether there was a flag.
        before: text(before.map(|state| if has_room { state } else { b"" })),
        after: text(after.map(|state| if has_room { state } else { b"" })),
        too_large: !has_room,
    };
    serde_json::to_vec(&kept).map_err(|error| Error::invalid_input("the entry cannot be written").with_source(error))
}

/// What a token lacks.
pub(super) fn hint(base: &str) -> String {
    format!(
        "the Consul token does not allow the history: allow `key_prefix \"{}\"` with the policy `write`, or set `?history=off`",
        prefix(base)
    )
}

pub(super) async fn page(store: &ConsulFeatureFlagStore, query: &HistoryQuery) -> Result<HistoryPage> {
    if store.history_limits.is_none() {
        return Err(Error::new(ErrorKind::Unsupported).with_message("store keeps no history"));
    }
    let before = match &query.before {
        Some(id) => id.as_str().parse().map_err(|_| Error::invalid_input(format!("{id} is no entry's id here")))?,
        None => u64::MAX,
    };
    let base = store.keys.base();
    let keys = match &query.name {
        Some(name) => folder(base, name),
        None => prefix(base),
    };
    let allowed = async {
        let listing = store.client.list(&keys, Read::Confirmed).await?;
        // A list silently leaves out what may not be read.
        store.may_read(&keys).await?;
        Ok(listing)
    };
    let listing = allowed.await.map_err(|error: Error| match error.kind() {
        ErrorKind::Unauthorized => error.with_message(hint(base)),
        _ => error,
    })?;
    if listing.filtered {
        return Err(Error::new(ErrorKind::Unauthorized).with_message(hint(base)));
    }
    let query = query.clone();
    apart(listing.body.len() > LARGE, move || newest(&listing, &query, before)).await?
}

fn newest(listing: &Listing, query: &HistoryQuery, before: u64) -> Result<HistoryPage> {
    let mut items = listing.items()?;
    items.retain(|item| item.modify_index < before);
    items.sort_unstable_by_key(|item| std::cmp::Reverse(item.modify_index));
    let mut entries: Vec<Entry> = Vec::new();
    for item in &items {
        let Some(entry) = entry(item) else { continue };
        let is_meant = query.name.as_ref().is_none_or(|name| *name == entry.name)
            && query.since.is_none_or(|since| entry.at >= since);
        if !is_meant {
            continue;
        }
        if entries.len() == query.limit {
            let next = entries.last().map(|last| last.id.clone());
            return Ok(HistoryPage::new(entries, next));
        }
        entries.push(entry);
    }
    Ok(HistoryPage::new(entries, None))
}

/// `None` for what another program has put there.
fn entry(item: &Item<'_>) -> Option<Entry> {
    let value = kv::decode(item.value?.get().as_bytes()).ok()?;
    let kept: Kept<'_> = serde_json::from_slice(&value).ok()?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(kept.at))?;
    let state = |text: Option<&str>| -> FlagState {
        let text = text?;
        Some(match kept.too_large {
            true => Err(Corrupt::new("flag was too large for an entry in Consul's history")),
            false => Stored::from_json(&*kept.name, Version::opaque([]), text.as_bytes()).record,
        })
    };
    let (before, after) = (state(kept.before.as_deref()), state(kept.after.as_deref()));
    let cause = Cause::stored(kept.source.as_deref(), kept.actor.as_deref(), kept.reason.as_deref());
    let id = EntryId::new(item.modify_index.to_string());
    let entry = Entry::of(kept.verb.as_deref(), id, &*kept.name, at, before, after);
    Some(entry.with_cause(cause.map(Arc::new)))
}

/// One deletes at a time, and one more may wait.
#[derive(Debug, Default)]
pub(super) struct Pruned {
    waits: AtomicBool,
    /// The oldest entry that was left: only a list shows which it is.
    oldest: Mutex<Option<String>>,
}

/// After some of the writes, which do not wait for it. Whatever comes of it, a later one tries again.
pub(super) fn prune(store: &ConsulFeatureFlagStore, limits: HistoryLimits) {
    // At random: a fixed rule could miss some writers forever.
    if fastrand::u32(..(limits.kept_entries() / 16).clamp(1, 64)) != 0 {
        return;
    }
    let Ok(handle) = background::handle() else { return };
    if store.pruned.waits.swap(true, Ordering::Relaxed) {
        return;
    }
    let store = store.clone();
    handle.spawn(async move {
        let mut oldest = store.pruned.oldest.lock().await;
        store.pruned.waits.store(false, Ordering::Relaxed);
        if let Err(error) = delete_old(&store, limits, &mut oldest).await {
            tracing::debug!(%store, %error, "the history was not made shorter");
        }
    });
}

async fn delete_old(store: &ConsulFeatureFlagStore, limits: HistoryLimits, oldest: &mut Option<String>) -> Result<()> {
    let prefix = prefix(store.keys.base());
    let (kept, since) = (limits.kept_entries() as usize, now().saturating_sub(length(limits.kept_age())));
    let is_old = move |key: &str| written_at(key).is_some_and(|at| at < since);
    let mut keys = store.client.keys(&prefix).await?;
    keys.retain(|key| is_entry(key, &prefix));
    // Entries of a clock that was behind stay until all before them are old: they are no reason to list all each time.
    let some_are_old = match oldest {
        Some(oldest) if keys.contains(oldest) => is_old(oldest),
        _ => keys.iter().any(|key| is_old(key)),
    };
    if keys.len() <= kept + kept / 100 && !some_are_old {
        return Ok(());
    }
    let listing = store.client.list(&prefix, Read::Leader).await?;
    let is_large = listing.body.len() > LARGE;
    let of_entries = move || -> Result<Vec<String>> {
        let mut items = listing.items()?;
        items.retain(|item| is_entry(&item.key, &prefix));
        items.sort_unstable_by_key(|item| item.modify_index);
        Ok(items.into_iter().map(|item| item.key.into_owned()).collect())
    };
    let entries = apart(is_large, of_entries).await??;
    let over = entries.len().saturating_sub(kept);
    // Up to the first that is young enough: a hole would look like another program's write.
    let old = entries.iter().take_while(|key| is_old(key)).count();
    let gone = over.max(old).min(DELETED_AT_ONCE);
    *oldest = None;
    for some in entries[..gone].chunks(MOST_OPERATIONS) {
        let deletions = some.iter().map(|key| Operation::delete(key)).collect();
        match store.client.transact(deletions).await? {
            Transaction::Done(_) => {}
            Transaction::Refused(_) => return Err(Error::unavailable("the Consul agent refused the deletions")),
        }
    }
    *oldest = entries.into_iter().nth(gone);
    Ok(())
}

/// A key as [`new_key`] makes them; another program may have put others there.
fn is_entry(key: &str, prefix: &str) -> bool {
    let parts = key.strip_prefix(prefix).and_then(|rest| rest.split_once('/'));
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.is_some_and(|(hash, id)| is_hex(hash, 16) && is_hex(id, 28))
}

/// By the clock of its writer.
fn written_at(key: &str) -> Option<u64> {
    let (_, last) = key.rsplit_once('/')?;
    u64::from_str_radix(last.get(..12)?, 16).ok()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, length)
}

fn length(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let key = new_key("shop/features", "a/b");
        assert!(key.starts_with(".shop/features.history/"), "{key}");
        assert!(written_at(&key).is_some_and(|at| now() - at < 60_000));
        assert!(is_entry(&key, &prefix("shop/features")) && !is_entry(&key, &prefix("features")), "{key}");
        assert_ne!(new_key("features", "F"), new_key("features", "F"));
        assert_ne!(folder("features", "F"), folder("features", "f"));
        for other in ["", "x", "a/b", ".features.history/", ".features.history/00/xyz"] {
            assert_eq!(written_at(other), None, "{other}");
            assert!(!is_entry(other, &prefix("features")), "{other}");
        }
    }
}
