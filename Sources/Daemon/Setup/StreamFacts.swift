import Invalidation
import PostgresSource

/// What the stream itself will meet, whatever publication and slot are: `setup` has no part in it.
struct StreamFacts {
  var database: String
  /// `UTF8`, or another that the server converts from.
  var encoding: String
  /// Whether `synchronous_standby_names` takes cdcd for a standby that commits wait for.
  var isStandby: Bool

  /// The session has the name that the daemon's connections have.
  static func read(from session: CatalogSession) throws(CatalogError) -> StreamFacts {
    let row = try session.rows(query).first ?? []
    guard row.count == 3 else {
      throw CatalogError(sqlState: nil, message: "the server did not tell its settings")
    }
    return StreamFacts(
      database: row[0] ?? "", encoding: row[1] ?? "", isStandby: row[2] == "t")
  }

  private static let query = """
    SELECT pg_catalog.current_database(), pg_catalog.current_setting('server_encoding'),
      \(SynchronousStandbys.sql(taking: "pg_catalog.current_setting('application_name')"))
    """

  func findings(mode: SourceMode) -> [Finding] {
    var findings: [Finding] = []
    if isStandby, mode != .notify { findings.append(Finding(.ownStandby)) }
    if encoding == "SQL_ASCII" {
      findings.append(
        Finding(
          .warning,
          "The database \(database) has the encoding SQL_ASCII, which takes any bytes: one value of a published table"
            + " that is no valid UTF-8 stops the whole stream.",
          remedy: "Move it to a database with ENCODING 'UTF8', or see to it that only UTF-8 is ever written.")
      )
    }
    return findings
  }
}
