//! The table of flags, and the queries on it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};
use crate::state::{Stored, Version};

/// The setting in which a write says who writes and why, as [`super::history::cause`] has it.
pub(super) const CAUSE: &str = "flipper.cause";

/// Of a digest, so that a [`Version`] holds it without an allocation.
const DIGEST: usize = 22;

/// The names as given; they become quoted identifiers, as in the Python library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) schema: Option<String>,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) item: String,
}

impl Default for Table {
    fn default() -> Self {
        let [table, name, item] = ["feature_flags", "name", "item"].map(str::to_owned);
        Self { schema: None, table, name, item }
    }
}

/// The table as it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) schema: String,
    /// Characters of a name.
    pub(super) limit: Option<i32>,
    /// Whether triggers write a history.
    pub(super) has_history: bool,
    /// The function for [`Queries::put_unchanged`], if the owner of the table's trigger has made it, who has code in each write in any case.
    pub(super) function: Option<Arc<str>>,
}

/// All unnamed when sent: behind a pool, a prepared statement may be that of another client. Their columns are of the server's own types: else
/// the driver asks for the type after the statement has run, and a write that has run could count as not sent.
#[derive(Debug)]
pub(super) struct Queries {
    pub(super) find: String,
    pub(super) create: String,
    pub(super) get: String,
    pub(super) list: String,
    pub(super) first_page: String,
    pub(super) next_page: String,
    pub(super) put_any: String,
    pub(super) put_absent: String,
    pub(super) put_unchanged: String,
    /// The same as the body of a function.
    pub(super) replace: String,
    pub(super) put_all_any: String,
    pub(super) put_all_absent: String,
    pub(super) delete_any: String,
    pub(super) delete_unchanged: String,
}

pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// In a string of SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn version(item: &[u8]) -> Version {
    Version::opaque(&Sha256::digest(item)[..DIGEST])
}

pub(super) fn stored(name: &str, item: Option<&[u8]>) -> Stored {
    let item = item.unwrap_or_default();
    Stored::from_json(name, version(item), item)
}

/// No row has such a name.
pub(super) fn is_text(name: &str) -> bool {
    !name.contains('\0')
}

impl Table {
    pub(super) fn path(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.table)),
            None => quoted(&self.table),
        }
    }

    pub(super) fn shown(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.table),
            None => self.table.clone(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let Self { schema, table, name, item } = self;
        for part in [Some(table), Some(name), Some(item), schema.as_ref()].into_iter().flatten() {
            // PostgreSQL would cut it.
            if part.is_empty() || part.len() > 63 || part.contains(['\0', '$']) {
                let message = "a name of a schema, table or column has 1 to 63 bytes, without NUL and `$`";
                return Err(Error::new(ErrorKind::InvalidInput).with_message(message));
            }
        }
        Ok(())
    }

    pub(super) fn queries(&self) -> Queries {
        let (table, n, i) = (self.path(), quoted(&self.name), quoted(&self.item));
        // Within the same transaction, and before the row is waited for. The triggers write the cause to the history. In a condition: a query in FROM, and
        // a setting for each part of the cause, cost the server a sixth of the write.
        let settings = |at: usize| {
            format!("set_config('lock_timeout', ${at}, true) || set_config('{CAUSE}', ${}, true) IS NOT NULL", at + 1)
        };
        let digest = format!("substring(sha256(coalesce(f.{i}, '')) FROM 1 FOR {DIGEST})");
        let insert =
            format!("INSERT INTO {table} AS f ({n}, {i}) SELECT $1, $2 WHERE {} ON CONFLICT ({n})", settings(3));
        let insert_all = format!(
            "INSERT INTO {table} AS f ({n}, {i}) SELECT u.n, u.i FROM (SELECT {}) AS w, unnest($1, $2) AS u(n, i) ON CONFLICT ({n})",
            settings(3)
        );
        let replace = format!("DO UPDATE SET {i} = excluded.{i}");
        let page = format!("SELECT {n}::text, {i} FROM {table}");
        let put_unchanged =
            format!("UPDATE {table} AS f SET {i} = $2 WHERE f.{n} = $1 AND {digest} = $3 AND {}", settings(4));
        Queries {
            find: "SELECT n.nspname::text, a.atttypid = 'varchar'::regtype, a.atttypmod, \
                   EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = c.oid \
                   AND t.tgname = 'flipper_changed' AND t.tgenabled IN ('O', 'A') AND strpos(p.prosrc, 'flipper.history_') > 0), \
                   (SELECT r.proname::text FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
                   JOIN pg_proc r ON r.pronamespace = p.pronamespace AND r.proowner = p.proowner AND NOT r.prosecdef \
                   AND r.proname::text = replace(p.proname::text, 'changed_', 'replace_') \
                   AND oidvectortypes(r.proargtypes) = 'text, bytea, bytea, text, text' \
                   JOIN pg_namespace s ON s.oid = r.pronamespace AND s.nspname = 'flipper' \
                   WHERE t.tgrelid = c.oid AND t.tgname = 'flipper_changed' \
                   AND has_function_privilege(r.oid, 'EXECUTE') AND has_schema_privilege(s.oid, 'USAGE')) \
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname::text = $2 AND NOT a.attisdropped \
                   WHERE c.oid = to_regclass($1)"
                .to_owned(),
            create: format!("CREATE TABLE IF NOT EXISTS {table} ({n} text PRIMARY KEY, {i} bytea NOT NULL)"),
            get: format!("SELECT {i} FROM {table} WHERE {n} = $1"),
            list: page.clone(),
            first_page: format!("{page} ORDER BY {n} LIMIT $1"),
            next_page: format!("{page} WHERE {n} > $2 ORDER BY {n} LIMIT $1"),
            put_any: format!("{insert} {replace} RETURNING 1"),
            put_absent: format!("{insert} DO NOTHING RETURNING 1"),
            put_unchanged: format!("{put_unchanged} RETURNING 1"),
            replace: put_unchanged,
            put_all_any: format!("{insert_all} {replace} RETURNING f.{n}::text"),
            put_all_absent: format!("{insert_all} DO NOTHING RETURNING f.{n}::text"),
            delete_any: format!("DELETE FROM {table} AS f WHERE f.{n} = $1 AND {} RETURNING 1", settings(2)),
            delete_unchanged: format!(
                "DELETE FROM {table} AS f WHERE f.{n} = $1 AND {digest} = $2 AND {} RETURNING 1",
                settings(3)
            ),
        }
    }
}
