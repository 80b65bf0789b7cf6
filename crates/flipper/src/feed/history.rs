//! The exact form of a history in the JSON of the HTTP server, and the headers that say who writes, why and what.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::json::{Json, Object};
use crate::state::{Cause, Corrupt, Entry, EntryId, FlagState, HistoryPage, HistoryQuery, Stored, Version};

/// Who writes, percent-encoded as the other headers are.
pub const ACTOR: &str = "Flipper-Actor";
/// Why.
pub const REASON: &str = "Flipper-Reason";
/// From where.
pub const SOURCE: &str = "Flipper-Source";
/// What the write does.
pub const VERB: &str = "Flipper-Verb";
/// In the answers of a server whose store has a history.
pub const KEPT: &str = "Flipper-History";

/// One entry.
#[must_use]
pub fn entry(entry: &Entry) -> Object {
    let cause = entry.cause.as_ref();
    [
        ("id", Json::from(entry.id.as_str())),
        ("name", entry.name.as_str().into()),
        ("at_ns", nanoseconds(entry.at).into()),
        ("verb", (&*entry.verb).into()),
        ("actor", optional(entry.actor())),
        ("reason", optional(entry.reason())),
        ("source", optional(cause.map(|cause| cause.source()))),
        ("before", state(&entry.before)),
        ("after", state(&entry.after)),
    ]
    .into_iter()
    .collect()
}

/// What [`entry`] wrote.
///
/// # Errors
///
/// `InvalidInput` for anything else.
pub fn read_entry(json: &Json) -> Result<Entry> {
    let text = |field: &str| json.get(field).and_then(Json::as_str);
    let needed = |field: &str| text(field).ok_or_else(|| malformed(&format!("entry has no {field}")));
    let name = needed("name")?;
    let at = json.get("at_ns").and_then(Json::as_i64).ok_or_else(|| malformed("entry has no time"))?;
    let states = [read_state(name, json.get("before"))?, read_state(name, json.get("after"))?];
    let [before, after] = states;
    let cause = Cause::stored(text("source"), text("actor"), text("reason"));
    let entry = Entry::of(text("verb"), EntryId::new(needed("id")?), name, time(at), before, after);
    Ok(entry.with_cause(cause.map(Arc::new)))
}

/// A page of entries.
#[must_use]
pub fn page(page: &HistoryPage) -> Object {
    let entries: Vec<Json> = page.entries.iter().map(|found| entry(found).into()).collect();
    let next = optional(page.next.as_ref().map(EntryId::as_str));
    [("entries", Json::from(entries)), ("next", next)].into_iter().collect()
}

/// What [`page`] wrote.
///
/// # Errors
///
/// `InvalidInput` for anything else.
pub fn read_page(json: &Json) -> Result<HistoryPage> {
    let entries = json.get("entries").and_then(Json::as_array).ok_or_else(|| malformed("history has no entries"))?;
    let entries = entries.iter().map(read_entry).collect::<Result<_>>()?;
    Ok(HistoryPage::new(entries, json.get("next").and_then(Json::as_str).map(EntryId::new)))
}

/// What is asked for.
#[must_use]
pub fn query(query: &HistoryQuery) -> Object {
    [
        ("name", optional(query.name.as_deref())),
        ("since_ns", query.since.map_or(Json::Null, |since| nanoseconds(since).into())),
        ("before", optional(query.before.as_ref().map(EntryId::as_str))),
        ("limit", query.limit.into()),
    ]
    .into_iter()
    .collect()
}

/// What [`query`] wrote.
///
/// # Errors
///
/// `InvalidInput` for anything else.
pub fn read_query(json: &Json) -> Result<HistoryQuery> {
    let object = json.as_object().ok_or_else(|| malformed("history is no object"))?;
    let mut query = HistoryQuery::all();
    for (field, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let wrong = || malformed(&format!("history has a wrong {field:?}"));
        let text = || value.as_str().ok_or_else(wrong);
        let number = || value.as_i64().ok_or_else(wrong);
        match field {
            "name" => query.name = Some(text()?.to_owned()),
            "since_ns" => query.since = Some(time(number()?)),
            "before" => query.before = Some(EntryId::new(text()?)),
            "limit" => query = query.limit(usize::try_from(number()?).map_err(|_| wrong())?),
            _ => return Err(malformed(&format!("history has the unknown field {field:?}"))),
        }
    }
    Ok(query)
}

fn state(state: &FlagState) -> Json {
    let object: Object = match state {
        None => return Json::Null,
        Some(Ok(record)) => [("record", record.to_json())].into_iter().collect(),
        Some(Err(corrupt)) => [("unreadable", corrupt.reason())].into_iter().collect(),
    };
    object.into()
}

fn read_state(name: &str, json: Option<&Json>) -> Result<FlagState> {
    let Some(json) = json.filter(|json| !json.is_null()) else { return Ok(None) };
    let text = |field: &str| json.get(field).and_then(Json::as_str);
    match (text("record"), text("unreadable")) {
        (Some(record), _) => Ok(Some(Stored::from_json(name, Version::ordered(0), record.as_bytes()).record)),
        (None, Some(reason)) => Ok(Some(Err(Corrupt::new(reason)))),
        (None, None) => Err(malformed("entry has a state that is no flag")),
    }
}

/// Since 1970; as far as the number reaches, the years 1677 to 2262.
#[must_use]
pub fn nanoseconds(time: SystemTime) -> i64 {
    let number = |distance: Duration| i64::try_from(distance.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => number(since),
        Err(before) => -number(before.duration()),
    }
}

/// What [`nanoseconds`] wrote.
#[must_use]
pub fn time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    let time = match nanoseconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn optional(text: Option<&str>) -> Json {
    text.map_or(Json::Null, Json::from)
}

fn malformed(what: &str) -> Error {
    Error::invalid_input(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FlagRecord;

    #[test]
    fn entries_are_exact() {
        let text = r#"{"feature_name": "É", "is_enabled": true, "meta": {"client_data": {"n": 1.0, "x": NaN}}, "more": [1e400]}"#;
        let record = Some(FlagRecord::from_json(text).map(Arc::new).map_err(|error| Corrupt::new(error.to_string())));
        let cause = Cause::default().with_actor("alice").and_then(|cause| cause.with_reason("a\n\"b\"")).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        let before = SystemTime::UNIX_EPOCH - Duration::from_nanos(5);
        let unreadable = Some(Err(Corrupt::new("no JSON")));
        for sent in [
            Entry::new(EntryId::new("7"), "É", at, None, record.clone()).with_cause(Some(Arc::new(cause))),
            Entry::of(Some("restore"), EntryId::new("1-0"), "É", before, record, unreadable.clone()),
            Entry::new(EntryId::new(""), "", at, unreadable, None),
        ] {
            let text = Json::from(entry(&sent)).to_string();
            assert_eq!(read_entry(&Json::parse(&text).unwrap()).unwrap(), sent, "{text}");
        }
        for wrong in ["{}", "[]", r#"{"id": "1", "name": "A", "at_ns": 1, "before": {}}"#] {
            assert!(read_entry(&Json::parse(wrong).unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn queries_are_exact() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let some = HistoryQuery::of("a/É").since(Some(at)).before(Some(EntryId::new("9"))).limit(7);
        for sent in [HistoryQuery::all(), some] {
            assert_eq!(read_query(&query(&sent).into()).unwrap(), sent);
        }
        assert_eq!(read_query(&Object::new().into()).unwrap(), HistoryQuery::all());
        for wrong in ["1", r#"{"limit": -1}"#, r#"{"name": 1}"#, r#"{"by": "alice"}"#] {
            assert!(read_query(&Json::parse(wrong).unwrap()).is_err(), "{wrong}");
        }
    }
}
