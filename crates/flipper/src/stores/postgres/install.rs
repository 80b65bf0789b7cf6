//! The SQL that adds the feed to a database, and removes it. The Python library and other writers go on as before.

use super::feed::{Names, SCHEMA};
use super::table::{literal, quoted};

/// How long the installation waits for writers of the table, in seconds.
const LOCK: u32 = 5;
/// Any number that no other program takes.
const ALONE: i64 = 0x0066_6c69_7070_6572;

/// `notifies`: writers wake followers. Then their commits take turns, in all databases of the server, and transactions that touch the table
/// cannot be prepared (`PREPARE TRANSACTION`).
pub(super) fn install(names: &Names, notifies: bool) -> String {
    let (table, n, mark) = (names.table.path(), quoted(&names.table.name), &names.mark);
    let (clock, changes) = (names.clock(), names.changes());
    let (changed, truncated) = (names.function("changed"), names.function("truncated"));
    let (path, shown) = (literal(&table), &table);
    let notify = match notifies {
        true => format!("\n    PERFORM pg_catalog.pg_notify('{}', '');", names.channel()),
        false => String::new(),
    };
    let raise = format!(
        "UPDATE {clock} SET v = v + 1 RETURNING v INTO at;\n    PERFORM pg_catalog.set_config('flipper.at_{mark}', at::text, true);{notify}"
    );
    let note = |row: &str| {
        format!(
            "INSERT INTO {changes} AS c (name, v) VALUES ({row}.{n}, at) ON CONFLICT (name) DO UPDATE SET v = excluded.v;"
        )
    };
    let (old, new) = (note("OLD"), note("NEW"));
    format!(
        r#"-- The feed of changes of {shown}, for Flipper. Run it as the table's owner; then it also sees writers in replication.
BEGIN;
DO $flipper$
DECLARE problem text;
BEGIN
  -- One installation at a time.
  PERFORM pg_advisory_xact_lock({ALONE});
  SET LOCAL lock_timeout = '{LOCK}s';
  IF to_regnamespace('{SCHEMA}') IS NULL THEN CREATE SCHEMA {SCHEMA}; END IF;
  -- What its owner adds to it would run with the rights of who runs this.
  SELECT format('the %s belongs to %s', o.what, r.rolname) INTO problem
    FROM pg_roles AS r, (
      SELECT 'schema {SCHEMA}', nspowner FROM pg_namespace WHERE nspname = '{SCHEMA}'
      UNION ALL SELECT 'table {SCHEMA}.' || relname, relowner FROM pg_class
        WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relname IN ('clock_{mark}', 'changes_{mark}')
      UNION ALL SELECT 'function {SCHEMA}.' || proname, proowner FROM pg_proc
        WHERE pronamespace = to_regnamespace('{SCHEMA}') AND proname IN ('changed_{mark}', 'truncated_{mark}')
    ) AS o(what, owner)
    WHERE r.oid = o.owner AND NOT r.rolsuper AND r.rolname <> current_user
      AND r.oid <> (SELECT relowner FROM pg_class WHERE oid = {path}::regclass);
  IF problem IS NOT NULL THEN
    RAISE insufficient_privilege USING MESSAGE = problem || ', who is neither the owner of the flags nor the user who installs';
  END IF;
END $flipper$;

CREATE TABLE IF NOT EXISTS {clock} (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  origin text NOT NULL,
  v bigint NOT NULL,
  reset_at bigint NOT NULL,
  notifies boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS {changes} (name text PRIMARY KEY, v bigint NOT NULL);
CREATE INDEX IF NOT EXISTS changes_{mark}_v ON {changes} (v);

-- Raised once by a transaction, when it commits: so numbers are in the order of the commits, and no writer waits for long.
CREATE OR REPLACE FUNCTION {changed}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $flipper$
DECLARE at bigint;
BEGIN
  SELECT c.v INTO at FROM {clock} AS c WHERE c.v::text = pg_catalog.current_setting('flipper.at_{mark}', true);
  IF at IS NULL THEN
    {raise}
  END IF;
  IF TG_OP <> 'INSERT' AND OLD.{n} IS NOT NULL THEN
    {old}
  END IF;
  IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND NEW.{n} IS DISTINCT FROM OLD.{n} THEN
    {new}
  END IF;
  RETURN NULL;
END $flipper$;

CREATE OR REPLACE FUNCTION {truncated}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $flipper$
DECLARE at bigint;
BEGIN
    {raise}
  UPDATE {clock} SET reset_at = at;
  DELETE FROM {changes};
  RETURN NULL;
END $flipper$;

REVOKE ALL ON FUNCTION {changed}(), {truncated}() FROM PUBLIC;

DO $flipper$
DECLARE who text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {path}::regclass AND tgname = 'flipper_changed') THEN
    CREATE CONSTRAINT TRIGGER flipper_changed AFTER INSERT OR UPDATE OR DELETE ON {table}
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {changed}();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {path}::regclass AND tgname = 'flipper_truncated') THEN
    CREATE TRIGGER flipper_truncated AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {truncated}();
  END IF;
  IF (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = {path}::regclass) THEN
    ALTER TABLE {table} ENABLE ALWAYS TRIGGER flipper_changed;
    ALTER TABLE {table} ENABLE ALWAYS TRIGGER flipper_truncated;
  END IF;
  -- Who may read the flags may follow them.
  FOR who IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
    FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
    WHERE c.oid = {path}::regclass AND a.privilege_type = 'SELECT'
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA {SCHEMA} TO %s', who);
    EXECUTE format('GRANT SELECT ON {clock}, {changes} TO %s', who);
  END LOOP;
END $flipper$;

-- What was written until now is in no list: followers read all.
INSERT INTO {clock} AS c (origin, v, reset_at, notifies) VALUES (gen_random_uuid()::text, 1, 1, {notifies})
  ON CONFLICT (one) DO UPDATE SET v = c.v + 1, reset_at = c.v + 1, notifies = excluded.notifies;
-- Nor do they need the names of deleted flags.
DELETE FROM {changes};
COMMIT;
"#
    )
}

pub(super) fn uninstall(names: &Names) -> String {
    let table = names.table.path();
    let (clock, changes) = (names.clock(), names.changes());
    let (changed, truncated) = (names.function("changed"), names.function("truncated"));
    format!(
        r#"-- Removes the feed of changes of {table}. Only the table's owner may drop its triggers.
BEGIN;
DO $flipper$ BEGIN PERFORM pg_advisory_xact_lock({ALONE}); END $flipper$;
SET LOCAL lock_timeout = '{LOCK}s';
DROP TRIGGER IF EXISTS flipper_changed ON {table};
DROP TRIGGER IF EXISTS flipper_truncated ON {table};
DROP FUNCTION IF EXISTS {changed}(), {truncated}();
DROP TABLE IF EXISTS {clock}, {changes};
DO $flipper$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}'))
    AND NOT EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace('{SCHEMA}'))
    AND (SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = '{SCHEMA}')
  THEN DROP SCHEMA {SCHEMA}; END IF;
END $flipper$;
COMMIT;
"#
    )
}
