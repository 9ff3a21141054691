/// One change of a replication stream, and what the rules make of it.
package struct StreamedChange: Sendable, Equatable {
  /// The transaction of a change. PostgreSQL streams it after its commit, so that its beginning tells all of it.
  package struct Transaction: Sendable, Equatable {
    package var xid: UInt32
    /// Where its commit record lies.
    package var position: LSN
    /// Microseconds since 2000-01-01 00:00 UTC.
    package var commitTime: Int64

    package init(xid: UInt32, position: LSN, commitTime: Int64) {
      self.xid = xid
      self.position = position
      self.commitTime = commitTime
    }
  }

  package enum Kind: Sendable, Equatable {
    /// A row, or a TRUNCATE: one of the operations.
    case rows(Operations)
    /// DDL that the event triggers tell of; the command, such as `ALTER TABLE`.
    case definition(command: String)
    /// A message that names keys.
    case message
  }

  package var transaction: Transaction
  package var kind: Kind
  /// The table under the name by which the stream tells of it; nil for DDL that may have changed any, and for messages.
  package var table: TableName?
  /// Those whose rules it concerns: itself, or what it is a partition of.
  package var ruledTables: Set<TableName>
  /// One for each rule of these tables, in the order of the file.
  package var verdicts: [Explanation.Verdict]
  /// The catalogue does not know the table any more, and rules name partitioned tables: if it was a partition of one, the
  /// daemon flushes that one's rules.
  package var mayHaveBeenPartition = false

  package init(
    transaction: Transaction, kind: Kind, table: TableName?, ruledTables: Set<TableName> = [],
    verdicts: [Explanation.Verdict] = [], mayHaveBeenPartition: Bool = false
  ) {
    self.transaction = transaction
    self.kind = kind
    self.table = table
    self.ruledTables = ruledTables
    self.verdicts = verdicts
    self.mayHaveBeenPartition = mayHaveBeenPartition
  }
}
