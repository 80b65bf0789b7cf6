//! The history: a stream beside the base key, to which the script of each write adds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use redis::{Cmd, RedisResult, from_redis_value};

use super::RedisFeatureFlagStore;
use crate::error::{Error, Result};
use crate::state::{
    Cause, Entry, EntryId, FlagState, HistoryLimits, HistoryPage, HistoryQuery, Stored, Version, WriteOptions,
};
use crate::store::no_history;

/// About one write in this many deletes entries that are too old.
const PRUNE_ONCE_IN: u32 = 64;

/// Of one request: mostly the newest entry is meant, at times one far behind.
const LEAST_AT_ONCE: usize = 16;
const MOST_AT_ONCE: usize = 512;

#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) key: String,
    limits: HistoryLimits,
}

/// An entry of a stream: its id, and its fields.
type Read = (String, HashMap<String, Vec<u8>>);

impl History {
    pub(super) fn new(key: String, limits: HistoryLimits) -> Self {
        Self { key, limits }
    }

    /// What the scripts expect.
    pub(super) fn add_to(&self, call: &mut Cmd, name: &str, options: &WriteOptions) {
        call.arg(self.limits.kept_entries());
        // At random: a fixed rule could miss some writers forever.
        match fastrand::u32(..PRUNE_ONCE_IN) {
            0 => call.arg(length(self.limits.kept_age())),
            _ => call.arg(""),
        };
        call.arg("name").arg(name);
        let cause = options.cause.as_deref();
        let fields = [
            ("verb", options.verb),
            ("actor", cause.and_then(Cause::actor)),
            ("reason", cause.and_then(Cause::reason)),
            ("source", cause.map(Cause::source)),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                call.arg(field).arg(value);
            }
        }
    }
}

pub(super) async fn page(store: &RedisFeatureFlagStore, query: &HistoryQuery) -> Result<HistoryPage> {
    let history = store.kept_history().await.map_err(super::errors::from_driver)?.ok_or_else(no_history)?;
    let mut from = match &query.before {
        Some(id) => before(id.as_str()).ok_or_else(|| Error::invalid_input(format!("{id} is no entry's id here")))?,
        None => "+".to_owned(),
    };
    let mut entries = Vec::new();
    // An id never goes back.
    let end = query.since.map_or_else(|| "-".to_owned(), |since| milliseconds(since).to_string());
    let mut count = query.limit.clamp(LEAST_AT_ONCE, MOST_AT_ONCE);
    loop {
        let read = read(store, &history.key, [&from, &end], count).await.map_err(super::errors::from_driver)?;
        let is_last = read.len() < count;
        count = (count * 4).min(MOST_AT_ONCE);
        for (id, fields) in read {
            from = before(&id).unwrap_or_else(|| "-".to_owned());
            let Some(entry) = entry(id, &fields) else { continue };
            if !query.takes(&entry.name, entry.at) {
                continue;
            }
            entries.push(entry);
            if entries.len() == query.limit {
                let next = entries.last().map(|last: &Entry| last.id.clone());
                return Ok(HistoryPage::new(entries, next));
            }
        }
        if is_last {
            return Ok(HistoryPage::new(entries, None));
        }
    }
}

async fn read(
    store: &RedisFeatureFlagStore,
    key: &str,
    [from, end]: [&str; 2],
    count: usize,
) -> RedisResult<Vec<Read>> {
    let mut command = redis::cmd("XREVRANGE");
    command.arg(key).arg(from).arg(end).arg("COUNT").arg(count);
    Ok(from_redis_value(store.link.request(&command, true, store.timeout).await?)?)
}

/// The greatest id below this one. Redis 6.2 has a notation for it.
fn before(id: &str) -> Option<String> {
    let (time, number) = id.split_once('-')?;
    let (time, number): (u64, u64) = (time.parse().ok()?, number.parse().ok()?);
    match number.checked_sub(1) {
        Some(number) => Some(format!("{time}-{number}")),
        None => Some(time.checked_sub(1).map_or_else(|| "0-0".to_owned(), |time| format!("{time}-{}", u64::MAX))),
    }
}

/// `None` for what another program has added.
fn entry(id: String, fields: &HashMap<String, Vec<u8>>) -> Option<Entry> {
    let text = |field: &str| fields.get(field).map(|value| String::from_utf8_lossy(value));
    let milliseconds = id.split_once('-')?.0.parse().ok()?;
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))?;
    let name = text("name")?.into_owned();
    let state =
        |field: &str| -> FlagState { Some(Stored::from_json(&*name, Version::opaque([]), fields.get(field)?).record) };
    let cause = Cause::stored(text("source").as_deref(), text("actor").as_deref(), text("reason").as_deref());
    let verb = text("verb");
    let entry = Entry::of(verb.as_deref(), EntryId::new(id), &*name, at, state("before"), state("after"));
    Some(entry.with_cause(cause.map(Arc::new)))
}

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, length)
}

fn length(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_below() {
        assert_eq!(before("5-3").as_deref(), Some("5-2"));
        assert_eq!(before("5-0").as_deref(), Some("4-18446744073709551615"));
        assert_eq!(before("0-0").as_deref(), Some("0-0"));
        for other in ["", "5", "a-b", "7-", "-7", "+"] {
            assert_eq!(before(other), None, "{other}");
        }
    }
}
