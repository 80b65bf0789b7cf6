//! The SQL that adds the feed to a database, and removes it. The Python library and other writers go on as before.

use super::feed::{FULL, Names, REPLACE, SCHEMA};
use super::history::{BETWEEN, Kept};
use super::table::{CAUSE, literal, quoted};
use crate::state::{Entry, HistoryLimits};

/// No write deletes more entries, so that none takes long.
const AT_ONCE: u32 = 1000;
/// How long the installation waits for writers of the table, in seconds.
const LOCK: u32 = 5;
/// Any number that no other program takes.
const ALONE: i64 = 0x0066_6c69_7070_6572;
/// Of our functions, which run with their owner's rights. An empty one would look up types in the schema of temporary tables first, where any
/// writer can make some.
pub(super) const SEARCH_PATH: &str = "pg_catalog, pg_temp";

/// Name, item, the digest of the item before, and the settings.
const REPLACES: &str = "(text, bytea, bytea, text, text)";

/// `notifies`: writers wake followers. Then their commits take turns, in all databases of the server, and transactions that touch the table
/// cannot be prepared (`PREPARE TRANSACTION`). Without `limits`, those of an earlier installation stay.
pub(super) fn install(names: &Names, notifies: bool, limits: Option<HistoryLimits>) -> String {
    let (table, n, mark) = (names.table.path(), quoted(&names.table.name), &names.mark);
    let i = quoted(&names.table.item);
    let (clock, history) = (names.clock(), names.history());
    let Kept { entries, age } = Kept::of(limits.unwrap_or_default());
    let kept = |column: &str| match limits {
        Some(_) => format!("excluded.{column}"),
        None => format!("coalesce(c.{column}, excluded.{column})"),
    };
    let (kept_entries, kept_age) = (kept("entries"), kept("age"));
    let (changed, truncated) = (names.function("changed"), names.function("truncated"));
    let (replace, replacing) = (names.function(REPLACE), names.table.queries().replace);
    let (path, shown) = (literal(&table), &table);
    let notify = match notifies {
        // In an expression: a `PERFORM` would be a query of its own. In a full queue no commit that notifies succeeds; followers ask all the same.
        true => format!(
            "\n  IF (CASE WHEN pg_catalog.pg_notification_queue_usage() < {FULL} THEN pg_catalog.pg_notify('{}', '') END) IS NULL THEN END IF;",
            names.channel()
        ),
        false => String::new(),
    };
    // An item that is NULL is a flag that is unreadable.
    let item = |row: &str| format!("coalesce({row}.{i}, '')");
    let (said, cause) = (said(), cause());
    let entry = |name: &str, before: &str, after: &str| {
        format!(
            "INSERT INTO {history} (name, verb, actor, source, reason, before, after)\n        \
             VALUES ({name}.{n}, {cause}, {before}, {after}) RETURNING number INTO written;"
        )
    };
    let changed_entry = entry("NEW", &item("OLD"), &item("NEW"));
    let (deleted_entry, created_entry) = (entry("OLD", &item("OLD"), "NULL"), entry("NEW", "NULL", &item("NEW")));
    let gone = item("f");
    format!(
        r#"-- The feed of changes of {shown}, and their history, for Flipper. Run it as the table's owner; then it also sees writers in replication.
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
        WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relname IN ('clock_{mark}', 'changes_{mark}', 'history_{mark}')
      UNION ALL SELECT 'function {SCHEMA}.' || proname, proowner FROM pg_proc
        WHERE pronamespace = to_regnamespace('{SCHEMA}') AND proname IN ('changed_{mark}', 'truncated_{mark}', '{REPLACE}_{mark}')
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
  reset_at bigint NOT NULL,
  notifies boolean NOT NULL,
  entries integer,
  age interval
);
-- A flag before and after each write. Numbers are in the order of the commits, as a writer has locked the clock's row: so followers read here what
-- has changed since.
CREATE TABLE IF NOT EXISTS {history} (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  name text COLLATE "C" NOT NULL,
  verb text, actor text, reason text, source text,
  before bytea, after bytea
);

-- When a transaction commits: so no writer waits for long. It locks the clock before it takes a number, and until its end.
CREATE OR REPLACE FUNCTION {changed}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {SEARCH_PATH} AS $flipper$
DECLARE
  {said}
  kept integer;
  longest interval;
  written bigint;
  oldest bigint;
BEGIN
  SELECT c.entries, c.age INTO kept, longest FROM {clock} AS c FOR UPDATE;
  IF NOT FOUND THEN
    -- As in a copy of the schema alone.
    INSERT INTO {clock} (origin, reset_at, notifies, entries, age)
      VALUES (pg_catalog.gen_random_uuid()::text, 1, {notifies}, {entries}, '{age} seconds') ON CONFLICT (one) DO NOTHING;
    SELECT c.entries, c.age INTO kept, longest FROM {clock} AS c FOR UPDATE;
  END IF;{notify}
  IF TG_OP = 'UPDATE' AND NEW.{n} = OLD.{n} THEN
    {changed_entry}
  ELSE
    IF TG_OP <> 'INSERT' AND OLD.{n} IS NOT NULL THEN
      {deleted_entry}
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.{n} IS NOT NULL THEN
      {created_entry}
    END IF;
  END IF;
  -- Once in a hundredth of what is kept, and never the last. Only the oldest: a follower takes the last entry that it has read for a sign that all
  -- later ones are there. So none is left between, as a transaction of an older snapshot would leave those that it does not see; and none
  -- goes while another transaction, which is not waited for, holds one.
  IF written % least(greatest(kept / 100, 1), 64) = 0 AND pg_catalog.current_setting('transaction_isolation') IN ('read committed', 'read uncommitted') THEN
    BEGIN
      SELECT min(h.number) INTO oldest FROM {history} AS h;
      DELETE FROM {history} AS h WHERE h.number IN (
        SELECT o.number FROM {history} AS o
        WHERE o.number < oldest + {AT_ONCE} AND o.number < written AND o.number < greatest(written - kept + 1, coalesce((
          SELECT y.number FROM {history} AS y
          WHERE y.number < oldest + {AT_ONCE} AND y.at >= pg_catalog.clock_timestamp() - longest
          ORDER BY y.number LIMIT 1), oldest + {AT_ONCE}))
        FOR UPDATE NOWAIT);
    EXCEPTION WHEN lock_not_available THEN NULL;
    END;
  END IF;
  RETURN NULL;
END $flipper$;

CREATE OR REPLACE FUNCTION {truncated}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = {SEARCH_PATH} AS $flipper$
DECLARE
  {said}
BEGIN
  UPDATE {clock} SET reset_at = reset_at + 1;{notify}
  -- Once the table has another name, this one may be another table's.
  IF TG_RELID = pg_catalog.to_regclass({path}) AND pg_catalog.has_table_privilege(TG_RELID, 'SELECT') THEN
    INSERT INTO {history} (name, verb, actor, source, reason, before)
      SELECT f.{n}, {cause}, {gone} FROM {table} AS f WHERE f.{n} IS NOT NULL ORDER BY f.{n};
  END IF;
  RETURN NULL;
END $flipper$;

REVOKE ALL ON FUNCTION {changed}(), {truncated}() FROM PUBLIC;

-- What Flipper's own writers would send, with their rights: here the server keeps its plan.
CREATE OR REPLACE FUNCTION {replace}{REPLACES} RETURNS boolean LANGUAGE plpgsql AS $flipper$
BEGIN
  {replacing};
  RETURN FOUND;
END $flipper$;

DO $flipper$
DECLARE who text;
BEGIN
  -- Those of the name that the table had before.
  FOR who IN
    SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = {path}::regclass AND tgname IN ('flipper_changed', 'flipper_truncated')
      AND tgfoid NOT IN ('{changed}()'::regprocedure, '{truncated}()'::regprocedure)
  LOOP
    EXECUTE format('DROP TRIGGER %s ON %s', who, {path}::regclass);
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {path}::regclass AND tgname = 'flipper_changed') THEN
    CREATE CONSTRAINT TRIGGER flipper_changed AFTER INSERT OR UPDATE OR DELETE ON {table}
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {changed}();
  END IF;
  -- Before, so that the history has the flags: 2 is the bit of that. An earlier layout had it after.
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {path}::regclass AND tgname = 'flipper_truncated' AND tgtype & 2 > 0) THEN
    CREATE OR REPLACE TRIGGER flipper_truncated BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {truncated}();
  END IF;
  IF (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = {path}::regclass) THEN
    ALTER TABLE {table} ENABLE ALWAYS TRIGGER flipper_changed;
    ALTER TABLE {table} ENABLE ALWAYS TRIGGER flipper_truncated;
  END IF;
  -- The functions may have been another user's before.
  FOR who IN
    SELECT DISTINCT quote_ident(pg_get_userbyid(proowner)) FROM pg_proc
    WHERE oid IN ('{changed}()'::regprocedure, '{truncated}()'::regprocedure)
  LOOP
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON {clock}, {history} TO %s', who);
  END LOOP;
  -- Who may read the flags may follow them, and read their history.
  FOR who IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
    FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
    WHERE c.oid = {path}::regclass AND a.privilege_type = 'SELECT'
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA {SCHEMA} TO %s', who);
    EXECUTE format('GRANT SELECT ON {clock}, {history} TO %s', who);
  END LOOP;
END $flipper$;

-- What an earlier layout lacks or had, after the table of flags is locked, as writers lock them.
CREATE INDEX IF NOT EXISTS history_{mark}_name ON {history} (name, number);
DO $flipper$ BEGIN
  IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = '{clock}'::regclass AND attname = 'v' AND NOT attisdropped) THEN
    ALTER TABLE {clock} DROP COLUMN v, ADD COLUMN IF NOT EXISTS entries integer, ADD COLUMN IF NOT EXISTS age interval;
  END IF;
END $flipper$;
DROP TABLE IF EXISTS {SCHEMA}.changes_{mark};
DROP INDEX IF EXISTS {SCHEMA}.history_{mark}_at;

-- What was written until now may be in no list: followers read all. How much history is kept, the triggers read here.
INSERT INTO {clock} AS c (origin, reset_at, notifies, entries, age)
  VALUES (gen_random_uuid()::text, 1, {notifies}, {entries}, interval '{age} seconds')
  ON CONFLICT (one) DO UPDATE SET reset_at = c.reset_at + 1, notifies = excluded.notifies, entries = {kept_entries}, age = {kept_age};
COMMIT;
"#
    )
}

/// What a write of this crate says of its cause, in one setting, as each takes time; NULL of another program, which may set one for each part.
fn said() -> String {
    format!("said text := {};", setting(CAUSE))
}

fn setting(name: &str) -> String {
    format!("nullif(pg_catalog.current_setting('{name}', true), '')")
}

/// Verb, actor, source and reason, for the history. Who says nothing is another program: of it the session's user is known, since `current_user` is who
/// owns the function, and its name for itself.
fn cause() -> String {
    let between = format!("pg_catalog.chr({})", u32::from(BETWEEN));
    let or_set = |part: &str, said: String| {
        format!("CASE WHEN said IS NULL THEN {} ELSE nullif({said}, '') END", setting(&format!("{SCHEMA}.{part}")))
    };
    let part = |name: &str, place: u8| or_set(name, format!("pg_catalog.split_part(said, {between}, {place})"));
    let (verb, actor, source) = (part("verb", 1), part("actor", 2), part("source", 3));
    // Any text.
    let rest = format!("(pg_catalog.string_to_array(said, {between}))[4:]");
    let reason = or_set("reason", format!("pg_catalog.array_to_string({rest}, {between})"));
    let (outside, program) = (Entry::OUTSIDE, "nullif(pg_catalog.current_setting('application_name'), '')");
    format!(
        "{verb}, coalesce({actor}, CASE WHEN {source} IS NULL THEN session_user END), \
         coalesce({source}, '{outside}' || coalesce(': ' || {program}, '')), {reason}"
    )
}

pub(super) fn uninstall(names: &Names) -> String {
    let table = names.table.path();
    let (clock, history, mark) = (names.clock(), names.history(), &names.mark);
    let replace = names.function(REPLACE);
    let (changed, truncated) = (names.function("changed"), names.function("truncated"));
    format!(
        r#"-- Removes the feed of changes of {table}, and the history. Only the table's owner may drop its triggers.
BEGIN;
DO $flipper$ BEGIN PERFORM pg_advisory_xact_lock({ALONE}); END $flipper$;
SET LOCAL lock_timeout = '{LOCK}s';
DROP TRIGGER IF EXISTS flipper_changed ON {table};
DROP TRIGGER IF EXISTS flipper_truncated ON {table};
DROP FUNCTION IF EXISTS {changed}(), {truncated}(), {replace}{REPLACES};
DROP TABLE IF EXISTS {clock}, {history}, {SCHEMA}.changes_{mark};
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
