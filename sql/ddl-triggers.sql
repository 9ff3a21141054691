-- Event triggers that tell cdcd of DDL which changes rows without row events: ALTER TABLE (a type with USING, a new
-- column with a default, ATTACH and DETACH PARTITION), ALTER TYPE of a column's type or of one within it, CREATE TABLE
-- AS, and tables that are dropped, partitions among them. Event triggers need a superuser on PostgreSQL 15; install
-- them in the database of the slot:
--
--   psql -v ON_ERROR_STOP=1 --single-transaction -f sql/ddl-triggers.sql app
--
-- `cdcd setup` does the same when its role may. It may run again at any time. A table that changed is told as a
-- logical message of the same transaction, so that it comes in order with the rows: prefix cdcd.ddl, the command, a
-- line feed, and the quoted name; and as a row of the outbox, if there is one. A partition's ancestors are told too, since the rules name the root, and the tables
-- that inherit from the one that changed. The name * stands for all: under REPEATABLE READ and SERIALIZABLE these
-- functions see the catalogue as it was when the transaction began, and so not what is a partition of what by now.

-- These functions run with the rights of whoever installs them, in everybody's statements: nothing that somebody else could
-- replace may be called by them. The owner of a schema can drop what is in it, and put something else in its place.
CREATE SCHEMA IF NOT EXISTS cdcd;
DO $$
DECLARE
  owner text := (SELECT nspowner::regrole::text FROM pg_catalog.pg_namespace
    WHERE nspname = 'cdcd' AND nspowner <> CURRENT_USER::regrole);
BEGIN
  IF owner IS NOT NULL THEN
    ALTER SCHEMA cdcd OWNER TO CURRENT_USER;
    EXECUTE 'GRANT USAGE, CREATE ON SCHEMA cdcd TO ' || owner || ' WITH GRANT OPTION';
  END IF;
END $$;

-- Whether there is an outbox (outbox.sql) that they may write to: a table whose triggers, and a function whose body, would
-- run with their rights.
CREATE OR REPLACE FUNCTION cdcd.owns_outbox() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*) = 4 FROM (
    SELECT relowner AS owner FROM pg_class
    WHERE oid IN (to_regclass('cdcd.outbox'), to_regclass('cdcd.watched')) AND relkind = 'r'
    UNION ALL SELECT proowner FROM pg_proc
    WHERE oid IN (to_regprocedure('cdcd.wake()'), to_regprocedure('cdcd.attach(regclass)'))) AS made
  WHERE owner = CURRENT_USER::regrole
$$;

-- Tells it to whoever reads: in the WAL, and in the outbox where there is one.
CREATE OR REPLACE FUNCTION cdcd.tell(command text, name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_logical_emit_message(true, 'cdcd.ddl', command || E'\n' || name);
  IF cdcd.owns_outbox() THEN
    INSERT INTO cdcd.outbox (rel, op, rows) VALUES (name, 'A', to_jsonb(command));
    PERFORM cdcd.wake();
  END IF;
END $$;
REVOKE ALL ON FUNCTION cdcd.tell(text, text), cdcd.owns_outbox() FROM PUBLIC;

-- SECURITY DEFINER with a fixed path: it runs in the statements of every role.
CREATE OR REPLACE FUNCTION cdcd.tell_altered_tables() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  altered text;
BEGIN
  IF current_setting('cdcd.attaching', true) = 'on' THEN RETURN; END IF;
  -- A partition tells its changes from here on, like the rest of its table.
  IF cdcd.owns_outbox() THEN
    BEGIN
      PERFORM cdcd.attach(w.relation) FROM cdcd.watched AS w WHERE EXISTS (
        SELECT FROM pg_event_trigger_ddl_commands() AS command
        CROSS JOIN LATERAL pg_partition_ancestors(command.objid) AS ancestor
        WHERE command.classid = 'pg_class'::regclass AND ancestor.relid = w.relation);
    EXCEPTION WHEN OTHERS THEN
      -- A table with deferred trigger events, say. The application's statement must not fail for it: cdcd finds the partition.
      PERFORM cdcd.tell(tg_tag, 'catalogue');
    END;
  END IF;
  -- No table's name: cdcd looks at the catalogue again.
  IF tg_tag IN ('ALTER PUBLICATION', 'ALTER SCHEMA', 'ALTER EXTENSION') OR tg_tag IN ('CREATE TABLE', 'CREATE SCHEMA') AND EXISTS (
      SELECT FROM pg_event_trigger_ddl_commands() AS command JOIN pg_class AS c ON c.oid = command.objid
      WHERE command.classid = 'pg_class'::regclass AND c.relispartition) THEN
    PERFORM cdcd.tell(tg_tag, 'catalogue');
  END IF;
  IF tg_tag IN ('CREATE TABLE', 'CREATE SCHEMA') THEN RETURN; END IF;
  IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
    AND tg_tag LIKE 'ALTER %' AND EXISTS (
      SELECT FROM pg_event_trigger_ddl_commands() AS command
      LEFT JOIN pg_class AS c ON command.classid = 'pg_class'::regclass AND c.oid = command.objid
      WHERE command.classid IN ('pg_class'::regclass, 'pg_type'::regclass) AND c.relpersistence IS DISTINCT FROM 't') THEN
    PERFORM cdcd.tell(tg_tag, '*');
    RETURN;
  END IF;
  FOR altered IN
    -- Rows print differently also when a type that they hold somewhere within has changed: a domain over it, a
    -- composite or a table's row, an array, a range. The values of an enumeration, for one, may have other names now.
    -- (ALTER DOMAIN changes no value that is stored.) pg_depend has all of them, and an index on what is looked for.
    WITH RECURSIVE touched (classid, oid) AS (
      SELECT classid, objid FROM pg_event_trigger_ddl_commands()
      WHERE classid IN ('pg_class'::regclass, 'pg_type'::regclass)
      UNION
      SELECT found.classid, found.oid FROM touched CROSS JOIN LATERAL (
        SELECT d.classid, d.objid FROM pg_depend AS d
        WHERE touched.classid = 'pg_type'::regclass AND d.refclassid = touched.classid AND d.refobjid = touched.oid
          AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass)
        -- ALTER TABLE changes the partitions too, and those that inherit.
        UNION ALL SELECT 'pg_class'::regclass, i.inhrelid FROM pg_inherits AS i
        WHERE touched.classid = 'pg_class'::regclass AND i.inhparent = touched.oid
        UNION ALL SELECT 'pg_type'::regclass, c.reltype FROM pg_class AS c
        WHERE touched.classid = 'pg_class'::regclass AND c.oid = touched.oid) AS found (classid, oid))
    SELECT DISTINCT format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""'))
    FROM touched
    CROSS JOIN LATERAL (
      SELECT touched.oid UNION SELECT relid FROM pg_partition_ancestors(touched.oid)) AS told
    JOIN pg_class AS c ON c.oid = told.oid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE touched.classid = 'pg_class'::regclass
  LOOP
    PERFORM cdcd.tell(tg_tag, altered);
  END LOOP;
END $$;

-- When a partition has been dropped, the catalogue does not know its ancestors any more: they are noted before. There is
-- hardly a DROP ... CASCADE that cannot take one along.
CREATE OR REPLACE FUNCTION cdcd.note_partitions() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF tg_tag NOT LIKE 'DROP %' THEN RETURN; END IF;
  PERFORM set_config('cdcd.ancestors', coalesce(jsonb_object_agg(partitions.oid, partitions.ancestors)::text, '{}'), true)
  FROM (
    SELECT p.oid,
      array_agg(format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""'))) AS ancestors
    FROM pg_class AS p
    CROSS JOIN LATERAL pg_partition_ancestors(p.oid) AS ancestor (oid)
    JOIN pg_class AS c ON c.oid = ancestor.oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE p.relispartition AND p.relkind IN ('r', 'p', 'f')
    GROUP BY p.oid) AS partitions;
END $$;

CREATE OR REPLACE FUNCTION cdcd.tell_dropped_tables() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  ancestors jsonb := coalesce(nullif(current_setting('cdcd.ancestors', true), ''), '{}');
  dropped text;
BEGIN
  IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AND EXISTS (
      SELECT FROM pg_event_trigger_dropped_objects()
      WHERE object_type IN ('table', 'foreign table', 'table column') AND NOT is_temporary) THEN
    PERFORM cdcd.tell(tg_tag, '*');
    RETURN;
  END IF;
  FOR dropped IN
    SELECT format('"%s"."%s"', replace(schema_name, '"', '""'), replace(object_name, '"', '""'))
    FROM pg_event_trigger_dropped_objects()
    WHERE object_type IN ('table', 'foreign table') AND NOT is_temporary
    UNION SELECT jsonb_array_elements_text(ancestors -> objid::text)
    FROM pg_event_trigger_dropped_objects()
    WHERE object_type IN ('table', 'foreign table')
    -- A column that goes with its type or domain.
    UNION SELECT format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""'))
    FROM pg_event_trigger_dropped_objects() AS gone
    JOIN pg_class AS c ON c.oid = gone.objid AND c.relpersistence <> 't'
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE gone.object_type = 'table column'
  LOOP
    PERFORM cdcd.tell(tg_tag, dropped);
  END LOOP;
END $$;

-- DETACH PARTITION ... CONCURRENTLY hides the rows in a transaction of its own, and ends, if ever, in another one: cdcd
-- looks at the catalogue when it begins. It is always a statement of its own, never one of a function.
CREATE OR REPLACE FUNCTION cdcd.tell_altering() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_query() ILIKE '%concurrently%' THEN
    PERFORM cdcd.tell(tg_tag, 'catalogue');
  END IF;
END $$;

-- A function that was there keeps its owner when it is replaced.
ALTER FUNCTION cdcd.owns_outbox() OWNER TO CURRENT_USER;
ALTER FUNCTION cdcd.tell(text, text) OWNER TO CURRENT_USER;
ALTER FUNCTION cdcd.tell_altering() OWNER TO CURRENT_USER;
ALTER FUNCTION cdcd.tell_altered_tables() OWNER TO CURRENT_USER;
ALTER FUNCTION cdcd.note_partitions() OWNER TO CURRENT_USER;
ALTER FUNCTION cdcd.tell_dropped_tables() OWNER TO CURRENT_USER;

DROP EVENT TRIGGER IF EXISTS cdcd_altering;
CREATE EVENT TRIGGER cdcd_altering ON ddl_command_start WHEN TAG IN ('ALTER TABLE')
  EXECUTE FUNCTION cdcd.tell_altering();
DROP EVENT TRIGGER IF EXISTS cdcd_altered;
CREATE EVENT TRIGGER cdcd_altered ON ddl_command_end
  WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TYPE', 'CREATE TABLE',
    'CREATE SCHEMA', 'ALTER PUBLICATION', 'ALTER SCHEMA', 'ALTER INDEX', 'ALTER EXTENSION', 'CREATE VIEW', 'ALTER VIEW')
  EXECUTE FUNCTION cdcd.tell_altered_tables();
DROP EVENT TRIGGER IF EXISTS cdcd_dropping;
CREATE EVENT TRIGGER cdcd_dropping ON ddl_command_start
  EXECUTE FUNCTION cdcd.note_partitions();
DROP EVENT TRIGGER IF EXISTS cdcd_dropped;
CREATE EVENT TRIGGER cdcd_dropped ON sql_drop EXECUTE FUNCTION cdcd.tell_dropped_tables();

-- Also where session_replication_role is replica.
ALTER EVENT TRIGGER cdcd_altering ENABLE ALWAYS;
ALTER EVENT TRIGGER cdcd_altered ENABLE ALWAYS;
ALTER EVENT TRIGGER cdcd_dropping ENABLE ALWAYS;
ALTER EVENT TRIGGER cdcd_dropped ENABLE ALWAYS;
-- `cdcd check` looks for this version.
COMMENT ON EVENT TRIGGER cdcd_dropped IS 'cdcd 5';

-- To take it all away again:
--   DROP EVENT TRIGGER cdcd_altering; DROP EVENT TRIGGER cdcd_altered; DROP EVENT TRIGGER cdcd_dropping;
--   DROP EVENT TRIGGER cdcd_dropped;
--   DROP FUNCTION cdcd.tell_altering(), cdcd.tell_altered_tables(), cdcd.note_partitions(), cdcd.tell_dropped_tables();
--   DROP FUNCTION cdcd.tell(text, text), cdcd.owns_outbox();
