import Invalidation
import PostgresSource

/// What PostgreSQL's catalogue knows of a table that rules name.
struct RuledTable {
  /// A table that holds rows: a leaf of a partitioned table, or the table itself.
  struct Leaf {
    var table: TableName
    /// `pg_class.relkind`: `r`, or `f` for a foreign table.
    var kind: String
    var isUnlogged: Bool
    /// `pg_class.relreplident`: `d`, `n`, `f` or `i`.
    var identity: String
    /// The columns of the primary key or of the identity's index, when there is one that PostgreSQL can use.
    var identityColumns: [String]

    /// Whether PostgreSQL lets an UPDATE or DELETE of a published table pass.
    var hasUsableIdentity: Bool { identity == "f" || !identityColumns.isEmpty }
  }

  struct Column {
    var name: String
    var type: String
    var isGenerated: Bool
    /// A generated one that a publication can send: from PostgreSQL 18 on a stored one.
    var isPublishable: Bool
  }

  var name: TableName
  var identifier: String
  /// `pg_class.relkind`: `r` a table, `p` a partitioned one, others cannot be published.
  var kind: String
  var isUnlogged: Bool
  /// The root, when this table is a partition.
  var root: TableName?
  var hasInheritanceChildren: Bool
  /// It inherits from a table, and is no partition of it.
  var inherits: Bool
  /// Whether the role has USAGE on the table's schema, without which it may not name it.
  var mayBeNamed: Bool
  var columns: [Column]
  var leaves: [Leaf]

  var isPartitioned: Bool { kind == "p" }

  /// Whether one of the rules reads a generated column that a publication can send.
  func isReadGenerated(by rules: [Rule]) -> Bool {
    rules.contains { rule in
      rule.table == name && columns.contains { $0.isPublishable && rule.columns.contains($0.name) }
    }
  }
}

extension RuledTable {
  /// Reads a table's facts; nil when there is no such table.
  static func read(_ name: TableName, from session: CatalogSession) throws(CatalogError) -> RuledTable? {
    let tables = try session.rows(Self.tableQuery, [name.schema, name.name])
    guard let table = tables.first, let identifier = table[0] else { return nil }
    let root = table[4].map { TableName(schema: table[3] ?? "", name: $0) }
    return RuledTable(
      name: name, identifier: identifier, kind: table[1] ?? "", isUnlogged: table[2] != "p",
      root: root, hasInheritanceChildren: table[5] == "t", inherits: table[7] == "t",
      mayBeNamed: table[6] == "t", columns: try columns(of: identifier, from: session),
      leaves: try leaves(of: identifier, from: session))
  }

  private static func columns(
    of identifier: String, from session: CatalogSession
  ) throws(CatalogError) -> [Column] {
    try session.rows(columnQuery, [identifier]).map { row in
      Column(name: row[0] ?? "", type: row[1] ?? "", isGenerated: row[2] == "t", isPublishable: row[3] == "t")
    }
  }

  private static func leaves(
    of identifier: String, from session: CatalogSession
  ) throws(CatalogError) -> [Leaf] {
    var leaves: [Leaf] = []
    for row in try session.rows(leafQuery, [identifier]) {
      let table = TableName(schema: row[0] ?? "", name: row[1] ?? "")
      if leaves.last?.table != table {
        leaves.append(
          Leaf(
            table: table, kind: row[2] ?? "", isUnlogged: row[5] == "t", identity: row[3] ?? "",
            identityColumns: []))
      }
      if let column = row[4] { leaves[leaves.count - 1].identityColumns.append(column) }
    }
    return leaves
  }

  private static let tableQuery = """
    SELECT c.oid, c.relkind, c.relpersistence, rn.nspname, r.relname,
      EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid AND c.relkind = 'r'),
      pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
      NOT c.relispartition AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_class r ON c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)
    LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 'c')
    """

  private static let columnQuery = """
    SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '',
      a.attgenerated = 's' AND pg_catalog.current_setting('server_version_num')::int >= 180000
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
    """

  /// One row for each leaf and column of its identity.
  private static let leafQuery = """
    WITH RECURSIVE tree(oid, relkind) AS (
      SELECT c.oid, c.relkind FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid
      UNION ALL
      SELECT c.oid, c.relkind FROM tree
      JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.oid AND tree.relkind = 'p'
      JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid)
    SELECT n.nspname, c.relname, c.relkind, c.relreplident, identity.attname, c.relpersistence <> 'p'
    FROM tree
    JOIN pg_catalog.pg_class c ON c.oid = tree.oid AND c.relkind <> 'p'
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL pg_catalog.unnest(\(ReplicaIdentityColumns.sql(of: "c")))
      WITH ORDINALITY AS identity (attname, position) ON true
    ORDER BY n.nspname, c.relname, identity.position
    """
}
