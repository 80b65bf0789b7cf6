//! Writes nothing.

use std::time::{Duration, Instant, SystemTime};

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::PostgresFeatureFlagStore;
use super::connection::{Connection, Value, open};
use super::errors::Failure;
use super::feed::{FULL, Names, SCHEMA, readable};
use super::install::SEARCH_PATH;
use super::link::found_in;
use super::state::State;
use super::table::{CAUSE, Found, literal};
use super::ways::listen;
use crate::error::Error;
use crate::inspection::{Check, Finding};
use crate::store::FeatureFlagStore;

const MOST_OFF: Duration = Duration::from_secs(5);

pub(super) async fn inspect(store: PostgresFeatureFlagStore) -> Vec<Check> {
    let started = Instant::now();
    let connection = match open(&store.link.source, store.link.timeout).await {
        Ok(connection) => connection,
        Err(failure) => return vec![Check::fault("reachable", failure.into_error().chain())],
    };
    let asker = Asker { store: &store, connection };
    let mut checks = vec![Check::fine("reachable", format!("in {:.1} ms", started.elapsed().as_secs_f64() * 1e3))];
    match asker.ask().await {
        Ok(found) => checks.extend(found),
        Err(failure) => checks.push(Check::fault("rights", failure.into_error().chain())),
    }
    checks.push(Check::fine("identity", store.identity().to_string()));
    checks.push(match store.list().await {
        Ok(flags) => Check::fine("flags", flags.len().to_string()),
        Err(error) => Check::fault("flags", error.chain()),
    });
    checks
}

/// How changes of flags become known, and what could be better.
pub(super) async fn feed(store: PostgresFeatureFlagStore) -> Result<Vec<Check>, Error> {
    let named = |failure: Failure| store.error(failure);
    let connection = open(&store.link.source, store.link.timeout).await.map_err(named)?;
    let asker = Asker { store: &store, connection };
    let found = asker.table().await.map_err(named)?;
    match found {
        Some(found) => asker.feed(&found).await.map_err(named),
        None => Ok(vec![asker.missing()]),
    }
}

struct Asker<'a> {
    store: &'a PostgresFeatureFlagStore,
    connection: Connection,
}

impl Asker<'_> {
    async fn rows(&self, query: &str, values: &[Value]) -> Result<Vec<Row>, Failure> {
        self.connection.rows(query, values, self.store.link.timeout).await
    }

    async fn one<T: for<'a> FromSql<'a>>(&self, query: &str) -> Result<Option<T>, Failure> {
        let rows = self.rows(query, &[]).await?;
        rows.first().map_or(Ok(None), |row| row.try_get(0)).map_err(Failure::Asking)
    }

    async fn ask(&self) -> Result<Vec<Check>, Failure> {
        let mut checks = Vec::new();
        let version: Option<String> = self.one("SELECT current_setting('server_version')").await?;
        checks.extend(version.map(|version| Check::fine("version", format!("PostgreSQL {version}"))));
        checks.push(self.kind().await?);
        checks.extend(self.hearing().await?);
        checks.extend(self.transport().await?);
        match self.table().await? {
            Some(found) => {
                checks.push(self.rights().await?);
                checks.extend(names(&found));
                checks.extend(self.feed(&found).await?);
            }
            None => checks.push(self.missing()),
        }
        checks.extend(self.clock().await?);
        Ok(checks)
    }

    async fn table(&self) -> Result<Option<Found>, Failure> {
        let find = self.store.link.find_query();
        found_in(&self.rows(&find.text, &find.values).await?, &self.store.link.table)
    }

    fn missing(&self) -> Check {
        Check::problem("table", format!("there is no table {:?}", self.store.link.table.shown()))
            .hint("the first write makes it, if the user may; `flipper create` is one")
    }

    async fn kind(&self) -> Result<Check, Failure> {
        let standby: Option<bool> = self.one("SELECT pg_is_in_recovery()").await?;
        Ok(match standby {
            Some(true) => Check::problem("kind", "a standby, which takes no writes")
                .hint("name the primary too: `postgresql://HOST,HOST/DATABASE?target_session_attrs=read-write`"),
            _ => Check::fine("kind", "a primary"),
        })
    }

    async fn hearing(&self) -> Result<Option<Check>, Failure> {
        let query = "SELECT current_setting('wal_receiver_timeout') \
                     WHERE pg_is_in_recovery() AND NOT pg_has_role('pg_read_all_stats', 'USAGE')";
        let limit: Option<String> = self.one(query).await?;
        Ok(limit.map(|limit| {
            let after = if limit == "0" { "never".to_owned() } else { format!("after {limit}") };
            let text = format!(
                "this user cannot see when the standby last heard from it: its silence is noticed {after} (`wal_receiver_timeout`)"
            );
            Check::problem("primary", text).hint("`GRANT pg_monitor TO …`: then within 35 s")
        }))
    }

    async fn transport(&self) -> Result<Option<Check>, Failure> {
        let secured: Option<bool> = self.one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await?;
        let local: Option<bool> = self
            .one("SELECT coalesce(inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1', true)")
            .await?;
        Ok(secured.map(|secured| match (secured, local) {
            (true, _) => Check::fine("transport", "TLS"),
            (false, Some(true)) => Check::fine("transport", "no TLS, within this host"),
            (false, _) => Check::problem("transport", "no TLS: flags and queries go over the network in the clear")
                .hint("`sslmode=verify-full&sslrootcert=FILE`"),
        }))
    }

    async fn rights(&self) -> Result<Check, Failure> {
        let path = literal(&self.store.link.table.path());
        let rows = self
            .rows(
                &format!(
                    "SELECT current_user::text, r.name, has_table_privilege({path}, r.name) \
                     FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r(name)"
                ),
                &[],
            )
            .await?;
        let (mut user, mut missing) = (String::new(), Vec::new());
        for row in &rows {
            let read = || -> Result<(String, String, bool), tokio_postgres::Error> {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
            };
            let (name, right, has) = read().map_err(Failure::Asking)?;
            user = name;
            missing.extend((!has).then_some(right));
        }
        if missing.is_empty() {
            return Ok(Check::fine("rights", format!("as {user}, who may read and write flags")));
        }
        let finding = if missing.iter().any(|right| right == "SELECT") { Finding::Fault } else { Finding::Problem };
        let missing = missing.join(", ");
        let hint = format!("`GRANT {missing} ON {} TO \"{user}\"`", self.store.link.table.path());
        Ok(Check::new("rights", finding, format!("as {user}, who may not {missing}")).hint(hint))
    }

    async fn feed(&self, found: &Found) -> Result<Vec<Check>, Failure> {
        let mut checks = self.push(found).await?;
        checks.extend(self.functions(found).await?);
        Ok(checks)
    }

    /// Those of an older version may be made to run a writer's code.
    async fn functions(&self, found: &Found) -> Result<Option<Check>, Failure> {
        let names = Names::of(&self.store.link.table, &found.schema);
        let unsafe_path = format!(
            "SELECT count(*) > 0 FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = '{SCHEMA}' \
             AND p.proname IN ('changed_{mark}', 'truncated_{mark}') \
             AND 'search_path={SEARCH_PATH}' <> ALL (coalesce(p.proconfig, '{{}}'))",
            mark = names.mark
        );
        Ok(self.one::<bool>(&unsafe_path).await?.unwrap_or_default().then(|| {
            Check::problem(
                "functions",
                "those of an older version: a writer of flags can gain the rights of their owner",
            )
            .hint("`flipper postgres install` again replaces them")
        }))
    }

    async fn push(&self, found: &Found) -> Result<Vec<Check>, Failure> {
        let link = &self.store.link;
        let names = Names::of(&link.table, &found.schema);
        let rows = self.rows(&readable(&names), &[]).await?;
        let read = |row: &Row| -> Result<(Option<bool>, Option<String>), tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?))
        };
        let (tables, triggers) = rows.first().map_or(Ok((None, None)), read).map_err(Failure::Asking)?;
        let every = self.store.poll_every;
        let without = |why: &str| {
            let text = format!("the rows of the table are compared every {every:?}: {why}");
            vec![Check::problem("push", text)]
        };
        let triggers = triggers.unwrap_or_default();
        if triggers.is_empty() {
            let hint = "`flipper postgres install` adds triggers that list changes; with `--print` it shows the SQL for the owner";
            return Ok(without("there are no triggers").into_iter().map(|check| check.hint(hint)).collect());
        }
        if !State::is_fed(&triggers) {
            let hint = "`flipper postgres install`, as the table's owner, enables them";
            return Ok(without("a trigger is disabled or missing").into_iter().map(|check| check.hint(hint)).collect());
        }
        if !found.has_history {
            let mut checks = without("the triggers are those of an older version");
            checks.push(self.history(found, &names).await?);
            return Ok(checks);
        }
        if tables != Some(true) {
            let hint = format!(
                "`GRANT USAGE ON SCHEMA flipper TO …; GRANT SELECT ON {}, {} TO …`",
                names.clock(),
                names.history()
            );
            return Ok(without("this user may not read the list of changes")
                .into_iter()
                .map(|check| check.hint(hint.clone()))
                .collect());
        }
        let mut checks = Vec::new();
        let notifies: Option<bool> = self.one(&format!("SELECT notifies FROM {}", names.clock())).await?;
        let often = every / 4;
        checks.push(if notifies != Some(true) {
            Check::fine(
                "push",
                format!(
                    "changes are listed, and asked for every {often:?}: the feed was installed without notifications"
                ),
            )
        } else if listen(link, &self.connection, Some(&names.channel())).await? {
            Check::fine("push", "changes are listed, and notifications arrive")
        } else {
            Check::problem(
                "push",
                format!("changes are listed, and asked for every {often:?}: no notification arrives"),
            )
            .hint("a standby has none, nor a pool that gives each transaction another connection")
        });
        if !triggers.split(',').all(|trigger| trigger.ends_with(":A")) {
            let text = "writers with `session_replication_role = replica` are seen within half a minute";
            checks.push(Check::fine("triggers", text));
        }
        checks.push(self.history(found, &names).await?);
        let queue: Option<f64> = self.one("SELECT pg_notification_queue_usage()").await?;
        if let Some(queue) = queue.filter(|queue| *queue >= FULL) {
            let text = format!(
                "the server's queue of notifications is full to {:.0} %: writers of flags send none, and followers ask every {every:?}",
                queue * 100.0
            );
            let hint = "a session that listens is in a long transaction, or does not read; triggers of an older version notify \
                 until all commits fail: `flipper postgres install` again replaces them";
            checks.push(Check::problem("queue", text).hint(hint));
        }
        Ok(checks)
    }

    async fn history(&self, found: &Found, names: &Names) -> Result<Check, Failure> {
        if !found.has_history {
            return Ok(Check::problem("history", "none is kept: the triggers are those of an older version")
                .hint("`flipper postgres install` again: it adds what is missing"));
        }
        let readable = format!(
            "SELECT bool_and(has_table_privilege(c.oid, 'SELECT')) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE n.nspname || '.' || c.relname = {}",
            literal(&names.history())
        );
        let shows_causes = format!(
            "SELECT bool_and(strpos(p.prosrc, '{CAUSE}') > 0) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace \
             WHERE n.nspname = '{SCHEMA}' AND p.proname IN ('changed_{mark}', 'truncated_{mark}')",
            mark = names.mark
        );
        Ok(match self.one::<bool>(&readable).await? {
            Some(true) if self.one::<bool>(&shows_causes).await? != Some(true) => Check::problem(
                "history",
                "every write is in it, but not who made it: the triggers are those of an older version",
            )
            .hint("`flipper postgres install` again replaces them"),
            Some(true) => Check::fine("history", "every write is in it"),
            _ => Check::problem("history", "this user may not read it")
                .hint(format!("`GRANT SELECT ON {} TO …`", names.history())),
        })
    }

    async fn clock(&self) -> Result<Option<Check>, Failure> {
        let asked = SystemTime::now();
        let theirs: Option<f64> = self.one("SELECT extract(epoch FROM clock_timestamp())::float8").await?;
        let ours = asked.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let Some(theirs) = theirs.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
            return Ok(None);
        };
        let off = theirs.abs_diff(ours);
        let text = format!("{off:.1?} {}", if theirs < ours { "behind ours" } else { "ahead of ours" });
        Ok(Some(match off > MOST_OFF {
            true => Check::problem("clock", text).hint("ramps go by the clock of each machine; set them by NTP"),
            false => Check::fine("clock", text),
        }))
    }
}

fn names(found: &Found) -> Option<Check> {
    let limit = found.limit?;
    Some(Check::fine("names", format!("up to {limit} characters, as in the Python library's tables")))
}
