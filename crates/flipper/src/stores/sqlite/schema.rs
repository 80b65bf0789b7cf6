//! The tables, and what is read from and written to them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior};

use super::errors::{from_sqlite, unavailable};
use crate::error::{Error, ErrorKind, Result};
use crate::pause::Pause;
use crate::store::{Corrupt, Precondition, Stored, Version};

/// "FlpF" in ASCII: tells our files from those of others.
const APPLICATION_ID: i64 = 0x466c_7046;
const LAYOUT: i64 = 1;

/// So many deletions are remembered, for who follows the file.
const KEPT_DELETIONS: u32 = 1000;
/// Older ones are forgotten once in so many deletions.
const PRUNE_ONCE_IN: u32 = 256;

/// Between two tries to get the lock. A write takes a millisecond or so.
const PAUSE: Pause = Pause::new(Duration::from_micros(400), Duration::from_millis(8));

/// Deleting before inserting: an `INSERT OR REPLACE` in a trigger would follow the conflict clause of the statement that
/// fired it, so that an `INSERT OR IGNORE` by hand would give no version (<https://sqlite.org/lang_createtrigger.html>).
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

/// What there is in a file.
enum Found {
    Nothing,
    Ours,
}

/// Makes sure that the file is one of ours, creating the tables in an empty one.
pub(super) fn prepare(connection: &mut Connection, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    if matches!(look(connection)?, Found::Nothing) {
        use_wal(connection, deadline)?;
        create(connection)?;
    }
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(from_sqlite)?;
    if mode != "wal" && !connection.is_readonly("main").map_err(from_sqlite)? {
        use_wal(connection, deadline)?;
    }
    Ok(())
}

fn look(connection: &Connection) -> Result<Found> {
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
        (0, 0) if objects == 0 => Ok(Found::Nothing),
        (APPLICATION_ID, LAYOUT) if ours == 5 => Ok(Found::Ours),
        (APPLICATION_ID, LAYOUT) => {
            Err(unavailable("a table or trigger of this store is missing").with_transient(false))
        }
        (APPLICATION_ID, newer) => Err(Error::new(ErrorKind::Unsupported)
            .with_message(format!("database has the layout {newer}, this version of the crate knows {LAYOUT}"))),
        _ => Err(Error::invalid_input("database belongs to another program")),
    }
}

/// Changing the mode needs the file alone for a moment, and SQLite does not wait for that when two do it at once.
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
    if matches!(look(&transaction)?, Found::Ours) {
        return Ok(());
    }
    // Numbers that begin with the time, in microseconds, are above those of a file that was here before.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let first = i64::try_from(now).unwrap_or(0);
    let created = transaction
        .execute_batch(CREATE)
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

/// All flags of one moment.
#[derive(Debug)]
pub(super) struct All {
    pub(super) flags: Vec<Stored>,
    pub(super) marks: Marks,
    pub(super) data_version: i64,
}

pub(super) fn read_all(connection: &Connection) -> Result<All> {
    let read = || -> rusqlite::Result<All> {
        let snapshot = connection.unchecked_transaction()?;
        let marks = read_marks(&snapshot)?;
        let mut flags = Vec::new();
        let mut statement = snapshot.prepare_cached(
            "SELECT coalesce(v.version, 0), f.name, f.record FROM flags f LEFT JOIN versions v ON v.name = f.name ORDER BY f.name",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if let Some(name) = name(row, 1)? {
                flags.push(stored(name, row.get(0)?, row.get_ref(2)?));
            }
        }
        Ok(All { flags, marks, data_version: data_version(&snapshot)? })
    };
    read().map_err(from_sqlite)
}

/// The first flags whose names come after this one, so many.
pub(super) fn read_page(connection: &Connection, after: Option<&str>, most: usize) -> Result<Vec<Stored>> {
    let read = || -> rusqlite::Result<Vec<Stored>> {
        let mut statement = connection.prepare_cached(
            "SELECT coalesce(v.version, 0), f.name, f.record FROM flags f LEFT JOIN versions v ON v.name = f.name
             WHERE ?1 IS NULL OR f.name > ?1 ORDER BY f.name",
        )?;
        let mut rows = statement.query([after])?;
        let mut flags = Vec::with_capacity(most);
        while flags.len() < most
            && let Some(row) = rows.next()?
        {
            if let Some(name) = name(row, 1)? {
                flags.push(stored(name, row.get(0)?, row.get_ref(2)?));
            }
        }
        Ok(flags)
    };
    read().map_err(from_sqlite)
}

/// What happened after a version.
pub(super) struct News {
    pub(super) marks: Marks,
    pub(super) data_version: i64,
}

/// Tells `tell` of all that happened after `seen`: the name, its version, and what is stored unless the flag is gone. Tells
/// nothing, and says `None`, if all must be read: the file counts lower, or has another origin, since somebody restored another
/// copy into it; or it does not know any more of all that was deleted.
pub(super) fn read_news(
    connection: &Connection,
    seen: Marks,
    mut tell: impl FnMut(&str, Version, Option<ValueRef<'_>>),
) -> Result<Option<News>> {
    let mut read = || -> rusqlite::Result<Option<News>> {
        let snapshot = connection.unchecked_transaction()?;
        let marks = read_marks(&snapshot)?;
        if marks.last < seen.last || marks.origin != seen.origin || marks.pruned > seen.last {
            return Ok(None);
        }
        let mut statement = snapshot.prepare_cached(
            "SELECT v.version, v.name, f.name IS NOT NULL, f.record FROM versions v LEFT JOIN flags f ON f.name = v.name
             WHERE v.version > ?1 ORDER BY v.version",
        )?;
        let mut rows = statement.query([seen.last])?;
        while let Some(row) = rows.next()? {
            if let Some(name) = name(row, 1)? {
                let value = if row.get(2)? { Some(row.get_ref(3)?) } else { None };
                tell(name, version(row.get(0)?), value);
            }
        }
        Ok(Some(News { marks, data_version: data_version(&snapshot)? }))
    };
    read().map_err(from_sqlite)
}

/// Changes when another connection, of any process, has committed.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

pub(super) fn stored(name: &str, number: i64, value: ValueRef<'_>) -> Stored {
    stored_at(name, version(number), value)
}

pub(super) fn stored_at(name: &str, version: Version, value: ValueRef<'_>) -> Stored {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Stored::from_json(name, version, bytes),
        ValueRef::Null => corrupt(name, version, "record is NULL"),
        ValueRef::Integer(_) | ValueRef::Real(_) => corrupt(name, version, "record is a number"),
    }
}

fn corrupt(name: &str, version: Version, reason: &str) -> Stored {
    Stored { name: name.to_owned(), version, record: Err(Corrupt::new(reason)) }
}

/// The name in a column, or `None` for what is no text.
fn name<'row>(row: &'row Row<'_>, column: usize) -> rusqlite::Result<Option<&'row str>> {
    let ValueRef::Text(bytes) = row.get_ref(column)? else { return Ok(None) };
    Ok(std::str::from_utf8(bytes).ok())
}

fn version(number: i64) -> Version {
    Version::ordered(u64::try_from(number).unwrap_or(0))
}

/// The numbers by which a file is followed. They are rows of SQLite's own table of counters, so that the layout needs no table
/// for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// The last version.
    last: i64,
    /// Deletions up to this version are forgotten.
    pruned: i64,
    /// A number by chance, of the file and its copies; 0 in a file of an older version of this crate.
    origin: i64,
}

fn read_marks(connection: &Connection) -> rusqlite::Result<Marks> {
    let sql = "SELECT coalesce(max(CASE name WHEN 'versions' THEN seq END), 0), coalesce(max(CASE name WHEN 'pruned' THEN seq END), 0),
                   coalesce(max(CASE name WHEN 'origin' THEN seq END), 0) FROM sqlite_sequence";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([], |row| Ok(Marks { last: row.get(0)?, pruned: row.get(1)?, origin: row.get(2)? }))
}

pub(super) fn marks(connection: &Connection) -> Result<Marks> {
    read_marks(connection).map_err(from_sqlite)
}

/// So that they are read from the file again.
pub(super) fn forget_pages(connection: &Connection) -> Result<()> {
    connection.execute_batch("PRAGMA shrink_memory").map_err(from_sqlite)
}

/// Forgets old deletions: a follower that has not seen them yet reads all flags.
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

/// Waits until it is this connection's turn to write.
///
/// SQLite's own waiting sleeps up to 100 ms, longer than others leave the lock free when several processes write all the
/// time: some would starve.
fn begin(connection: &Connection, deadline: Instant) -> Result<Transaction<'_>> {
    connection.busy_timeout(Duration::ZERO).map_err(from_sqlite)?;
    let mut pause = PAUSE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Ok(transaction) => {
                transaction.busy_timeout(left).map_err(from_sqlite)?;
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

/// One flag.
pub(super) fn read_one(connection: &Connection, flag: &str) -> Result<Option<Stored>> {
    let read = || {
        connection
            .prepare_cached(
                "SELECT coalesce(v.version, 0), f.record FROM flags f LEFT JOIN versions v ON v.name = f.name WHERE f.name = ?1",
            )?
            .query_row([flag], |row| Ok(stored(flag, row.get(0)?, row.get_ref(1)?)))
            .optional()
    };
    read().map_err(from_sqlite)
}

/// Writes one flag (`None`: deletes it) if `when` holds. No error leaves anything written.
pub(super) fn write(
    connection: &Connection,
    name: &str,
    record: Option<&Arc<str>>,
    when: &Precondition,
    deadline: Instant,
) -> Result<Version> {
    let transaction = begin(connection, deadline)?;
    let new = write_in(&transaction, name, record, when)?;
    transaction.commit().map_err(from_sqlite)?;
    Ok(new)
}

/// Writes flags in one transaction, those for which `when` holds; a precondition that does not hold is that flag's error alone.
pub(super) fn write_all<'a>(
    connection: &Connection,
    flags: impl IntoIterator<Item = (&'a str, &'a Arc<str>)>,
    when: &Precondition,
    deadline: Instant,
) -> Result<Vec<Result<Version>>> {
    let transaction = begin(connection, deadline)?;
    let mut results = Vec::new();
    for (name, record) in flags {
        match write_in(&transaction, name, Some(record), when) {
            Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
            result => results.push(result),
        }
    }
    transaction.commit().map_err(from_sqlite)?;
    Ok(results)
}

fn write_in(
    transaction: &Transaction<'_>,
    name: &str,
    record: Option<&Arc<str>>,
    when: &Precondition,
) -> Result<Version> {
    let current: Option<Version> = transaction
        .prepare_cached(
            "SELECT coalesce(v.version, 0) FROM flags f LEFT JOIN versions v ON v.name = f.name WHERE f.name = ?1",
        )
        .and_then(|mut statement| statement.query_row([name], |row| row.get(0).map(version)).optional())
        .map_err(from_sqlite)?;
    let holds = match when {
        Precondition::Any => true,
        Precondition::Absent => current.is_none(),
        Precondition::Unchanged(version) => current.as_ref() == Some(version),
    };
    if !holds {
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
    // Now and then, by chance, since it looks at all rows, and any rule could meet a program that keeps just clear of it.
    if record.is_none() && fastrand::u32(..PRUNE_ONCE_IN) == 0 {
        prune(transaction).map_err(from_sqlite)?;
    }
    Ok(version(new))
}
