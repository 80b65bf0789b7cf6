//! The history: a table that triggers fill, so any writer's change is in it. A write of this store adds who and why to its row.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::errors::from_sqlite;
use crate::error::{Error, Result};
use crate::state::{
    Cause, Corrupt, Entry, EntryId, FlagState, HistoryLimits, HistoryPage, HistoryQuery, Recent, Stored, Version,
    WriteOptions,
};

/// A statement deletes at most this many rows, so that no write takes long.
const PRUNED_AT_ONCE: i64 = 1000;

/// Beside the tables of the layout, which programs of an older version go on using: their writes are in the history as those of any other
/// program. The time is computed as SQLite can since 2004: the trigger runs in the writer's SQLite.
///
/// `INSERT OR REPLACE` deletes the old row without its trigger, so the history itself has the flag before.
const CREATE: &str = "
CREATE TABLE IF NOT EXISTS flags_history (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, name TEXT NOT NULL, verb TEXT, actor TEXT, reason TEXT, source TEXT,
    before, after);
CREATE INDEX IF NOT EXISTS flags_history_of_one ON flags_history (name, number);
CREATE TRIGGER IF NOT EXISTS flags_history_inserted AFTER INSERT ON flags BEGIN
    INSERT INTO flags_history (at, name, before, after) VALUES (
        CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER), NEW.name,
        (SELECT after FROM flags_history WHERE name = NEW.name ORDER BY number DESC LIMIT 1), NEW.record);
END;
CREATE TRIGGER IF NOT EXISTS flags_history_updated AFTER UPDATE ON flags BEGIN
    INSERT INTO flags_history (at, name, before, after)
        SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER), OLD.name, OLD.record, NULL WHERE OLD.name <> NEW.name;
    INSERT INTO flags_history (at, name, before, after) VALUES (
        CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER), NEW.name,
        CASE WHEN OLD.name = NEW.name THEN OLD.record END, NEW.record);
END;
CREATE TRIGGER IF NOT EXISTS flags_history_deleted AFTER DELETE ON flags BEGIN
    INSERT INTO flags_history (at, name, before, after) VALUES (
        CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER), OLD.name, OLD.record, NULL);
END;
";

pub(super) fn is_there(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) = 5 FROM sqlite_schema
               WHERE name IN ('flags_history', 'flags_history_of_one', 'flags_history_inserted', 'flags_history_updated', 'flags_history_deleted')";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// In a transaction that may write.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(CREATE)
}

/// Adds to the row that the trigger has just written, in the same transaction. `existed`: the flag did before; what the trigger took for the
/// flag before may be older, if other triggers were dropped for a while.
pub(super) fn sign(connection: &Connection, name: &str, existed: bool, options: &WriteOptions) -> Result<()> {
    let cause = options.cause.as_deref();
    let sql = "UPDATE flags_history SET verb = ?1, actor = ?2, reason = ?3, source = ?4, before = CASE WHEN ?6 THEN before END
               WHERE number = (SELECT max(number) FROM flags_history) AND name = ?5";
    let values = params![
        options.verb,
        cause.and_then(Cause::actor),
        cause.and_then(Cause::reason),
        cause.map(Cause::source),
        name,
        existed
    ];
    let signed = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
    match signed.map_err(from_sqlite)? {
        1 => Ok(()),
        _ => Err(Error::unavailable("a trigger of the history did not run").with_transient(false)),
    }
}

/// In SQLite's own table of counters, as the marks of a file.
const LIMITS: [&str; 2] = ["history_entries", "history_age"];

/// Deletes what is over the limits, once that is more than a hundredth. The file has the limits that a program has set; so one that sets none
/// cuts no other's history.
pub(super) fn prune(connection: &Connection, set: Option<HistoryLimits>) -> rusqlite::Result<()> {
    let sql =
        "SELECT number, at, (SELECT max(number) FROM flags_history), (SELECT seq FROM sqlite_sequence WHERE name = ?1),
                   (SELECT seq FROM sqlite_sequence WHERE name = ?2) FROM flags_history ORDER BY number LIMIT 1";
    let read = |row: &Row<'_>| Ok(([row.get(0)?, row.get(1)?, row.get(2)?], [row.get(3)?, row.get(4)?]));
    let read: Option<([i64; 3], [Option<i64>; 2])> =
        connection.prepare_cached(sql)?.query_row(LIMITS, read).optional()?;
    let Some(([oldest, at, newest], [entries, age])) = read else { return Ok(()) };
    let limits = set.unwrap_or_default();
    let ours = [i64::from(limits.kept_entries()), length(limits.kept_age())];
    let [kept, age] = match (set, entries, age) {
        (Some(_), entries, age) => {
            if [entries, age] != ours.map(Some) {
                keep(connection, ours)?;
            }
            ours
        }
        (None, Some(entries), Some(age)) => [entries, age],
        (None, ..) => ours,
    };
    let since = milliseconds(SystemTime::now()).saturating_sub(age);
    if newest - oldest < kept.saturating_add(kept / 100) && at >= since.saturating_sub(age / 100) {
        return Ok(());
    }
    let last = oldest.saturating_add(PRUNED_AT_ONCE);
    let sql = "DELETE FROM flags_history WHERE number < ?1 AND number < max(?2, coalesce(
                   (SELECT number FROM flags_history WHERE number < ?1 AND at >= ?3 ORDER BY number LIMIT 1), ?1))";
    connection.prepare_cached(sql)?.execute([last.min(newest), newest.saturating_sub(kept) + 1, since])?;
    Ok(())
}

fn keep(connection: &Connection, limits: [i64; 2]) -> rusqlite::Result<()> {
    for (name, limit) in LIMITS.into_iter().zip(limits) {
        if connection.execute("UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1", params![name, limit])? == 0 {
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", params![name, limit])?;
        }
    }
    Ok(())
}

pub(super) fn page(connection: &Connection, query: &HistoryQuery) -> Result<HistoryPage> {
    if !is_there(connection).map_err(from_sqlite)? {
        // A file that may not be written, made by an older version of this crate.
        return Ok(HistoryPage::default());
    }
    let before: i64 = match &query.before {
        Some(id) => id.as_str().parse().map_err(|_| Error::invalid_input(format!("{id} is no entry's id here")))?,
        None => i64::MAX,
    };
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let read = || {
        let of_flag = if query.name.is_some() { "name = ?2" } else { "?2 IS NULL" };
        let sql = format!(
            "SELECT number, at, name, verb, actor, reason, source, before, after FROM flags_history
             WHERE {of_flag} AND number < ?1 ORDER BY number DESC"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![before, query.name])?;
        let mut recent = Recent::new(query.since);
        let (mut entries, mut last, mut more) = (Vec::new(), None, false);
        while let Some(row) = rows.next()? {
            if !recent.takes(time(row.get(1)?)) {
                if recent.is_over() {
                    break;
                }
                continue;
            }
            more = i64::try_from(entries.len()).is_ok_and(|read| read >= limit);
            if more {
                break;
            }
            entries.push(entry(row)?);
            last = Some(row.get::<_, i64>(0)?);
        }
        let next = last.filter(|_| more).map(|number| EntryId::new(number.to_string()));
        Ok(HistoryPage::new(entries, next))
    };
    read().map_err(from_sqlite)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let id = EntryId::new(row.get::<_, i64>(0)?.to_string());
    let name = text(row, 2)?.unwrap_or_default();
    let cause = Cause::stored(text(row, 6)?.as_deref(), text(row, 4)?.as_deref(), text(row, 5)?.as_deref());
    let (before, after) = (state(&name, row.get_ref(7)?), state(&name, row.get_ref(8)?));
    let entry = Entry::of(text(row, 3)?.as_deref(), id, name, time(row.get(1)?), before, after);
    Ok(entry.with_cause(cause.map(Arc::new)))
}

/// Any program may have written it.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Null => None,
    })
}

fn state(name: &str, value: ValueRef<'_>) -> FlagState {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Some(Stored::from_json(name, Version::ordered(0), bytes).record)
        }
        ValueRef::Integer(_) | ValueRef::Real(_) => Some(Err(Corrupt::new("record is a number"))),
    }
}

fn milliseconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => length(since),
        Err(before) => length(before.duration()).saturating_neg(),
    }
}

fn length(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn time(milliseconds: i64) -> SystemTime {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    let time = match milliseconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    // Beyond what this system can count.
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
