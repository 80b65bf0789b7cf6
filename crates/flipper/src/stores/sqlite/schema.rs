use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior};

use super::errors::from_sqlite;
use super::history;
use crate::error::{Error, ErrorKind, Result};
use crate::pause::Pause;
use crate::state::{Corrupt, HistoryLimits, Stored, Version, WriteOptions};

/// "FlpF" in ASCII.
const APPLICATION_ID: i64 = 0x466c_7046;
const LAYOUT: i64 = 1;

const KEPT_DELETIONS: u32 = 1000;
/// About one delete in this many prunes older deletions.
const PRUNE_ONCE_IN: u32 = 256;

/// A write takes about a millisecond.
const PAUSE: Pause = Pause::new(Duration::from_micros(400), Duration::from_millis(8));

/// Deletes before inserting: an `INSERT OR REPLACE` in a trigger takes the conflict clause of the statement that fires it, so a manual
/// `INSERT OR IGNORE` would create no version (<https://sqlite.org/lang_createtrigger.html>).
const CREATE: &str = "
CREATE TABLE flags (name TEXT PRIMARY KEY NOT NULL, record TEXT NOT NULL);
CREATE TABLE versions (version INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
CREATE TRIGGER flags_inserted AFTER INSERT ON flags BEGIN
    DELETE FROM versions WHERE name = NEW.name;
    INSERT INTO versions (name) VALUES (NEW.name);
END;
CREATE TRIGGER flags_updated AFTER UPDATE ON flags BEGIN
    DELETE FROM versions WHERE name IN (OLD.name, NEW.name);
    INSERT INTO versions (name) SELECT OLD.name WHERE OLD.name <> NEW.name;
    INSERT INTO versions (name) VALUES (NEW.name);
END;
CREATE TRIGGER flags_deleted AFTER DELETE ON flags BEGIN
    DELETE FROM versions WHERE name = OLD.name;
    INSERT INTO versions (name) VALUES (OLD.name);
END;
";

/// Creates the tables in an empty file; fails if the file is not ours.
pub(super) fn prepare(connection: &mut Connection, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    if !has_tables(connection)? {
        use_wal(connection, deadline)?;
        create(connection)?;
    }
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(from_sqlite)?;
    if mode != "wal" && !connection.is_readonly("main").map_err(from_sqlite)? {
        use_wal(connection, deadline)?;
    }
    // Without a wait: a reader needs none, and a write adds it.
    let added = connection.busy_timeout(Duration::ZERO).map_err(from_sqlite).and_then(|()| add_history(connection));
    connection.busy_timeout(patience).map_err(from_sqlite)?;
    if let Err(error) = added {
        // Reads need none, and a write tries again.
        tracing::debug!(reason = error.chain(), "an older file has no history yet");
    }
    Ok(())
}

/// To a file of an older version of this crate.
fn add_history(connection: &mut Connection) -> Result<()> {
    let mut add = || {
        if history::is_there(connection)? || connection.is_readonly("main")? {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        history::create(&transaction)?;
        transaction.commit()
    };
    add().map_err(from_sqlite)
}

fn has_tables(connection: &Connection) -> Result<bool> {
    let (application, layout, objects, ours): (i64, i64, i64, i64) = connection
        .query_row(
            "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
                 count(*), count(CASE WHEN name IN ('flags', 'versions', 'flags_inserted', 'flags_updated', 'flags_deleted') THEN 1 END)
             FROM sqlite_schema",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .map_err(from_sqlite)?;
    match (application, layout) {
        (0, 0) if objects == 0 => Ok(false),
        (APPLICATION_ID, LAYOUT) if ours == 5 => Ok(true),
        (APPLICATION_ID, LAYOUT) => {
            Err(Error::unavailable("a table or trigger of this store is missing").with_transient(false))
        }
        (APPLICATION_ID, newer) => Err(Error::new(ErrorKind::Unsupported)
            .with_message(format!("database has the layout {newer}, this version of the crate knows {LAYOUT}"))),
        _ => Err(Error::invalid_input("database belongs to another program")),
    }
}

/// SQLite does not wait for the exclusive lock when two connections do this at once.
fn use_wal(connection: &Connection, deadline: Instant) -> Result<()> {
    loop {
        let result = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        match result.map_err(from_sqlite) {
            Ok(_) => return Ok(()),
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
        }
    }
}

fn create(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(from_sqlite)?;
    if has_tables(&transaction)? {
        return Ok(());
    }
    // Versions start at the time in microseconds, above those of a former file at this path.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let first = i64::try_from(now).unwrap_or(0);
    let created = transaction
        .execute_batch(CREATE)
        .and_then(|()| history::create(&transaction))
        .and_then(|()| {
            transaction.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES ('versions', ?1), ('origin', ?2)",
                [first, fastrand::i64(1..)],
            )
        })
        .and_then(|_| transaction.pragma_update(None, "application_id", APPLICATION_ID))
        .and_then(|()| transaction.pragma_update(None, "user_version", LAYOUT));
    created.and_then(|()| transaction.commit()).map_err(from_sqlite)
}

#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) marks: Marks,
    pub(super) data_version: i64,
}

pub(super) fn read_all(connection: &Connection) -> Result<(Vec<Stored>, Position)> {
    let read = || -> rusqlite::Result<_> {
        let snapshot = connection.unchecked_transaction()?;
        // First: if another file is copied over this one, older marks make the next look read again.
        let marks = marks(&snapshot)?;
        let mut flags = read_table(&snapshot)?;
        flags.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        read_versions(&snapshot, &mut flags)?;
        Ok((flags, Position { marks, data_version: data_version(&snapshot)? }))
    };
    read().map_err(from_sqlite)
}

/// Without versions, in the order of the table: a join, and the order by name, take SQLite two searches for each flag.
fn read_table(connection: &Connection) -> rusqlite::Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached("SELECT name, record FROM flags")?;
    let mut rows = statement.query([])?;
    let mut flags = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(name) = name(row, 0)? {
            flags.push(stored(name, version(0), row.get_ref(1)?));
        }
    }
    Ok(flags)
}

/// Of flags in the order of their names.
fn read_versions(connection: &Connection, flags: &mut [Stored]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT name, version FROM versions ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut next = 0;
    while let Some(row) = rows.next()? {
        let Some(name) = name(row, 0)? else { continue };
        let found = match flags.get(next) {
            Some(flag) if flag.name == name => Ok(next),
            // A deleted flag, or the names of a file in UTF-16 have another order.
            _ => flags.binary_search_by(|flag| flag.name.as_str().cmp(name)),
        };
        if let Some(flag) = found.ok().and_then(|at| flags.get_mut(at)) {
            flag.version = version(row.get(1)?);
            next = found.map_or(next, |at| at + 1);
        }
    }
    Ok(())
}

pub(super) fn read_page(connection: &Connection, after: Option<&str>, most: usize) -> Result<Vec<Stored>> {
    let read = || -> rusqlite::Result<_> {
        let mut statement = connection.prepare_cached(
            "SELECT coalesce(v.version, 0), f.name, f.record FROM flags f LEFT JOIN versions v ON v.name = f.name
             WHERE ?1 IS NULL OR f.name > ?1 ORDER BY f.name",
        )?;
        let mut rows = statement.query([after])?;
        let mut flags = Vec::new();
        while flags.len() < most
            && let Some(row) = rows.next()?
        {
            if let Some(name) = name(row, 1)? {
                flags.push(stored(name, version(row.get(0)?), row.get_ref(2)?));
            }
        }
        Ok(flags)
    };
    read().map_err(from_sqlite)
}

/// Calls `emit` with the name, version and stored value (`None`: deleted) of each change after `since`. Returns `None`, and calls nothing,
/// if all flags must be read: a copy was restored into the file, or deletions were pruned.
pub(super) fn read_changes(
    connection: &Connection,
    since: Marks,
    mut emit: impl FnMut(&str, Version, Option<ValueRef<'_>>),
) -> Result<Option<Position>> {
    let mut read = || -> rusqlite::Result<_> {
        let snapshot = connection.unchecked_transaction()?;
        let marks = marks(&snapshot)?;
        if marks.last < since.last || marks.origin != since.origin || marks.pruned > since.last {
            return Ok(None);
        }
        let mut statement = snapshot.prepare_cached(
            "SELECT v.version, v.name, f.name IS NOT NULL, f.record FROM versions v LEFT JOIN flags f ON f.name = v.name
             WHERE v.version > ?1 ORDER BY v.version",
        )?;
        let mut rows = statement.query([since.last])?;
        while let Some(row) = rows.next()? {
            if let Some(name) = name(row, 1)? {
                let value = if row.get(2)? { Some(row.get_ref(3)?) } else { None };
                emit(name, version(row.get(0)?), value);
            }
        }
        Ok(Some(Position { marks, data_version: data_version(&snapshot)? }))
    };
    read().map_err(from_sqlite)
}

/// Changes when another connection of any process commits.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

pub(super) fn stored(name: &str, version: Version, value: ValueRef<'_>) -> Stored {
    let reason = match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => return Stored::from_json(name, version, bytes),
        ValueRef::Null => "record is NULL",
        ValueRef::Integer(_) | ValueRef::Real(_) => "record is a number",
    };
    Stored { name: name.to_owned(), version, record: Err(Corrupt::new(reason)) }
}

fn name<'row>(row: &'row Row<'_>, column: usize) -> rusqlite::Result<Option<&'row str>> {
    let ValueRef::Text(bytes) = row.get_ref(column)? else { return Ok(None) };
    Ok(std::str::from_utf8(bytes).ok())
}

fn version(number: i64) -> Version {
    Version::ordered(u64::try_from(number).unwrap_or(0))
}

/// In SQLite's own table of counters, so the layout needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    last: i64,
    /// Deletions up to this version are pruned.
    pruned: i64,
    /// Random, shared by the file and its copies; 0 in files of older versions of this crate.
    origin: i64,
}

pub(super) fn marks(connection: &Connection) -> rusqlite::Result<Marks> {
    let sql = "SELECT coalesce(max(CASE name WHEN 'versions' THEN seq END), 0), coalesce(max(CASE name WHEN 'pruned' THEN seq END), 0),
                   coalesce(max(CASE name WHEN 'origin' THEN seq END), 0) FROM sqlite_sequence";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([], |row| Ok(Marks { last: row.get(0)?, pruned: row.get(1)?, origin: row.get(2)? }))
}

/// The next read takes them from the file.
pub(super) fn forget_pages(connection: &Connection) -> Result<()> {
    connection.execute_batch("PRAGMA shrink_memory").map_err(from_sqlite)
}

/// A follower that is further behind reads all flags.
fn prune(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let deleted = "NOT EXISTS (SELECT 1 FROM flags f WHERE f.name = v.name)";
    let oldest: Option<i64> = transaction
        .query_row(
            &format!("SELECT v.version FROM versions v WHERE {deleted} ORDER BY v.version DESC LIMIT 1 OFFSET ?1"),
            [KEPT_DELETIONS],
            |row| row.get(0),
        )
        .optional()?;
    let Some(oldest) = oldest else { return Ok(()) };
    transaction.execute(&format!("DELETE FROM versions AS v WHERE v.version <= ?1 AND {deleted}"), [oldest])?;
    if transaction.execute("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'pruned'", [oldest])? == 0 {
        transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('pruned', ?1)", [oldest])?;
    }
    Ok(())
}

fn last_version(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'versions'), 0)";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// SQLite's busy handler sleeps up to 100 ms, longer than the lock is free under several writers: some would starve.
fn begin(connection: &Connection, deadline: Instant) -> Result<Transaction<'_>> {
    connection.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
    let mut pause = PAUSE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Ok(transaction) => {
                transaction.busy_timeout(left).map_err(from_sqlite)?;
                if !history::is_there(&transaction).map_err(from_sqlite)? {
                    history::create(&transaction).map_err(from_sqlite)?;
                }
                return Ok(transaction);
            }
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::DatabaseBusy && !left.is_zero() =>
            {
                std::thread::sleep(pause.next().min(left));
            }
            Err(error) => return Err(from_sqlite(error)),
        }
    }
}

pub(super) fn read_one(connection: &Connection, flag: &str) -> Result<Option<Stored>> {
    let read = || {
        connection
            .prepare_cached(
                "SELECT coalesce(v.version, 0), f.record FROM flags f LEFT JOIN versions v ON v.name = f.name WHERE f.name = ?1",
            )?
            .query_row([flag], |row| Ok(stored(flag, version(row.get(0)?), row.get_ref(1)?)))
            .optional()
    };
    read().map_err(from_sqlite)
}

/// `None` deletes the flag. Errors leave nothing written.
pub(super) fn write(
    connection: &Connection,
    name: &str,
    record: Option<&Arc<str>>,
    options: &WriteOptions,
    limits: Option<HistoryLimits>,
    deadline: Instant,
) -> Result<Version> {
    let transaction = begin(connection, deadline)?;
    let new = write_in(&transaction, name, record, options)?;
    history::prune(&transaction, limits).map_err(from_sqlite)?;
    transaction.commit().map_err(from_sqlite)?;
    Ok(new)
}

/// In one transaction; a failed precondition is that flag's error alone.
pub(super) fn write_all<'a>(
    connection: &Connection,
    flags: impl IntoIterator<Item = (&'a str, &'a Arc<str>)>,
    options: &WriteOptions,
    limits: Option<HistoryLimits>,
    deadline: Instant,
) -> Result<Vec<Result<Version>>> {
    let transaction = begin(connection, deadline)?;
    let mut results = Vec::new();
    for (name, record) in flags {
        match write_in(&transaction, name, Some(record), options) {
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            result => results.push(result),
        }
    }
    history::prune(&transaction, limits).map_err(from_sqlite)?;
    transaction.commit().map_err(from_sqlite)?;
    Ok(results)
}

fn write_in(
    transaction: &Transaction<'_>,
    name: &str,
    record: Option<&Arc<str>>,
    options: &WriteOptions,
) -> Result<Version> {
    let current: Option<Version> = transaction
        .prepare_cached(
            "SELECT coalesce(v.version, 0) FROM flags f LEFT JOIN versions v ON v.name = f.name WHERE f.name = ?1",
        )
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0).map(version)).optional())
        .map_err(from_sqlite)?;
    if !options.when.holds(current.as_ref()) {
        return Err(Error::new(ErrorKind::Conflict));
    }
    let written = match record {
        Some(record) => transaction
            .prepare_cached(
                "INSERT INTO flags (name, record) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET record = excluded.record",
            )
            .and_then(|mut statement| statement.execute([name, record])),
        None if current.is_none() => return last_version(transaction).map(version).map_err(from_sqlite),
        None => transaction
            .prepare_cached("DELETE FROM flags WHERE name = ?1")
            .and_then(|mut statement| statement.execute([name])),
    };
    let new = written
        .and_then(|_| transaction.prepare_cached("SELECT version FROM versions WHERE name = ?1"))
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0)))
        .map_err(from_sqlite)?;
    history::sign(transaction, name, current.is_some(), options)?;
    // At random: it scans all rows, and a fixed rule could miss some writers forever.
    if record.is_none() && fastrand::u32(..PRUNE_ONCE_IN) == 0 {
        prune(transaction).map_err(from_sqlite)?;
    }
    Ok(version(new))
}
