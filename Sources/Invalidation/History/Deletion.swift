/// The delete of a key that Redis has acknowledged. Times are microseconds since 2000.
package struct Deletion: Sendable, Equatable {
  package enum Cause: Sendable, Equatable {
    /// A transaction, where its commit record lies, and when it was committed (`PostgresTimestamp`: perhaps at infinity).
    case commit(xid: UInt32, position: LSN, time: Int64)
    /// A row of the outbox, and when it was written.
    case outbox(xid: UInt32, time: Int64)
    /// Only the key's second delete is still remembered.
    case secondDelete
  }

  package var rule: String
  /// Nil of a key that a message named.
  package var table: TableName?
  package var cause = Cause.secondDelete
  package var acknowledged: Int64
  /// An earlier delete was acknowledged as well, and Redis lost it.
  package var isReplay = false
  /// When it was deleted a second time, for `redelete_after` or read replicas.
  package var onceMore: Int64?

  init(rule: String, table: TableName?, acknowledged: Int64) {
    self.rule = rule
    self.table = table
    self.acknowledged = acknowledged
  }

  /// When the key was last deleted.
  package var latest: Int64 { onceMore ?? acknowledged }

  /// Microseconds from the commit, or the row of the outbox, to the acknowledged delete; zero when the clocks differ, and nil
  /// when that was at no finite time.
  package var delay: Int64? {
    switch cause {
    case .commit(_, _, let time), .outbox(_, let time):
      PostgresTimestamp.age(of: time, at: acknowledged).map { max(0, $0) }
    case .secondDelete: nil
    }
  }
}

/// One of the last deletes, with its key.
package struct LatestDeletion: Sendable, Equatable {
  package var key: [UInt8]
  /// The key was longer.
  package var isCut: Bool
  package var deletion: Deletion
}

/// A flush of a rule that has ended: it names no keys, and deleted what matched its patterns. Times are microseconds
/// since 2000.
package struct FinishedFlush: Sendable, Equatable {
  package var rule: String
  package var reason: GapReason
  package var began: Int64
  package var ended: Int64
  package var patterns: [[UInt8]]

  package init(rule: String, reason: GapReason, began: Int64, ended: Int64, patterns: [[UInt8]]) {
    self.rule = rule
    self.reason = reason
    self.began = began
    self.ended = ended
    self.patterns = patterns
  }
}
