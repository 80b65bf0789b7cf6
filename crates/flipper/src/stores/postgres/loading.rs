//! All flags, with the state to which they belong.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use futures_util::future::{Either, FutureExt, join, select};
use tokio_postgres::Row;

use super::connection::{Connection, open, unsent};
use super::errors::Failure;
use super::feed::FirstQueries;
use super::link::Link;
use super::state::State;
use super::table::stored;
use crate::state::Stored;

/// All flags, as they are read first.
pub(super) struct First {
    pub(super) connection: Connection,
    pub(super) state: State,
    pub(super) flags: Vec<Stored>,
    pub(super) read_at: Instant,
    /// A transaction is open: what is asked in it belongs to these flags.
    pub(super) is_one_snapshot: bool,
}

pub(super) async fn begin(link: &Arc<Link>) -> Result<First, Failure> {
    link.table.check().map_err(unsent)?;
    let queries = FirstQueries::of(&link.table);
    let (mut is_one_snapshot, mut was_missing) = (true, false);
    loop {
        let connection = open(&link.source, link.timeout).await?;
        let read_at = Instant::now();
        let loaded = if is_one_snapshot {
            // All are sent at once, the state last: meanwhile flags are made. Its time begins after them.
            let begin = connection.run(&queries.begin, link.timeout);
            let flags = join(begin, read(&connection, &queries.flags, link.timeout));
            let state = connection.all(&queries.state, &[]);
            let ((begun, read), state) = match select(pin!(flags), pin!(state)).await {
                Either::Left((read, state)) => (read, connection.within(link.timeout, state).await),
                Either::Right((state, read)) => (read.await, state.map_err(Failure::Asking)),
            };
            match (begun, state, read) {
                (Ok(()), Ok(rows), Ok((_, flags))) => State::of(rows.first()).map(|state| (state, flags)),
                // Such as a pool's that gives each statement another connection, or of a table that cannot be locked.
                (Err(failure), ..) if failure.is_servers() && !failure.is_missing() => {
                    is_one_snapshot = false;
                    continue;
                }
                (Err(failure), ..) | (_, Err(failure), _) | (.., Err(failure)) => Err(failure),
            }
        } else {
            load(&connection, &queries.both, link.timeout).await
        };
        match loaded {
            Ok((state, flags)) => return Ok(First { connection, state, flags, read_at, is_one_snapshot }),
            Err(failure) if failure.is_servers() => {
                // Makes the table, or says more exactly what is wrong.
                link.found().await?;
                if was_missing || !failure.is_missing() {
                    return Err(failure);
                }
                was_missing = true;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// By one statement, whose first row is the state.
pub(super) async fn load(
    connection: &Connection,
    query: &str,
    limit: Duration,
) -> Result<(State, Vec<Stored>), Failure> {
    let (state, flags) = read(connection, query, limit).await?;
    Ok((State::of(state.as_ref())?, flags))
}

/// The first row without a name, and the flags of all others, made as they arrive.
async fn read(connection: &Connection, query: &str, limit: Duration) -> Result<(Option<Row>, Vec<Stored>), Failure> {
    let rows = connection.within(limit, connection.stream(query, &[])).await?;
    let mut rows = pin!(rows);
    let (mut unnamed, mut flags) = (None, Vec::new());
    loop {
        // Else rows that have arrived would keep other tasks waiting.
        tokio::task::consume_budget().await;
        let row = match rows.try_next().now_or_never() {
            // Most have arrived, and need no timer.
            Some(arrived) => arrived.map_err(Failure::Asking)?,
            None => connection.within(limit, rows.try_next()).await?,
        };
        let Some(row) = row else { break };
        match name_of(&row)? {
            None => unnamed = unnamed.or(Some(row)),
            Some(name) => flags.push(stored(name, item_of(&row)?)),
        }
    }
    Ok((unnamed, flags))
}

pub(super) fn name_of(row: &Row) -> Result<Option<&str>, Failure> {
    row.try_get(0).map_err(Failure::Asking)
}

fn item_of(row: &Row) -> Result<Option<&[u8]>, Failure> {
    row.try_get(1).map_err(Failure::Asking)
}
