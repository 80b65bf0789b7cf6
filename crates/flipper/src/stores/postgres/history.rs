//! The history: a table that triggers fill, so any writer's change is in it. A write of this store says in settings of its transaction who
//! writes and why.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::PostgresFeatureFlagStore;
use super::connection::Value;
use super::errors::Failure;
use super::feed::Names;
use super::link::Query;
use super::table::{is_text, stored};
use crate::error::{Error, ErrorKind, Result};
use crate::state::{Cause, Entry, EntryId, HistoryLimits, HistoryPage, HistoryQuery, WriteOptions};

/// PostgreSQL's dates end long after this.
const LONGEST_AGE: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// What the trigger keeps.
pub(super) struct Kept {
    pub(super) entries: u32,
    /// In seconds.
    pub(super) age: f64,
    /// It looks for more whenever it has written so many.
    pub(super) step: u32,
    /// No write deletes more, so that none takes long.
    pub(super) at_once: u32,
}

impl Kept {
    pub(super) fn of(limits: HistoryLimits) -> Self {
        let entries = limits.kept_entries();
        let age = limits.kept_age().min(LONGEST_AGE).as_secs_f64();
        Self { entries, age, step: (entries / 100).clamp(1, 64), at_once: 1000 }
    }
}

/// For the settings of a write; an empty text sets nothing.
pub(super) fn cause(options: &WriteOptions) -> Value {
    let cause = options.cause.as_deref();
    let values = [options.verb, cause.and_then(Cause::actor), cause.and_then(Cause::reason), cause.map(Cause::source)];
    let values: Vec<String> = values.iter().map(|value| value.unwrap_or_default().to_owned()).collect();
    (Box::new(values), Type::TEXT_ARRAY)
}

pub(super) async fn page(store: &PostgresFeatureFlagStore, query: &HistoryQuery) -> Result<HistoryPage> {
    let before: i64 = match &query.before {
        Some(id) => id.as_str().parse().map_err(|_| Error::invalid_input(format!("{id} is no entry's id here")))?,
        None => i64::MAX,
    };
    if query.name.as_deref().is_some_and(|name| !is_text(name)) {
        return Ok(HistoryPage::default());
    }
    let names = store.names().await?;
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let mut values: Vec<Value> = vec![(Box::new(before), Type::INT8), (Box::new(limit.saturating_add(1)), Type::INT8)];
    let mut conditions = "h.number < $1".to_owned();
    if let Some(name) = &query.name {
        values.push(store.text(name));
        conditions += &format!(" AND h.name = ${}", values.len());
    }
    if let Some(since) = query.since.and_then(dated) {
        values.push((Box::new(since), Type::TIMESTAMPTZ));
        conditions += &format!(" AND h.at >= ${}", values.len());
    }
    let sql = format!(
        "SELECT h.number, h.at, h.name, h.verb, h.actor, h.reason, h.source, h.before, h.after \
         FROM {} AS h WHERE {conditions} ORDER BY h.number DESC LIMIT $2",
        names.history()
    );
    let rows = match store.link.run(Query::read(&sql, values)).await {
        Ok(rows) => rows,
        Err(failure) => return Err(refused(store, failure, &names)),
    };
    store.link.set_history(true);
    let read = || {
        let entries = rows.iter().take(query.limit).map(entry).collect::<Result<Vec<_>, _>>()?;
        let last = entries.last().filter(|_| rows.len() > query.limit);
        let next = last.map(|last: &Entry| last.id.clone());
        Ok(HistoryPage::new(entries, next))
    };
    read().map_err(|error| store.error(Failure::Asking(error)))
}

fn refused(store: &PostgresFeatureFlagStore, failure: Failure, names: &Names) -> Error {
    let (missing, forbidden) = (failure.is_missing(), failure.is_forbidden());
    let error = store.error(failure);
    if missing {
        store.link.set_history(false);
        let message = "the database keeps no history: `flipper postgres install` adds the triggers that write it";
        return Error::new(ErrorKind::Unsupported).with_message(message);
    }
    if forbidden {
        let message = format!(
            "this user may not read the history: `GRANT USAGE ON SCHEMA flipper TO …; GRANT SELECT ON {} TO …`",
            names.history()
        );
        return error.with_message(message);
    }
    error
}

fn entry(row: &Row) -> Result<Entry, tokio_postgres::Error> {
    let text = |column: usize| row.try_get::<_, Option<&str>>(column);
    let (number, at, name): (i64, SystemTime, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let state = |column: usize| -> Result<_, tokio_postgres::Error> {
        let item: Option<&[u8]> = row.try_get(column)?;
        Ok(item.map(|item| stored(name, Some(item)).record))
    };
    let cause = Cause::stored(text(6)?, text(4)?, text(5)?);
    let entry = Entry::of(text(3)?, EntryId::new(number.to_string()), name, at, state(7)?, state(8)?);
    Ok(entry.with_cause(cause.map(Arc::new)))
}

/// As PostgreSQL can compare it; `None` if every entry is younger. It counts microseconds, and cuts the rest.
fn dated(since: SystemTime) -> Option<SystemTime> {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).ok()?.min(LONGEST_AGE * 8);
    Some(SystemTime::UNIX_EPOCH + since + Duration::from_nanos(999))
}
