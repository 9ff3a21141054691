import Invalidation
import PostgresSource

/// What `sql/outbox.sql` has installed.
struct OutboxFacts {
  /// All of it is there, in this version.
  var isInstalled: Bool
  /// What `cdcd.wake()` does.
  var wakeup: String?
  var user: String
  var mayCreateSchema: Bool
  var isInRecovery: Bool
  /// `synchronous_standby_names` names some.
  var hasSynchronousStandbys: Bool
  /// `max_prepared_transactions` is not 0.
  var mayPrepare: Bool
  /// The event triggers belong to another role than the outbox, and do not write there.
  var isForeignToTriggers: Bool
  var watchedTables: [WatchedTable]

  /// A row of `cdcd.watched`.
  struct WatchedTable {
    var table: TableName
    /// With no more quotes than it needs.
    var sqlName: String
  }

  static func read(from session: CatalogSession) throws(CatalogError) -> OutboxFacts {
    let row = try session.rows(query).first ?? []
    guard row.count == 8 else {
      throw CatalogError(sqlState: nil, message: "the server did not tell of its outbox")
    }
    let isInstalled = row[0] == "t"
    return OutboxFacts(
      isInstalled: isInstalled, wakeup: row[1], user: row[2] ?? "", mayCreateSchema: row[3] == "t",
      isInRecovery: row[4] == "t", hasSynchronousStandbys: row[5] == "t", mayPrepare: row[6] == "t",
      isForeignToTriggers: row[7] == "f",
      watchedTables: isInstalled ? try watchedTables(session) : [])
  }

  /// The comments tell; they are written by the same file.
  private static let query = """
    SELECT pg_catalog.obj_description(pg_catalog.to_regclass('cdcd.outbox'), 'pg_class') IS NOT DISTINCT FROM 'cdcd 2',
      pg_catalog.obj_description(pg_catalog.to_regprocedure('cdcd.wake()'), 'pg_proc'), CURRENT_USER,
      CASE WHEN pg_catalog.to_regnamespace('cdcd') IS NULL
        THEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
        ELSE pg_catalog.has_schema_privilege('cdcd', 'CREATE') END,
      pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('synchronous_standby_names') <> '',
      pg_catalog.current_setting('max_prepared_transactions') <> '0',
      (SELECT pg_catalog.bool_and(c.relowner = f.proowner) FROM pg_catalog.pg_class AS c
        CROSS JOIN pg_catalog.pg_event_trigger AS e JOIN pg_catalog.pg_proc AS f ON f.oid = e.evtfoid
        WHERE c.oid = pg_catalog.to_regclass('cdcd.outbox') AND e.evtname = 'cdcd_altered')
    """

  /// What keeps DDL from the outbox.
  var ownerFinding: Finding? {
    guard isForeignToTriggers else { return nil }
    return Finding(
      .warning,
      "The event triggers do not tell the outbox of DDL, since it was made by a role that is not theirs: its triggers would"
        + " run with their rights.",
      remedy: "cdcd teardown, and cdcd setup as the superuser who owns the event triggers.")
  }

  /// What NOTIFY costs here.
  func findings(wakeup: Configuration.Source.Wakeup) -> [Finding] {
    guard wakeup == .notify else { return [] }
    let remedy = "source.wakeup: poll, and cdcd setup."
    var findings: [Finding] = []
    if hasSynchronousStandbys {
      findings.append(
        Finding(
          .warning,
          "The server has synchronous standbys, and NOTIFY has each commit on a ruled table wait for the one before it,"
            + " until its standby has answered.", remedy: remedy))
    }
    if mayPrepare {
      findings.append(
        Finding(
          .warning,
          "The server allows two-phase commits (max_prepared_transactions), and NOTIFY has PREPARE TRANSACTION fail after"
            + " a change of a ruled table.", remedy: remedy))
    }
    return findings
  }

  private static func watchedTables(_ session: CatalogSession) throws(CatalogError) -> [WatchedTable] {
    try session.rows(
      """
      SELECT n.nspname, c.relname, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
      FROM cdcd.watched AS w JOIN pg_catalog.pg_class AS c ON c.oid = w.relation
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace ORDER BY w.id
      """
    ).map { row in
      WatchedTable(table: TableName(schema: row[0] ?? "", name: row[1] ?? ""), sqlName: row[2] ?? "")
    }
  }

  /// Whether all changes of the table, and all of these columns, come into the outbox.
  static func tells(
    of table: RuledTable, _ columns: [String], _ session: CatalogSession
  ) throws(CatalogError) -> Bool {
    let condition = WatchTriggers.sql(tellOf: "\(table.identifier)::oid", columns: array(columns))
    return try session.rows("SELECT " + condition).first?.first == "t"
  }

  /// The names as SQL for an array of texts.
  static func array(_ names: [String]) -> String {
    "ARRAY[" + names.map(CatalogSession.quoted(literal:)).joined(separator: ", ") + "]::text[]"
  }

  /// The file's text.
  static var script: String { String(decoding: PackageResources.outbox_sql, as: UTF8.self) }
}
