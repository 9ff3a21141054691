-- What `cdcd setup` installs for rules on the tables users, orders and order_items, to be read, changed and run
-- with psql alone (without --single-transaction: a slot cannot be made in a transaction that has written):
--
--   psql -v ON_ERROR_STOP=1 -f sql/publication-and-slot.sql app
--
-- `cdcd setup --dry-run` prints the same for your rules. It needs wal_level = logical, the ownership of the
-- tables, CREATE on the database, and a role with REPLICATION.

-- 1. Replica identities. They come first. A published table without a usable one refuses every UPDATE and DELETE
--    of the application. And old row images carry only the columns of the identity: a key made of another column
--    needs FULL, or an index on all of them (REPLICA IDENTITY USING INDEX). Each leaf of a partitioned table has
--    its own. cdcd never changes them by itself, since FULL makes the WAL of UPDATE and DELETE larger.
ALTER TABLE public.users REPLICA IDENTITY FULL;
ALTER TABLE public.orders REPLICA IDENTITY FULL;

-- 2. The publication. All four kinds of change, no row filter and no column list: those would hide changes. ONLY,
--    since tables that inherit from a published one would be published too. A partitioned table brings all its
--    partitions, also future ones. They come under their own names (no publish_via_partition_root), since a TRUNCATE
--    of a single partition is not sent under the root's; cdcd asks the catalogue for the root.
CREATE PUBLICATION cdcd
  FOR TABLE ONLY public.users, ONLY public.orders, ONLY public.order_items
  WITH (publish = 'insert, update, delete, truncate');

-- 3. The slot, after the publication: the position of a slot must not be older than the publication. From now on
--    the server keeps WAL until cdcd has confirmed it; max_slot_wal_keep_size limits how much. It waits for the
--    end of the transactions that are in progress. From PostgreSQL 17 on a standby with sync_replication_slots = on
--    keeps it in step, so that it outlives the primary.
SELECT current_setting('server_version_num')::int >= 170000 AS failover \gset
\if :failover
SELECT pg_create_logical_replication_slot('cdcd', 'pgoutput', failover => true);
\else
SELECT pg_create_logical_replication_slot('cdcd', 'pgoutput');
\endif

-- To take it all away again:
--   SELECT pg_drop_replication_slot('cdcd');
--   DROP PUBLICATION cdcd;
