//! How changes become known: what there is of the feed, and whether notifications arrive.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::connection::{Connection, PROBE, Value, open};
use super::errors::Failure;
use super::feed::{Names, Queries, readable};
use super::link::{Link, found_in};
use super::state::State;
use super::table::Found;

/// For a notification that this process sends itself, and for each step of sending it.
const PROOF: Duration = Duration::from_secs(1);

pub(super) struct Feed {
    pub(super) names: Names,
    pub(super) queries: Queries,
    pub(super) is_complete: bool,
    /// When the server ends an idle session.
    idle: Option<Duration>,
}

impl Feed {
    pub(super) fn no_longer_than_idle(&self, every: Duration) -> Duration {
        self.idle.map_or(every, |idle| every.min(idle / 2))
    }
}

pub(super) async fn find(connection: &Connection, link: &Link) -> Result<Option<Found>, Failure> {
    let find = link.find_query();
    found_in(&connection.rows(&find.text, &find.values, link.timeout).await?, &link.table)
}

pub(super) async fn find_feed(connection: &Connection, link: &Link) -> Result<Feed, Failure> {
    let found = find(connection, link).await?;
    link.see(found.as_ref());
    let found = found.ok_or_else(|| Failure::lost("the table is missing"))?;
    let names = Names::of(&link.table, &found.schema);
    let rows = connection.rows(&readable(&names), &[], link.timeout).await?;
    let read = |row: &Row| -> Result<_, tokio_postgres::Error> {
        Ok((
            row.try_get::<_, Option<bool>>(0)?,
            row.try_get::<_, Option<String>>(1)?,
            row.try_get::<_, Option<String>>(2)?,
        ))
    };
    let (readable, triggers, idle) = rows.first().map(read).transpose().map_err(Failure::Asking)?.unwrap_or_default();
    let idle = idle.and_then(|idle| idle.parse().ok()).filter(|idle| *idle > 0).map(Duration::from_millis);
    // An older version's triggers wrote another list.
    let is_complete = found.has_history && readable == Some(true) && State::is_fed(&triggers.unwrap_or_default());
    Ok(Feed { queries: Queries::new(&names, is_complete), names, is_complete, idle })
}

/// Over a connection that ends then: a process that only reads keeps one.
async fn notify(link: &Link, probe: &str) -> Result<(), Failure> {
    let values: [Value; 1] = [(Box::new(probe.to_owned()), Type::TEXT)];
    open(&link.source, PROOF).await?.rows("SELECT pg_notify($1, '')", &values, PROOF).await.map(drop)
}

/// Whether notifications arrive here; if they do, and there is a channel, its own from now on. A pool that gives each transaction another connection
/// accepts `LISTEN`, and forwards none to an idle client: only one that another connection sends is a proof.
pub(super) async fn listen(link: &Arc<Link>, connection: &Connection, channel: Option<&str>) -> Result<bool, Failure> {
    let probe = format!("{PROBE}{:016x}", fastrand::u64(..));
    let ask = |query: String| async move { connection.run(&query, link.timeout).await };
    let (also, and_not) = channel
        .map_or_else(Default::default, |channel| (format!("LISTEN {channel}; "), format!("; UNLISTEN {channel}")));
    match ask(format!("{also}LISTEN {probe}")).await {
        Ok(()) => {}
        // Such as a standby.
        Err(failure) if failure.is_read_only() || !failure.ends_connection() => return Ok(false),
        Err(failure) => return Err(failure),
    }
    let proven = notify(link, &probe).await.is_ok() && timeout(PROOF, connection.inbox.proven.notified()).await.is_ok();
    ask(format!("UNLISTEN {probe}{}", if proven { "" } else { &and_not })).await?;
    Ok(proven)
}
