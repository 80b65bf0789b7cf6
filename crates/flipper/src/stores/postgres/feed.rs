//! The names of the feed's objects, and a follower's queries. See "PostgreSQL" in DESIGN.md.

use sha2::{Digest, Sha256};

use super::state::{Parts, brief, commits, sql, triggers};
use super::table::{Table, literal, quoted};

/// The schema of our own.
pub(super) const SCHEMA: &str = "flipper";

/// What the function is called that replaces an item which is still the one that the writer has read.
pub(super) const REPLACE: &str = "replace";

/// Of the server's queue of notifications: writers of flags leave the rest to others, and PostgreSQL warns.
pub(super) const FULL: f64 = 0.5;

/// Of the feed of one table.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Of table and schema, short enough for any name.
    pub(super) mark: String,
    /// With the schema in which it was found.
    pub(super) table: Table,
}

impl Names {
    pub(super) fn of(table: &Table, schema: &str) -> Self {
        let table = Table { schema: Some(schema.to_owned()), ..table.clone() };
        let digest = Sha256::digest(format!("{schema}\0{}", table.table));
        Self { mark: digest[..6].iter().map(|byte| format!("{byte:02x}")).collect(), table }
    }

    pub(super) fn clock(&self) -> String {
        format!("{SCHEMA}.clock_{}", self.mark)
    }

    pub(super) fn history(&self) -> String {
        format!("{SCHEMA}.history_{}", self.mark)
    }

    pub(super) fn function(&self, what: &str) -> String {
        format!("{SCHEMA}.{what}_{}", self.mark)
    }

    pub(super) fn channel(&self) -> String {
        format!("flipper_{}", self.mark)
    }
}

/// Each is one statement, and so of one snapshot. The first row is the state.
#[derive(Debug)]
pub(super) struct Queries {
    /// The state alone.
    pub(super) state: String,
    /// And all flags: a name and its item.
    pub(super) load: String,
    /// And of the feed each change from the last one known, `$1`, to before `$2`: the flag's name; with its last change its item, in an array that is
    /// empty without the flag; in an array the change's time; its number.
    pub(super) poll: String,
    /// The same of a server that is no standby.
    pub(super) poll_primary: String,
    /// The same changes, each with the flag's item, after the table's identity alone.
    pub(super) brief: Option<String>,
    /// The same as `poll`, with the fingerprint of all rows.
    pub(super) check: String,
    /// Whether anything can have changed.
    pub(super) commits: String,
}

impl Queries {
    pub(super) fn new(names: &Names, fed: bool) -> Self {
        let (table, clock, history) = (names.table.path(), names.clock(), names.history());
        let (n, i) = (quoted(&names.table.name), quoted(&names.table.item));
        let path = literal(&table);
        let last = format!("coalesce((SELECT h.number FROM {history} AS h ORDER BY h.number DESC LIMIT 1), 0)");
        // A row's place and writer change with any write of it, and no other row of its table or partition has both. To hash a text of them
        // takes twice as long.
        let fingerprint = format!(
            "(SELECT count(*)::text || ':' || \
             coalesce(bit_xor(hashtidextended(f.ctid, f.xmin::text::bigint # (f.tableoid::bigint << 32)))::text, '') FROM {table} AS f)"
        );
        let parts = |counted: bool, at| Parts {
            table: &path,
            feed: fed.then_some((clock.as_str(), at)),
            fingerprint: counted.then_some(fingerprint.as_str()),
            may_be_standby: true,
        };
        let whole = sql(&parts(!fed, last.as_str()), ROW);
        // The last one known shows that none after it was trimmed. The cast drops the collation of the history's names: the flags' may have another.
        let changed = |is_last: &str| {
            format!(
                " UNION ALL SELECT h.name, CASE WHEN h.number > $1{is_last} THEN ARRAY(SELECT f.{i} FROM {table} AS f WHERE f.{n} = h.name::cstring::text) END, \
                 ARRAY[extract(epoch FROM h.at)::text], h.number \
                 FROM {history} AS h WHERE h.number >= $1 AND h.number < $2"
            )
        };
        let each_once = format!(
            " AND NOT EXISTS (SELECT FROM {history} AS l WHERE l.name = h.name AND l.number > h.number AND l.number < $2)"
        );
        let listed = if fed { changed(&each_once) } else { String::new() };
        let poll = |parts: Parts<'_>| format!("{}{listed}", sql(&parts, CHANGE));
        let known = |counted: bool| parts(counted, "$1::bigint");
        Self {
            load: format!("{whole}{}", all(&names.table)),
            state: whole,
            poll: poll(known(!fed)),
            poll_primary: poll(Parts { may_be_standby: false, ..known(!fed) }),
            brief: fed.then(|| format!("{}{}", brief(&path, &clock, CHANGE), changed(""))),
            check: poll(known(true)),
            commits: commits(&path),
        }
    }
}

/// The types of a flag's name and item.
const ROW: [&str; 2] = ["text", "bytea"];
/// In the list of changes.
const CHANGE: [&str; 2] = ["text", "bytea[]"];

/// What is asked before the feed's names are known.
pub(super) struct FirstQueries {
    /// Before the snapshot is taken, the table is locked against its replacement: else the state may be of this one, and the flags of the other,
    /// whose rows the snapshot does not have.
    pub(super) begin: String,
    pub(super) state: String,
    pub(super) flags: String,
    /// By one statement, as in [`Queries`]; it takes a quarter longer.
    pub(super) both: String,
}

impl FirstQueries {
    pub(super) fn of(table: &Table) -> Self {
        let (path, n, i) = (table.path(), quoted(&table.name), quoted(&table.item));
        let parts = Parts { table: &literal(&path), feed: None, fingerprint: None, may_be_standby: true };
        let state = sql(&parts, ROW);
        let both = format!("{state}{}", all(table));
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE {path} IN ACCESS SHARE MODE");
        Self { begin, state, flags: format!("SELECT f.{n}::text, f.{i} FROM {path} AS f"), both }
    }
}

fn all(table: &Table) -> String {
    let (path, n, i) = (table.path(), quoted(&table.name), quoted(&table.item));
    format!(" UNION ALL SELECT f.{n}::text, f.{i}, NULL, NULL FROM {path} AS f")
}

/// Whether what a follower reads of the feed's tables is there and readable, and the table's triggers write there (those of a renamed table do not); and the shortest time after which the server ends an idle session, in ms.
pub(super) fn readable(names: &Names) -> String {
    let (schema, mark, path) = (literal(SCHEMA), &names.mark, literal(&names.table.path()));
    format!(
        "SELECT (SELECT count(*) = 6 AND bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')) \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid \
         WHERE n.nspname = {schema} AND (c.relname = 'clock_{mark}' AND a.attname IN ('origin', 'reset_at', 'notifies') \
         OR c.relname = 'history_{mark}' AND a.attname IN ('number', 'name', 'at'))) \
         AND (SELECT count(*) = 2 FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_namespace AS n ON n.oid = p.pronamespace \
         WHERE t.tgrelid = to_regclass({path}) AND n.nspname = {schema} AND p.proname IN ('changed_{mark}', 'truncated_{mark}')), {}, \
         (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'idle_session_timeout')",
        triggers(&path)
    )
}
