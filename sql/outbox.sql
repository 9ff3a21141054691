-- What `source.mode: notify` reads: an outbox that triggers fill in the transaction of the change itself. It needs
-- neither wal_level = logical nor the right to replicate, only the ownership of the tables and CREATE on the database:
--
--   psql -v ON_ERROR_STOP=1 --single-transaction -f sql/outbox.sql app
--   psql -c "SELECT cdcd.watch('public.users', '{id, email}')" app      -- the columns that the rules read
--
-- `cdcd setup` does the same. It may run again at any time.

CREATE SCHEMA IF NOT EXISTS cdcd;

-- A row for each statement, or for each 500 rows or 1 MiB that it changed. The consumer takes what is visible in one snapshot,
-- and removes it when the keys are deleted in Redis. There is no cursor: ids are taken before the commit, so that one
-- that was read last would leave rows behind.
CREATE TABLE IF NOT EXISTS cdcd.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The quoted name of a table. With A also * (any table) or catalogue (none, but its description); with K the word keys.
  rel text NOT NULL,
  -- I, U, D, T: rows that were inserted, updated or deleted, a TRUNCATE. A: DDL. K: keys that somebody named.
  -- ?: a change of which the rows could not be told, with the error's code.
  op "char" NOT NULL,
  -- Of I, U and D a list: {"new": row}, {"old": row}, {"old": row, "new": row}, or {"both": row} where an update
  -- touched none of the columns. A row has the text of each column, as PostgreSQL prints it. Of K a list of texts.
  rows jsonb,
  -- About how many bytes that is, not compressed.
  size integer NOT NULL DEFAULT 0);

-- Rows come and go: let them not pile up as dead ones.
ALTER TABLE cdcd.outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_vacuum_cost_delay = 0);

-- Up to which position of the WAL rows have been removed: a Redis whose watermark is older has lost deletes.
CREATE TABLE IF NOT EXISTS cdcd.progress (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  removed_to pg_lsn NOT NULL DEFAULT '0/0');
INSERT INTO cdcd.progress DEFAULT VALUES ON CONFLICT DO NOTHING;

-- The tables that rules name, the columns that these read, and what the triggers know besides: the table's quoted name, and
-- the columns of the primary key, if there is one. Where the name, or one of the columns, is another, `cdcd.watch` has to be
-- called again.
CREATE TABLE IF NOT EXISTS cdcd.watched (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation regclass NOT NULL UNIQUE,
  columns text[] NOT NULL,
  name text NOT NULL,
  key_columns text[]);

-- Wakes the consumer at the commit. It is only a hint, since a notification is lost while nobody listens; and it has a
-- price: such a transaction cannot be prepared for a two-phase commit, and its commit waits for other notifying ones.
-- With `source.wakeup: poll` this function does nothing, so one that is there stays as it is.
DO $do$
BEGIN
  IF to_regprocedure('cdcd.wake()') IS NULL THEN
    CREATE FUNCTION cdcd.wake() RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT pg_notify('cdcd', '') $$;
    COMMENT ON FUNCTION cdcd.wake() IS 'notify';
  END IF;
END $do$;

-- Has the changes of a table, and of all its partitions, told from the end of this transaction on. To be called again
-- when rules read other columns, and when a partition was made (the event triggers of ddl-triggers.sql do the latter).
CREATE OR REPLACE FUNCTION cdcd.watch(ruled regclass, column_names text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $watch$
DECLARE
  number integer;
  quoted text;
  key_names text[];
  -- SQL for the identity of a row, where it has a primary key: text, so that it needs no operator and no collation of the
  -- column's type.
  identity text;
  image text;
  changes text;
  insertion text;
BEGIN
  SELECT format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""')) INTO quoted
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = ruled;
  SELECT array_agg(a.attname::text ORDER BY a.attnum),
    'ARRAY[' || string_agg(format('format(''%%s'', r.%I) COLLATE "C"', a.attname), ', ' ORDER BY a.attnum) || ']'
    INTO key_names, identity
  FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
  WHERE i.indrelid = ruled AND i.indisprimary;
  INSERT INTO cdcd.watched AS w (relation, columns, name, key_columns) VALUES (ruled, column_names, quoted, key_names)
  ON CONFLICT (relation) DO UPDATE
    SET columns = excluded.columns, name = excluded.name, key_columns = excluded.key_columns
  RETURNING id INTO number;
  -- format() uses the type's output function, as the replication protocol does; a cast to text may print otherwise.
  SELECT format('jsonb_object(%L::text[], ARRAY[%s]::text[])', column_names,
    string_agg(format('CASE num_nulls(r.%1$I) WHEN 0 THEN format(''%%s'', r.%1$I) END', name), ', ' ORDER BY position))
    INTO image
  FROM unnest(column_names) WITH ORDINALITY AS c (name, position);

  -- PostgreSQL puts old and new rows down in the same order. Two that have the same place and the same primary key are the
  -- same row; the key alone would not say so, since a statement may move keys from row to row.
  changes := CASE WHEN identity IS NULL THEN format($sql$
      SELECT DISTINCT jsonb_build_object('old', %1$s) AS change FROM old_rows AS r
      UNION ALL SELECT DISTINCT jsonb_build_object('new', %1$s) FROM new_rows AS r$sql$, image)
    ELSE format($sql$
      SELECT DISTINCT change
      FROM (SELECT row_number() OVER () AS number, %2$s AS identity, %1$s AS image FROM old_rows AS r) AS o
      FULL JOIN (SELECT row_number() OVER () AS number, %2$s AS identity, %1$s AS image FROM new_rows AS r) AS n
        USING (number)
      CROSS JOIN LATERAL (
        SELECT jsonb_build_object('both', o.image) WHERE o.identity = n.identity AND o.image = n.image
        UNION ALL SELECT jsonb_build_object('old', o.image, 'new', n.image)
          WHERE o.identity = n.identity AND o.image <> n.image
        UNION ALL SELECT jsonb_build_object('old', o.image)
          WHERE o.image IS NOT NULL AND o.identity IS DISTINCT FROM n.identity
        UNION ALL SELECT jsonb_build_object('new', n.image)
          WHERE n.image IS NOT NULL AND o.identity IS DISTINCT FROM n.identity) AS changes (change)$sql$,
      image, identity) END;
  insertion := 'INSERT INTO cdcd.outbox (rel, op, rows, size)
    SELECT %L, %L, jsonb_agg(change), sum(pg_column_size(change)) FROM (
      SELECT change, (row_number() OVER so_far - 1) / 500 + sum(pg_column_size(change)) OVER so_far / 1048576 AS chunk
      FROM (%s) AS changes WINDOW so_far AS (ROWS UNBOUNDED PRECEDING)) AS numbered GROUP BY chunk;';

  -- SECURITY DEFINER, so that writers need no right on the outbox. What goes wrong here must not fail the application's
  -- statement: cdcd then flushes the table's rules.
  EXECUTE format($sql$
    CREATE OR REPLACE FUNCTION cdcd.%I() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET quote_all_identifiers = off AS %L$sql$, 'capture_' || number, format($sql$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        %2$s
      ELSIF TG_OP = 'UPDATE' THEN
        %3$s
      ELSIF TG_OP = 'DELETE' THEN
        %4$s
      ELSE
        INSERT INTO cdcd.outbox (rel, op) VALUES (%1$L, 'T');
      END IF;
      IF FOUND THEN PERFORM cdcd.wake(); END IF;
      RETURN NULL;
    EXCEPTION WHEN OTHERS THEN
      INSERT INTO cdcd.outbox (rel, op, rows) VALUES (%1$L, '?', to_jsonb(SQLSTATE));
      PERFORM cdcd.wake();
      RETURN NULL;
    END $sql$, quoted,
    format(insertion, quoted, 'I', format('SELECT DISTINCT jsonb_build_object(''new'', %s) AS change FROM new_rows AS r', image)),
    format(insertion, quoted, 'U', changes),
    format(insertion, quoted, 'D', format('SELECT DISTINCT jsonb_build_object(''old'', %s) AS change FROM old_rows AS r', image))));
  EXECUTE format('REVOKE ALL ON FUNCTION cdcd.%I() FROM PUBLIC', 'capture_' || number);
  -- Whoever owns the outbox may put a trigger on it, which then runs with no other rights than theirs.
  EXECUTE format('ALTER FUNCTION cdcd.%I() OWNER TO %s', 'capture_' || number,
    (SELECT relowner::regrole FROM pg_class WHERE oid = 'cdcd.outbox'::regclass));
  PERFORM cdcd.attach(ruled);
  -- cdcd looks at the catalogue again.
  INSERT INTO cdcd.outbox (rel, op, rows) VALUES ('catalogue', 'A', '"cdcd.watch"');
  PERFORM cdcd.wake();
END $watch$;

-- Puts the triggers on a watched table and on every partition of it that has none, or has them switched off. Statements
-- that name a partition fire its own triggers and not those of the root.
CREATE OR REPLACE FUNCTION cdcd.attach(ruled regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  number integer;
  capture text;
  missing record;
  is_news boolean := false;
BEGIN
  SELECT id, format('cdcd.capture_%s()', id) INTO STRICT number, capture FROM cdcd.watched WHERE relation = ruled;
  -- What follows alters tables, and is no news for the event triggers.
  PERFORM set_config('cdcd.attaching', 'on', true);
  FOR missing IN
    SELECT c.oid::regclass AS part, t.name, e.kind, e.tables FROM (SELECT ruled AS oid UNION SELECT relid FROM pg_partition_tree(ruled)) AS member
    JOIN pg_class AS c ON c.oid = member.oid AND c.relkind IN ('r', 'p')
    CROSS JOIN (VALUES
      ('INSERT', 'REFERENCING NEW TABLE AS new_rows'),
      ('UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
      ('DELETE', 'REFERENCING OLD TABLE AS old_rows'),
      ('TRUNCATE', '')) AS e (kind, tables)
    CROSS JOIN LATERAL (SELECT format('cdcd_%s_%s', lower(e.kind), number) AS name) AS t
    WHERE NOT EXISTS (
      SELECT FROM pg_trigger AS g WHERE g.tgrelid = c.oid AND g.tgname = t.name AND g.tgenabled = 'A'
        AND g.tgfoid = capture::regprocedure)
  LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %s',
      missing.name, missing.kind, missing.part, missing.tables, capture);
    -- Also where session_replication_role is replica.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', missing.part, missing.name);
    is_news := true;
  END LOOP;
  PERFORM set_config('cdcd.attaching', '', true);
  IF is_news THEN
    INSERT INTO cdcd.outbox (rel, op, rows) VALUES ('catalogue', 'A', '"cdcd.attach"');
    PERFORM cdcd.wake();
  END IF;
END $$;

-- Ends it for one table.
CREATE OR REPLACE FUNCTION cdcd.unwatch(ruled regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  number integer;
BEGIN
  DELETE FROM cdcd.watched WHERE relation = ruled RETURNING id INTO number;
  IF number IS NULL THEN RETURN; END IF;
  -- The triggers go with it.
  EXECUTE format('DROP FUNCTION IF EXISTS cdcd.%I() CASCADE', 'capture_' || number);
END $$;

-- For applications: has these keys deleted when the transaction commits, and not if it, or the savepoint, is rolled back.
-- For keys that no rule derives; a rule with `messages: true` takes them. NULL is no key.
CREATE OR REPLACE FUNCTION cdcd.invalidate(VARIADIC keys text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO cdcd.outbox (rel, op, rows, size)
  SELECT 'keys', 'K', jsonb_agg(key ORDER BY number), sum(octet_length(key))
  FROM unnest(keys) WITH ORDINALITY AS named (key, number) WHERE key IS NOT NULL GROUP BY (number - 1) / 500;
  IF FOUND THEN PERFORM cdcd.wake(); END IF;
END $$;
-- As with the triggers' functions: whoever owns the outbox may put a trigger on it.
DO $do$
BEGIN
  EXECUTE 'ALTER FUNCTION cdcd.invalidate(text[]) OWNER TO '
    || (SELECT relowner::regrole FROM pg_class WHERE oid = 'cdcd.outbox'::regclass);
END $do$;

REVOKE ALL ON FUNCTION cdcd.wake(), cdcd.watch(regclass, text[]), cdcd.attach(regclass), cdcd.unwatch(regclass),
  cdcd.invalidate(text[]) FROM PUBLIC;
-- `cdcd check` looks for this version.
COMMENT ON TABLE cdcd.outbox IS 'cdcd 2';

-- A role of its own for the daemon, which did not install this, needs:
--   GRANT USAGE ON SCHEMA cdcd TO daemon; GRANT SELECT, DELETE ON cdcd.outbox TO daemon;
--   GRANT SELECT, UPDATE ON cdcd.progress TO daemon; GRANT SELECT ON cdcd.watched TO daemon;
-- A role that names keys needs, since whoever may do that can have any key deleted, and make the outbox grow:
--   GRANT USAGE ON SCHEMA cdcd TO application; GRANT EXECUTE ON FUNCTION cdcd.invalidate(text[]) TO application;
-- To take it all away again:
--   SELECT cdcd.unwatch(relation) FROM cdcd.watched;
--   DROP FUNCTION cdcd.watch(regclass, text[]), cdcd.attach(regclass), cdcd.unwatch(regclass), cdcd.wake(),
--     cdcd.invalidate(text[]);
--   DROP TABLE cdcd.outbox, cdcd.progress, cdcd.watched;
--   DROP SCHEMA cdcd;     -- when ddl-triggers.sql is not installed there
