//! One connection, with deadlines of our own: the driver's cover only the TCP handshake.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row, RowStream, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::errors::Failure;
use super::place::{Checked, Host, Place, Tls};
use super::tls;
use crate::error::Error;
use crate::lock::Mutex;

pub(super) type Value = (Box<dyn ToSql + Sync + Send>, Type);

/// Where connections lead.
pub(super) enum Source {
    Place(Box<Place>),
    /// The driver's own settings.
    Config(Box<Config>),
}

pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) inbox: Arc<Inbox>,
    driver: JoinHandle<()>,
}

/// What arrives without a query.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) changed: Notify,
    pub(super) proven: Notify,
    /// Why the server ended the connection while it had no query.
    ended: Mutex<Option<tokio_postgres::Error>>,
}

/// Of channels that only show whether notifications arrive.
pub(super) const PROBE: &str = "flipper_probe_";

/// On the flipper thread.
pub(super) async fn open(source: &Source, limit: Duration) -> Result<Connection, Failure> {
    let place = match source {
        Source::Config(config) => {
            // TLS that code requires is checked; TLS that the driver merely prefers is not, as in libpq.
            let required = config.get_ssl_mode() == tokio_postgres::config::SslMode::Require;
            let checked = Tls { verified: required, named: required, required, allowed: true, ..Tls::disabled() };
            return connect(config, tls::connector(&checked)?, limit).await;
        }
        Source::Place(place) => place,
    };
    let connector = tls::connector(&place.tls)?;
    let mut hosts: Vec<&Host> = place.hosts.iter().collect();
    if place.shuffled {
        fastrand::shuffle(&mut hosts);
    }
    let share = limit / u32::try_from(hosts.len()).unwrap_or(1).max(1);
    let limit = place.session.connect_timeout.unwrap_or(share);
    let passes: &[Checked] = match place.wanted {
        Checked::PreferStandby => &[Checked::Standby, Checked::Any],
        _ => &[place.wanted],
    };
    let mut last = Failure::lost("there is no server");
    for wanted in passes {
        for host in &hosts {
            match connect(&place.config(host), connector.clone(), limit).await {
                Ok(connection) => match checked(&connection, *wanted, limit).await {
                    Ok(()) => return Ok(connection),
                    Err(failure) => last = failure,
                },
                Err(failure) => last = failure,
            }
        }
    }
    Err(last)
}

async fn connect(config: &Config, connector: MakeRustlsConnect, limit: Duration) -> Result<Connection, Failure> {
    let connected = timeout(limit, config.connect(connector)).await.map_err(|_| Failure::ConnectingLate)?;
    let (client, connection) = connected.map_err(Failure::Connecting)?;
    let inbox = Arc::<Inbox>::default();
    let driver = tokio::spawn(drive::<MakeRustlsConnect>(connection, inbox.clone()));
    Ok(Connection { client, inbox, driver })
}

async fn drive<T: MakeTlsConnect<Socket>>(
    mut connection: tokio_postgres::Connection<Socket, T::Stream>,
    inbox: Arc<Inbox>,
) {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if notification.channel().starts_with(PROBE) { &inbox.proven } else { &inbox.changed }.notify_one();
            }
            Some(Ok(AsyncMessage::Notice(notice))) => tracing::debug!("PostgreSQL: {}", notice.message()),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection to PostgreSQL ended");
                // The driver gives an error of the server to the oldest query that it sent. It had sent none.
                *inbox.ended.lock() = Some(error).filter(|error| error.as_db_error().is_some());
                break;
            }
            None => break,
        }
    }
    // A reader that waits finds the client closed.
    drop(connection);
    inbox.changed.notify_one();
}

async fn checked(connection: &Connection, wanted: Checked, limit: Duration) -> Result<(), Failure> {
    let standby = match wanted {
        Checked::Primary => false,
        Checked::Standby => true,
        _ => return Ok(()),
    };
    let rows = connection.rows("SELECT pg_is_in_recovery()", &[], limit).await?;
    match rows.first().map(|row| row.try_get::<_, bool>(0)) {
        Some(Ok(found)) if found == standby => Ok(()),
        _ => Err(Failure::lost(if standby { "the server is no standby" } else { "the server is a standby" })),
    }
}

impl Connection {
    /// Of an unnamed statement.
    pub(super) async fn rows(&self, query: &str, values: &[Value], limit: Duration) -> Result<Vec<Row>, Failure> {
        self.within(limit, self.all(query, values)).await
    }

    /// Without a deadline.
    pub(super) async fn all(&self, query: &str, values: &[Value]) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.stream(query, values).await?.try_collect().await
    }

    /// Statements without values and rows.
    pub(super) async fn run(&self, statements: &str, limit: Duration) -> Result<(), Failure> {
        self.within(limit, self.client.batch_execute(statements)).await
    }

    /// For a session of our own: a pool would give the statement, and its one plan for all values, to other clients.
    pub(super) async fn prepare(&self, query: &str, limit: Duration) -> Result<Statement, Failure> {
        self.run("SET plan_cache_mode = force_generic_plan", limit).await?;
        self.within(limit, self.client.prepare(query)).await
    }

    pub(super) async fn prepared_rows(
        &self,
        statement: &Statement,
        values: &[Value],
        limit: Duration,
    ) -> Result<Vec<Row>, Failure> {
        let values = values.iter().map(|(value, _)| &**value as &(dyn ToSql + Sync));
        let rows = async { self.client.query_raw(statement, values).await?.try_collect().await };
        self.within(limit, rows).await
    }

    pub(super) async fn stream(&self, query: &str, values: &[Value]) -> Result<RowStream, tokio_postgres::Error> {
        let values = values.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone()));
        self.client.query_typed_raw(query, values).await
    }

    /// After the deadline nothing of this connection can be trusted to arrive.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match timeout(limit, answer).await {
            Ok(Err(error)) if error.is_closed() => {
                Err(self.inbox.ended.lock().take().map_or(Failure::Asking(error), Failure::NotSent))
            }
            Ok(answer) => answer.map_err(Failure::Asking),
            Err(_) => {
                self.driver.abort();
                Err(Failure::AskingLate)
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.driver.is_finished()
    }
}

/// What was never sent was not written.
pub(super) fn unsent(error: Error) -> Failure {
    Failure::Known(error.with_nothing_written(true))
}
