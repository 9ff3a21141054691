package import Invalidation

/// The columns that one rule reads.
package struct RuleColumns: Sendable {
  /// Nil for a rule that is about no table.
  package var table: TableName?
  package var columns: [String]
  /// Also of old rows: the rule follows updates or deletes.
  package var ofOldRows: Bool
  /// Its `where`.
  package var conditions: [Rule.Condition]

  package init(
    table: TableName?, columns: [String], ofOldRows: Bool, conditions: [Rule.Condition] = []
  ) {
    self.table = table
    self.columns = columns
    self.ofOldRows = ofOldRows
    self.conditions = conditions
  }
}

/// Where the changes come from.
package struct PostgresSourceConfiguration: Sendable {
  /// Any libpq URI or keyword string. May hold a password: never print it.
  package var connection: String
  package var slot: String
  package var mode: SourceMode
  /// Of pgoutput; wal2json tells of every table.
  package var publication: String
  /// The ruled tables, every change of which the publication has to carry.
  package var tables: [TableName]
  /// A rule each, in the order of the file.
  package var ruleColumns: [RuleColumns]

  package init(
    connection: String, slot: String, mode: SourceMode = .pgoutput, publication: String,
    tables: [TableName] = [],
    ruleColumns: [RuleColumns] = []
  ) {
    self.connection = connection
    self.slot = slot
    self.mode = mode
    self.publication = publication
    self.tables = tables
    self.ruleColumns = ruleColumns
  }

  /// Whether the connection string can be read at all.
  package static func isValid(connection: String) -> Bool {
    do throws(SourceFailure) {
      _ = try ConnectionParameters(connection)
      return true
    } catch {
      return false
    }
  }

  /// Whether every port that the connection string names, one for each server, is a number from 1 to 65535 or left open.
  package static func hasValidPorts(connection: String) -> Bool {
    guard let port = try? ConnectionParameters(connection)["port"] else { return true }
    return port.split(separator: ",").map { $0.drop(while: \.isWhitespace) }.allSatisfy { text in
      let digits = text.prefix { $0.isASCII && $0.isNumber }
      guard text.dropFirst(digits.count).allSatisfy(\.isWhitespace) else { return false }
      return text.isEmpty || UInt16(digits).map { $0 > 0 } == true
    }
  }

  /// For the plain connection, to the server that `connection` has reached.
  func queryParameters(beside connection: LibpqConnection) throws(SourceFailure) -> ConnectionParameters {
    var parameters = try commonParameters()
    for (keyword, value) in connection.reached { parameters.set(keyword, value) }
    // A slot that is being made waits for running transactions: it must not outlive a cdcd that went away, nor
    // end early because the role has a timeout.
    parameters.addSettings([
      ("client_connection_check_interval", "2s"), ("statement_timeout", "0"), ("lock_timeout", "0"),
      ("idle_session_timeout", "0"),
    ])
    return parameters
  }

  /// For the connection that brings the changes.
  func changeParameters() throws(SourceFailure) -> ConnectionParameters {
    mode == .notify ? try outboxParameters() : try replicationParameters()
  }

  /// For the connection that streams.
  func replicationParameters() throws(SourceFailure) -> ConnectionParameters {
    var parameters = try commonParameters()
    parameters.set("replication", "database")
    // Columns are rendered by the walsender, so the first eight make a key the same bytes everywhere. The timeout
    // lets a frozen cdcd's slot go to another instance (contract 5).
    parameters.addSettings([
      ("DateStyle", "ISO,YMD"), ("IntervalStyle", "postgres"), ("TimeZone", "UTC"),
      ("extra_float_digits", "1"), ("bytea_output", "hex"), ("lc_monetary", "C"),
      ("search_path", "pg_catalog"), ("quote_all_identifiers", "off"),
      ("wal_sender_timeout", "10s"), ("idle_session_timeout", "0"),
    ])
    return parameters
  }

  /// For the connection that reads the outbox (a blank within an option is escaped). Each statement has to take a snapshot of its own. What it removes may come
  /// again after a crash, and must not wait for a synchronous standby.
  private func outboxParameters() throws(SourceFailure) -> ConnectionParameters {
    var parameters = try commonParameters()
    parameters.addSettings([
      ("default_transaction_isolation", "read\\ committed"), ("default_transaction_read_only", "off"),
      ("synchronous_commit", "off"), ("extra_float_digits", "1"), ("client_connection_check_interval", "2s"),
      ("statement_timeout", "0"), ("lock_timeout", "0"), ("idle_session_timeout", "0"),
    ])
    return parameters
  }

  private func commonParameters() throws(SourceFailure) -> ConnectionParameters {
    var parameters = try ConnectionParameters(connection)
    parameters.setCommon()
    return parameters
  }
}
