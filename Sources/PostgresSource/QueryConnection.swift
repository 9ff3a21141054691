package import Invalidation

/// The plain connection beside the replication connection, to the same primary: it asks for snapshots.
package final class QueryConnection {
  package enum Question {
    case snapshot, currentTransaction, walEnd, blocker
    /// The named slot's confirmed position.
    case confirmedFlush(slot: String)
    /// Of the table, and the named publication; nil where the stream tells of every table.
    case lineage(of: TableReference, publication: String?)
    /// What the server keeps for the named slot; nil with an outbox.
    case retention(slot: String?)
  }

  package enum Progress {
    case pending
    case snapshot(TransactionSnapshot)
    case currentTransaction(UInt64)
    case walEnd(LSN)
    case blocker(BlockingTransaction?)
    case confirmedFlush(LSN)
    case lineage(TableLineage?, TransactionSnapshot)
    case retention(ServerRetention?)
    /// Not to be used any more.
    case failed(SourceFailure)
  }

  private let session: Session
  private var question: Question?
  /// When the answer has to be there, on the monotonic clock in nanoseconds.
  package private(set) var deadline: Int64?

  init(_ session: Session) { self.session = session }

  package var fileDescriptor: Int32 { session.fileDescriptor }
  package var pollEvents: Int16 { session.pollEvents }

  /// Asks; one question at a time. The answer has ten seconds.
  package func ask(_ question: Question, now: Int64) throws(SourceFailure) {
    guard self.question == nil else {
      throw SourceFailure(.unavailable, "PostgreSQL: a query was asked while another was under way")
    }
    switch question {
    // On a standby the in-progress list is empty and the answer wrong, so it says which server it is.
    case .snapshot:
      try session.ask(
        "SELECT pg_current_snapshot()::text, pg_is_in_recovery()", doing: "asking for a snapshot")
    case .currentTransaction:
      try session.ask("SELECT pg_current_xact_id()::text", doing: "asking for a transaction id")
    case .walEnd:
      try session.ask("SELECT pg_current_wal_insert_lsn()", doing: "asking for the end of the WAL")
    case .blocker: try session.ask(BlockerQuery.text, doing: "asking for the oldest transaction")
    case .confirmedFlush(let slot):
      try session.ask(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = "
          + CatalogSession.quoted(literal: slot), doing: "reading the slot")
    case .lineage(let table, let publication):
      try session.ask(
        QueryConnection.lineageQuery(table, publication, session.connection.serverVersion),
        doing: "asking what a table is a partition of")
    case .retention(let slot):
      try session.ask(RetentionQuery.text(slot: slot), doing: "asking what the server keeps for cdcd")
    }
    self.question = question
    deadline = now + answerTime
  }

  /// To be called when the socket is ready.
  package func advance() -> Progress {
    switch session.advance() {
    case .pending, .connected: return .pending
    case .broken(let failure): return .failed(failure)
    case .answered(.error(let error)): return .failed(SourceFailure(error, doing: "query"))
    case .answered(.copyBoth): return .failed(unexpected("CopyBoth"))
    case .answered(.rows(let rows)):
      defer {
        question = nil
        deadline = nil
      }
      return read(rows)
    }
  }

  /// The failure to report when `deadline` has passed.
  package var timeout: SourceFailure { session.connection.timeout("query") }

  private func read(_ rows: [[String?]]) -> Progress {
    if case .blocker? = question { return .blocker(BlockerQuery.read(rows)) }
    if case .lineage? = question { return lineage(rows) }
    if case .retention? = question { return .retention(RetentionQuery.read(rows)) }
    guard let row = rows.first, let text = row.first ?? nil else { return .failed(unexpected("nothing")) }
    switch question {
    case .snapshot?:
      guard row.count == 2, row[1] == "f" else { return .failed(SourceFailure.standby) }
      guard let snapshot = TransactionSnapshot(text) else { return .failed(unexpected(text)) }
      return .snapshot(snapshot)
    case .currentTransaction?:
      guard let xid = UInt64(text) else { return .failed(unexpected(text)) }
      return .currentTransaction(xid)
    case .walEnd?:
      guard let end = LSN(text) else { return .failed(unexpected(text)) }
      return .walEnd(end)
    case .confirmedFlush?:
      guard let position = LSN(text) else { return .failed(unexpected(text)) }
      return .confirmedFlush(position)
    case .blocker?, .lineage?, .retention?, nil: return .failed(unexpected(text))
    }
  }

  /// A row for the table and for each that it is a partition of; none of them is locked.
  static func lineageQuery(
    _ table: TableReference, _ publication: String?, _ serverVersion: Int32
  ) -> String {
    let isPublished =
      publication.map { name in
        "EXISTS (SELECT FROM pg_publication AS p WHERE p.pubname = " + CatalogSession.quoted(literal: name)
          + " AND " + ServerFacts.isMember("t", serverVersion) + ")"
      } ?? "true"
    let identifier =
      switch table {
      case .identified(let identifier): "\(identifier)::oid"
      case .named(let name):
        "(SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS s ON s.oid = c.relnamespace WHERE s.nspname = "
          + CatalogSession.quoted(literal: name.schema) + " AND c.relname = "
          + CatalogSession.quoted(literal: name.name) + ")"
      }
    return """
      SELECT pg_current_snapshot()::text, n.nspname, t.relname, \(isPublished),
        (SELECT xmin FROM pg_class WHERE oid = one.oid)
      FROM (SELECT \(identifier)) AS one (oid)
      LEFT JOIN LATERAL (SELECT one.oid UNION SELECT relid FROM pg_partition_ancestors(one.oid)) AS line (oid) ON true
      LEFT JOIN pg_class AS t ON t.oid = line.oid
      LEFT JOIN pg_namespace AS n ON n.oid = t.relnamespace
      """
  }

  private func lineage(_ rows: [[String?]]) -> Progress {
    guard let (lineage, snapshot) = Self.readLineage(rows) else { return .failed(unexpected("no snapshot")) }
    return .lineage(lineage, snapshot)
  }

  /// What `lineageQuery` answered; no lineage when there is no such table, and nil when it is no answer.
  static func readLineage(_ rows: [[String?]]) -> (lineage: TableLineage?, snapshot: TransactionSnapshot)? {
    var lineage = TableLineage(names: [], isPublished: false)
    for row in rows where row.count == 5 {
      guard let schema = row[1], let name = row[2] else { continue }
      lineage.names.insert(TableName(schema: schema, name: name))
      if row[3] == "t" { lineage.isPublished = true }
      lineage.describedBy = row[4].flatMap { UInt32($0) }
    }
    guard let snapshot = (rows.first?.first ?? nil).flatMap({ TransactionSnapshot($0) }) else {
      return nil
    }
    return (lineage.names.isEmpty ? nil : lineage, snapshot)
  }

  private func unexpected(_ text: String) -> SourceFailure {
    SourceFailure(.unavailable, "PostgreSQL: a query was answered by: " + text)
  }
}

/// How long a step of connecting or a query may take, in nanoseconds.
let answerTime: Int64 = 10_000_000_000
