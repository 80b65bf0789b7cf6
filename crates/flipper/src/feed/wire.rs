//! The exact form of flags, versions and changes in the JSON of the HTTP server.

use super::{Change, Delta, Known};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, Object};
use crate::state::{Corrupt, Precondition, Stored, Version};

/// Of a version that is the stored text itself.
const SAME: &str = "=";

/// A flag under its name: its text as stored, or why it is unreadable.
#[must_use]
pub fn state(stored: &Stored) -> Object {
    let mut object = Object::new();
    object.insert("name", stored.name.as_str());
    match &stored.record {
        Ok(record) => {
            let text = record.to_json();
            object.insert("version", version_of(&stored.version, Some(&text)));
            object.insert("record", text);
        }
        Err(corrupt) => {
            object.insert("version", version(&stored.version));
            object.insert("unreadable", corrupt.reason());
        }
    }
    object
}

/// A version in letters: `o` and a number, `t` and a text, or `x` and bytes in hexadecimal.
#[must_use]
pub fn version(version: &Version) -> String {
    version_of(version, None)
}

fn version_of(version: &Version, record: Option<&str>) -> String {
    if let Some(number) = version.as_ordered() {
        return format!("o{number}");
    }
    match std::str::from_utf8(version.as_opaque().unwrap_or_default()) {
        Ok(text) if record == Some(text) => SAME.to_owned(),
        Ok(text) => format!("t{text}"),
        Err(_) => format!("x{}", version.opaque_hex()),
    }
}

/// # Errors
///
/// `InvalidInput` for a text that is no version.
pub fn read_version(text: &str) -> Result<Version> {
    version_from(text, None).ok_or_else(|| malformed("version is not `o…`, `t…` or `x…`"))
}

fn version_from(text: &str, record: Option<&str>) -> Option<Version> {
    if text == SAME {
        return record.map(Version::opaque);
    }
    if let Some(number) = text.strip_prefix('o') {
        return number.parse().ok().map(Version::ordered);
    }
    if let Some(text) = text.strip_prefix('t') {
        return Some(Version::opaque(text));
    }
    let digits = text.strip_prefix('x')?.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes.map(Version::opaque)
}

/// # Errors
///
/// `InvalidInput` if it is no state of a flag.
pub fn read_state(json: &Json) -> Result<Stored> {
    match change(json)? {
        Change { known: Known::Flag(stored), .. } => Ok(stored),
        _ => Err(malformed("state of a flag has no record")),
    }
}

/// The fields of an event. `at_us`: the server's clock.
#[must_use]
pub fn delta(delta: &Delta, at_us: u64) -> Object {
    let changes: Vec<Json> = delta.changes.iter().map(|change| to_change(change).into()).collect();
    let mut object = Object::new();
    object.insert("reset", delta.reset);
    object.insert("changes", changes);
    object.insert("lost", optional(delta.lost.as_deref()));
    object.insert("at_us", at_us);
    object.insert("confirmed_ms_ago", delta.confirmed_ms_ago);
    object.insert("store", optional(delta.store.as_deref()));
    object
}

fn optional(text: Option<&str>) -> Json {
    text.map_or(Json::Null, Json::from)
}

/// One change of an event.
fn to_change(change: &Change) -> Object {
    let mut object = match &change.known {
        Known::Flag(stored) => state(stored),
        known => {
            let mut object = Object::new();
            object.insert("name", change.name.as_str());
            match known {
                Known::Missing(since) => {
                    object.insert("absent", true);
                    if let Some(since) = since {
                        object.insert("version", version(since));
                    }
                }
                _ => {
                    object.insert("unknown", true);
                }
            }
            object
        }
    };
    if let Some(age) = change.read_us_ago {
        object.insert("read_us_ago", age);
    }
    object
}

/// What [`delta`] wrote, and the server's clock.
///
/// # Errors
///
/// `InvalidInput` for anything else.
pub fn read_delta(json: &Json) -> Result<(Delta, u64)> {
    let text = |field: &str| json.get(field).and_then(Json::as_str).map(str::to_owned);
    let changes = json.get("changes").and_then(Json::as_array).ok_or_else(|| malformed("event has no changes"))?;
    let delta = Delta {
        reset: json.get("reset").and_then(Json::as_bool).unwrap_or_default(),
        changes: changes.iter().map(change).collect::<Result<_>>()?,
        lost: text("lost"),
        confirmed_ms_ago: number(json, "confirmed_ms_ago").ok_or_else(|| malformed("event has no age"))?,
        store: text("store"),
        ..Delta::default()
    };
    Ok((delta, number(json, "at_us").ok_or_else(|| malformed("event has no time"))?))
}

/// A number of the JSON of an event.
#[must_use]
pub fn number(json: &Json, field: &str) -> Option<u64> {
    json.get(field)?.as_i64()?.try_into().ok()
}

fn change(json: &Json) -> Result<Change> {
    let text = |field: &str| json.get(field).and_then(Json::as_str);
    let is = |field: &str| json.get(field).and_then(Json::as_bool).unwrap_or_default();
    let name = text("name").ok_or_else(|| malformed("state of a flag has no name"))?.to_owned();
    let record = text("record");
    let version = match text("version") {
        None => None,
        Some(text) => Some(version_from(text, record).ok_or_else(|| malformed("state of a flag has a wrong version"))?),
    };
    let needed = |version: Option<Version>| version.ok_or_else(|| malformed("state of a flag has no version"));
    let known = match (record, text("unreadable")) {
        (Some(record), _) => Known::Flag(Stored::from_json(name.clone(), needed(version)?, record.as_bytes())),
        (None, Some(reason)) => {
            let record = Err(Corrupt::new(reason));
            Known::Flag(Stored { name: name.clone(), version: needed(version)?, record })
        }
        _ if is("absent") => Known::Missing(version),
        _ if is("unknown") => Known::Unknown,
        _ => return Err(malformed("state of a flag has no record")),
    };
    Ok(Change { name, known, read_us_ago: number(json, "read_us_ago") })
}

/// The condition of a write: `"any"`, `"absent"`, or `{"unchanged": VERSION}`.
#[must_use]
pub fn precondition(when: &Precondition) -> Json {
    match when {
        Precondition::Any => "any".into(),
        Precondition::Absent => "absent".into(),
        Precondition::Unchanged(expected) => [("unchanged", version(expected))].into_iter().collect::<Object>().into(),
    }
}

/// # Errors
///
/// `InvalidInput` for anything else: reading it as "always" would lose a write.
pub fn read_precondition(json: &Json) -> Result<Precondition> {
    match (json.as_str(), json.as_object()) {
        (Some("any"), _) => Ok(Precondition::Any),
        (Some("absent"), _) => Ok(Precondition::Absent),
        (_, Some(object)) if object.len() == 1 => match object.get("unchanged").and_then(Json::as_str) {
            Some(text) => read_version(text).map(Precondition::Unchanged),
            None => Err(malformed("precondition has no version")),
        },
        _ => Err(malformed("precondition is not \"any\", \"absent\" or {\"unchanged\": VERSION}")),
    }
}

/// An error for the other side, its chain as one text.
#[must_use]
pub fn error(error: &Error) -> Object {
    let mut object = Object::new();
    object.insert("code", error.kind().code());
    object.insert("message", error.chain());
    object.insert("transient", error.is_transient());
    object.insert("nothing_written", error.nothing_written());
    object
}

/// An error of the other side.
#[must_use]
pub fn read_error(json: &Json) -> Error {
    let code = json.get("code").and_then(Json::as_str).unwrap_or_default();
    // An unknown code is a newer server's.
    let mut error = Error::new(code.parse().unwrap_or(ErrorKind::Unavailable));
    if let Some(message) = json.get("message").or_else(|| json.get("detail")).and_then(Json::as_str) {
        error = error.with_message(message);
    }
    if let Some(transient) = json.get("transient").and_then(Json::as_bool) {
        error = error.with_transient(transient);
    }
    match json.get("nothing_written").and_then(Json::as_bool) {
        Some(certain) => error.with_nothing_written(certain),
        None => error,
    }
}

fn malformed(what: &str) -> Error {
    Error::invalid_input(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FlagRecord;

    fn stored(version: Version) -> Stored {
        let text = FlagRecord::new("É", 1).to_json();
        Stored::from_json("É", version, text.as_bytes())
    }

    #[test]
    fn versions() {
        let text = FlagRecord::new("É", 1).to_json();
        for (version, written) in [
            (Version::ordered(u64::MAX), "o18446744073709551615".to_owned()),
            (Version::opaque("=a"), "t=a".to_owned()),
            (Version::opaque([0xff, 0]), "xff00".to_owned()),
            (Version::opaque(""), "t".to_owned()),
            (Version::opaque(&text), "=".to_owned()),
        ] {
            let state = state(&stored(version.clone()));
            assert_eq!(state.get("version").and_then(Json::as_str), Some(&*written));
            let read = read_state(&Json::parse(&Json::from(state).to_string()).unwrap()).unwrap();
            assert_eq!((read.readable().unwrap().to_json(), &read.version), (text.clone(), &version));
            assert_eq!(read_version(&super::version(&version)).unwrap(), version);
        }
        for wrong in ["", "=", "7", "o", "o-1", "x1g", "xé"] {
            assert!(read_version(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn events() {
        let unreadable = Stored { record: Err(Corrupt::new("no JSON")), ..stored(Version::ordered(3)) };
        let change = |known| Change { name: "É".to_owned(), known, read_us_ago: Some(7) };
        let changes = vec![
            change(Known::Flag(stored(Version::ordered(2)))),
            change(Known::Flag(unreadable)),
            change(Known::Missing(Some(Version::ordered(4)))),
            change(Known::Missing(None)),
            change(Known::Unknown),
        ];
        let sent = Delta { changes, lost: Some("away".into()), confirmed_ms_ago: 9, ..Delta::default() };
        let text = Json::from(delta(&sent, 5)).to_string();
        let (read, at) = read_delta(&Json::parse(&text).unwrap()).unwrap();
        assert_eq!((at, read.lost.as_deref(), read.confirmed_ms_ago, read.reset), (5, Some("away"), 9, false));
        assert_eq!(format!("{:?}", read.changes), format!("{:?}", sent.changes));
        for wrong in ["{}", "[]", r#"{"changes": [{}], "at_us": 1, "confirmed_ms_ago": 1}"#] {
            assert!(read_delta(&Json::parse(wrong).unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn preconditions_and_errors() {
        for when in [Precondition::Any, Precondition::Absent, Precondition::Unchanged(Version::ordered(1))] {
            assert_eq!(read_precondition(&precondition(&when)).unwrap(), when);
        }
        assert!(read_precondition(&Json::Null).is_err());
        let lost = Error::unavailable("no answer").with_nothing_written(true).with_transient(false);
        let read = read_error(&error(&lost).into());
        assert_eq!((read.kind(), read.to_string()), (lost.kind(), "no answer".to_owned()));
        assert!(read.nothing_written() && !read.is_transient());
    }
}
