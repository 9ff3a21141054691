package import Invalidation

/// The connection that reads the outbox (`sql/outbox.sql`) and removes what was read. While it lives it has the lock,
/// so that nobody else does.
package final class OutboxConnection {
  package enum Question {
    /// Takes the lock, and listens.
    case start
    case read(OutboxRead)
    case remove(OutboxRemoval)
    /// Commits a message that nobody reads.
    case moveWAL
    case touch
  }

  package enum Progress {
    case pending
    /// Up to which position rows have been removed.
    case started(removedTo: LSN)
    case page(OutboxPage)
    case removed, walMoved, touched
    /// Not to be used any more.
    case failed(SourceFailure)
  }

  let session: Session
  /// Of the server it leads to.
  let identity: SystemIdentity
  private var question: Question?

  init(_ session: Session, _ identity: SystemIdentity) {
    self.session = session
    self.identity = identity
  }

  package var fileDescriptor: Int32 { session.fileDescriptor }
  package var pollEvents: Int16 { session.pollEvents }

  /// Asks; one question at a time.
  package func ask(_ question: Question) throws(SourceFailure) {
    guard self.question == nil else {
      throw SourceFailure(
        .unavailable, "PostgreSQL: the outbox was asked while another question was under way")
    }
    switch question {
    case .start: try session.ask(OutboxQuery.start, doing: "taking the outbox")
    case .read(let read): try session.ask(OutboxQuery.read(read), doing: "reading the outbox")
    case .remove(let removal):
      try session.ask(OutboxQuery.remove(removal), doing: "removing rows from the outbox")
    case .moveWAL: try session.ask(OutboxQuery.moveWAL, doing: "moving the end of the WAL")
    case .touch: try session.ask("SELECT", doing: "holding the outbox")
    }
    self.question = question
  }

  /// To be called when the socket is ready. A notification may have come besides: see `takeNotification`.
  package func advance() -> Progress {
    switch session.advance() {
    case .pending, .connected: return .pending
    case .broken(let failure): return .failed(failure)
    case .answered(.error(let error)): return .failed(SourceFailure(outbox: error, doing: "outbox"))
    case .answered(.copyBoth): return .failed(unexpected)
    case .answered(.rows(let rows)):
      defer { question = nil }
      return read(rows)
    }
  }

  /// Whether rows were told of since the last call.
  package func takeNotification() -> Bool {
    var isNotified = false
    while session.connection.takeNotification() { isNotified = true }
    return isNotified
  }

  private func read(_ rows: [[String?]]) -> Progress {
    switch question {
    case .start?:
      guard rows.count == 2, let position = rows[1].first.flatMap({ $0 }).flatMap({ LSN($0) }) else {
        return .failed(unexpected)
      }
      guard rows[0].first == "t" else {
        return .failed(
          SourceFailure(.slotInUse, "PostgreSQL: another cdcd reads the outbox of this database"))
      }
      return .started(removedTo: position)
    case .read?: return OutboxQuery.page(rows).map { .page($0) } ?? .failed(unexpected)
    case .remove?: return .removed
    case .moveWAL?: return .walMoved
    case .touch?: return .touched
    case nil: return .failed(unexpected)
    }
  }

  private var unexpected: SourceFailure {
    SourceFailure(.unavailable, "PostgreSQL: outbox: an answer that was not expected")
  }
}

extension SourceFailure {
  /// Of a statement that reads what `sql/outbox.sql` makes.
  init(outbox error: CatalogError, doing action: String) {
    switch error.sqlState {
    // undefined_table, invalid_schema_name, undefined_column
    case "42P01"?, "3F000"?, "42703"?:
      self.init(
        .misconfigured, "PostgreSQL: there is no outbox (schema cdcd) in this database: run `cdcd setup`")
    case "42501"?:
      self.init(
        .misconfigured,
        "PostgreSQL: \(action): \(error); the role needs what the end of sql/outbox.sql grants")
    default: self.init(error, doing: action)
    }
  }
}
