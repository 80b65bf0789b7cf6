//! The connections for calls: opened when needed, a few at most, and replaced when lost. One query each, in a transaction of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::connection::{Connection, Source, Value, open, unsent};
use super::errors::Failure;
use super::feed::{Names, REPLACE, SCHEMA};
use super::own_writes::OwnWrites;
use super::table::{Found, Queries, Table};
use crate::background;
use crate::error::Error;
use crate::lock::Mutex;
use crate::pause::Pause;

const MOST_CONNECTIONS: usize = 4;

pub(super) struct Link {
    pub(super) source: Arc<Source>,
    pub(super) table: Table,
    pub(super) queries: Queries,
    pub(super) timeout: Duration,
    creates: bool,
    free: Semaphore,
    idle: Mutex<Vec<Connection>>,
    found: OnceCell<Found>,
    seen: Mutex<Seen>,
    pub(super) own_writes: OwnWrites,
}

/// Of the feed, as it was last seen: others install and remove it. Nothing before the first call.
#[derive(Default)]
struct Seen {
    has_history: bool,
    function: Option<Arc<str>>,
}

pub(super) struct Query {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
    /// It may be sent again when a connection broke.
    pub(super) repeatable: bool,
    /// It is [`Queries::put_unchanged`], with its values.
    pub(super) replaces: bool,
}

impl Query {
    pub(super) fn read(text: &str, values: Vec<Value>) -> Self {
        Self { text: text.to_owned(), values, repeatable: true, replaces: false }
    }

    pub(super) fn write(text: &str, values: Vec<Value>) -> Self {
        Self { text: text.to_owned(), values, repeatable: false, replaces: false }
    }

    pub(super) fn replace(text: &str, values: Vec<Value>) -> Self {
        Self { replaces: true, ..Self::write(text, values) }
    }
}

impl Link {
    pub(super) fn new(source: Arc<Source>, table: Table, timeout: Duration, creates: bool) -> Self {
        let queries = table.queries();
        let (free, found) = (Semaphore::new(MOST_CONNECTIONS), OnceCell::new());
        let idle = Mutex::default();
        let (seen, own_writes) = Default::default();
        Self { source, table, queries, timeout, creates, free, idle, found, seen, own_writes }
    }

    /// On the flipper thread, and to its end also if the caller's future is dropped. First the table is looked for, or made.
    pub(super) async fn run(self: &Arc<Self>, query: Query) -> Result<Vec<Row>, Failure> {
        let link = self.clone();
        self.spawn(async move {
            link.found().await.map_err(|failure| unsent(failure.into_error()))?;
            let _running = (!query.repeatable).then(|| link.own_writes.begin());
            let function = if query.replaces { link.seen.lock().function.clone() } else { None };
            match function {
                Some(function) => link.call(&function, query).await,
                None => link.ask(&query).await,
            }
        })
        .await
    }

    /// The server keeps the plan of what the feed's function does, without a prepared statement, which behind a pool may be another client's.
    async fn call(&self, function: &str, mut query: Query) -> Result<Vec<Row>, Failure> {
        let call = format!("SELECT 1 WHERE {function}($1, $2, $3, $4, $5)");
        let statement = std::mem::replace(&mut query.text, call);
        match self.ask(&query).await {
            // Someone has removed it, or the right to call it.
            Err(failure) if failure.has_no_function() => {
                self.seen.lock().function = None;
                query.text = statement;
                self.ask(&query).await
            }
            result => result,
        }
    }

    pub(super) async fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let handle = background::handle().map_err(|why| unsent(Error::unavailable(why)))?;
        handle.spawn(work).await.unwrap_or_else(|_| Err(Failure::lost("the task of the query panicked")))
    }

    /// Before a statement waits longer for a lock, it fails; in time for its answer.
    pub(super) fn lock_limit(&self) -> Value {
        let limit = (self.timeout * 3 / 4).as_millis().max(1);
        (Box::new(limit.to_string()), Type::TEXT)
    }

    /// On the flipper thread.
    pub(super) async fn found(&self) -> Result<&Found, Failure> {
        let find = async {
            let found = self.find().await?;
            self.see(Some(&found));
            Ok(found)
        };
        self.found.get_or_try_init(|| find).await
    }

    pub(super) fn has_history(&self) -> bool {
        self.seen.lock().has_history
    }

    pub(super) fn see(&self, found: Option<&Found>) {
        let function = found.and_then(|found| found.function.clone());
        *self.seen.lock() = Seen { has_history: found.is_some_and(|found| found.has_history), function };
    }

    async fn find(&self) -> Result<Found, Failure> {
        self.table.check().map_err(unsent)?;
        if let Some(found) = self.look().await? {
            return Ok(found);
        }
        let missing = |why: &str| {
            let message = format!("there is no table {:?}{why}", self.table.shown());
            Failure::Known(Error::unavailable(message).with_transient(false).with_nothing_written(true))
        };
        if !self.creates {
            return Err(missing(""));
        }
        match self.ask(&Query::write(&self.queries.create, Vec::new())).await {
            Ok(_) => {}
            Err(failure) if failure.is_read_only() => return Err(missing(", and a standby cannot make it")),
            // Two processes that make it at once may both find it missing.
            Err(failure) => match self.look().await? {
                Some(found) => return Ok(found),
                None if failure.is_forbidden() => return Err(missing(", and this user may not make it")),
                None => return Err(failure),
            },
        }
        self.look().await?.ok_or_else(|| missing(""))
    }

    pub(super) async fn look(&self) -> Result<Option<Found>, Failure> {
        found_in(&self.ask(&self.find_query()).await?, &self.table)
    }

    pub(super) fn find_query(&self) -> Query {
        let text = |text: String| -> Value { (Box::new(text), Type::TEXT) };
        Query::read(&self.queries.find, vec![text(self.table.path()), text(self.table.name.clone())])
    }

    /// On the flipper thread.
    pub(super) async fn ask(&self, query: &Query) -> Result<Vec<Row>, Failure> {
        let started = Instant::now();
        let mut pause = Pause::new(Duration::from_millis(1), Duration::from_millis(50));
        let mut again = true;
        loop {
            let busy = |_| unsent(Error::unavailable("all connections of this process are in use"));
            let _free = timeout(self.timeout, self.free.acquire()).await.map_err(busy)?;
            let idle = self.take();
            let reused = idle.is_some();
            let connection = match idle {
                Some(connection) => connection,
                // Whatever went wrong, the query was not sent.
                None => open(&self.source, self.timeout).await.map_err(|failure| unsent(failure.into_error()))?,
            };
            let failure = match connection.rows(&query.text, &query.values, self.timeout).await {
                Ok(rows) => {
                    self.idle.lock().push(connection);
                    return Ok(rows);
                }
                Err(failure) => failure,
            };
            if failure.ends_connection() || connection.is_closed() {
                // The others lead to the same server, which may have been replaced.
                self.idle.lock().clear();
                let unread = failure.was_idle() && started.elapsed() < self.timeout;
                let repeatable = query.repeatable || failure.is_read_only();
                if !(unread || reused && std::mem::take(&mut again) && repeatable) {
                    return Err(failure);
                }
                if !reused {
                    tokio::time::sleep(pause.next()).await;
                }
            } else {
                self.idle.lock().push(connection);
                if !failure.gave_way() || started.elapsed() > self.timeout {
                    return Err(failure);
                }
                tokio::time::sleep(pause.next()).await;
            }
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock();
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn close(&self) {
        self.idle.lock().clear();
    }
}

pub(super) fn found_in(rows: &[Row], table: &Table) -> Result<Option<Found>, Failure> {
    let Some(row) = rows.first() else { return Ok(None) };
    let read = || -> Result<_, tokio_postgres::Error> {
        let name = row.try_get::<_, Option<String>>(4)?;
        let (limited, modifier) = (row.try_get::<_, Option<bool>>(1)?, row.try_get::<_, Option<i32>>(2)?);
        Ok((row.try_get::<_, String>(0)?, limited, modifier, row.try_get(3)?, name))
    };
    let (schema, limited, modifier, has_history, name) = read().map_err(Failure::Asking)?;
    let Some(limited) = limited else {
        let message = format!("the table {:?} has no column {:?}", table.shown(), table.name);
        return Err(unsent(Error::invalid_input(message)));
    };
    // PostgreSQL adds four.
    let limit = modifier.filter(|modifier| limited && *modifier > 4).map(|modifier| modifier - 4);
    // Of another table, once this one was renamed.
    let function = Names::of(table, &schema).function(REPLACE);
    let function = name.is_some_and(|name| function == format!("{SCHEMA}.{name}")).then(|| function.into());
    Ok(Some(Found { schema, limit, has_history, function }))
}
