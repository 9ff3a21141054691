/// What the stream of messages has told so far.
struct StreamState: Sendable {
  /// The transaction between Begin and Commit.
  struct Transaction: Sendable {
    enum Destination: Sendable, Equatable {
      /// No key yet.
      case undecided
      case batches
      case waiting(UInt64)
    }
    var xid: UInt32
    /// Where its commit record lies.
    var position: LSN
    var commitTime: Int64
    var destination = Destination.undecided
  }

  /// How a ruled table was described last, and where in the WAL; also across connections.
  struct KnownRelation: Sendable {
    var relation: Relation
    /// The tables whose rules it concerns: itself, or those that it is a partition of.
    var tables: Set<TableName>
    /// Every column is known: an update of wal2json leaves out TOAST values that it does not touch.
    var isWhole = true
    var position = LSN.zero
    /// Where it was last seen to differ from what was known before, and which tables' rules that concerned.
    var changedAt: LSN?
    var changedTables: Set<TableName> = []
  }

  /// When the transaction that was told of last committed, of those with a finite time; minus infinity before the first.
  var newestCommit = PostgresTimestamp.minusInfinity

  var known: [TableName: KnownRelation] = [:]
  var relations: [BoundRelation] = []
  /// By relation: the index into `Statistics.tables`, or -1 for a table without rules.
  var tables: [Int] = []
  /// Relation identifier to index.
  var indices: [UInt32: Int] = [:]
  var lastIdentifier: UInt32 = 0
  var lastIndex = -1

  /// A table of which the catalogue has to tell whose rules it concerns.
  struct Unplaced: Sendable {
    var relation: Relation
    /// The catalogue did not show the transaction that the table came with yet, so many times, and is asked again then.
    var tries = 0
    var askAt: Int64 = 0
    static let limit = 9
  }

  /// The stream waits for the catalogue's answer.
  var unplaced: Unplaced?
  /// Messages that came meanwhile.
  var held: [[UInt8]] = []
  /// By index: tables that have to be placed before their next change; nil, or the invisible transaction with which they
  /// came and in which they cannot be.
  var misplaced: [Int: UInt32?] = [:]

  /// Tables of a stream that describes none.
  var named = NamedTables()
  var outbox = OutboxState()

  var transaction: Transaction?
  var images = RowImages()
  var scratch = KeyBuffer()
  /// The end of the last complete transaction or keepalive.
  var received = LSN.zero
  var serverEnd = LSN.zero
  /// The largest end ever entered, to count replayed transactions.
  var highest = LSN.zero
  /// Causes that were reported once.
  var reported: Set<String> = []

  /// Forgets what belongs to one connection.
  mutating func restart() {
    relations.removeAll()
    tables.removeAll()
    indices.removeAll()
    lastIndex = -1
    unplaced = nil
    misplaced.removeAll()
    named.restart()
    outbox.restart()
    held.removeAll()
    transaction = nil
  }

  @inline(__always)
  mutating func index(of identifier: UInt32) -> Int? {
    if lastIndex >= 0, identifier == lastIdentifier { return lastIndex }
    guard let index = indices[identifier] else { return nil }
    lastIdentifier = identifier
    lastIndex = index
    return index
  }
}
