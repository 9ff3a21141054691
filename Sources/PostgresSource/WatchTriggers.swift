/// The triggers that `cdcd.attach` of `sql/outbox.sql` puts on a table.
package enum WatchTriggers {
  /// SQL for whether some of them are missing on `table`, a row of `pg_class`, or switched off. `watched` is the row of
  /// `cdcd.watched`.
  package static func sql(missingOn table: String, of watched: String) -> String {
    """
    4 > (SELECT count(*) FROM pg_catalog.pg_trigger AS g JOIN pg_catalog.pg_proc AS f ON f.oid = g.tgfoid
      JOIN pg_catalog.pg_namespace AS s ON s.oid = f.pronamespace
      WHERE g.tgrelid = \(table).oid AND g.tgenabled = 'A' AND s.nspname = 'cdcd' AND f.proname = 'capture_' || \(watched).id)
    """
  }

  /// SQL for the condition that a table is told of, by its present name, and by columns that are there: `oid` is its identifier, `columns` an array of those that rules read.
  /// Foreign partitions have no such triggers.
  package static func sql(tellOf oid: String, columns: String) -> String {
    """
    EXISTS (SELECT FROM cdcd.watched AS w
      WHERE w.relation = \(oid) AND \(columns)::text[] <@ w.columns AND w.name = (
        SELECT pg_catalog.format('"%s"."%s"', pg_catalog.replace(s.nspname, '"', '""'), pg_catalog.replace(t.relname, '"', '""'))
        FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_namespace AS s ON s.oid = t.relnamespace
        WHERE t.oid = \(oid)) AND coalesce(w.key_columns, '{}') <@ ARRAY(
        SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = \(oid) AND a.attnum > 0 AND NOT a.attisdropped) AND NOT EXISTS (
        SELECT FROM (\(ServerFacts.tree(oid))) AS part
        JOIN pg_catalog.pg_class AS l ON l.oid = part.relid AND l.relkind IN ('r', 'p')
        WHERE \(sql(missingOn: "l", of: "w"))))
    """
  }
}
