import DequeModule

/// Where the reading of the outbox stands.
struct OutboxState: Sendable {
  enum Link: Sendable, Equatable {
    case idle
    case reading(since: Int64)
    /// All that was read up to the position.
    case removing(since: Int64, upTo: LSN)
    case movingWAL(since: Int64)
    case touching(since: Int64)
  }

  /// All that one snapshot sees is one transaction for the rest of the Engine, however many pages it has.
  struct Reading: Sendable {
    var snapshot: TransactionSnapshot
    /// What the watermark may claim when all of it is settled.
    var position: LSN
    var hasRows = false
    var lastID: Int64 = .min
    /// Of its latest rows: those of transactions that write at the same time lie between each other's.
    private var xids: Set<UInt32> = []

    init(snapshot: TransactionSnapshot, position: LSN) {
      self.snapshot = snapshot
      self.position = position
    }

    /// Whether the transaction's rows were not met before, as far as is remembered.
    mutating func meets(_ xid: UInt32) -> Bool {
      if xids.count == Reading.rememberedXids { xids.removeAll(keepingCapacity: true) }
      return xids.insert(xid).inserted
    }

    private static let rememberedXids = 1_024
  }

  var link = Link.idle
  /// When the last answer came.
  var answeredAt: Int64 = 0
  /// The server ends a session that says nothing for 10 s, since its cdcd may be frozen and holds the lock.
  static let touchInterval: Int64 = 3_000_000_000
  /// There may be rows that no read has seen.
  var isNotified = true
  var pollAt: Int64 = 0
  /// A page has come, and more are to come.
  var reading: Reading?
  /// The last complete read saw these transactions.
  var taken: TransactionSnapshot?
  /// Complete reads whose rows are still there, oldest first.
  var unremoved = Deque<OutboxRemoval>()
  /// While so many wait for their second deletes, the last one takes those that follow along.
  static let unremovedLimit = 100
  /// When a removal was asked for last.
  var removedAt: Int64 = .min / 2
  static let removalInterval: Int64 = 20_000_000
  /// A position is needed beyond the present end of the WAL, or what lies before it has to become durable.
  var needsMovedWAL = false
  var movedWALAt: Int64 = .min / 2
  static let moveInterval: Int64 = 10_000_000

  var decoder = OutboxDecoder()
  struct Table: Sendable {
    /// In `StreamState.relations`.
    var index: Int
    /// Those that the rules read, in the order of the relation's.
    var columns: [[UInt8]]
  }

  /// By the name that rows have for it.
  var tables: [String: Table] = [:]
  /// Names of tables without rules.
  var unruled: Set<String> = []
  var lastXid: UInt32?
  /// Of the keys of the last row.
  var origin = KeyOrigin(kind: .outbox)

  static let readLimit: Int64 = 30_000_000_000
  /// Of millions of rows.
  static let removalLimit: Int64 = 600_000_000_000

  /// Forgets what belongs to one connection.
  mutating func restart() {
    self = OutboxState()
  }

  /// When the question under way has to be answered.
  var answerDue: Int64? {
    switch link {
    case .idle: nil
    case .reading(let since), .movingWAL(let since), .touching(let since): since + OutboxState.readLimit
    case .removing(let since, _): since + OutboxState.removalLimit
    }
  }
}
