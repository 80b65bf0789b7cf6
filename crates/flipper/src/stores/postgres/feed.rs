//! The names of the feed's objects, and a follower's queries. See "PostgreSQL" in DESIGN.md.

use sha2::{Digest, Sha256};

use super::state::{Parts, commits, sql, triggers};
use super::table::{Table, literal, quoted};

/// The schema of our own.
pub(super) const SCHEMA: &str = "flipper";

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

    pub(super) fn changes(&self) -> String {
        format!("{SCHEMA}.changes_{}", self.mark)
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

/// Each is one statement, and so of one snapshot. The first row is the state; the others are a name and its item.
#[derive(Debug)]
pub(super) struct Queries {
    /// The state alone.
    pub(super) state: String,
    /// All flags.
    pub(super) load: String,
    /// The state, and of the feed all flags that changed after `$1` and before `$2`, with whether they are there.
    pub(super) poll: String,
    /// The same, with the fingerprint of all rows.
    pub(super) check: String,
    /// Whether anything can have changed.
    pub(super) commits: String,
}

impl Queries {
    pub(super) fn new(names: &Names, fed: bool) -> Self {
        let (table, changes) = (names.table.path(), names.changes());
        let (n, i) = (quoted(&names.table.name), quoted(&names.table.item));
        let path = literal(&table);
        let clock = names.clock();
        // A row's place and writer change with any write of it, and no other row of its table or partition has both. To hash a text of them
        // takes twice as long.
        let fingerprint = format!(
            "(SELECT count(*)::text || ':' || \
             coalesce(bit_xor(hashtidextended(f.ctid, f.xmin::text::bigint # (f.tableoid::bigint << 32)))::text, '') FROM {table} AS f)"
        );
        let state = |counted: bool| {
            let fingerprint = counted.then_some(fingerprint.as_str());
            sql(&Parts { table: &path, clock: fed.then_some(clock.as_str()), fingerprint })
        };
        // In a shape that leaves the planner of a prepared statement no other way than by the index for each.
        let changed = match fed {
            true => format!(
                " UNION ALL SELECT c.name, f.item, NULL, f.there IS NOT NULL FROM {changes} AS c \
                 LEFT JOIN LATERAL (SELECT f.{i} AS item, true AS there FROM {table} AS f WHERE f.{n} = c.name OFFSET 0) AS f \
                 ON true WHERE c.v > $1 AND c.v < $2"
            ),
            false => String::new(),
        };
        Self {
            state: state(!fed),
            load: format!("{}{}", state(!fed), all(&names.table)),
            poll: format!("{}{changed}", state(!fed)),
            check: format!("{}{changed}", state(true)),
            commits: commits(&path),
        }
    }
}

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
        let state = sql(&Parts { table: &literal(&path), clock: None, fingerprint: None });
        let both = format!("{state}{}", all(table));
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE {path} IN ACCESS SHARE MODE");
        Self { begin, state, flags: format!("SELECT f.{n}::text, f.{i} FROM {path} AS f"), both }
    }
}

fn all(table: &Table) -> String {
    let (path, n, i) = (table.path(), quoted(&table.name), quoted(&table.item));
    format!(" UNION ALL SELECT f.{n}::text, f.{i}, NULL, true FROM {path} AS f")
}

/// Whether the feed's tables are there and readable; and the shortest time after which the server ends an idle session, in ms.
pub(super) fn readable(names: &Names) -> String {
    let (schema, mark) = (literal(SCHEMA), &names.mark);
    format!(
        "SELECT (SELECT count(*) = 2 AND bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = {schema} AND c.relname IN ('clock_{mark}', 'changes_{mark}')), {}, \
         (SELECT s.setting FROM pg_settings AS s WHERE s.name = 'idle_session_timeout')",
        triggers(&literal(&names.table.path()))
    )
}
