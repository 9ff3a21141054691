import PostgresSource

/// The event triggers of `sql/ddl-triggers.sql`, which tell of DDL that changes rows without row events.
struct DDLTriggers {
  /// All of them are there, enabled, and of this version.
  var areInstalled: Bool
  /// Event triggers need a superuser on PostgreSQL 15.
  var mayInstall: Bool
  var user: String

  static func read(from session: CatalogSession) throws(CatalogError) -> DDLTriggers {
    let row = try session.rows(query).first ?? []
    guard row.count == 3 else {
      throw CatalogError(sqlState: nil, message: "the server did not tell its event triggers")
    }
    return DDLTriggers(areInstalled: row[0] == "t", mayInstall: row[1] == "t", user: row[2] ?? "")
  }

  static let problem =
    "There are no event triggers of this version that tell of DDL, which may change rows without row events."

  var remedy: String {
    mayInstall
      ? "cdcd setup, or: psql -1 -f sql/ddl-triggers.sql"
      : "\(user) is no superuser: a superuser runs what cdcd setup --dry-run prints"
  }

  /// The comment tells the version; it is written by the same file.
  private static let query = """
    SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_event_trigger
        WHERE evtname IN ('cdcd_altering', 'cdcd_altered', 'cdcd_dropping', 'cdcd_dropped') AND evtenabled = 'A') = 4
      AND EXISTS (SELECT FROM pg_catalog.pg_event_trigger
        WHERE evtname = 'cdcd_dropped'
          AND pg_catalog.obj_description(oid, 'pg_event_trigger') = 'cdcd 5'),
      rolsuper, rolname
    FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER
    """

  /// The file's text.
  static var script: String { String(decoding: PackageResources.ddl_triggers_sql, as: UTF8.self) }
}
