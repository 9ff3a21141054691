import Invalidation
import PostgresSource

/// What is published, and how.
struct PublicationFacts {
  var name: String
  var isForAllTables: Bool
  var publishesEverything: Bool
  var viaRoot: Bool
  /// Stored generated columns too: `publish_generated_columns`, 18 and later.
  var sendsGenerated: Bool
  /// The `oid`s of tables that are published themselves or with their schema.
  var tables: [String]
  /// Tables with a row filter or a column list.
  var restrictedTables: [TableName]

  func publishes(_ table: RuledTable) -> Bool { isForAllTables || tables.contains(table.identifier) }
}

extension PublicationFacts {
  /// Nil when there is no such publication.
  static func read(_ name: String, from session: CatalogSession) throws(CatalogError) -> PublicationFacts? {
    guard let row = try session.rows(publicationQuery(session.serverVersion), [name]).first else {
      return nil
    }
    // Row filters, column lists and whole schemas came with 15.
    let hasRestrictions = session.serverVersion >= 150_000
    let tables = try session.rows(hasRestrictions ? tableQuery : olderTableQuery, [name])
    return PublicationFacts(
      name: name, isForAllTables: row[0] == "t", publishesEverything: row[1] == "t", viaRoot: row[2] == "t",
      sendsGenerated: row[3] == "t",
      tables: tables.compactMap { $0[0] },
      restrictedTables: tables.filter { $0[3] == "t" }
        .map { TableName(schema: $0[1] ?? "", name: $0[2] ?? "") })
  }

  private static func publicationQuery(_ serverVersion: Int) -> String {
    """
    SELECT puballtables, pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot,
      \(serverVersion >= 180_000 ? "pubgencols = 's'" : "false")
    FROM pg_catalog.pg_publication WHERE pubname = $1
    """
  }

  private static let tableQuery = """
    SELECT c.oid, n.nspname, c.relname, r.prqual IS NOT NULL OR r.prattrs IS NOT NULL
    FROM pg_catalog.pg_publication p
    JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
    JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE p.pubname = $1
    UNION ALL
    SELECT c.oid, n.nspname, c.relname, false
    FROM pg_catalog.pg_publication p
    JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid
    JOIN pg_catalog.pg_class c ON c.relnamespace = s.pnnspid AND c.relkind IN ('r', 'p')
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE p.pubname = $1
    """

  private static let olderTableQuery = """
    SELECT c.oid, n.nspname, c.relname, false
    FROM pg_catalog.pg_publication p
    JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid
    JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE p.pubname = $1
    """
}
