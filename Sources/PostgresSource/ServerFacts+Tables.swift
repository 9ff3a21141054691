import Invalidation

/// The parts of the one query that are about ruled tables.
extension ServerFacts {
  /// A partitioned table that is not sent under its own name is published with all its partitions when it is itself a
  /// member of the publication; a partition may still have a row filter of its own.
  ///
  /// `pg_publication_tables` would know, but on PostgreSQL 18, unlike 15, it opens every table of the publication, and waits for
  /// whoever has locked one.
  static func unpublishedQuery(
    _ tables: [TableName], _ publication: String, _ serverVersion: Int32
  ) -> String {
    guard !tables.isEmpty else { return "NULL" }
    func isFiltered(_ oid: String) -> String {
      serverVersion >= 150_000
        ? "EXISTS (SELECT FROM pg_publication_rel AS f WHERE f.prpubid = p.oid AND f.prrelid = \(oid) AND f.prqual IS NOT NULL)"
        : "false"
    }
    return """
      (SELECT string_agg(t.number::text, ' ')
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        LEFT JOIN pg_namespace AS n ON n.nspname = t.schema
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
        LEFT JOIN pg_publication AS p ON p.pubname = \(publication)
        LEFT JOIN LATERAL (
          SELECT bool_and(l.relpersistence = 'p') AS is_logged, bool_or(\(isFiltered("l.oid"))) AS is_filtered
          FROM (\(tree("c.oid"))) AS leaf JOIN pg_class AS l ON l.oid = leaf.relid AND l.relkind = 'r') AS parts
          ON c.relkind = 'p'
        LEFT JOIN LATERAL (
          SELECT bool_or(\(isMember("a", serverVersion))) FILTER (WHERE a.oid = c.oid) AS itself,
            bool_or(\(isMember("a", serverVersion))) FILTER (WHERE a.oid <> c.oid) AS above
          FROM (SELECT c.oid UNION SELECT relid FROM pg_partition_ancestors(c.oid)) AS line (oid)
          JOIN pg_class AS a ON a.oid = line.oid) AS member ON true
        WHERE NOT coalesce(parts.is_logged, true) OR NOT coalesce(
          CASE WHEN c.relkind = 'p' AND NOT p.pubviaroot THEN member.itself AND NOT coalesce(parts.is_filtered, false)
            ELSE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT \(isFiltered("c.oid"))
              AND CASE WHEN p.pubviaroot THEN member.itself AND NOT coalesce(member.above, false)
                ELSE member.itself OR coalesce(member.above, false) END
          END, false))
      """
  }

  /// SQL for whether a table, `table` in `pg_class`, is in the publication `p`: itself, with its schema, or with all.
  static func isMember(_ table: String, _ serverVersion: Int32) -> String {
    let bySchema = """
       OR EXISTS (SELECT FROM pg_publication_namespace AS m
        WHERE m.pnpubid = p.oid AND m.pnnspid = \(table).relnamespace)
      """
    return """
      (p.puballtables
        OR EXISTS (SELECT FROM pg_publication_rel AS m WHERE m.prpubid = p.oid AND m.prrelid = \(table).oid)\(serverVersion >= 150_000 ? bySchema : ""))
      """
  }

  /// SQL for the table and all its partitions. Unlike `pg_partition_tree()` it waits for no lock on any of them.
  static func tree(_ oid: String) -> String {
    """
    WITH RECURSIVE tree (relid) AS (
      SELECT \(oid) UNION ALL
      SELECT i.inhrelid FROM tree
      JOIN pg_class AS parent ON parent.oid = tree.relid AND parent.relkind = 'p'
      JOIN pg_inherits AS i ON i.inhparent = tree.relid AND NOT i.inhdetachpending)
    SELECT relid FROM tree
    """
  }

  static func list(_ tables: [TableName]) -> String {
    tables.enumerated().map { number, table in
      "(\(number), \(CatalogSession.quoted(literal: table.schema)), \(CatalogSession.quoted(literal: table.name)))"
    }.joined(separator: ", ")
  }

  /// Every object between a table and the stream, with the transaction that wrote it where that is rare: a name is
  /// written with the row type and with the schema (the table's own row is written by VACUUM FULL and GRANT too), the
  /// publication's options with the publication, and each way into the publication is an object of its own. A partition
  /// whose DETACH CONCURRENTLY is pending has no rows any more for new snapshots.
  static func identityQuery(
    _ tables: [TableName], _ publication: String, _ serverVersion: Int32
  ) -> String {
    guard !tables.isEmpty else { return "NULL" }
    let bySchema = """
      (SELECT string_agg(s.oid::text, '.' ORDER BY s.oid) FROM pg_publication_namespace AS s
        WHERE s.pnpubid = p.oid AND s.pnnspid = n.oid)
      """
    return """
      (SELECT string_agg(
          concat_ws('.', c.oid, y.xmin, n.oid, n.xmin, p.oid, p.xmin, 'tables',
            (SELECT string_agg(r.oid::text, '.' ORDER BY r.oid) FROM pg_publication_rel AS r
              WHERE r.prpubid = p.oid AND r.prrelid = c.oid),
            'detaching', (SELECT string_agg(i.inhrelid::text, '.' ORDER BY i.inhrelid)
              FROM (\(tree("c.oid"))) AS part JOIN pg_inherits AS i ON i.inhparent = part.relid AND i.inhdetachpending),
            'schemas', \(serverVersion >= 150_000 ? bySchema : "NULL")),
          ' ' ORDER BY t.number)
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        LEFT JOIN pg_namespace AS n ON n.nspname = t.schema
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
        LEFT JOIN pg_type AS y ON y.oid = c.reltype
        LEFT JOIN pg_publication AS p ON p.pubname = \(publication))
      """
  }

  /// The numbers of the tables for which the condition on `c`, the table in `pg_class`, holds.
  static func numbersQuery(_ tables: [TableName], where condition: String) -> String {
    guard !tables.isEmpty else { return "NULL" }
    return """
      (SELECT string_agg(t.number::text, ' ')
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        JOIN pg_namespace AS n ON n.nspname = t.schema
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name AND \(condition))
      """
  }

  /// All partitions of the tables, in a few bytes.
  static func partitionTreeQuery(_ tables: [TableName]) -> String {
    guard !tables.isEmpty else { return "NULL" }
    return """
      (SELECT md5(string_agg(part.relid::text, ' ' ORDER BY part.relid))
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        JOIN pg_namespace AS n ON n.nspname = t.schema
        JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name AND c.relkind = 'p'
        CROSS JOIN LATERAL (\(tree("c.oid"))) AS part)
      """
  }

  /// For each rule one table, itself or a partition, if there is one, whose replica identity lacks a column that the rule reads: its number
  /// and the table's name, a line each. The name is for people.
  static func bareTableQuery(_ rules: [RuleColumns]) -> String {
    let values = values(rules, where: \.ofOldRows)
    guard !values.isEmpty else { return "NULL" }
    return """
      (SELECT string_agg(bare.rule || ' ' || translate(bare.name, E'\\n', ' '), E'\\n')
        FROM (
          SELECT r.rule, min(format('%I.%I', ln.nspname, l.relname)) AS name
          FROM (VALUES \(values)) AS r (rule, schema, name, columns)
          JOIN pg_namespace AS n ON n.nspname = r.schema
          JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.name
          CROSS JOIN LATERAL (\(tree("c.oid"))) AS leaf
          JOIN pg_class AS l ON l.oid = leaf.relid AND l.relkind = 'r' AND l.relreplident <> 'f'
          JOIN pg_namespace AS ln ON ln.oid = l.relnamespace
          WHERE NOT r.columns <@ \(ReplicaIdentityColumns.sql(of: "l"))
          GROUP BY r.rule) AS bare)
      """
  }

  /// What wal2json leaves out in silence: tables that are not there, and those with a part that is unlogged, or that has
  /// no replica identity although a rule follows its updates and deletes.
  static func untoldQuery(_ tables: [TableName], _ rules: [RuleColumns]) -> String {
    guard !tables.isEmpty else { return "NULL" }
    let followed = Set(rules.filter(\.ofOldRows).map(\.table))
    let values = tables.enumerated().map { number, table in
      "(\(number), \(CatalogSession.quoted(literal: table.schema)), \(CatalogSession.quoted(literal: table.name)), "
        + "\(followed.contains(table)))"
    }
    return """
      (SELECT string_agg(t.number::text, ' ')
        FROM (VALUES \(values.joined(separator: ", "))) AS t (number, schema, name, is_followed)
        LEFT JOIN pg_namespace AS n ON n.nspname = t.schema
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
        WHERE c.oid IS NULL OR EXISTS (
          SELECT FROM (\(tree("c.oid"))) AS leaf
          JOIN pg_class AS l ON l.oid = leaf.relid AND l.relkind = 'r'
          WHERE l.relpersistence <> 'p'
            OR t.is_followed AND l.relreplident <> 'f' AND \(ReplicaIdentityColumns.sql(of: "l")) = '{}'))
      """
  }

  /// Tables that no outbox tells of, or not of all their columns that rules read, and those with a part whose triggers are
  /// missing or switched off. Of a partition, or a table that inherits, it tells only what is changed under its own name, and
  /// not through its parent's.
  static func unwatchedQuery(_ tables: [TableName], _ rules: [RuleColumns]) -> String {
    guard !tables.isEmpty else { return "NULL" }
    let values = values(
      tables.map { table in
        let read = rules.filter { $0.table == table }.flatMap(\.columns)
        return RuleColumns(table: table, columns: read, ofOldRows: true)
      }
    ) { _ in true }
    return """
      (SELECT string_agg(t.number::text, ' ')
        FROM (VALUES \(values)) AS t (number, schema, name, columns)
        LEFT JOIN pg_namespace AS n ON n.nspname = t.schema
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
        WHERE c.oid IS NULL OR EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid) OR NOT \(WatchTriggers.sql(tellOf: "c.oid", columns: "t.columns")))
      """
  }

  /// What stands between a table and the outbox, with the transaction that wrote it: a trigger is written when it is
  /// switched off or on, a name with the row type and with the schema. Triggers of partitions are left out, so that one
  /// more of them is no news.
  static func watchIdentityQuery(_ tables: [TableName]) -> String {
    guard !tables.isEmpty else { return "NULL" }
    return """
      (SELECT string_agg(
          concat_ws('.', c.oid, y.xmin, n.oid, n.xmin,
            (SELECT string_agg(concat_ws('.', g.oid, g.xmin), '.' ORDER BY g.tgname) FROM pg_trigger AS g
              WHERE g.tgrelid = c.oid AND starts_with(g.tgname::text, 'cdcd_')),
            'detaching', (SELECT string_agg(i.inhrelid::text, '.' ORDER BY i.inhrelid)
              FROM (\(tree("c.oid"))) AS part JOIN pg_inherits AS i ON i.inhparent = part.relid AND i.inhdetachpending)),
          ' ' ORDER BY t.number)
        FROM (VALUES \(list(tables))) AS t (number, schema, name)
        LEFT JOIN pg_namespace AS n ON n.nspname = t.schema
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
        LEFT JOIN pg_type AS y ON y.oid = c.reltype)
      """
  }

  /// For each rule the columns that it reads and that its table does not have, a line each.
  static func missingColumnQuery(_ rules: [RuleColumns]) -> String {
    let values = values(rules) { _ in true }
    guard !values.isEmpty else { return "NULL" }
    return """
      (SELECT string_agg(missing.rule || ' ' || translate(missing.names, E'\\n', ' '), E'\\n')
        FROM (
          SELECT r.rule, string_agg(format('"%s"', col.name), ', ') AS names
          FROM (VALUES \(values)) AS r (rule, schema, name, columns)
          JOIN pg_namespace AS n ON n.nspname = r.schema
          JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.name
          CROSS JOIN unnest(r.columns) AS col (name)
          WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attname = col.name AND a.attnum > 0 AND NOT a.attisdropped)
          GROUP BY r.rule) AS missing)
      """
  }

  /// Number, schema, table and columns of each such rule that is about a table.
  private static func values(_ rules: [RuleColumns], where isWanted: (RuleColumns) -> Bool) -> String {
    rules.enumerated().filter { isWanted($1) }.compactMap { number, rule in
      guard let table = rule.table else { return nil }
      let columns = rule.columns.map(CatalogSession.quoted(literal:)).joined(separator: ", ")
      return "(\(number), \(CatalogSession.quoted(literal: table.schema)), "
        + "\(CatalogSession.quoted(literal: table.name)), ARRAY[\(columns)]::name[])"
    }.joined(separator: ", ")
  }
}
