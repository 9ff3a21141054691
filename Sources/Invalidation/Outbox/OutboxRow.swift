/// One row of `cdcd.outbox` (`sql/outbox.sql`): what one statement, or 500 rows of it, changed.
package struct OutboxRow: Sendable, Equatable {
  /// What the row tells; the raw value is the column `op`.
  package enum Operation: UInt8, Sendable {
    case insert = 0x49  // I
    case update = 0x55  // U
    case delete = 0x44  // D
    case truncate = 0x54  // T
    /// DDL.
    case alter = 0x41  // A
    /// Keys that the application names.
    case keys = 0x4B  // K
    /// A change of which the rows could not be told.
    case unknown = 0x3F  // ?
  }

  package var id: Int64
  /// The low 32 bits of the transaction's id.
  package var xid: UInt32
  /// Microseconds since 2000.
  package var writtenAt: Int64
  /// The quoted name of a table, or what stands in its place.
  package var relation: String
  /// The byte of `op`.
  package var operation: UInt8
  /// JSON; empty for NULL.
  package var content: [UInt8]

  package init(
    id: Int64, xid: UInt32, writtenAt: Int64, relation: String, operation: UInt8, content: [UInt8]
  ) {
    self.id = id
    self.xid = xid
    self.writtenAt = writtenAt
    self.relation = relation
    self.operation = operation
    self.content = content
  }
}

/// What `Effect.readOutbox` asks for: rows in the order of their ids, some of them at a time.
package struct OutboxRead: Sendable, Equatable {
  /// Rows of transactions that it sees were read before, and are left out.
  package var taken: TransactionSnapshot?
  /// Only rows of transactions that it sees: a read goes on which began with it.
  package var within: TransactionSnapshot?
  /// Only rows with larger ids.
  package var after: Int64

  package init(taken: TransactionSnapshot? = nil, within: TransactionSnapshot? = nil, after: Int64 = .min) {
    self.taken = taken
    self.within = within
    self.after = after
  }
}

/// Answers an `OutboxRead`.
package struct OutboxPage: Sendable, Equatable {
  /// The end of the durable WAL, read before the snapshot was taken.
  package var flushedBefore: LSN
  /// What the rows were read with.
  package var snapshot: TransactionSnapshot
  /// `pg_current_wal_insert_lsn()` after it was taken: beyond the commit of everything that it sees.
  package var writtenAfter: LSN
  package var rows: [OutboxRow]
  /// There are no more rows that were asked for.
  package var isLast: Bool

  package init(
    flushedBefore: LSN, snapshot: TransactionSnapshot, writtenAfter: LSN, rows: [OutboxRow], isLast: Bool
  ) {
    self.flushedBefore = flushedBefore
    self.snapshot = snapshot
    self.writtenAfter = writtenAfter
    self.rows = rows
    self.isLast = isLast
  }
}

/// What `Effect.removeFromOutbox` is to remove: the rows of every transaction that the snapshot sees, up to an id.
package struct OutboxRemoval: Sendable, Equatable {
  package var seenBy: TransactionSnapshot
  package var upTo: Int64
  /// What stands in Redis by then, to be remembered beside the rows.
  package var position: LSN

  package init(seenBy: TransactionSnapshot, upTo: Int64, position: LSN) {
    self.seenBy = seenBy
    self.upTo = upTo
    self.position = position
  }
}
