//! What a follower compares: whether the same server answers, for the same table, and how far its changes are.

use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::errors::Failure;

/// The longest silence before a standby asks its primary for a word (half of `wal_receiver_timeout`), with a margin.
const HEARD_EVERY: Duration = Duration::from_secs(35);

/// Of [`State::server`].
const SERVER: &str = "concat_ws(':', extract(epoch FROM pg_postmaster_start_time()), inet_server_port())";

/// Of [`State::table`], a string of SQL. The path of any table has the database's number, and is read faster than the list of databases.
fn identity(table: &str) -> String {
    format!("concat_ws('/', to_regclass({table})::oid, pg_relation_filepath('pg_catalog.pg_class'::regclass))")
}

/// The query for which transactions have ended, on which server, and the table's identity; NULL on a standby, where not all of them are in it.
/// Two that are equal are of the same rows, in the logged local tables of one database: other rows change without a transaction of this server.
/// See `pg_current_snapshot` in PostgreSQL's manual.
pub(super) fn commits(table: &str) -> String {
    // It takes a third of the time of a sum of texts.
    format!(
        "SELECT CASE WHEN NOT pg_is_in_recovery() THEN concat_ws(' ', pg_postmaster_start_time(), inet_server_port(), {}, \
         pg_current_snapshot()) END",
        identity(table)
    )
}

/// In the order of the array of [`sql`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Start of the server, and its port: a running server never takes back what it has committed.
    pub(super) server: String,
    /// And its database, since a copy of one has tables of the same numbers.
    pub(super) table: String,
    file: String,
    pub(super) triggers: String,
    /// How long a standby has heard nothing from its primary, or cannot apply it; `alone` without one. Only `pg_read_all_stats` sees when
    /// it last heard from it: for others that counts as now, until the standby itself gives the primary up.
    behind: Option<String>,
    /// Of the feed: which installation, its last change, how often all was removed, and whether writers notify.
    pub(super) feed: Option<Clock>,
    pub(super) fingerprint: Option<String>,
    /// Which transactions have ended, of a primary. It is not compared.
    pub(super) snapshot: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    origin: String,
    pub(super) at: i64,
    resets: i64,
    pub(super) notifies: bool,
}

/// What happened since the last state.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing but what the feed lists.
    Listed,
    /// All flags may be others, and the store is the same.
    All,
    /// Changes are known in another way now.
    AnotherWay,
    /// The flags may be older ones.
    Doubt(&'static str),
}

pub(super) struct Parts<'a> {
    /// The table's path, as a string of SQL.
    pub(super) table: &'a str,
    /// The clock's table and the query for the last change, if there is a feed.
    pub(super) feed: Option<(&'a str, &'a str)>,
    /// The query for the fingerprint, if it is wanted.
    pub(super) fingerprint: Option<&'a str>,
    /// It may be a standby, which then says how far behind it is; a primary says nothing of transactions.
    pub(super) may_be_standby: bool,
}

/// Of [`State::behind`].
const BEHIND: &str = "CASE WHEN pg_is_in_recovery() THEN coalesce((SELECT coalesce(extract(epoch FROM greatest(\
     clock_timestamp() - r.last_msg_receipt_time, \
     CASE WHEN pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() THEN clock_timestamp() - pg_last_xact_replay_timestamp() END\
     ))::text, '0') FROM pg_stat_wal_receiver AS r), 'alone') END";

/// Of [`State::snapshot`].
const SNAPSHOT: &str = "CASE WHEN NOT pg_is_in_recovery() THEN pg_current_snapshot() END::text";

/// The columns are NULL of both types, an array of text, and of the feed a number that is NULL; no row, if the clock has none.
pub(super) fn sql(parts: &Parts<'_>, types: [&str; 2]) -> String {
    let Parts { table, feed, fingerprint, may_be_standby, .. } = parts;
    let (behind, snapshot) = if *may_be_standby { (BEHIND, "NULL") } else { ("NULL", SNAPSHOT) };
    let fingerprint = fingerprint.unwrap_or("NULL");
    let (feed, from) = match feed {
        Some((clock, at)) => {
            (format!("c.origin, {at}::text, c.reset_at::text, c.notifies::text"), format!(" FROM {clock} AS c"))
        }
        None => ("NULL, NULL, NULL, NULL".to_owned(), String::new()),
    };
    let [name, item] = types;
    format!(
        "SELECT NULL::{name}, NULL::{item}, ARRAY[\
         {SERVER}, {}, pg_relation_filenode(to_regclass({table}))::text, {}, {behind}, {feed}, {fingerprint}, {snapshot}]::text[], NULL::bigint{from}",
        identity(table),
        triggers(table)
    )
}

/// The same columns, with what [`State::continues`] compares.
pub(super) fn brief(table: &str, clock: &str, [name, item]: [&str; 2]) -> String {
    format!(
        "SELECT NULL::{name}, NULL::{item}, ARRAY[to_regclass({table})::oid::text, c.origin, c.reset_at::text], NULL::bigint FROM {clock} AS c"
    )
}

/// The query for the identities of both triggers, and when they fire.
pub(super) fn triggers(table: &str) -> String {
    format!(
        "array_to_string(ARRAY(SELECT concat_ws(':', t.oid, t.xmin, t.tgenabled) \
         FROM pg_trigger AS t WHERE t.tgrelid = to_regclass({table}) AND t.tgname IN ('flipper_changed', 'flipper_truncated')), ',')"
    )
}

impl State {
    /// Of a query that begins with it.
    pub(super) fn of(first: Option<&Row>) -> Result<Self, Failure> {
        let row =
            first.ok_or_else(|| Failure::lost("the feed's clock has no row: `flipper postgres install` mends it"))?;
        Self::read(row)
    }

    /// From the row of [`sql`].
    pub(super) fn read(row: &Row) -> Result<Self, Failure> {
        let fields: Vec<Option<String>> = row.try_get(2).map_err(Failure::Asking)?;
        let mut fields = fields.into_iter();
        let mut next = || fields.next().flatten();
        let (server, table, file, triggers, behind) = (next(), next(), next(), next(), next());
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let (origin, at, resets, notifies) = (next(), number(next()), number(next()), next());
        let feed = match (origin, at, resets) {
            (Some(origin), Some(at), Some(resets)) => {
                Some(Clock { origin, at, resets, notifies: notifies.as_deref() == Some("true") })
            }
            _ => None,
        };
        let mut triggers: Vec<&str> = triggers.as_deref().unwrap_or_default().split(',').collect();
        triggers.sort_unstable();
        // Without the file of the table whose path it is.
        let table = table.as_deref().and_then(|path| path.rsplit_once('/')).map_or("", |(table, _)| table);
        Ok(Self {
            server: server.unwrap_or_default(),
            table: table.to_owned(),
            file: file.unwrap_or_default(),
            triggers: triggers.join(","),
            behind,
            feed,
            fingerprint: next(),
            snapshot: next(),
        })
    }

    /// Of the row of [`brief`]: whether the table and the feed are the same.
    pub(super) fn continues(&self, row: &Row) -> Result<bool, Failure> {
        let found: Option<Vec<Option<String>>> = row.try_get(2).map_err(Failure::Asking)?;
        let table = self.table.split_once('/').map(|(table, _)| table.to_owned());
        let expected = |feed: &Clock| vec![table, Some(feed.origin.clone()), Some(feed.resets.to_string())];
        Ok(found.is_some() && found == self.feed.as_ref().map(expected))
    }

    /// Both triggers are there, and fire at least for ordinary writers.
    pub(super) fn is_fed(triggers: &str) -> bool {
        let fires = |trigger: &str| matches!(trigger.rsplit(':').next(), Some("O" | "A"));
        triggers.split(',').count() == 2 && triggers.split(',').all(fires)
    }

    pub(super) fn is_of_standby(&self) -> bool {
        self.behind.is_some()
    }

    pub(super) fn believable(&self) -> Result<(), Failure> {
        match self.behind.as_deref() {
            Some("alone") => Err(Failure::lost("the standby has lost its primary")),
            _ => Ok(()),
        }
    }

    /// Until when a read at `asked` has every change, and for how long that holds.
    pub(super) fn confirms(&self, asked: Instant, valid_for: Duration) -> (Instant, Duration) {
        let Some(behind) = &self.behind else { return (asked, valid_for) };
        let behind = behind.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        (asked.checked_sub(behind.unwrap_or_default()).unwrap_or(asked), valid_for + HEARD_EVERY)
    }

    pub(super) fn since(&self, before: &Self) -> Since {
        if self.server != before.server {
            return Since::Doubt("another server answers, or it was started again");
        }
        if self.table != before.table {
            return Since::Doubt("the table was dropped, and another one has its name");
        }
        match (&self.feed, &before.feed) {
            (Some(now), Some(then)) if now.origin == then.origin && (now.at < then.at || now.resets < then.resets) => {
                return Since::Doubt("the changes went back to an earlier state");
            }
            (Some(now), Some(then)) if now.origin == then.origin => {
                if self.triggers != before.triggers {
                    return Since::AnotherWay;
                }
                // TRUNCATE, or the table was written whole.
                if now.resets > then.resets || self.file != before.file {
                    return Since::All;
                }
            }
            (None, None) if self.triggers == before.triggers => {
                if self.fingerprint != before.fingerprint || self.file != before.file {
                    return Since::All;
                }
            }
            _ => return Since::AnotherWay,
        }
        Since::Listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(at: i64) -> State {
        let feed = Some(Clock { origin: "o".into(), at, resets: 1, notifies: true });
        State { server: "s".into(), table: "7".into(), triggers: "1:2:O,3:4:O".into(), feed, ..State::default() }
    }

    #[test]
    fn what_begins_a_doubt() {
        assert_eq!(fed(6).since(&fed(5)), Since::Listed);
        assert!(matches!(fed(4).since(&fed(5)), Since::Doubt(_)));
        let mut earlier = fed(5);
        earlier.feed.as_mut().unwrap().resets = 0;
        assert!(matches!(earlier.since(&fed(5)), Since::Doubt(_)));
        assert!(matches!(State { server: "t".into(), ..fed(6) }.since(&fed(5)), Since::Doubt(_)));
        assert!(matches!(State { table: "8".into(), ..fed(6) }.since(&fed(5)), Since::Doubt(_)));
    }

    #[test]
    fn what_is_read_again() {
        let truncated = Some(Clock { origin: "o".into(), at: 5, resets: 2, notifies: true });
        assert_eq!(State { feed: truncated, ..fed(0) }.since(&fed(5)), Since::All);
        assert_eq!(State { file: "9".into(), ..fed(5) }.since(&fed(5)), Since::All);
        let bare = |fingerprint: &str| State { feed: None, fingerprint: Some(fingerprint.into()), ..fed(0) };
        assert_eq!(bare("1").since(&bare("1")), Since::Listed);
        assert_eq!(bare("2").since(&bare("1")), Since::All);
    }

    #[test]
    fn how_changes_are_known() {
        assert!(State::is_fed("1:2:O,3:4:A"));
        for triggers in ["", "1:2:O", "1:2:O,3:4:D", "1:2:R,3:4:O"] {
            assert!(!State::is_fed(triggers), "{triggers}");
        }
        assert_eq!(State { triggers: "1:2:D,3:4:O".into(), ..fed(6) }.since(&fed(5)), Since::AnotherWay);
        assert_eq!(State { feed: None, ..fed(6) }.since(&fed(5)), Since::AnotherWay);
    }

    #[test]
    fn a_standby_counts_as_its_primary_was_last_heard() {
        let (now, valid) = (Instant::now() + Duration::from_secs(100), Duration::from_secs(6));
        assert_eq!(fed(1).confirms(now, valid), (now, valid));
        let standby = |behind: &str| State { behind: Some(behind.into()), ..fed(1) };
        assert_eq!(standby("2.5").confirms(now, valid), (now - Duration::from_millis(2500), valid + HEARD_EVERY));
        assert!(standby("0").believable().is_ok());
        assert!(standby("alone").believable().is_err());
    }
}
