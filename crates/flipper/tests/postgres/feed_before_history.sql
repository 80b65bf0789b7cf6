-- As versions before the history installed it; FLAGS is the table, MARK that of its feed.
-- The feed of changes of FLAGS, for Flipper. Run it as the table's owner; then it also sees writers in replication.
BEGIN;
DO $flipper$
DECLARE problem text;
BEGIN
  -- One installation at a time.
  PERFORM pg_advisory_xact_lock(28829647738266994);
  SET LOCAL lock_timeout = '5s';
  IF to_regnamespace('flipper') IS NULL THEN CREATE SCHEMA flipper; END IF;
  -- What its owner adds to it would run with the rights of who runs this.
  SELECT format('the %s belongs to %s', o.what, r.rolname) INTO problem
    FROM pg_roles AS r, (
      SELECT 'schema flipper', nspowner FROM pg_namespace WHERE nspname = 'flipper'
      UNION ALL SELECT 'table flipper.' || relname, relowner FROM pg_class
        WHERE relnamespace = to_regnamespace('flipper') AND relname IN ('clock_MARK', 'changes_MARK')
      UNION ALL SELECT 'function flipper.' || proname, proowner FROM pg_proc
        WHERE pronamespace = to_regnamespace('flipper') AND proname IN ('changed_MARK', 'truncated_MARK')
    ) AS o(what, owner)
    WHERE r.oid = o.owner AND NOT r.rolsuper AND r.rolname <> current_user
      AND r.oid <> (SELECT relowner FROM pg_class WHERE oid = 'FLAGS'::regclass);
  IF problem IS NOT NULL THEN
    RAISE insufficient_privilege USING MESSAGE = problem || ', who is neither the owner of the flags nor the user who installs';
  END IF;
END $flipper$;

CREATE TABLE IF NOT EXISTS flipper.clock_MARK (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  origin text NOT NULL,
  v bigint NOT NULL,
  reset_at bigint NOT NULL,
  notifies boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS flipper.changes_MARK (name text PRIMARY KEY, v bigint NOT NULL);
CREATE INDEX IF NOT EXISTS changes_MARK_v ON flipper.changes_MARK (v);

-- Raised once by a transaction, when it commits: so numbers are in the order of the commits, and no writer waits for long.
CREATE OR REPLACE FUNCTION flipper.changed_MARK() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $flipper$
DECLARE at bigint;
BEGIN
  SELECT c.v INTO at FROM flipper.clock_MARK AS c WHERE c.v::text = pg_catalog.current_setting('flipper.at_MARK', true);
  IF at IS NULL THEN
    UPDATE flipper.clock_MARK SET v = v + 1 RETURNING v INTO at;
    PERFORM pg_catalog.set_config('flipper.at_MARK', at::text, true);
    PERFORM pg_catalog.pg_notify('flipper_MARK', '');
  END IF;
  IF TG_OP <> 'INSERT' AND OLD."name" IS NOT NULL THEN
    INSERT INTO flipper.changes_MARK AS c (name, v) VALUES (OLD."name", at) ON CONFLICT (name) DO UPDATE SET v = excluded.v;
  END IF;
  IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND NEW."name" IS DISTINCT FROM OLD."name" THEN
    INSERT INTO flipper.changes_MARK AS c (name, v) VALUES (NEW."name", at) ON CONFLICT (name) DO UPDATE SET v = excluded.v;
  END IF;
  RETURN NULL;
END $flipper$;

CREATE OR REPLACE FUNCTION flipper.truncated_MARK() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $flipper$
DECLARE at bigint;
BEGIN
    UPDATE flipper.clock_MARK SET v = v + 1 RETURNING v INTO at;
    PERFORM pg_catalog.set_config('flipper.at_MARK', at::text, true);
    PERFORM pg_catalog.pg_notify('flipper_MARK', '');
  UPDATE flipper.clock_MARK SET reset_at = at;
  DELETE FROM flipper.changes_MARK;
  RETURN NULL;
END $flipper$;

REVOKE ALL ON FUNCTION flipper.changed_MARK(), flipper.truncated_MARK() FROM PUBLIC;

DO $flipper$
DECLARE who text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'FLAGS'::regclass AND tgname = 'flipper_changed') THEN
    CREATE CONSTRAINT TRIGGER flipper_changed AFTER INSERT OR UPDATE OR DELETE ON FLAGS
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flipper.changed_MARK();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'FLAGS'::regclass AND tgname = 'flipper_truncated') THEN
    CREATE TRIGGER flipper_truncated AFTER TRUNCATE ON FLAGS FOR EACH STATEMENT EXECUTE FUNCTION flipper.truncated_MARK();
  END IF;
  IF (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'FLAGS'::regclass) THEN
    ALTER TABLE FLAGS ENABLE ALWAYS TRIGGER flipper_changed;
    ALTER TABLE FLAGS ENABLE ALWAYS TRIGGER flipper_truncated;
  END IF;
  -- Who may read the flags may follow them.
  FOR who IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
    FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
    WHERE c.oid = 'FLAGS'::regclass AND a.privilege_type = 'SELECT'
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA flipper TO %s', who);
    EXECUTE format('GRANT SELECT ON flipper.clock_MARK, flipper.changes_MARK TO %s', who);
  END LOOP;
END $flipper$;

-- What was written until now is in no list: followers read all.
INSERT INTO flipper.clock_MARK AS c (origin, v, reset_at, notifies) VALUES (gen_random_uuid()::text, 1, 1, true)
  ON CONFLICT (one) DO UPDATE SET v = c.v + 1, reset_at = c.v + 1, notifies = excluded.notifies;
-- Nor do they need the names of deleted flags.
DELETE FROM flipper.changes_MARK;
COMMIT;
