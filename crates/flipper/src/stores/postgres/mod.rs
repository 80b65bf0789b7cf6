//! Flags in PostgreSQL, shared with programs that use the same table, also by the Python library `flipper-client`.
//!
//! ```no_run
//! use flipper::{FeatureFlagClient, PostgresFeatureFlagStore};
//!
//! # async fn example() -> flipper::Result<()> {
//! let store = PostgresFeatureFlagStore::from_url("postgresql://app@db.example/shop")?;
//! let features = FeatureFlagClient::remote(store);
//!
//! features.create("MY_FEATURE").or_get().await?;
//! features.enable("MY_FEATURE").await?;
//! # Ok(()) }
//! ```
//!
//! # What is stored
//!
//! A flag is a row of the table `feature_flags`: `name`, its primary key, and `item`, its JSON ([`FlagRecord`]) as `bytea`; other bytes are
//! a [`Corrupt`](crate::ErrorKind::Corrupt) flag. A table of the Python library takes names of 40 characters.
//!
//! The history is the table `flipper.history_…`, of one row for each write by any program. It is there once
//! [`install_feed`](PostgresFeatureFlagStore::install_feed) has been called. Its columns `verb`, `actor`, `reason` and `source` are those of the
//! setting `flipper.cause`, which a write of this crate sets for its transaction; other programs may set `flipper.verb` and so on.
//!
//! # What it needs of the server
//!
//! PostgreSQL 14 or newer, or a pool such as pgbouncer in front of it, and a user who may `SELECT`, `INSERT`, `UPDATE` and `DELETE` the
//! table. To follow changes, `SELECT` is enough.

mod changes;
mod connection;
mod conninfo;
mod errors;
mod feed;
mod follow;
mod history;
mod inspect;
mod install;
mod link;
mod loading;
mod own_writes;
mod place;
mod state;
mod table;
mod tls;
mod url;
mod ways;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use self::connection::{Source, Value, open};
use self::errors::Failure;
use self::feed::Names;
use self::link::{Link, Query};
use self::table::{Table, is_text, stored};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::FlagRecord;
use crate::state::{Capabilities, HistoryLimits, HistoryPage, HistoryQuery, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, pages};

const PAGE: usize = 500;
/// For the SQL of the feed, which waits for writers of the table.
const INSTALLATION: Duration = Duration::from_secs(30);

/// Keeps flags in PostgreSQL. Clones share up to four connections; each watch has one of its own.
///
/// Connections live on a thread of this crate: the store can be a `static`, works under any executor, and outlives any runtime.
///
/// ```no_run
/// use flipper::PostgresFeatureFlagStore;
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // The driver's own settings …
/// let config: tokio_postgres::Config = "host=db.example user=app password=secret sslmode=require".parse()?;
/// let store = PostgresFeatureFlagStore::new(config).table("shop_flags");
/// // … or libpq's, with its variables and its password file.
/// let store = PostgresFeatureFlagStore::from_url("host=/run/postgresql dbname=shop")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresFeatureFlagStore {
    link: Arc<Link>,
    creates: bool,
    poll_every: Duration,
    history_limits: Option<HistoryLimits>,
}

impl fmt::Display for PostgresFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.link.table.shown())
    }
}

impl fmt::Debug for PostgresFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresFeatureFlagStore")
            .field("place", &self.identity().place())
            .field("table", &self.link.table)
            .field("timeout", &self.link.timeout)
            .field("poll_every", &self.poll_every)
            .finish_non_exhaustive()
    }
}

impl PostgresFeatureFlagStore {
    /// Takes settings of the crate `tokio_postgres`, which reads neither variables nor a password file. With `SslMode::Require` the
    /// certificate must be the host's, by the system's authorities. Sends nothing yet.
    #[must_use]
    pub fn new(config: tokio_postgres::Config) -> Self {
        Self::at(Source::Config(Box::new(config)), Table::default(), true)
    }

    /// A store at this URL, or with this connection string of libpq. Sends nothing yet.
    ///
    /// | | |
    /// |---|---|
    /// | `postgresql://[USER[:PASSWORD]@][HOST[:PORT][,…]][/DATABASE][?NAME=VALUE&…]`, `postgres://…` | a URL |
    /// | `host=HOST dbname=DATABASE user=USER …` | keywords |
    ///
    /// Both take libpq's parameters, which complete its variables (`PGHOST`, `PGPASSWORD`, …) and `.pgpass`; and `table`, `schema`,
    /// `name_column`, `item_column` and `create_table=false`. `sslmode` is libpq's: only `verify-full` protects against another host.
    /// Several hosts are tried in turn, with `target_session_attrs=read-write` up to the primary.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything else, and for what cannot be honoured, such as `service` or `sslmode=allow`. The message contains no
    /// user and no password.
    pub fn from_url(url: &str) -> Result<Self> {
        let parsed = url::parse(url, url::environment)?;
        Ok(Self::at(Source::Place(Box::new(parsed.place)), parsed.table, parsed.creates))
    }

    fn at(source: Source, table: Table, creates: bool) -> Self {
        let link = Arc::new(Link::new(Arc::new(source), table, Duration::from_secs(5), creates));
        Self { link, creates, poll_every: Duration::from_secs(1), history_limits: None }
    }

    fn with(mut self, table: Table, timeout: Duration) -> Self {
        self.link = Arc::new(Link::new(self.link.source.clone(), table, timeout, self.creates));
        self
    }

    /// The table, by default `feature_flags`. A dot in it is a part of its name.
    #[must_use]
    pub fn table(self, table: impl Into<String>) -> Self {
        let table = Table { table: table.into(), ..self.link.table.clone() };
        let timeout = self.link.timeout;
        self.with(table, timeout)
    }

    /// The table's schema; by default the first of the search path that has the table.
    #[must_use]
    pub fn schema(self, schema: impl Into<String>) -> Self {
        let table = Table { schema: Some(schema.into()), ..self.link.table.clone() };
        let timeout = self.link.timeout;
        self.with(table, timeout)
    }

    /// The columns of names and of flags, by default `name` and `item`.
    #[must_use]
    pub fn columns(self, name: impl Into<String>, item: impl Into<String>) -> Self {
        let table = Table { name: name.into(), item: item.into(), ..self.link.table.clone() };
        let timeout = self.link.timeout;
        self.with(table, timeout)
    }

    /// Whether the first call makes the table if it is missing; it does by default.
    #[must_use]
    pub fn create_table(mut self, creates: bool) -> Self {
        self.creates = creates;
        let (table, timeout) = (self.link.table.clone(), self.link.timeout);
        self.with(table, timeout)
    }

    /// How long a call waits for a connection, and then for the answer; 5 s by default. A row that another transaction holds is waited for
    /// three quarters as long. A watch waits as long for each answer.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        let table = self.link.table.clone();
        self.with(table, timeout)
    }

    /// How often `watch` asks for changes; 1 s by default. With the feed, but without notifications, four times as often.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = every;
        self
    }

    /// How much history [`install_feed`](Self::install_feed) has the database keep, of all writers. Without it, what an earlier installation has
    /// set stays; at first 10,000 entries, of 90 days.
    #[must_use]
    pub fn history_limits(mut self, limits: HistoryLimits) -> Self {
        self.history_limits = Some(limits);
        self
    }

    /// Installs the feed of changes and the history: triggers on the table, and a schema `flipper` beside it. Without it, followers compare
    /// all rows each second; with it they ask for what has changed, and `notifies` says whether writers wake them. Every write of any
    /// program is in the history from then on. To what an older version has installed, it adds what is missing. Other programs go on as
    /// before.
    ///
    /// A commit then also locks one row of the feed, so commits that write flags take turns. With `notifies`, transactions that write flags
    /// cannot be prepared (`PREPARE TRANSACTION`).
    ///
    /// # Errors
    ///
    /// `Unauthorized` if the user may not make a schema or a trigger: then the table's owner runs [`feed_script`](Self::feed_script).
    pub async fn install_feed(&self, notifies: bool) -> Result<()> {
        self.execute(self.feed_script(notifies).await?).await
    }

    /// The SQL of [`install_feed`](Self::install_feed).
    ///
    /// # Errors
    ///
    /// `Unavailable` if there is no such table.
    pub async fn feed_script(&self, notifies: bool) -> Result<String> {
        Ok(install::install(&self.names().await?, notifies, self.history_limits))
    }

    /// Removes the feed of changes, and the history. Followers go on without it.
    ///
    /// # Errors
    ///
    /// `Unauthorized` if the user is not the table's owner, who then runs [`feed_removal_script`](Self::feed_removal_script).
    pub async fn remove_feed(&self) -> Result<()> {
        self.execute(self.feed_removal_script().await?).await
    }

    /// The SQL of [`remove_feed`](Self::remove_feed).
    ///
    /// # Errors
    ///
    /// `Unavailable` if there is no such table.
    pub async fn feed_removal_script(&self) -> Result<String> {
        Ok(install::uninstall(&self.names().await?))
    }

    /// How changes become known to followers as this user: what [`inspect`](FeatureFlagStore::inspect) says of that.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Unauthorized`.
    pub async fn feed_status(&self) -> Result<Vec<Check>> {
        let store = self.clone();
        let checks = self.link.spawn(async move { inspect::feed(store).await.map_err(Failure::Known) });
        checks.await.map_err(Failure::into_error)
    }

    async fn names(&self) -> Result<Names> {
        let link = self.link.clone();
        let names =
            self.link.spawn(async move { link.found().await.map(|found| Names::of(&link.table, &found.schema)) });
        names.await.map_err(|failure| self.error(failure))
    }

    async fn execute(&self, script: String) -> Result<()> {
        let link = self.link.clone();
        let done = self.link.spawn(async move {
            let connection = open(&link.source, link.timeout).await?;
            connection.within(INSTALLATION, connection.client.batch_execute(&script)).await?;
            // It is done, whatever becomes of this question.
            if let Ok(found) = link.look().await {
                link.see(found.as_ref());
            }
            Ok(())
        });
        done.await.map_err(|failure| self.error(failure))
    }

    fn error(&self, failure: Failure) -> Error {
        failure.into_error().with_store(self)
    }

    fn text(&self, text: &str) -> Value {
        (Box::new(text.to_owned()), Type::TEXT)
    }

    async fn read(&self, query: Query) -> Result<Vec<Row>> {
        self.link.run(query).await.map_err(|failure| self.error(failure))
    }

    fn flags(&self, rows: &[Row]) -> Result<Vec<Stored>> {
        let flag = |row: &Row| -> Result<Option<Stored>, tokio_postgres::Error> {
            let (name, item): (Option<&str>, Option<&[u8]>) = (row.try_get(0)?, row.try_get(1)?);
            Ok(name.map(|name| stored(name, item)))
        };
        let flags = rows.iter().filter_map(|row| flag(row).transpose()).collect::<Result<_, _>>();
        flags.map_err(|error| self.error(Failure::Asking(error)))
    }

    async fn page(&self, after: Option<String>) -> Result<(Vec<Stored>, Option<Option<String>>)> {
        let queries = &self.link.queries;
        let size: Value = (Box::new(i64::try_from(PAGE).unwrap_or(i64::MAX)), Type::INT8);
        let query = match &after {
            None => Query::read(&queries.first_page, vec![size]),
            Some(after) => Query::read(&queries.next_page, vec![size, self.text(after)]),
        };
        let rows = self.read(query).await?;
        let flags = self.flags(&rows)?;
        let last = flags.last().filter(|_| rows.len() == PAGE).map(|flag| Some(flag.name.clone()));
        Ok((flags, last))
    }
}

#[async_trait]
impl FeatureFlagStore for PostgresFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        if !is_text(name) {
            return Ok(None);
        }
        let query = Query::read(&self.link.queries.get, vec![self.text(name)]);
        let rows = self.read(query).await.map_err(|error| error.with_flag(name))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let item: Option<&[u8]> = row.try_get(0).map_err(|error| self.error(Failure::Asking(error)))?;
        Ok(Some(stored(name, item)))
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.put_text(record.name(), record.to_json(), &options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.remove(name, &options).await?;
        Ok(Version::opaque([]))
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        let rows = self.read(Query::read(&self.link.queries.list, Vec::new())).await?;
        let mut flags = self.flags(&rows)?;
        flags.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(flags)
    }

    fn watch(&self) -> Watch<'_> {
        follow::watch(self)
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_push().shared_with_python();
        if self.link.has_history() { capabilities.with_history() } else { capabilities }
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        writing::put_all(self, records, &options).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        history::page(self, query).await.map_err(|error| error.with_store(self))
    }

    fn stream(&self) -> FlagStream<'_> {
        pages(None, move |after: Option<String>| self.page(after))
    }

    fn identity(&self) -> Identity {
        url::identity(&self.link.source, &self.link.table)
    }

    async fn inspect(&self) -> Vec<Check> {
        let store = self.clone();
        let checks = self.link.spawn(async move { Ok(inspect::inspect(store).await) });
        checks.await.unwrap_or_else(|failure| vec![Check::fault("reachable", failure.into_error().chain())])
    }

    async fn close(&self) -> Result<()> {
        self.link.close();
        Ok(())
    }
}
