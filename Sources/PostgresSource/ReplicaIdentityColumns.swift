/// What PostgreSQL's catalogue says of the columns that old row images carry.
package enum ReplicaIdentityColumns {
  /// SQL for an array of the column names of a table's primary key or identity index; empty with FULL, with NOTHING and
  /// without such an index. `table` is a `pg_class` in the query around it.
  ///
  /// An index counts as PostgreSQL's own `RelationGetIndexList` decides: valid, unique, immediate, not partial; without
  /// its INCLUDE columns.
  package static func sql(of table: String) -> String {
    """
    ARRAY(
      SELECT a.attname
      FROM pg_catalog.pg_index AS i
      CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (number, position)
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
      WHERE i.indrelid = \(table).oid AND k.position <= i.indnkeyatts
        AND CASE \(table).relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
        AND i.indisvalid AND i.indisunique AND i.indimmediate AND i.indpred IS NULL
      ORDER BY k.position)
    """
  }
}
