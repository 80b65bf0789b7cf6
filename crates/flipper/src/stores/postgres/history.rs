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
use crate::state::{Cause, Entry, EntryId, HistoryLimits, HistoryPage, HistoryQuery, Recent, WriteOptions};

/// They are read without their states.
const OLD_AT_ONCE: usize = 1000;
/// PostgreSQL's dates end long after this.
const LONGEST_AGE: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// What the trigger keeps.
pub(super) struct Kept {
    pub(super) entries: i32,
    /// In seconds.
    pub(super) age: f64,
}

impl Kept {
    pub(super) fn of(limits: HistoryLimits) -> Self {
        let entries = i32::try_from(limits.kept_entries()).unwrap_or(i32::MAX);
        Self { entries, age: limits.kept_age().min(LONGEST_AGE).as_secs_f64() }
    }
}

/// Between the parts of a write's cause.
pub(super) const BETWEEN: char = '\u{1f}';

/// Of a write, as one setting: verb, actor, source and reason, which alone may be any text.
pub(super) fn cause(options: &WriteOptions) -> Value {
    let cause = options.cause.as_deref();
    let parts = [options.verb, cause.and_then(Cause::actor), cause.map(Cause::source), cause.and_then(Cause::reason)];
    let parts = parts.map(Option::unwrap_or_default);
    (Box::new(parts.join(BETWEEN.encode_utf8(&mut [0; 4]))), Type::TEXT)
}

pub(super) async fn page(store: &PostgresFeatureFlagStore, query: &HistoryQuery) -> Result<HistoryPage> {
    let mut before: i64 = match &query.before {
        Some(id) => id.as_str().parse().map_err(|_| Error::invalid_input(format!("{id} is no entry's id here")))?,
        None => i64::MAX,
    };
    if query.name.as_deref().is_some_and(|name| !is_text(name)) {
        return Ok(HistoryPage::default());
    }
    let names = as_it_is(store).await?;
    let since = query.since.and_then(dated);
    // Of what is too old, the time is enough.
    let state = |column: &str| match since {
        Some(_) => format!("CASE WHEN h.at >= $4 THEN {column} END"),
        None => column.to_owned(),
    };
    let sql = format!(
        "SELECT h.number, h.at, h.name, h.verb, h.actor, h.reason, h.source, {}, {} \
         FROM {} AS h WHERE {}h.number < $1 ORDER BY h.number DESC LIMIT $2",
        state("h.before"),
        state("h.after"),
        names.history(),
        if query.name.is_some() { "h.name = $3 AND " } else { "" },
    );
    let mut at_once = query.limit.saturating_add(1);
    let (mut recent, mut entries) = (Recent::new(query.since), Vec::<Entry>::new());
    loop {
        let mut is_recent = true;
        let values: Vec<Value> = vec![
            (Box::new(before), Type::INT8),
            (Box::new(i64::try_from(at_once).unwrap_or(i64::MAX)), Type::INT8),
            (Box::new(query.name.clone()), Type::TEXT),
            (Box::new(since), Type::TIMESTAMPTZ),
        ];
        let rows = match store.link.run(Query::read(&sql, values)).await {
            Ok(rows) => rows,
            Err(failure) => return Err(refused(store, failure, &names)),
        };
        let unreadable = |error| store.error(Failure::Asking(error));
        for row in &rows {
            is_recent = recent.takes(row.try_get(1).map_err(unreadable)?);
            if !is_recent {
                if recent.is_over() {
                    return Ok(HistoryPage::new(entries, None));
                }
                continue;
            }
            if entries.len() == query.limit {
                let next = entries.last().map(|last| last.id.clone());
                return Ok(HistoryPage::new(entries, next));
            }
            entries.push(entry(row).map_err(unreadable)?);
        }
        match rows.last() {
            Some(last) if rows.len() == at_once => before = last.try_get(0).map_err(unreadable)?,
            _ => return Ok(HistoryPage::new(entries, None)),
        }
        if !is_recent {
            at_once = at_once.max(OLD_AT_ONCE);
        }
    }
}

/// Triggers may have come or gone since the last call.
async fn as_it_is(store: &PostgresFeatureFlagStore) -> Result<Names> {
    let link = store.link.clone();
    let names = store.link.spawn(async move {
        let known = link.found().await?;
        let now = link.look().await?;
        link.see(now.as_ref());
        Ok(Names::of(&link.table, &now.as_ref().unwrap_or(known).schema))
    });
    names.await.map_err(|failure| store.error(failure))
}

fn refused(store: &PostgresFeatureFlagStore, failure: Failure, names: &Names) -> Error {
    let (missing, forbidden) = (failure.is_missing(), failure.is_forbidden());
    let error = store.error(failure);
    if missing {
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
